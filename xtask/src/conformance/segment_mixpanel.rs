//! `mixpanel-*.json`: events in, requests out, against Segment's Mixpanel destination and Syft's copy
//! of it.
//!
//! An event goes the way of production: admission, the built-in blueprint in its classic form with
//! the settings of the case, its plan, and a rehearsal of delivery (scheduler, batches, requests,
//! receipts) against the answers of the case. A mapping of the case's own goes through the loader of
//! Segment's notation into the same blueprint.
//!
//! Rows are compared in order, each with its address, `strict` and credentials. Taken off is framing:
//!
//! - the slash at the end of an address, and the list or form around rows;
//! - of a form its endpoint's own credentials, which are the token inside: `$identify` and
//!   `$create_alias` go to `/import` here, with the same properties but that token;
//! - `verbose`, `ip` and, for forms, `strict`, which ask for answers and change no row.
//!
//! Beside that: an event whose `type` Segment's calls do not have is refused at the door here, where
//! no preset selects it there, and nothing is sent by either. An answer of 200 with an empty body is
//! given as Mixpanel gives success. What we would try again (429 and 5xx) the peers give up: an event
//! counts as failed from its first such answer on, and its later rows are not compared.

use anyhow::{Context as _, anyhow};
use bytes::Bytes;
use millrace_blueprint::segment::{Rest, with_mapping};
use millrace_blueprint::{Blueprint, EventView, Mapper, Plan, SettingValues};
use millrace_delivery::mixpanel::vendor_settings::ConnectionSettings;
use millrace_delivery::mixpanel::{MixpanelOptions, RequestParts, Response};
use millrace_delivery::rehearsal::{Fate, Outcome as Rehearsed, Rehearsal};
use millrace_model::code::Code;
use millrace_model::diagnostic::Diagnostic;
use millrace_model::disposition::Disposition;
use millrace_model::entropy::SeededEntropy;
use millrace_model::event::{Item, SetAside};
use millrace_model::row::{Mapped, Rows};
use millrace_model::time::UnixMillis;
use millrace_protocol::limits::Limits;
use millrace_protocol::segment::{Admission, Call, Envelope};
use serde_json::{Map, Value, json};
use std::cell::RefCell;
use std::collections::BTreeMap;

use super::report::{Case, Outcome};
use super::segment_rows::{self, Sent};
use super::text_of;

/// The peer's switch that signs events with the project token although there is a secret.
const TOKEN_SWITCH: &str = "actions-mixpanel-project-token-auth";

/// Runs the cases of a file.
pub(crate) fn run(name: &str, file: &Value, cases: &[Value]) -> anyhow::Result<Vec<Case>> {
    let blueprint = if name.contains("syft") { "syft-classic" } else { "segment-classic" };
    let now = file.get("clock_ms").and_then(Value::as_i64).context("clock_ms")?;
    let now = UnixMillis(now);
    let cases = cases.iter().map(|case| {
        let outcome = match one(blueprint, now, case) {
            Ok(None) => Outcome::Pass,
            Ok(Some(difference)) => Outcome::Fail(difference),
            Err(error) => Outcome::Fail(format!("{error:#}")),
        };
        let (id, class) = (text_of(case, "id"), text_of(case, "class"));
        Case { id, class, kind: "mixpanel/1".to_owned(), outcome }
    });
    Ok(cases.collect())
}

/// What became of an event of a case.
#[derive(Debug)]
enum End {
    /// No rule took it, or it is none of the calls that there are.
    NotSelected,
    /// Refused before anything was sent.
    Refused(String),
    Delivered,
    /// Refused by the destination, or given up: with the status of the answer.
    Failed(Option<u16>),
}

/// What we did with the events of a case.
struct Ours {
    rows: Vec<Sent>,
    requests: usize,
    ends: Vec<End>,
}

/// Runs one case; what differs, or nothing.
fn one(blueprint: &str, now: UnixMillis, case: &Value) -> anyhow::Result<Option<String>> {
    let expected = case.get("expected").context("expected")?;
    let token = case.pointer("/settings/projectToken").and_then(Value::as_str);
    let ours = match send(blueprint, now, case)? {
        Ok(ours) => ours,
        Err(reason) if expected.get("error").is_some() => {
            let sent = expected.get("requests").and_then(Value::as_array);
            let sent = sent.is_some_and(|requests| !requests.is_empty());
            return Ok(sent.then(|| format!("refused, where the peer sends: {reason}")));
        }
        Err(reason) => return Ok(Some(format!("refused: {reason}"))),
    };
    let requests = expected.get("requests").and_then(Value::as_array);
    let requests = requests.map(Vec::as_slice).unwrap_or_default();
    if let Some(difference) = segment_rows::compare(requests, &ours.rows, token)? {
        let refused = ours.ends.iter().find_map(|end| match end {
            End::Refused(reason) => Some(format!(" ({reason})")),
            _ => None,
        });
        return Ok(Some(difference + &refused.unwrap_or_default()));
    }
    if ours.requests > requests.len() {
        let (ours, theirs) = (ours.requests, requests.len());
        return Ok(Some(format!("{ours} requests for the rows of {theirs}")));
    }
    match expected.get("per_event").and_then(Value::as_array) {
        Some(wanted) => Ok(each_event(wanted, &ours.ends)),
        None => Ok(error(expected.get("error"), !requests.is_empty(), &ours.ends)),
    }
}

