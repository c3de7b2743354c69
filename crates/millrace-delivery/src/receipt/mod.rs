//! Reading Mixpanel's answer: what became of each row of a request, or what to do with all of them.
//!
//! Invariants:
//! - A row counts as delivered only on evidence: an answer that says so, and whose sums allow it.
//! - A row counts as refused only when the answer names it, or when it stood alone.
//! - What cannot be told is never guessed: the request is halved until each row's answer is its own
//!   (`Bisect`), or sent again as it is (`Retry`). Insert ids make both harmless.
//!
//! The forms of answers are those of `reference/mixpanel-api.md` 2.3, 3.2 and 9; which of them
//! pause an integration says DESIGN 9.16. This module decides nothing about when to send again.

mod failed_records;
mod retry_after;

use std::time::Duration;

use millrace_model::code::Code;
use millrace_model::id::InsertId;
use millrace_model::time::UnixMillis;
use serde_json::Value;

use crate::mixpanel::{Response, TransportError, TransportErrorKind};

pub use retry_after::MAX_RETRY_AFTER;

/// How many bytes of Mixpanel's words are kept.
const MAX_WORDS: usize = 400;

/// What an answer means for the rows of its request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Receipt {
    /// All rows were taken.
    Delivered,
    /// These rows were refused and all others taken. In the order of their index, each once.
    Partly(Vec<RefusedRow>),
    /// The request is too large as a whole; nothing of it was taken.
    Split {
        /// What Mixpanel said.
        words: String,
    },
    /// Something was refused, but not said which row: halve, until it stands alone.
    Bisect {
        /// What Mixpanel said.
        words: String,
        /// True when some rows may have been taken nonetheless.
        perhaps_taken: bool,
    },
    /// No row is to blame: the settings or the surroundings are wrong. Send nothing more until a
    /// probe has been answered well.
    Pause {
        /// Why, as a stable code.
        code: Code,
        /// Why, in words.
        reason: String,
    },
    /// Send the same again later.
    Retry {
        /// Not before this span, if Mixpanel said so; capped at [`MAX_RETRY_AFTER`].
        after: Option<Duration>,
        /// Why, as a stable code.
        code: Code,
        /// Why, in words.
        reason: String,
        /// True when some rows may have been taken nonetheless.
        perhaps_taken: bool,
    },
}

/// A row that Mixpanel refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedRow {
    /// Its index in the request.
    pub index: usize,
    /// What Mixpanel said.
    pub words: String,
}

/// What the answer to a probe says about the credentials (DESIGN 9.16).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// They are good.
    Good,
    /// They are not, or this is not Mixpanel.
    Bad {
        /// Why, as a stable code.
        code: Code,
        /// Why, in words.
        reason: String,
    },
    /// Nothing was said about them.
    Unknown {
        /// Why, as a stable code.
        code: Code,
        /// Why, in words.
        reason: String,
    },
}

/// Reads the answer to a request with these rows, given by their insert ids in the order of the
/// request. `now` is for a `Retry-After` that names a date.
#[must_use]
pub fn read(
    answer: &Result<Response, TransportError>,
    rows: &[Option<InsertId>],
    now: UnixMillis,
) -> Receipt {
    match answer {
        Ok(response) => read_response(response, rows, now),
        Err(error) => read_transport_error(error),
    }
}

/// Reads the answer to a probe.
#[must_use]
pub fn read_proof(answer: &Result<Response, TransportError>, now: UnixMillis) -> Proof {
    let success = answer.as_ref().is_ok_and(|response| (200..300).contains(&response.status));
    match read(answer, &[None], now) {
        Receipt::Delivered | Receipt::Partly(_) => Proof::Good,
        // Not strict, or no judge of names: either way the credentials were let through.
        Receipt::Bisect { .. } if success => Proof::Good,
        Receipt::Pause { code, reason } => Proof::Bad { code, reason },
        Receipt::Bisect { words, .. } | Receipt::Split { words } => {
            Proof::Bad { code: Code::WrongDestination, reason: words }
        }
        Receipt::Retry { code, reason, .. } => Proof::Unknown { code, reason },
    }
}

fn read_transport_error(error: &TransportError) -> Receipt {
    let reason = error.to_string();
    match error.kind {
        TransportErrorKind::Dns | TransportErrorKind::Tls => {
            Receipt::Pause { code: Code::Unreachable, reason }
        }
        TransportErrorKind::Invalid => Receipt::Pause { code: Code::WrongDestination, reason },
        TransportErrorKind::Connect | TransportErrorKind::Timeout | TransportErrorKind::Reset => {
            let perhaps_taken = error.kind.may_have_arrived();
            Receipt::Retry { after: None, code: Code::Unreachable, reason, perhaps_taken }
        }
    }
}

