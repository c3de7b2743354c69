//! Compiling: a checked blueprint and the values of its settings to a [`Plan`].
//!
//! Settings are constants from here on: what they switch off is not in the plan. Paths have become
//! slots of one trie, member names stand ready as JSON, and conditions on the type of an event
//! have become bits.

mod expressions;
pub(crate) mod fold;
pub(crate) mod keys;
pub(crate) mod lists;
pub(crate) mod lower;
pub(crate) mod node;
pub(crate) mod paths;
pub(crate) mod trie;

use millrace_model::code::Code;
use millrace_model::diagnostic::{Diagnostic, Severity, nearest};
use serde_json::Value;

use crate::settings::{Parameter, Parameters, SettingValues};
use crate::syntax::ast::Checks;
use crate::{Blueprint, Setting};
use node::Rule;
use trie::Trie;

/// A compiled blueprint. Shared by all threads; runs in a [`Mapper`](crate::Mapper).
#[derive(Debug)]
pub struct Plan {
    pub(crate) rules: Vec<Rule>,
    /// The paths that the rules read.
    pub(crate) trie: Trie,
    /// Values that are known before any event, as JSON.
    pub(crate) constants: Vec<Box<[u8]>>,
    /// The slots of `userId`, `anonymousId` and `previousId`, which decide the lanes of rows.
    pub(crate) ids: [u16; 3],
    /// What becomes of values that Mixpanel would change or refuse.
    pub(crate) checks: Checks,
}

impl Plan {
    /// Compiles a blueprint with the settings that its user chose.
    ///
    /// # Errors
    ///
    /// Every setting that the blueprint does not declare or that has the wrong kind of value.
    pub fn compile(
        blueprint: &Blueprint,
        settings: &SettingValues,
    ) -> Result<Plan, Vec<Diagnostic>> {
        Plan::compile_with(blueprint, settings, &Parameters::default())
    }

    /// Compiles a blueprint with the settings that its user chose and the parameters that the
    /// pipeline gives.
    ///
    /// # Errors
    ///
    /// As [`Plan::compile`], and every parameter that has no default and is not given.
    pub fn compile_with(
        blueprint: &Blueprint,
        settings: &SettingValues,
        parameters: &Parameters,
    ) -> Result<Plan, Vec<Diagnostic>> {
        let mut problems = check_settings(blueprint, settings);
        problems.extend(missing_parameters(blueprint, parameters));
        if !problems.is_empty() {
            return Err(problems);
        }
        let chosen: Vec<(&Setting, Value)> = blueprint
            .settings()
            .iter()
            .map(|setting| {
                let value = settings.get(&setting.name).unwrap_or(&setting.default);
                (setting, value.clone())
            })
            .collect();
        let given = blueprint.parameters().iter().map(|one| {
            let text = parameters.get(&one.name).or(one.default.as_deref());
            (one.name.as_str(), text.unwrap_or_default())
        });
        let values = fold::Values { settings: chosen, parameters: given.collect() };
        let written_out = lists::written_out(&blueprint.checked, &values);
        Ok(lower::lower(&written_out, &values))
    }
}

fn missing_parameters(blueprint: &Blueprint, given: &Parameters) -> Vec<Diagnostic> {
    let missing = blueprint
        .parameters()
        .iter()
        .filter(|one| one.default.is_none() && given.get(&one.name).is_none());
    let problem = |one: &Parameter| {
        let message = format!(
            "the blueprint `{}` needs the parameter `{}`: {}",
            blueprint.name(),
            one.name,
            one.about
        );
        let hint = "give it under `parameters` of the pipeline".to_owned();
        Diagnostic {
            file: blueprint.file.clone(),
            line: 0,
            column: 0,
            severity: Severity::Error,
            code: Code::MissingKey,
            message,
            suggestion: Some(hint),
        }
    };
    missing.map(problem).collect()
}

fn check_settings(blueprint: &Blueprint, settings: &SettingValues) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    let mut add = |code: Code, message: String, suggestion: Option<String>| {
        let file = blueprint.file.clone();
        let severity = Severity::Error;
        problems.push(Diagnostic { file, line: 0, column: 0, severity, code, message, suggestion });
    };
    let known = || blueprint.settings().iter().map(|setting| setting.name.as_str());
    for (name, value) in settings.iter() {
        match blueprint.settings().iter().find(|setting| setting.name == name) {
            None => {
                let hint = match nearest(name, known()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("known are {}", known().collect::<Vec<_>>().join(", ")),
                };
                let message =
                    format!("the blueprint `{}` has no setting `{name}`", blueprint.name());
                add(Code::UnknownSetting, message, Some(hint));
            }
            Some(setting) if !setting.kind.takes(value) => {
                let message = format!("the setting `{name}` takes {}", setting.kind.describe());
                add(Code::BadValue, message, None);
            }
            Some(_) => {}
        }
    }
    problems
}
