//! `write_keys`: the keys of a pipeline, each with its state.

use millrace_http::{KeyState, WriteKey};
use millrace_model::code::Code;
use millrace_model::secret::Secret;
use millrace_model::time::UnixMillis;
use toml::de::DeValue;

use super::super::super::document::{Field, Report};
use super::super::super::secrets::{self, Literal};
use super::super::non_empty;

/// Reads the keys that are right. `taken` are those of earlier pipelines.
pub(super) fn read(field: &Field<'_>, taken: &[&Secret], report: &mut Report<'_>) -> Vec<WriteKey> {
    let mut keys: Vec<WriteKey> = Vec::new();
    let fields = field.list(report, "write keys").unwrap_or_default();
    if fields.is_empty() && matches!(field.value, DeValue::Array(_)) {
        field.wrong(report, "is empty, so no SDK could send anything", None);
    }
    for field in fields {
        let Some(key) = read_one(&field, report) else { continue };
        let text = key.key.expose();
        let mut known = taken.iter().copied().chain(keys.iter().map(|other| &other.key));
        if known.any(|other| other.expose() == text) {
            let message = "the write key is used twice, so its events could belong to either";
            report.mistake(field.at(), Code::DuplicateName, message, None);
        } else if text.contains(':') {
            // A write key is the user name of Basic authentication (RFC 7617, section 2).
            field.wrong(report, "must have no `:`", None);
        } else {
            keys.push(key);
        }
    }
    keys
}

/// A text, `{ env = .. }`, `{ file = .. }`, or a table that holds one of these as `key`.
fn read_one(field: &Field<'_>, report: &mut Report<'_>) -> Option<WriteKey> {
    let has_members = matches!(field.value, DeValue::Table(table)
        if ["key", "name", "revoked", "until"].iter().any(|member| table.contains_key(*member)));
    if !has_members {
        return secrets::read(field, report, Literal::Fine).map(WriteKey::from);
    }
    let mut section = field.table(report)?;
    let key = section.required(report, "key", "key = { env = \"SHOP_WRITE_KEY\" }");
    let [name, revoked, until] = ["name", "revoked", "until"].map(|name| section.optional(name));
    section.finish(report);
    let key = key.and_then(|field| secrets::read(&field, report, Literal::Fine));
    let name = match name {
        Some(field) => Some(non_empty(&field, report, "android 2025")?.to_owned()),
        None => None,
    };
    let state = read_state(revoked.as_ref(), until.as_ref(), report)?;
    Some(WriteKey { key: key?, name, state })
}

pub(super) fn read_state(
    revoked: Option<&Field<'_>>,
    until: Option<&Field<'_>>,
    report: &mut Report<'_>,
) -> Option<KeyState> {
    let is_revoked = match revoked {
        Some(field) => field.flag(report)?,
        None => false,
    };
    let Some(until) = until else {
        return Some(if is_revoked { KeyState::Revoked } else { KeyState::Active });
    };
    if is_revoked {
        until.wrong(report, "means nothing for a key that is revoked already", None);
        return None;
    }
    let text = match until.value {
        // TOML has moments of its own; with an offset they are RFC 3339.
        DeValue::Datetime(moment) if moment.offset.is_some() => moment.to_string(),
        DeValue::String(text) => text.to_string(),
        _ => String::new(),
    };
    // Without a zone nobody knows when that is.
    let has_zone = text.ends_with(['Z', 'z']) || text.get(10..).is_some_and(has_offset);
    match UnixMillis::parse(&text).filter(|_| has_zone) {
        Some(end) => Some(KeyState::Until(end)),
        None => {
            let fix = "write for example \"2026-12-01T00:00:00Z\"".to_owned();
            until.wrong(report, "must be a moment with its zone", Some(fix));
            None
        }
    }
}

fn has_offset(time: &str) -> bool {
    time.contains(['+', '-'])
}
