//! What becomes of each row of a request by Mixpanel's answer: the reading of receipts against the
//! verdicts of RudderStack's destination.
//!
//! The fake server of a case gives one answer to every request, so that a request that is to be
//! halved gets the same answer for each half, down to single rows. Verdicts are compared by what
//! follows from them (done, given up, tried again); the words of a peer's errors are its own.

use anyhow::{Context as _, bail};
use bytes::Bytes;
use millrace_delivery::mixpanel::Response;
use millrace_delivery::receipt::{self, Receipt};
use millrace_model::id::InsertId;
use millrace_model::time::UnixMillis;
use serde_json::Value;

use super::text_of;

/// What follows for a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Done,
    GivenUp,
    /// Sent again later; for a pause, once the settings are right.
    Again,
}

impl Verdict {
    /// The verdict of a peer's status.
    fn of_status(status: u64) -> Verdict {
        match status {
            200..300 => Verdict::Done,
            408 | 429 | 500.. => Verdict::Again,
            _ => Verdict::GivenUp,
        }
    }
}

/// Runs one case; what differs, or nothing.
pub(super) fn run(case: &Value) -> anyhow::Result<Option<String>> {
    let input = case.get("input").context("input")?;
    let body = input.pointer("/request/body").context("body")?;
    // A few cases hold the one update of the request instead of a list.
    let rows: Vec<Option<InsertId>> = match body {
        Value::Array(rows) => rows.iter().map(insert_id).collect(),
        one => vec![insert_id(one)],
    };
    let response = input.get("response").context("response")?;
    let status = response.get("status").and_then(Value::as_u64).context("status")?;
    let answer = match response.get("body") {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    };
    let answer = Response {
        status: u16::try_from(status)?,
        retry_after: None,
        body: Bytes::from(answer),
        cut: false,
    };
    let ours = verdicts(&answer, &rows);
    let jobs = case.pointer("/expected/jobs").and_then(Value::as_array).context("jobs")?;
    if jobs.len() != ours.len() {
        bail!("the case has {} jobs for {} rows", jobs.len(), ours.len());
    }
    for (job, ours) in jobs.iter().zip(ours) {
        let status = job.get("status").and_then(Value::as_u64).context("status")?;
        let theirs = Verdict::of_status(status);
        if theirs != ours {
            let words = text_of(job, "error");
            let job = job.get("job_id").cloned().unwrap_or_default();
            return Ok(Some(format!("job {job} is {ours:?}, not {theirs:?} ({words})")));
        }
    }
    Ok(None)
}

fn insert_id(row: &Value) -> Option<InsertId> {
    let id = row.pointer("/properties/$insert_id")?.as_str()?;
    Some(InsertId::from_message_id(id))
}

/// The verdicts of the rows of a request, sent again in halves where the receipt asks for it.
fn verdicts(answer: &Response, rows: &[Option<InsertId>]) -> Vec<Verdict> {
    match receipt::read(&Ok(answer.clone()), rows, UnixMillis(0)) {
        Receipt::Delivered => vec![Verdict::Done; rows.len()],
        Receipt::Partly(refused) => (0..rows.len())
            .map(|index| match refused.iter().any(|row| row.index == index) {
                true => Verdict::GivenUp,
                false => Verdict::Done,
            })
            .collect(),
        Receipt::Split { .. } | Receipt::Bisect { .. } => match rows.len() {
            0 | 1 => vec![Verdict::GivenUp; rows.len()],
            count => {
                let (first, second) = rows.split_at(count / 2);
                [verdicts(answer, first), verdicts(answer, second)].concat()
            }
        },
        Receipt::Pause { .. } | Receipt::Retry { .. } => vec![Verdict::Again; rows.len()],
    }
}
