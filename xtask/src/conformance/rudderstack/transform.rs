//! Cases of one event: its rows in sending order, or why there are none.
//!
//! Requests are compared row by row, because how rows share requests is the batcher's matter.

use anyhow::Context as _;
use millrace_delivery::mixpanel::requests_for;
use millrace_model::time::UnixMillis;
use serde_json::{Map, Value};

use super::super::text_of;
use super::mapping::{self, Refusal};
use super::rows::{self, Sent, Terms};

/// Runs one case; what differs, or nothing.
pub(super) fn run(case: &Value) -> anyhow::Result<Option<String>> {
    let input = case.get("input").context("input")?;
    let config = input.get("config").and_then(Value::as_object).context("config")?;
    let message = input.get("message").context("message")?;
    let now = UnixMillis::parse(&text_of(case, "now")).context("now")?;
    let expected = case.get("expected").context("expected")?;
    match (expected.get("error"), send(config, message, now)?) {
        (Some(error), Ok(_)) => {
            Ok(Some(format!("not refused, where the peer does: {}", text_of(error, "message"))))
        }
        (Some(error), Err(refusal)) => {
            let wanted = text_of(error, "type") == "configuration";
            let named = error.get("type").is_some();
            Ok((named && wanted != refusal.configuration)
                .then(|| format!("refused as another fault than the peer's: {refusal}")))
        }
        (None, Err(refusal)) => Ok(Some(format!("refused: {refusal}"))),
        (None, Ok(ours)) => compare(expected, &ours, Terms::new(config, message, false)),
    }
}

/// What we send for an event. An event that is filtered is not refused: nothing is sent, and nobody
/// is told.
fn send(
    config: &Map<String, Value>,
    message: &Value,
    now: UnixMillis,
) -> anyhow::Result<Result<Vec<Sent>, Refusal>> {
    let mapped = mapping::plan(config).and_then(|plan| {
        // Compression is a setting of the transport, and off.
        Ok((mapping::options(config, false)?, mapping::map(&plan, message, now)?.1))
    });
    let (options, mapped) = match mapped {
        Ok(mapped) => mapped,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let mut sent = Vec::new();
    for request in requests_for(&mapped, &options.into())? {
        sent.extend(rows::of_ours(&request)?);
    }
    Ok(Ok(sent))
}

/// Compares the peer's requests with our rows.
fn compare(expected: &Value, ours: &[Sent], terms: Terms<'_>) -> anyhow::Result<Option<String>> {
    let requests = expected.get("requests").and_then(Value::as_array).context("requests")?;
    let mut theirs = Vec::new();
    for request in requests {
        theirs.extend(rows::of_theirs(request)?);
    }
    for (place, theirs) in theirs.iter().enumerate() {
        let Some(ours) = ours.get(place) else {
            return Ok(Some(format!("row {} is missing: {}", place + 1, theirs.row)));
        };
        if let Some(difference) = theirs.difference(ours, terms)? {
            return Ok(Some(format!("row {}: {difference}", place + 1)));
        }
    }
    let more = ours.get(theirs.len());
    Ok(more.map(|row| format!("one row more than the peer: {}", row.row)))
}
