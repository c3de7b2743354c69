//! What becomes of each row of a request by Mixpanel's answer: a rehearsal of delivery against the
//! verdicts of RudderStack's destination.
//!
//! The fake server of a case gives one answer to every request, so that a request that is to be
//! halved gets the same answer for each half, down to single rows; probes, which the peer has not,
//! are answered as Mixpanel answers good credentials. Each row is tried once. Verdicts are compared
//! by what follows from them (done, given up, tried again); the words of a peer's errors are its own.
//! Where the peer aborts because the credentials, the project or the address are wrong (401, 403,
//! 404), we pause: nothing more is sent there either, but no event is lost. The pause stands for it,
//! for these three and no other status.

use std::time::Duration;

use anyhow::{Context as _, bail};
use millrace_delivery::mixpanel::{MixpanelOptions, Region, Response};
use millrace_delivery::rehearsal::{Fate, Rehearsal};
use millrace_delivery::scheduler::Limits;
use millrace_model::disposition::Disposition;
use millrace_model::id::InsertId;
use millrace_model::row::{Endpoint, Lanes, Mapped, Row, RowRole, Rows};
use millrace_model::secret::Secret;
use serde_json::Value;

use super::super::text_of;

/// What follows for a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Done,
    GivenUp,
    /// Sent again later.
    Again,
    /// Nothing more is sent until the settings are right.
    Paused,
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

    /// Whether ours follows from the same answer as the peer's status.
    fn stands_for(self, status: u64) -> bool {
        let theirs = Verdict::of_status(status);
        self == theirs || (self == Verdict::Paused && matches!(status, 401 | 403 | 404))
    }

    /// What our fate comes to. Each row is tried once, so one that would be tried again is dead.
    fn of_fate(fate: &Fate) -> Verdict {
        match fate {
            Fate::Delivered => Verdict::Done,
            Fate::Ended { state: Disposition::Dead, .. } | Fate::Open => Verdict::Again,
            Fate::Paused { .. } => Verdict::Paused,
            Fate::Ended { .. } => Verdict::GivenUp,
        }
    }
}

/// Runs one case; what differs, or nothing.
pub(super) fn run(case: &Value) -> anyhow::Result<Option<String>> {
    let input = case.get("input").context("input")?;
    let request = input.get("request").context("request")?;
    let endpoint = endpoint(&text_of(request, "url")).context("url")?;
    let response = input.get("response").context("response")?;
    let ours = verdicts(endpoint, request.get("body").context("body")?, response)?;
    let jobs = case.pointer("/expected/jobs").and_then(Value::as_array).context("jobs")?;
    if jobs.len() != ours.len() {
        bail!("the case has {} jobs for {} rows", jobs.len(), ours.len());
    }
    for (job, ours) in jobs.iter().zip(ours) {
        let status = job.get("status").and_then(Value::as_u64).context("status")?;
        if !ours.stands_for(status) {
            let theirs = Verdict::of_status(status);
            let words = text_of(job, "error");
            let job = job.get("job_id").cloned().unwrap_or_default();
            return Ok(Some(format!("job {job} is {ours:?}, not {theirs:?} ({words})")));
        }
    }
    Ok(None)
}

fn endpoint(url: &str) -> Option<Endpoint> {
    let url = url.trim_end_matches('/');
    Endpoint::ALL.into_iter().find(|endpoint| url.ends_with(endpoint.path()))
}

/// The verdicts of the rows of a request, each an event of its own.
fn verdicts(endpoint: Endpoint, body: &Value, response: &Value) -> anyhow::Result<Vec<Verdict>> {
    let status = response.get("status").and_then(Value::as_u64).context("status")?;
    let status = u16::try_from(status)?;
    let answer = match response.get("body") {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    };
    let options = MixpanelOptions::new(Region::Us, Secret::new("token"))?;
    let one_try = Limits { horizon: Duration::ZERO, ..Limits::default() };
    let mut rehearsal = Rehearsal::new(options).with_limits(one_try).with_proven_token();
    // A few cases hold the one update of the request instead of a list.
    let rows = body.as_array().map_or_else(|| std::slice::from_ref(body), Vec::as_slice);
    for row in rows {
        rehearsal.push(Mapped::Send, one_row(endpoint, row));
    }
    let outcome = rehearsal.run(|request| {
        Ok(match request.is_probe() {
            true => Response::new(400, r#"{"failed_records":[{"index":0,"message":"no name"}]}"#),
            false => Response::new(status, answer.clone()),
        })
    });
    Ok(outcome.fates.iter().map(Verdict::of_fate).collect())
}

fn one_row(endpoint: Endpoint, row: &Value) -> Rows {
    let insert_id = row.pointer("/properties/$insert_id").and_then(Value::as_str);
    let bytes = row.to_string().into_bytes();
    let row = Row {
        endpoint,
        role: RowRole::Plain,
        repeatable: true,
        lanes: Lanes::default(),
        insert_id: insert_id.map(InsertId::from_message_id),
        project: None,
        alone: false,
        body: 0..bytes.len(),
    };
    Rows { bytes, rows: vec![row], ..Rows::default() }
}