fn read_response(response: &Response, rows: &[Option<InsertId>], now: UnixMillis) -> Receipt {
    let body = response.body.trim_ascii();
    let html = body.first() == Some(&b'<');
    match response.status {
        200..=299 if html => wrong_destination(response.status, "answers with a web page"),
        200..=299 => read_success(response, body, rows),
        400 if html => wrong_destination(400, "answers with a web page"),
        400 => match object(body) {
            Some(answer) => failed_records::read(&answer, rows)
                .unwrap_or_else(|| refused_as_a_whole(&answer, body)),
            None => Receipt::Bisect { words: words_of_bytes(body), perhaps_taken: true },
        },
        401..=403 => Receipt::Pause {
            code: Code::CredentialsRefused,
            reason: with_words(
                format!("Mixpanel refuses the credentials (status {})", response.status),
                body,
            ),
        },
        408 | 425 | 429 | 500..=599 => Receipt::Retry {
            after: response.retry_after.as_deref().and_then(|text| retry_after::read(text, now)),
            code: Code::DestinationBusy,
            reason: with_words(format!("status {}", response.status), body),
            // Whoever is over the limit was turned away at the door; of the others nobody knows.
            perhaps_taken: response.status != 429,
        },
        413 => Receipt::Split { words: words_of(body) },
        300..=399 => wrong_destination(response.status, "answers with a redirect"),
        status => wrong_destination(status, "answers as Mixpanel does not"),
    }
}

fn read_success(response: &Response, body: &[u8], rows: &[Option<InsertId>]) -> Receipt {
    match body {
        b"1" => return Receipt::Delivered,
        b"0" => {
            let words = "Mixpanel answered 0: not taken".to_owned();
            return Receipt::Bisect { words, perhaps_taken: true };
        }
        _ => {}
    }
    let answer = if response.cut { None } else { object(body) };
    let Some(answer) = answer else { return unclear(response.status) };
    if let Some(receipt) = failed_records::read(&answer, rows) {
        return receipt;
    }
    match says_success(&answer) {
        Some(true) => {}
        Some(false) => return refused_as_a_whole(&answer, body),
        None => return unclear(response.status),
    }
    match count_of_taken(&answer) {
        Some(taken) if taken < rows.len() as u64 => {
            let words = format!("Mixpanel took {taken} of {} rows and named none", rows.len());
            Receipt::Bisect { words, perhaps_taken: true }
        }
        Some(_) | None => Receipt::Delivered,
    }
}

fn unclear(status: u16) -> Receipt {
    let reason = format!("status {status} with a body that cannot be read");
    Receipt::Retry { after: None, code: Code::UnclearAnswer, reason, perhaps_taken: true }
}

/// The forms of success: `status` 1 or `"OK"`, else `code` 200, and no `error` text. None when the
/// answer speaks of none of the three, or when its parts contradict each other: that is no evidence
/// of anything. Only 0 is documented as a failure, so that small numbers above it are a success,
/// too; from 100 on they are HTTP statuses, of which only those of success are one.
pub(crate) fn says_success(answer: &Value) -> Option<bool> {
    if error_of(answer).is_some() {
        return Some(false);
    }
    let code = answer.get("code").map(|code| code.as_u64() == Some(200));
    let status = match answer.get("status") {
        Some(Value::String(status)) => status.eq_ignore_ascii_case("ok"),
        Some(status) => match status.as_u64() {
            Some(0) => false,
            Some(1..=99 | 200..=299) => true,
            Some(_) | None => return None,
        },
        None => return code,
    };
    if status && code == Some(false) { None } else { Some(status) }
}

/// What an answer says went wrong. Some write an empty text where others write null
/// (`reference/mixpanel-api.md` 2.1).
pub(crate) fn error_of(answer: &Value) -> Option<&Value> {
    answer.get("error").filter(|error| !error.is_null() && error.as_str() != Some(""))
}

/// How many rows were taken, if the answer says it.
fn count_of_taken(answer: &Value) -> Option<u64> {
    ["num_records_imported", "num_good_events"]
        .iter()
        .find_map(|name| answer.get(*name))
        .and_then(Value::as_u64)
}

fn refused_as_a_whole(answer: &Value, body: &[u8]) -> Receipt {
    let words = words_of(body);
    if concerns_token(None, &words) {
        return Receipt::Pause { code: Code::CredentialsRefused, reason: words };
    }
    Receipt::Bisect { words, perhaps_taken: count_of_taken(answer) != Some(0) }
}

/// True for a complaint about the project token. Rows never hold it, the client adds it to each:
/// such a complaint is about the settings, whichever row it names.
fn concerns_token(field: Option<&str>, words: &str) -> bool {
    field == Some("$token") || words.starts_with("$token")
}

fn wrong_destination(status: u16, what: &str) -> Receipt {
    let reason = format!("the destination {what} (status {status}): check the region or base URL");
    Receipt::Pause { code: Code::WrongDestination, reason }
}

fn object(body: &[u8]) -> Option<Value> {
    serde_json::from_slice(body).ok().filter(Value::is_object)
}

/// The `error` of a body, or its beginning.
fn words_of(body: &[u8]) -> String {
    match object(body).as_ref().and_then(|answer| answer.get("error")?.as_str()) {
        Some(error) => clip(error),
        None => words_of_bytes(body),
    }
}

fn words_of_bytes(body: &[u8]) -> String {
    let start = body.get(..MAX_WORDS).unwrap_or(body);
    if start.is_empty() {
        return "the answer says nothing".to_owned();
    }
    clip(&String::from_utf8_lossy(start))
}

fn with_words(what: String, body: &[u8]) -> String {
    // The web page of a gateway says no more than its status.
    if body.is_empty() || body.first() == Some(&b'<') {
        return what;
    }
    format!("{what}: {}", words_of(body))
}

/// A text cut to the length that is kept, at a character.
fn clip(text: &str) -> String {
    let mut end = text.len().min(MAX_WORDS);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
