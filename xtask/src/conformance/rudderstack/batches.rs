//! Cases of many events: what the batcher makes of them, rehearsed against a Mixpanel that takes
//! everything.
//!
//! The peer's grouping is one of many. Ours is held to what matters: the same items and each once,
//! the same order among the items of an ordering key at an endpoint, no request above the limits,
//! and every job with its end. An integration has one connection; events of a case with other
//! connections are rehearsed on their own.

use std::collections::{BTreeMap, VecDeque};

use anyhow::{Context as _, bail};
use millrace_delivery::mixpanel::{RequestParts, Response};
use millrace_delivery::rehearsal::{Fate, Rehearsal};
use millrace_model::row::{Endpoint, Row, Rows};
use millrace_model::time::UnixMillis;
use serde_json::{Map, Value};

use super::super::text_of;
use super::rows::{self, Sent, Terms};
use super::{mapping, repeat};

/// The most items that the peer sends in one request.
const LIMITS: [(Endpoint, usize); 3] =
    [(Endpoint::Import, 2_000), (Endpoint::Engage, 2_000), (Endpoint::Groups, 200)];

/// One event of a case.
struct Job {
    id: u64,
    ordering_key: String,
    config: Map<String, Value>,
    message: Value,
}

/// One item of ours, with the job that it is for.
struct Ours<'a> {
    job: &'a Job,
    sent: Sent,
}

/// What the batcher made of the jobs.
#[derive(Default)]
struct Made<'a> {
    items: Vec<Ours<'a>>,
    /// Items of each request.
    requests: Vec<(String, usize)>,
    /// True for the jobs that were delivered.
    done: BTreeMap<u64, bool>,
}

/// Runs one case; what differs, or nothing.
pub(super) fn run(case: &Value) -> anyhow::Result<Option<String>> {
    let input = case.get("input").context("input")?;
    let gzip = input.get("gzip").and_then(Value::as_bool).unwrap_or_default();
    let now = UnixMillis::parse(&text_of(case, "now")).context("now")?;
    let jobs = jobs(input)?;
    let made = make(&jobs, gzip, now)?;
    let batches = case.pointer("/expected/batches").and_then(Value::as_array).context("batches")?;
    for (url, count) in &made.requests {
        let limit = LIMITS.iter().find(|(endpoint, _)| url.ends_with(endpoint.path()));
        if limit.is_none_or(|(_, limit)| count > limit) {
            return Ok(Some(format!("a request to {url} has {count} items")));
        }
    }
    if let Some(difference) = ends(batches, &jobs, &made)? {
        return Ok(Some(difference));
    }
    items(batches, &made, gzip)
}

/// The events of a case, in arrival order.
fn jobs(input: &Value) -> anyhow::Result<Vec<Job>> {
    let common = input.get("config");
    let job = |id: u64, key: String, own: Option<&Value>, message: Value| {
        let config = own.or(common).and_then(Value::as_object).context("config")?.clone();
        Ok(Job { id, ordering_key: key, config, message })
    };
    if let Some(template) = input.get("repeat") {
        let messages = repeat::copies(template, "message")?;
        let number = |(place, message): (usize, Value)| {
            let key = text_of(&message, "userId");
            job(u64::try_from(place)? + 1, key, None, message)
        };
        return messages.into_iter().enumerate().map(number).collect();
    }
    let events = input.get("events").and_then(Value::as_array).context("events")?;
    events
        .iter()
        .map(|event| {
            let id = event.get("job_id").and_then(Value::as_u64).context("job_id")?;
            let message = event.get("message").context("message")?.clone();
            job(id, text_of(event, "ordering_key"), event.get("config"), message)
        })
        .collect()
}

/// Events for one connection.
struct Connection<'a> {
    name: String,
    rehearsal: Rehearsal,
    pushed: Vec<Pushed<'a>>,
}

/// An event that was pushed, with its rows that have not been seen in a request yet.
struct Pushed<'a> {
    job: &'a Job,
    rows: VecDeque<(Endpoint, Value)>,
}

/// Maps the events and rehearses their delivery.
fn make(jobs: &[Job], gzip: bool, now: UnixMillis) -> anyhow::Result<Made<'_>> {
    let mut made = Made::default();
    let mut connections: Vec<Connection<'_>> = Vec::new();
    let mut plans = BTreeMap::new();
    for job in jobs {
        made.done.insert(job.id, false);
        let options = mapping::options(&job.config, gzip)?;
        let settings = Value::Object(job.config.clone()).to_string();
        if !plans.contains_key(&settings) {
            plans.insert(settings.clone(), mapping::plan(&job.config)?);
        }
        let plan = plans.get(&settings).context("a plan")?;
        let Ok((mapped, rows)) = mapping::map(plan, &job.message, now) else { continue };
        let name = format!("{options:?} {:?}", options.token().expose());
        let place = connections.iter().position(|one| one.name == name);
        let place = place.unwrap_or_else(|| {
            let rehearsal = Rehearsal::new(options).with_proven_token();
            connections.push(Connection { name, rehearsal, pushed: Vec::new() });
            connections.len() - 1
        });
        let connection = connections.get_mut(place).context("a connection")?;
        connection.pushed.push(Pushed { job, rows: bodies(&rows)? });
        connection.rehearsal.push(mapped, rows);
    }
    for connection in connections {
        play(connection, &mut made)?;
    }
    Ok(made)
}

fn bodies(rows: &Rows) -> anyhow::Result<VecDeque<(Endpoint, Value)>> {
    let body = |row: &Row| Ok((row.endpoint, serde_json::from_slice(rows.body(row))?));
    rows.rows.iter().map(body).collect()
}

