//! Deleting users: the requests for a list of ids, and what the answers mean, against those of
//! RudderStack's destination.
//!
//! The requests may go out in any order, so they are compared as sets. Bodies are compared as a
//! whole, except where a case gives a count in their place.

use anyhow::Context as _;
use bytes::Bytes;
use millrace_delivery::mixpanel::deletion::{
    DeletionAnswer, DeletionApi, deletion_requests, read_deletion_answer,
};
use millrace_delivery::mixpanel::{RequestParts, Response};
use millrace_model::secret::Secret;
use millrace_model::time::UnixMillis;
use serde_json::{Value, json};

use super::super::text_of;
use super::mapping::options;
use super::repeat;

/// Runs one case; what differs, or nothing.
pub(super) fn run(case: &Value) -> anyhow::Result<Option<String>> {
    let input = case.get("input").context("input")?;
    let expected = case.get("expected").context("expected")?;
    let config = input.get("config").and_then(Value::as_object).context("config")?;
    let wanted = expected.get("status").and_then(Value::as_u64).context("status")?;
    let theirs = expected.get("requests").and_then(Value::as_array).context("requests")?;
    let users = users(input.get("users").context("users")?)?;

    let options = match options(config, false) {
        Ok(options) => options,
        Err(refusal) => return Ok(refused(wanted, theirs, &refusal.to_string())),
    };
    let text = |name: &str| config.get(name).and_then(Value::as_str);
    let api = match DeletionApi::from_settings(
        text("userDeletionApi"),
        text("gdprApiToken").map(Secret::new),
    ) {
        Ok(api) => api,
        Err(error) => return Ok(refused(wanted, theirs, &error.to_string())),
    };
    let requests = deletion_requests(&users, &api, &options);
    let mut ours: Vec<Value> = Vec::new();
    for request in &requests {
        ours.push(shown(&request.parts)?);
    }
    if ours.len() != theirs.len() {
        return Ok(Some(format!("{} requests, not {}", ours.len(), theirs.len())));
    }
    for theirs in theirs {
        let Some(found) = ours.iter().position(|ours| same(theirs, ours)) else {
            return Ok(Some(format!("no request of ours is {theirs}; there are {}", json!(ours))));
        };
        ours.remove(found);
    }
    Ok(verdict(input, wanted))
}

/// Settings that we refuse: as the peer does, when it sends nothing and says 400.
fn refused(wanted: u64, theirs: &[Value], words: &str) -> Option<String> {
    let same = wanted == 400 && theirs.is_empty();
    (!same).then(|| format!("refused: {words}"))
}

/// The user ids; a user without one is passed over, as the peer does.
fn users(users: &Value) -> anyhow::Result<Vec<String>> {
    let users = match users {
        Value::Array(users) => users.clone(),
        repeated => repeat::copies(repeated.get("repeat").context("repeat")?, "user")?,
    };
    Ok(users.iter().map(|user| text_of(user, "userId")).collect())
}

/// A request in the form of the cases.
fn shown(parts: &RequestParts) -> anyhow::Result<Value> {
    let mut url = parts.url.clone();
    for (place, (name, value)) in parts.params.iter().enumerate() {
        let before = if place == 0 { '?' } else { '&' };
        url.push_str(&format!("{before}{name}={value}"));
    }
    let headers: serde_json::Map<String, Value> =
        parts.headers.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    let body: Value = serde_json::from_slice(&parts.body)?;
    Ok(json!({ "method": parts.method, "url": url, "headers": headers, "body": body }))
}

fn same(theirs: &Value, ours: &Value) -> bool {
    let is = |name: &str| theirs.get(name).is_none_or(|value| Some(value) == ours.get(name));
    let body = ours.get("body").unwrap_or(&Value::Null);
    let items = match body {
        Value::Array(items) => Some(items),
        other => other.get("distinct_ids").and_then(Value::as_array),
    };
    let counted = theirs.get("body_count").is_none_or(|count| {
        count.as_u64() == items.and_then(|items| u64::try_from(items.len()).ok())
    });
    let law =
        theirs.get("compliance_type").is_none_or(|law| Some(law) == body.get("compliance_type"));
    ["method", "url", "body"].into_iter().all(is)
        && counted
        && law
        && headers(theirs) == headers(ours)
}

/// Headers by name; case does not count.
fn headers(request: &Value) -> Vec<(String, Value)> {
    let headers = request.get("headers").and_then(Value::as_object).into_iter().flatten();
    let mut headers: Vec<(String, Value)> =
        headers.map(|(name, value)| (name.to_ascii_lowercase(), value.clone())).collect();
    headers.sort_by(|(a, _), (b, _)| a.cmp(b));
    headers
}

/// What the answer of the case means to us, against the status that the peer makes of it.
fn verdict(input: &Value, wanted: u64) -> Option<String> {
    let response = input.get("response")?;
    let status = response.get("status").and_then(Value::as_u64).and_then(|s| u16::try_from(s).ok());
    let body = match response.get("body") {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    };
    let response = Response {
        status: status.unwrap_or_default(),
        retry_after: None,
        body: Bytes::from(body),
        cut: false,
    };
    let ours = read_deletion_answer(&Ok(response), UnixMillis(0));
    let same = match &ours {
        DeletionAnswer::Taken { .. } => (200..300).contains(&wanted),
        DeletionAnswer::Later { .. } => matches!(wanted, 408 | 425 | 429 | 500..),
        DeletionAnswer::Refused { .. } => (400..500).contains(&wanted) && wanted != 429,
    };
    (!same).then(|| format!("the answer means {ours:?}, where the peer says {wanted}"))
}