/// The presence of an error, and its status where it is an answer.
fn error(wanted: Option<&Value>, remote: bool, ends: &[End]) -> Option<String> {
    let bad = ends.iter().find(|end| matches!(end, End::Refused(_) | End::Failed(_)));
    match (wanted, bad) {
        (None, None) => None,
        (None, Some(end)) => Some(format!("{end:?}, where the peer has no error")),
        (Some(wanted), None) => Some(format!("no error, where the peer has {wanted}")),
        (Some(wanted), Some(end)) => {
            let status = wanted.get("status").and_then(Value::as_u64);
            let same = match end {
                End::Failed(ours) => !remote || ours.map(u64::from) == status,
                _ => true,
            };
            (!same).then(|| format!("{end:?}, not {wanted}"))
        }
    }
}

/// The outcome of each event of a batch.
fn each_event(wanted: &[Value], ends: &[End]) -> Option<String> {
    if wanted.len() != ends.len() {
        return Some(format!("{} outcomes for {} events", ends.len(), wanted.len()));
    }
    wanted.iter().zip(ends).zip(1..).find_map(|((wanted, end), place)| {
        let status = wanted.get("status").and_then(Value::as_u64);
        let same = match (text_of(wanted, "error_reporter").as_str(), end) {
            ("INTEGRATIONS", End::Refused(_)) => true,
            ("DESTINATION", End::Failed(ours)) => ours.map(u64::from) == status,
            ("", End::Delivered) => status.is_some_and(|status| status < 300),
            _ => false,
        };
        (!same).then(|| format!("event {place} is {end:?}, not {wanted}"))
    })
}

/// Sends the events of a case; the inner error says why its settings or its mapping cannot be used.
fn send(name: &str, now: UnixMillis, case: &Value) -> anyhow::Result<Result<Ours, String>> {
    let mut settings = case.get("settings").and_then(Value::as_object).context("settings")?.clone();
    if case.pointer(&format!("/peer_flags/{TOKEN_SWITCH}")) == Some(&Value::Bool(true)) {
        settings.remove("apiSecret");
    }
    let options = match options(&mut settings) {
        Ok(options) => options,
        Err(reason) => return Ok(Err(reason)),
    };
    let plan = match plan(name, settings, case) {
        Ok(plan) => plan,
        Err(mistakes) => {
            let shown: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
            return Ok(Err(shown.join("; ")));
        }
    };
    let events = match (case.get("event"), case.get("batch").and_then(Value::as_array)) {
        (Some(event), _) => std::slice::from_ref(event),
        (None, Some(batch)) => batch.as_slice(),
        (None, None) => return Err(anyhow!("the case has no event")),
    };
    let mut rehearsal = Rehearsal::new(options).with_proven_token().starting_at(now);
    let mut mapper = Mapper::new();
    let mut ends: Vec<Option<End>> = Vec::new();
    for item in admit(events, now)? {
        let mut rows = Rows::default();
        let mapped = match item {
            Item::Event(event) => {
                let (kind, facts) = (event.kind, &event.facts);
                let view = EventView { kind, facts, received_at: now, body: &event.body };
                mapper.map(&plan, &view, &mut rows)
            }
            Item::SetAside(SetAside { code, reason, .. }) => {
                Mapped::SetAside { code, message: reason }
            }
            Item::Duplicate(_) | Item::Filtered(_) => {
                return Err(anyhow!("a case sends an event twice"));
            }
        };
        ends.push(match &mapped {
            Mapped::Send => None,
            Mapped::SetAside { code: Code::UnknownType, .. } | Mapped::Filtered { .. } => {
                Some(End::NotSelected)
            }
            Mapped::SetAside { code, message } => {
                Some(End::Refused(format!("{} {message}", code.as_str())))
            }
        });
        rehearsal.push(mapped, rows);
    }
    let statuses = RefCell::new(Vec::new());
    let answers = Answers::of(case);
    let outcome = rehearsal.run(|request| {
        let place = statuses.borrow().len();
        let response = answers.give(place, request);
        statuses.borrow_mut().push(response.status);
        Ok(response)
    });
    Ok(Ok(ours(&outcome, &statuses.borrow(), ends)?))
}