fn play<'a>(connection: Connection<'a>, made: &mut Made<'a>) -> anyhow::Result<()> {
    let Connection { rehearsal, mut pushed, .. } = connection;
    let outcome = rehearsal.run(|request| Ok(taken(request)));
    for request in &outcome.requests {
        let sent = rows::of_ours(&request.parts)?;
        made.requests.push((request.parts.url.clone(), sent.len()));
        let mut events = request.events.iter();
        let mut event = events.next();
        for sent in sent {
            // A request names an event once for its neighbouring rows.
            let job = loop {
                let number = *event.context("a row of no event")?;
                let pushed = pushed.get_mut(number).context("an event that was not pushed")?;
                if take(pushed, &sent) {
                    break pushed.job;
                }
                event = events.next();
            };
            made.items.push(Ours { job, sent });
        }
    }
    for (pushed, fate) in pushed.iter().zip(&outcome.fates) {
        let done = *fate == Fate::Delivered && pushed.rows.is_empty();
        made.done.insert(pushed.job.id, done);
    }
    Ok(())
}

/// Takes the row off the event, if it is one of its own that has not been seen yet.
fn take(pushed: &mut Pushed<'_>, sent: &Sent) -> bool {
    let mut row = sent.row.clone();
    if let Some(members) = row.as_object_mut() {
        members.remove("$token");
    }
    let is =
        |(endpoint, body): &(Endpoint, Value)| sent.url.ends_with(endpoint.path()) && *body == row;
    let found = pushed.rows.iter().position(is);
    found.and_then(|place| pushed.rows.remove(place)).is_some()
}

/// The answer of a Mixpanel that takes everything.
fn taken(request: &RequestParts) -> Response {
    match request.url.ends_with(Endpoint::Import.path()) {
        true => Response::new(200, r#"{"code":200,"status":"OK"}"#),
        false => Response::new(200, r#"{"error":null,"status":1}"#),
    }
}

/// Whether every job ends as the peer's does.
fn ends(batches: &[Value], jobs: &[Job], made: &Made<'_>) -> anyhow::Result<Option<String>> {
    let mut named = BTreeMap::new();
    for batch in batches {
        let done = batch.get("status").and_then(Value::as_u64).context("status")? == 200;
        for id in job_ids(batch)? {
            named.insert(id, done);
        }
    }
    if named.len() != jobs.len() {
        bail!("the case has {} jobs and the ends of {}", jobs.len(), named.len());
    }
    let other = named.iter().find(|(id, done)| made.done.get(*id) != Some(*done));
    Ok(other.map(|(id, done)| match done {
        true => format!("job {id} is not delivered"),
        false => format!("job {id} is delivered, where the peer refuses it"),
    }))
}

fn job_ids(batch: &Value) -> anyhow::Result<Vec<u64>> {
    if let Some(ids) = batch.get("job_ids").and_then(Value::as_array) {
        return ids.iter().map(|id| id.as_u64().context("job_ids")).collect();
    }
    let number = |name: &str| batch.get(name).and_then(Value::as_u64).context("job numbers");
    let ids: Vec<u64> = (number("first_job_id")?..=number("last_job_id")?).collect();
    if ids.len() as u64 != number("job_count")? {
        bail!("the jobs of a batch are no run of numbers");
    }
    Ok(ids)
}

/// Whether the items are the peer's, each once, and in the peer's order where order counts.
fn items(batches: &[Value], made: &Made<'_>, gzip: bool) -> anyhow::Result<Option<String>> {
    let mut left: Vec<(usize, &Ours<'_>)> = made.items.iter().enumerate().collect();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut last: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let requests = batches.iter().filter_map(|batch| batch.get("requests")?.as_array()).flatten();
    for request in requests {
        if let Some(count) = request.get("body_count").and_then(Value::as_u64) {
            let url = text_of(request, "url").trim_end_matches('/').to_owned();
            *counts.entry(url).or_default() += usize::try_from(count)?;
            continue;
        }
        for theirs in rows::of_theirs(request)? {
            let found = match find(&left, &theirs, gzip)? {
                Ok(found) => found,
                Err(difference) => return Ok(Some(difference)),
            };
            let (place, ours) = left.remove(found);
            let lane = (ours.sent.url.as_str(), ours.job.ordering_key.as_str());
            if last.insert(lane, place).is_some_and(|before| before > place) {
                return Ok(Some(format!("{} leaves out of order", theirs.row)));
            }
        }
    }
    for (url, count) in counts {
        let before = left.len();
        left.retain(|(_, ours)| ours.sent.url != url);
        if before - left.len() != count {
            return Ok(Some(format!("{} items to {url}, not {count}", before - left.len())));
        }
    }
    Ok(left.first().map(|(_, ours)| format!("one item more than the peer: {}", ours.sent.row)))
}

/// The first of our items that is the peer's; what differs in the nearest when there is none.
fn find(
    left: &[(usize, &Ours<'_>)],
    theirs: &Sent,
    gzip: bool,
) -> anyhow::Result<Result<usize, String>> {
    let mut nearest: Option<String> = None;
    for (found, (_, ours)) in left.iter().enumerate() {
        let terms = Terms::new(&ours.job.config, &ours.job.message, gzip);
        match theirs.difference(&ours.sent, terms) {
            Ok(None) => return Ok(Ok(found)),
            Ok(Some(difference)) => {
                if nearest.as_ref().is_none_or(|have| difference.len() < have.len()) {
                    nearest = Some(difference);
                }
            }
            // The token of another connection.
            Err(_) => {}
        }
    }
    let nearest = nearest.unwrap_or_else(|| "nothing is left".to_owned());
    Ok(Err(format!("no item of ours is {}; the nearest: {nearest}", theirs.row)))
}
