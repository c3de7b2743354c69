//! Secrets: from the environment, from a file, or written into the configuration itself.
//!
//! No message of this module holds any part of a secret.

use millrace_model::code::Code;
use millrace_model::secret::Secret;
use toml::de::DeValue;

use super::document::{Field, Report};
use super::read_text;

/// Bytes of a file that holds a secret.
const MAX_SECRET_BYTES: u64 = 4096;

/// What becomes of a secret that stands in the configuration itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Literal {
    /// It is taken with a warning.
    Warned,
    /// It is taken: a write key can be read in every page that uses it.
    Fine,
}

/// Reads `{ env = "NAME" }`, `{ file = "PATH" }` or a text.
pub(super) fn read(field: &Field<'_>, report: &mut Report<'_>, literal: Literal) -> Option<Secret> {
    let text = match field.value {
        DeValue::String(text) => {
            if literal == Literal::Warned {
                let message = format!("the secret `{}` stands in the configuration", field.name);
                let better = "write { env = \"NAME\" } or { file = \"PATH\" }".to_owned();
                report.warning(field.at(), Code::BadValue, message, Some(better));
            }
            text.as_ref().to_owned()
        }
        DeValue::Table(_) => from_elsewhere(field, report)?,
        _ => {
            let forms = "{ env = \"NAME\" }, { file = \"PATH\" } or a text";
            field.wrong_kind(report, forms, None);
            return None;
        }
    };
    let reason = if text.is_empty() {
        "is empty"
    } else if text.len() > 512 {
        "is longer than 512 bytes"
    } else if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        "must have only letters, digits and signs of ASCII, and no space"
    } else {
        return Some(Secret::new(text));
    };
    field.wrong(report, reason, None);
    None
}

fn from_elsewhere(field: &Field<'_>, report: &mut Report<'_>) -> Option<String> {
    let mut source = field.table(report)?;
    let (environment, file) = (source.optional("env"), source.optional("file"));
    source.finish(report);
    match (environment, file) {
        (Some(name), None) => {
            let variable = name.text(report, "MILLRACE_TOKEN")?;
            let value = report.environment(variable);
            if value.is_none() {
                let reason = format!("names `{variable}`, which is not set in the environment");
                let fix = format!("set {variable} before starting");
                let message = format!("`{}` {reason}", field.name);
                report.mistake(name.at(), Code::UnknownReference, message, Some(fix));
            }
            value
        }
        (None, Some(file)) => {
            let path = file.text(report, "/run/secrets/token")?;
            let path = report.resolve(path);
            match read_text(&path, MAX_SECRET_BYTES) {
                Ok(text) => Some(text.trim_end_matches(['\r', '\n']).to_owned()),
                Err(reason) => {
                    let shown = path.display();
                    let message = format!("`{}`: cannot read {shown}: {reason}", field.name);
                    report.mistake(file.at(), Code::FileUnreadable, message, None);
                    None
                }
            }
        }
        _ => {
            field.wrong(report, "needs either `env` or `file`", None);
            None
        }
    }
}
