//! The `failed_records` of an answer, joined to the rows of the request.
//!
//! A record is joined by its `index`. An insert id that it gives (`insert_id` in the one doc,
//! `$insert_id` in the other) helps where the index is missing, and raises a doubt where the two
//! disagree. A record that joins to no row leaves all rows in doubt.

use millrace_model::code::Code;
use millrace_model::id::InsertId;
use serde_json::Value;

use super::{Receipt, RefusedRow, clip, concerns_token, count_of_taken};

/// Reads an answer that has failed records; none when it has not.
pub(super) fn read(answer: &Value, rows: &[Option<InsertId>]) -> Option<Receipt> {
    let records = answer.get("failed_records")?.as_array().filter(|list| !list.is_empty())?;
    let perhaps_taken = count_of_taken(answer) != Some(0);
    let mut refused: Vec<RefusedRow> = Vec::with_capacity(records.len());
    let mut doubt = None;
    for record in records {
        let (field, words) = words_of(record);
        if refuses_identity_events(&words) {
            return Some(Receipt::Pause { code: Code::IdentityEventsRefused, reason: words });
        }
        if concerns_token(field, &words) {
            return Some(Receipt::Pause { code: Code::CredentialsRefused, reason: words });
        }
        match join(record, rows) {
            Some(index) => refused.push(RefusedRow { index, words }),
            None => doubt = Some(words),
        }
    }
    if let Some(words) = doubt {
        return Some(Receipt::Bisect { words, perhaps_taken });
    }
    refused.sort_by_key(|row| row.index);
    refused.dedup_by_key(|row| row.index);
    let accounted = count_of_taken(answer)
        .is_none_or(|taken| taken.saturating_add(refused.len() as u64) >= rows.len() as u64);
    if accounted || rows.len() == 1 {
        return Some(Receipt::Partly(refused));
    }
    let words = refused.into_iter().next().map(|row| row.words).unwrap_or_default();
    Some(Receipt::Bisect { words, perhaps_taken })
}

/// The row of a record, if it can be told.
fn join(record: &Value, rows: &[Option<InsertId>]) -> Option<usize> {
    if rows.len() == 1 {
        return Some(0);
    }
    let index = record
        .get("index")
        .and_then(Value::as_u64)
        .and_then(|index| usize::try_from(index).ok())
        .filter(|index| *index < rows.len());
    let insert_id = ["insert_id", "$insert_id"]
        .iter()
        .find_map(|name| record.get(*name)?.as_str())
        .filter(|id| !id.is_empty());
    let Some(insert_id) = insert_id else { return index };
    let has_it = |row: &Option<InsertId>| row.is_some_and(|id| id.as_str() == insert_id);
    if index.and_then(|index| rows.get(index)).is_some_and(has_it) {
        return index;
    }
    let mut with_it = rows.iter().enumerate().filter(|(_, row)| has_it(row)).map(|(at, _)| at);
    match (index, with_it.next(), with_it.next()) {
        // Nobody has that id: Mixpanel shortened or invented it. The index is what counts.
        (index, None, _) => index,
        (None, Some(only), None) => Some(only),
        (None | Some(_), Some(_), _) => None,
    }
}

/// The field that a record names, and its words.
fn words_of(record: &Value) -> (Option<&str>, String) {
    if let Some(text) = record.as_str() {
        return (None, clip(text));
    }
    let text = |name: &str| record.get(name).and_then(Value::as_str);
    let field = text("field").filter(|field| !field.is_empty());
    let words = match (field, text("message").or_else(|| text("error"))) {
        (Some(field), Some(message)) if !message.contains(field) => format!("{field}: {message}"),
        (_, Some(message)) => message.to_owned(),
        (Some(field), None) => format!("{field} is invalid"),
        (None, None) => record.to_string(),
    };
    (field, clip(&words))
}

/// A project with simplified identity merge refuses a whole batch for one identity event
/// (`reference/mixpanel-api.md` 2.3). There is no code for it, only this text.
fn refuses_identity_events(words: &str) -> bool {
    words.contains("identity events are not allowed")
}
