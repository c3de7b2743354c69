//! A checked blueprint: what [`Blueprint::parse`] gives and [`Plan::compile`](crate::Plan) takes.

use millrace_model::diagnostic::Diagnostic;

use crate::built_in;
use crate::settings::Setting;
use crate::syntax::ast::Checked;

/// A blueprint that has been read and checked. Nothing in it is unknown or ambiguous.
#[derive(Clone, Debug)]
pub struct Blueprint {
    pub(crate) file: String,
    pub(crate) checked: Checked,
}

impl Blueprint {
    /// Reads a blueprint from YAML or JSON text. `file` is how the user calls it in diagnostics.
    ///
    /// # Errors
    ///
    /// Every mistake in the text at once, in the order of its lines.
    pub fn parse(file: &str, text: &str) -> Result<Blueprint, Vec<Diagnostic>> {
        crate::syntax::read(file, text).map(|checked| Blueprint { file: file.to_owned(), checked })
    }

    /// The blueprint of this name that comes with Millrace; none when there is none of the name.
    ///
    /// # Errors
    ///
    /// The inner result holds mistakes of the built-in text itself; a test keeps it free of them.
    #[must_use]
    pub fn built_in(name: &str) -> Option<Result<Blueprint, Vec<Diagnostic>>> {
        built_in::text(name).map(|text| Blueprint::parse(&format!("built-in:{name}"), text))
    }

    /// The names of the blueprints that come with Millrace.
    #[must_use]
    pub fn built_in_names() -> &'static [&'static str] {
        built_in::NAMES
    }

    /// The name that the blueprint gives itself.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.checked.name
    }

    /// What its users can choose, in the order of the text.
    #[must_use]
    pub fn settings(&self) -> &[Setting] {
        &self.checked.settings
    }
}