fn ours(outcome: &Rehearsed, statuses: &[u16], ends: Vec<Option<End>>) -> anyhow::Result<Ours> {
    let mut rows = Vec::new();
    let mut requests = 0;
    let mut given_up: BTreeMap<usize, u16> = BTreeMap::new();
    for (request, status) in outcome.requests.iter().zip(statuses) {
        if !request.events.is_empty() && request.events.iter().all(|it| given_up.contains_key(it)) {
            continue;
        }
        requests += 1;
        rows.extend(Sent::of_request(&request.parts)?);
        if matches!(*status, 408 | 429 | 500..) {
            for event in &request.events {
                given_up.entry(*event).or_insert(*status);
            }
        }
    }
    let status_of = |number: usize| {
        let mut sent = outcome.requests.iter().zip(statuses);
        sent.rfind(|(request, status)| request.events.contains(&number) && **status != 200)
            .map(|(_, status)| *status)
    };
    let ends = ends.into_iter().enumerate().map(|(number, end)| {
        if let Some(status) = given_up.get(&number) {
            return End::Failed(Some(*status));
        }
        match (end, outcome.fates.get(number)) {
            (Some(end), _) => end,
            (None, Some(Fate::Delivered)) => End::Delivered,
            (None, Some(Fate::Ended { state: Disposition::SetAside, words, .. })) => {
                End::Refused(words.clone())
            }
            (None, _) => End::Failed(status_of(number)),
        }
    });
    Ok(Ours { requests, ends: ends.collect(), rows })
}

/// Where the integration of a case sends to, taken out of its settings. The transport does not
/// compress here.
fn options(settings: &mut Map<String, Value>) -> Result<MixpanelOptions, String> {
    let connection = ConnectionSettings::take(settings, false).map_err(|notes| {
        let said: Vec<String> =
            notes.into_iter().map(|note| format!("{} {}", note.setting, note.message)).collect();
        said.join("; ")
    })?;
    let options = connection.options().map_err(|error| error.to_string())?;
    Ok(options.with_gzip(false))
}

/// The blueprint with the settings and the mapping of a case.
fn plan(
    name: &str,
    mut settings: Map<String, Value>,
    case: &Value,
) -> Result<Plan, Vec<Diagnostic>> {
    let via = text_of(case, "via");
    let whole = case.get("mapping").and_then(Value::as_object);
    let mut mapping =
        whole.or_else(|| case.get("mapping_overrides").and_then(Value::as_object)).cloned();
    settings.insert("action".to_owned(), json!(via));
    let built_in = Blueprint::built_in(name).unwrap_or_else(|| Err(Vec::new()))?;
    if let Some(mapping) = &mut mapping {
        // A literal for what is a setting here.
        mapping.retain(|field, value| {
            let known = built_in.settings().iter().find(|setting| setting.name == *field);
            let takes = known.is_some_and(|setting| setting.kind.takes(value));
            if takes {
                settings.insert(field.clone(), value.take());
            }
            !takes
        });
    }
    let blueprint = match mapping {
        Some(mapping) => {
            let rest = if whole.is_some() { Rest::Goes } else { Rest::Stays };
            with_mapping(name, &via, &mapping, rest).unwrap_or_else(|| Err(Vec::new()))?
        }
        None => built_in,
    };
    Plan::compile(&blueprint, &SettingValues::from_json(&Value::Object(settings)))
}

/// Admits the events as one batch.
fn admit(events: &[Value], now: UnixMillis) -> anyhow::Result<Vec<Item>> {
    let limits = Limits::default();
    let body = Bytes::from(json!({ "batch": events }).to_string());
    let envelope = Envelope::read(Call::Batch, body, &limits)?;
    let batch = envelope.admit(&Admission {
        pipeline: &"conformance".parse()?,
        origin: millrace_model::passage::Origin::Spec,
        received_at: now,
        client_ip: None,
        from_device: false,
        limits: &limits,
        entropy: &SeededEntropy::new(1),
    });
    Ok(batch.items)
}

/// What the stand-in for Mixpanel answers.
struct Answers<'c> {
    respond: Option<&'c Value>,
}

impl<'c> Answers<'c> {
    fn of(case: &'c Value) -> Answers<'c> {
        Answers { respond: case.get("respond") }
    }

    /// The answer to the request at a place: of a list the one at the place, else the one for all.
    fn give(&self, place: usize, request: &RequestParts) -> Response {
        let answer = match self.respond {
            Some(Value::Array(list)) => list.get(place),
            one => one,
        };
        let status = answer.and_then(|answer| answer.get("status")).and_then(Value::as_u64);
        let status = status.and_then(|status| u16::try_from(status).ok()).unwrap_or(200);
        let body = answer.and_then(|answer| answer.get("body")).cloned().unwrap_or(json!({}));
        let body = match body {
            Value::Object(members) if members.is_empty() && status == 200 => success(request),
            Value::String(text) => text,
            other => other.to_string(),
        };
        Response::new(status, body)
    }
}

/// Success in the words of the endpoint.
fn success(request: &RequestParts) -> String {
    if !request.url.ends_with("/import") {
        return json!({"status": 1, "error": null}).to_string();
    }
    let rows: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let count = rows.as_array().map_or(0, Vec::len);
    json!({"code": 200, "num_records_imported": count, "status": "OK"}).to_string()
}
