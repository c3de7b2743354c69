//! From the blueprint that an integration names to a compiled plan, with every mistake told.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use millrace_blueprint::{Blueprint, Plan, SettingValues};
use millrace_model::code::Code;
use millrace_model::diagnostic::{Diagnostic, nearest};

use crate::config::{BlueprintRef, BlueprintUse, Place};
use crate::revisions::{DEFAULT_FOLDER, RevisionFolder, parse_reference};

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

/// What is doubtful about the blueprints that are files: nobody here can change the others.
pub fn warnings<'a>(uses: impl IntoIterator<Item = &'a BlueprintUse>) -> Vec<Diagnostic> {
    let mut seen: Vec<&BlueprintRef> = Vec::new();
    let mut warnings = Vec::new();
    for used in uses {
        if matches!(used.blueprint, BlueprintRef::File(_)) && !seen.contains(&&used.blueprint) {
            seen.push(&used.blueprint);
            let found = read(&used.blueprint, &used.place);
            warnings.extend(found.into_iter().flat_map(|found| found.blueprint.warnings()));
        }
    }
    warnings
}

fn compile(used: &BlueprintUse) -> Result<Plan, Vec<Diagnostic>> {
    let blueprint = read(&used.blueprint, &used.place)?.blueprint;
    let values: serde_json::Map<String, serde_json::Value> =
        used.settings.iter().map(|(name, setting)| (name.clone(), setting.value.clone())).collect();
    let values = SettingValues::from_json(&serde_json::Value::Object(values));
    let parameters = &used.parameters;
    Plan::compile_with(&blueprint, &values, &parameters.texts).map_err(|mistakes| {
        // Of a pipeline that could not be read nobody knows what it lacks.
        let told = |one: &Diagnostic| one.code != Code::MissingKey || parameters.place.is_some();
        mistakes.into_iter().filter(told).map(|mistake| at_setting(mistake, used)).collect()
    })
}

/// A blueprint does not know where its settings were written; the configuration does.
fn at_setting(mut mistake: Diagnostic, used: &BlueprintUse) -> Diagnostic {
    if mistake.line > 0 {
        return mistake;
    }
    let setting =
        used.settings.iter().find(|(name, _)| mistake.message.contains(&format!("`{name}`")));
    let place = match (mistake.code, setting) {
        // A parameter that the pipeline lacks: only those can be missing.
        (Code::MissingKey, _) => used.parameters.place.as_ref(),
        (_, Some((_, setting))) => Some(&setting.place),
        (_, None) => None,
    };
    let place = place.unwrap_or(&used.place);
    mistake.file.clone_from(&place.file);
    (mistake.line, mistake.column) = (place.line, place.column);
    mistake
}

/// A blueprint that was found by its name.
#[derive(Debug)]
pub struct Found {
    /// How it is called in messages: the file, or the name.
    pub file: String,
    /// Its file, unless it comes with Millrace.
    pub path: Option<PathBuf>,
    /// The blueprint.
    pub blueprint: Blueprint,
}

/// The blueprint that a configuration names.
///
/// # Errors
/// When there is none, or it has mistakes.
pub fn read(reference: &BlueprintRef, place: &Place) -> Result<Found, Vec<Diagnostic>> {
    match reference {
        BlueprintRef::BuiltIn(name) => built_in(name, place).map(|blueprint| Found {
            file: name.clone(),
            path: None,
            blueprint,
        }),
        BlueprintRef::File(path) => {
            let file = path.display().to_string();
            let path = Some(path.clone());
            from_file(path.as_deref().unwrap_or(Path::new("")), place).map(|blueprint| Found {
                file,
                path,
                blueprint,
            })
        }
        BlueprintRef::Revision { folder, name, number } => revision(folder, name, *number, place),
    }
}

/// The blueprint that a command names: with a dot or a slash a file, with an @ a published
/// revision in the folder, else one that comes with Millrace.
///
/// # Errors
/// When there is none, or it has mistakes.
pub fn find(name: &str, folder: Option<&Path>, place: &Place) -> Result<Found, Vec<Diagnostic>> {
    let reference = match (parse_reference(name), folder) {
        (Some((name, Some(number))), folder) => BlueprintRef::Revision {
            folder: folder.unwrap_or(Path::new(DEFAULT_FOLDER)).to_owned(),
            name: name.to_owned(),
            number,
        },
        _ if name.contains(['.', '/', '\\']) => BlueprintRef::File(PathBuf::from(name)),
        _ => BlueprintRef::BuiltIn(name.to_owned()),
    };
    read(&reference, place)
}

fn revision(
    folder: &Path,
    name: &str,
    number: u32,
    place: &Place,
) -> Result<Found, Vec<Diagnostic>> {
    let published = RevisionFolder::new(folder).read(name, Some(number)).map_err(|error| {
        // The store says the code first, as everywhere in its messages.
        let text = format!("{error:#}");
        let (code, message) = match text.split_once(": ") {
            Some((code, message)) => match Code::parse(code) {
                Some(code) => (code, message.to_owned()),
                None => (Code::FileUnreadable, text.clone()),
            },
            None => (Code::FileUnreadable, text.clone()),
        };
        vec![place.diagnostic(code, message, None)]
    })?;
    let path = folder.join(name).join(format!("{number}.yaml"));
    let file = format!("{name}@{number}");
    Ok(Found { file, path: Some(path), blueprint: published.blueprint })
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
        let hint = "`millrace blueprint list` shows the blueprints that have a name".to_owned();
        vec![place.diagnostic(Code::FileUnreadable, message, Some(hint))]
    };
    let length = fs::metadata(path).map_err(|error| unreadable(error.to_string()))?.len();
    if length > MAX_FILE_BYTES {
        return Err(unreadable(format!("it has more than {MAX_FILE_BYTES} bytes")));
    }
    let text = fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
    Blueprint::parse(&path.display().to_string(), &text)
}
