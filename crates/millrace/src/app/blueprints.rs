//! From the blueprint that an integration names to a compiled plan, with every mistake told.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use millrace_blueprint::{Blueprint, Plan, SettingValues};
use millrace_model::code::Code;
use millrace_model::diagnostic::{Diagnostic, nearest};

use crate::config::{BlueprintRef, BlueprintUse, Place};

/// A blueprint larger than this is a mistake: it is read into memory whole.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// A compiled plan for each use of a blueprint, in their order.
///
/// # Errors
/// Every mistake in the blueprints and in the settings that are given to them.
pub fn compile_all<'a>(
    uses: impl IntoIterator<Item = &'a BlueprintUse>,
) -> Result<Vec<Arc<Plan>>, Vec<Diagnostic>> {
    let mut plans = Vec::new();
    let mut mistakes = Vec::new();
    for used in uses {
        match compile(used) {
            Ok(plan) => plans.push(Arc::new(plan)),
            Err(more) => mistakes.extend(more),
        }
    }
    if mistakes.is_empty() { Ok(plans) } else { Err(mistakes) }
}

fn compile(used: &BlueprintUse) -> Result<Plan, Vec<Diagnostic>> {
    let blueprint = match &used.blueprint {
        BlueprintRef::BuiltIn(name) => built_in(name, &used.place),
        BlueprintRef::File(path) => from_file(path, &used.place),
    }?;
    let values: serde_json::Map<String, serde_json::Value> =
        used.settings.iter().map(|(name, setting)| (name.clone(), setting.value.clone())).collect();
    let values = SettingValues::from_json(&serde_json::Value::Object(values));
    Plan::compile(&blueprint, &values)
        .map_err(|mistakes| mistakes.into_iter().map(|mistake| at_setting(mistake, used)).collect())
}

/// A blueprint does not know where its settings were written; the configuration does.
fn at_setting(mut mistake: Diagnostic, used: &BlueprintUse) -> Diagnostic {
    if mistake.line > 0 {
        return mistake;
    }
    let place = used
        .settings
        .iter()
        .find(|(name, _)| mistake.message.contains(&format!("`{name}`")))
        .map_or(&used.place, |(_, setting)| &setting.place);
    mistake.file.clone_from(&place.file);
    (mistake.line, mistake.column) = (place.line, place.column);
    mistake
}

/// The built-in blueprint of that name.
///
/// # Errors
/// When there is none.
pub fn built_in(name: &str, place: &Place) -> Result<Blueprint, Vec<Diagnostic>> {
    let names = Blueprint::built_in_names();
    Blueprint::built_in(name).unwrap_or_else(|| {
        let suggestion = nearest(name, names.iter().copied()).map_or_else(
            || {
                format!(
                    "built in: {}; a file is named with a path such as ./shop.yaml",
                    names.join(", ")
                )
            },
            |near| format!("did you mean \"{near}\"?"),
        );
        let message = format!("there is no blueprint \"{name}\"");
        Err(vec![place.diagnostic(Code::UnknownBlueprint, message, Some(suggestion))])
    })
}

/// The blueprint in a file.
///
/// # Errors
/// When the file cannot be read, or for every mistake in it.
pub fn from_file(path: &Path, place: &Place) -> Result<Blueprint, Vec<Diagnostic>> {
    let unreadable = |reason: String| {
        let message = format!("cannot read the blueprint {}: {reason}", path.display());
        vec![place.diagnostic(Code::FileUnreadable, message, None)]
    };
    let length = fs::metadata(path).map_err(|error| unreadable(error.to_string()))?.len();
    if length > MAX_FILE_BYTES {
        return Err(unreadable(format!("it has more than {MAX_FILE_BYTES} bytes")));
    }
    let text = fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
    Blueprint::parse(&path.display().to_string(), &text)
}
