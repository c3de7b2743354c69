//! Deleting users: ids into requests, and what the answers mean; pure.
//!
//! Mixpanel has two ways (`reference/mixpanel-api.md` 3.1 and 8). `/engage` takes the profile away
//! and leaves the events; a deletion task takes both, within 30 days, and is asked for as a person
//! with a token for privacy requests. [`sending`] carries the requests one after the other.
//!
//! Deleting is repeatable: whoever is not there any more is deleted with success. So a request whose
//! answer is not known is sent again without a second thought, unlike rows ([`crate::receipt`]).

pub mod sending;

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use millrace_model::code::{Code, ErrorKind};
use millrace_model::secret::Secret;
use millrace_model::time::UnixMillis;
use serde_json::{Value, json};

use super::options::{MixpanelOptions, Region};
use super::request::{Encoding, RequestParts};
use super::transport::{Response, TransportError, TransportErrorKind};
use crate::receipt::{self, Receipt};

/// Users in one request to `/engage` (reference/rudderstack.md 1; Mixpanel takes 2,000 updates).
pub const ENGAGE_CHUNK: usize = 1_000;

/// Users in one deletion task (`reference/mixpanel-api.md` 8).
pub const TASK_CHUNK: usize = 1_999;

/// How users are deleted.
#[derive(Clone, Debug)]
pub enum DeletionApi {
    /// Profiles alone, by `/engage`.
    Engage,
    /// Profiles and events, by a deletion task.
    Task {
        /// The token for privacy requests, from the settings of a person at Mixpanel.
        gdpr_token: Secret,
    },
}

/// Why users cannot be deleted with these settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeletionSettingsError {
    /// The name is not known.
    #[error("the deletion API must be engage or task, not {0:?}")]
    Api(String),
    /// A deletion task needs a token of its own.
    #[error(
        "a deletion task needs the API token for privacy requests; make one in your profile at Mixpanel"
    )]
    NoToken,
    /// The token cannot stand in a header.
    #[error("the API token for privacy requests must be plain ASCII without blanks")]
    Token,
}

impl DeletionSettingsError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            DeletionSettingsError::NoToken => Code::MissingKey,
            DeletionSettingsError::Api(_) | DeletionSettingsError::Token => Code::BadValue,
        }
    }

    /// What to do: change the settings.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        ErrorKind::Fix
    }
}

impl DeletionApi {
    /// Reads RudderStack's `userDeletionApi` and `gdprApiToken`; engage when nothing is said.
    ///
    /// # Errors
    /// When the name is not known, and when a task lacks its token.
    pub fn from_settings(
        name: Option<&str>,
        gdpr_token: Option<Secret>,
    ) -> Result<DeletionApi, DeletionSettingsError> {
        match name {
            None | Some("" | "engage") => Ok(DeletionApi::Engage),
            Some("task") => {
                let given = gdpr_token.filter(|token| !token.is_empty());
                let gdpr_token = given.ok_or(DeletionSettingsError::NoToken)?;
                if !gdpr_token.expose().bytes().all(|byte| byte.is_ascii_graphic()) {
                    return Err(DeletionSettingsError::Token);
                }
                Ok(DeletionApi::Task { gdpr_token })
            }
            Some(other) => Err(DeletionSettingsError::Api(other.to_owned())),
        }
    }

    /// The name, as settings say it.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            DeletionApi::Engage => "engage",
            DeletionApi::Task { .. } => "task",
        }
    }

    /// Blots the token for privacy requests out of a text that somebody else wrote.
    pub(crate) fn redact(&self, text: String) -> String {
        match self {
            DeletionApi::Engage => text,
            DeletionApi::Task { gdpr_token } => text.replace(gdpr_token.expose(), "****"),
        }
    }

    /// How long to wait between two requests: tasks are limited to one a second
    /// (`reference/mixpanel-api.md` 8).
    #[must_use]
    pub const fn pace(&self) -> Duration {
        match self {
            DeletionApi::Engage => Duration::ZERO,
            DeletionApi::Task { .. } => Duration::from_secs(1),
        }
    }

    const fn chunk(&self) -> usize {
        match self {
            DeletionApi::Engage => ENGAGE_CHUNK,
            DeletionApi::Task { .. } => TASK_CHUNK,
        }
    }
}

impl fmt::Display for DeletionApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One request, and how many users it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletionRequest {
    /// How many ids of the list stand in it, after those of the requests before.
    pub users: usize,
    /// The request.
    pub parts: RequestParts,
}

/// The requests that delete these users, in the order of the list. Blank ids are left out.
#[must_use]
pub fn deletion_requests(
    ids: &[String],
    api: &DeletionApi,
    options: &MixpanelOptions,
) -> Vec<DeletionRequest> {
    let ids: Vec<&str> =
        ids.iter().map(String::as_str).filter(|id| !id.trim().is_empty()).collect();
    ids.chunks(api.chunk())
        .map(|chunk| DeletionRequest { users: chunk.len(), parts: request(chunk, api, options) })
        .collect()
}

