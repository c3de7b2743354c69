//! A checked blueprint: what [`Blueprint::parse`] gives and [`Plan::compile`](crate::Plan) takes.

use millrace_model::diagnostic::Diagnostic;
use serde_json::Value;

use crate::built_in;
use crate::settings::{Parameter, Setting};
use crate::syntax::ast::{Checked, Checks};
use crate::syntax::readings::{self, Reading};

/// A blueprint that has been read and checked. Nothing in it is unknown or ambiguous.
#[derive(Clone, Debug)]
pub struct Blueprint {
    pub(crate) file: String,
    pub(crate) checked: Checked,
    /// What it was read from.
    pub(crate) text: std::sync::Arc<str>,
}

/// Something that a blueprint does otherwise than the system that it replaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deviation {
    /// What differs.
    pub what: String,
    /// Why.
    pub why: String,
}

/// The same blueprint under another name, with other defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct Variant {
    /// Its name, by which it can be used like a blueprint.
    pub name: String,
    /// What it is for.
    pub about: String,
    /// The settings that have another default, and that default.
    pub defaults: Vec<(String, Value)>,
    pub(crate) checks: Checks,
}

impl Blueprint {
    /// Reads a blueprint from YAML or JSON text. `file` is how the user calls it in diagnostics.
    ///
    /// # Errors
    ///
    /// Every mistake in the text at once, in the order of its lines.
    pub fn parse(file: &str, text: &str) -> Result<Blueprint, Vec<Diagnostic>> {
        crate::syntax::read(file, text).map(|checked| Blueprint {
            file: file.to_owned(),
            checked,
            text: text.into(),
        })
    }

    /// The blueprint or variant of this name that comes with Millrace; none when there is none of
    /// the name.
    ///
    /// # Errors
    ///
    /// The inner result holds mistakes of the built-in text itself; a test keeps it free of them.
    #[must_use]
    pub fn built_in(name: &str) -> Option<Result<Blueprint, Vec<Diagnostic>>> {
        let (base, text) = built_in::find(name)?;
        let blueprint = match Blueprint::parse(&format!("built-in:{base}"), text) {
            Ok(blueprint) => blueprint,
            Err(problems) => return Some(Err(problems)),
        };
        if base == name { Some(Ok(blueprint)) } else { blueprint.variant(name).map(Ok) }
    }

    /// The names of the blueprints that come with Millrace, each with its variants behind it.
    #[must_use]
    pub fn built_in_names() -> &'static [&'static str] {
        &built_in::NAMES
    }

    /// The name that the blueprint gives itself, or that of the variant which this is.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.checked.name
    }

    /// The text that it was read from.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it is for, in its own words; empty when it does not say.
    #[must_use]
    pub fn about(&self) -> &str {
        &self.checked.about
    }

    /// The system that it takes the place of; empty when it takes that of none.
    #[must_use]
    pub fn replaces(&self) -> &str {
        &self.checked.replaces
    }

    /// What it does otherwise than that system.
    #[must_use]
    pub fn deviations(&self) -> &[Deviation] {
        &self.checked.deviations
    }

    /// What its users can choose, in the order of the text.
    #[must_use]
    pub fn settings(&self) -> &[Setting] {
        &self.checked.settings
    }

    /// What it wants from each pipeline, in the order of the text.
    #[must_use]
    pub fn parameters(&self) -> &[Parameter] {
        &self.checked.parameters
    }

    /// How each scalar of its text was read, in the order of the text.
    #[must_use]
    pub fn readings(&self) -> Vec<Reading> {
        readings::of(&self.text)
    }

    /// The other sets of defaults that it comes with. A variant has none itself.
    #[must_use]
    pub fn variants(&self) -> &[Variant] {
        &self.checked.variants
    }

    /// The blueprint with the name, the defaults and the checks of one of its variants.
    #[must_use]
    pub fn variant(&self, name: &str) -> Option<Blueprint> {
        let variant = self.checked.variants.iter().find(|variant| variant.name == name)?;
        let mut blueprint = self.clone();
        blueprint.checked.name.clone_from(&variant.name);
        blueprint.checked.about.clone_from(&variant.about);
        blueprint.checked.checks = variant.checks;
        blueprint.checked.variants.clear();
        for setting in &mut blueprint.checked.settings {
            let other = variant.defaults.iter().find(|(name, _)| *name == setting.name);
            if let Some((_, default)) = other {
                setting.default = default.clone();
            }
        }
        Some(blueprint)
    }
}