fn request(ids: &[&str], api: &DeletionApi, options: &MixpanelOptions) -> RequestParts {
    let token = options.token().expose();
    let mut headers = vec![("content-type", "application/json".to_owned())];
    let mut params = Vec::new();
    let (url, body) = match api {
        DeletionApi::Engage => {
            // With `$ignore_alias` the profile of this very id goes, not that of another one which
            // it was an alias of.
            let updates: Vec<Value> = ids
                .iter()
                .map(|id| {
                    json!({
                        "$token": token, "$distinct_id": id, "$delete": null, "$ignore_alias": true
                    })
                })
                .collect();
            (format!("{}/engage", options.region().base_url()), Value::Array(updates))
        }
        DeletionApi::Task { gdpr_token } => {
            headers.push(("authorization", format!("Bearer {}", gdpr_token.expose())));
            params.push(("token", token.to_owned()));
            let (host, law) = task_host(options.region());
            let body = json!({ "distinct_ids": ids, "compliance_type": law });
            (format!("{host}/api/app/data-deletions/v3.0/"), body)
        }
    };
    let body = Bytes::from(body.to_string());
    RequestParts { method: "POST", url, params, headers, encoding: Encoding::Identity, body }
}

/// Where tasks are asked for, which is not where events go to, and by which law.
fn task_host(region: &Region) -> (&str, &'static str) {
    match region {
        Region::Us => ("https://mixpanel.com", "CCPA"),
        Region::Eu => ("https://eu.mixpanel.com", "GDPR"),
        Region::In => ("https://in.mixpanel.com", "CCPA"),
        Region::Custom(_) => (region.base_url(), "CCPA"),
    }
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeletionAnswer {
    /// Mixpanel has taken it.
    Taken {
        /// The task that it has made, to ask for its state.
        task: Option<String>,
    },
    /// It is to be sent again.
    Later {
        /// Not before this span, if Mixpanel said so.
        after: Option<Duration>,
        /// Why, in words.
        words: String,
    },
    /// The settings or the request are wrong: sending it again would not help.
    Refused {
        /// Why, in words.
        words: String,
    },
}

/// Reads the answer to a request. `now` is for a `Retry-After` that names a date.
#[must_use]
pub fn read_deletion_answer(
    answer: &Result<Response, TransportError>,
    now: UnixMillis,
) -> DeletionAnswer {
    match answer {
        Ok(response) if (200..300).contains(&response.status) => {
            return read_success(&response.body);
        }
        // Without a network no name is found: that passes, and is no refusal.
        Err(error) if error.kind == TransportErrorKind::Dns => {
            return DeletionAnswer::Later { after: None, words: error.to_string() };
        }
        Ok(_) | Err(_) => {}
    }
    match receipt::read(answer, &[None], now) {
        Receipt::Retry { after, reason, .. } => DeletionAnswer::Later { after, words: reason },
        Receipt::Pause { reason, .. } => DeletionAnswer::Refused { words: reason },
        Receipt::Split { words } | Receipt::Bisect { words, .. } => {
            DeletionAnswer::Refused { words }
        }
        // Answers of another API; with these statuses they mean nothing good here.
        Receipt::Partly(refused) => {
            let words = refused.into_iter().next().map(|row| row.words).unwrap_or_default();
            DeletionAnswer::Refused { words }
        }
        Receipt::Delivered => {
            DeletionAnswer::Refused { words: "the answer cannot be read".to_owned() }
        }
    }
}

/// A success, unless the body says otherwise. Unlike with rows, nothing is lost by believing a body
/// that says neither: whoever asks for a deletion can look, and can ask again.
fn read_success(body: &[u8]) -> DeletionAnswer {
    let refused = |words: &str| DeletionAnswer::Refused { words: words.to_owned() };
    let body = body.trim_ascii();
    if body == b"0" {
        return refused("Mixpanel answered 0: not taken");
    }
    if body.first() == Some(&b'<') {
        return refused("the destination answers with a web page: check the region or base URL");
    }
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    let code = answer.get("code").and_then(Value::as_u64);
    let failed = code.is_some_and(|code| code >= 300)
        || match answer.get("status") {
            Some(Value::String(status)) => status.eq_ignore_ascii_case("error"),
            Some(status) => status.as_u64() == Some(0),
            None => false,
        };
    match receipt::error_of(&answer) {
        Some(Value::String(error)) => return refused(error),
        Some(other) => return refused(&other.to_string()),
        None if failed => return refused("the answer says no more"),
        None => {}
    }
    DeletionAnswer::Taken { task: task_of(&answer) }
}

/// The id of a task: the specification and the prose of Mixpanel's documentation disagree on its
/// form, so both are read (`reference/mixpanel-api.md` 8).
fn task_of(answer: &Value) -> Option<String> {
    let results = answer.get("results")?;
    let result = results.as_array().map_or(Some(results), |list| list.first())?;
    let id = result.get("task_id").or_else(|| result.get("tracking_id"))?;
    id.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests;
