//! The cases of RudderStack's Mixpanel destination, through admission, the built-in blueprint
//! `rudderstack` and the requests that delivery sends.
//!
//! Rows are compared one by one, in order, each with its address and its credentials. What is
//! framing, and the same for every row that we send, is taken off first ([`Sent::without_framing`]
//! and [`parameters`]). Nothing else is.

use anyhow::{Context as _, anyhow};
use bytes::Bytes;
use millrace_blueprint::{Blueprint, EventView, Mapper, Plan, SettingValues};
use millrace_delivery::mixpanel::{MixpanelOptions, Region, requests_for};
use millrace_model::entropy::SeededEntropy;
use millrace_model::event::{Event, Item};
use millrace_model::id::PipelineId;
use millrace_model::row::{Mapped, Rows};
use millrace_model::secret::Secret;
use millrace_model::time::UnixMillis;
use millrace_protocol::limits::Limits;
use millrace_protocol::segment::{Admission, Call, Envelope};
use serde_json::{Map, Value, json};

use super::report::{Case, Outcome};
use super::{rudderstack_deletion, rudderstack_delivery, text_of};

/// Settings that say where an integration sends to. They are none of the blueprint's.
const CONNECTION: [&str; 6] = [
    "token",
    "dataResidency",
    "strictMode",
    "serviceAccountUserName",
    "serviceAccountSecret",
    "projectId",
];

/// Runs the cases of a file.
pub(crate) fn run(cases: &[Value]) -> Vec<Case> {
    cases
        .iter()
        .map(|case| {
            let kind = text_of(case, "kind");
            let outcome = match kind.as_str() {
                "transform" => outcome(transform(case)),
                "delivery" => outcome(rudderstack_delivery::run(case)),
                "delete-users" => outcome(rudderstack_deletion::run(case)),
                _ => Outcome::NotRun(format!("there is no runner for cases of the kind {kind:?}")),
            };
            Case { id: text_of(case, "id"), class: text_of(case, "match"), kind, outcome }
        })
        .collect()
}

fn outcome(result: anyhow::Result<Option<String>>) -> Outcome {
    match result {
        Ok(None) => Outcome::Pass,
        Ok(Some(difference)) => Outcome::Fail(difference),
        Err(error) => Outcome::Fail(format!("{error:#}")),
    }
}

/// Why an event sends nothing.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub(super) struct Refusal {
    /// Whose fault it is: that of the settings, or of the event.
    configuration: bool,
    reason: String,
}

impl Refusal {
    fn event(reason: impl Into<String>) -> Refusal {
        Refusal { configuration: false, reason: reason.into() }
    }

    fn configuration(reason: impl Into<String>) -> Refusal {
        Refusal { configuration: true, reason: reason.into() }
    }
}

/// One row on its way.
#[derive(Clone, Debug, PartialEq)]
struct Sent {
    url: String,
    authorization: Option<String>,
    row: Value,
}

/// Runs one case; what differs, or nothing.
fn transform(case: &Value) -> anyhow::Result<Option<String>> {
    let input = case.get("input").context("input")?;
    let config = input.get("config").and_then(Value::as_object).context("config")?;
    let message = input.get("message").context("message")?;
    let now = UnixMillis::parse(&text_of(case, "now")).context("now")?;
    let expected = case.get("expected").context("expected")?;
    let ours = send(config, message, now);
    match (expected.get("error"), ours) {
        (Some(error), Ok(_)) => {
            Ok(Some(format!("not refused, where the peer does: {}", text_of(error, "message"))))
        }
        (Some(error), Err(refusal)) => {
            let wanted = text_of(error, "type") == "configuration";
            let named = error.get("type").is_some();
            Ok((named && wanted != refusal.configuration)
                .then(|| format!("refused as another fault than the peer's: {}", refusal.reason)))
        }
        (None, Err(refusal)) => Ok(Some(format!("refused: {}", refusal.reason))),
        (None, Ok(ours)) => compare(expected, config, &ours),
    }
}

/// What we send for an event.
fn send(
    config: &Map<String, Value>,
    message: &Value,
    now: UnixMillis,
) -> Result<Vec<(Sent, Value)>, Refusal> {
    let plan = plan(config)?;
    let options = options(config)?;
    let event = admit(message, now)?;
    let view =
        EventView { kind: event.kind, facts: &event.facts, received_at: now, body: &event.body };
    let mut rows = Rows::default();
    match Mapper::new().map(&plan, &view, &mut rows) {
        Mapped::Send => {}
        // An event that is filtered is not refused: nothing is sent, and nobody is told.
        Mapped::Filtered { .. } => return Ok(Vec::new()),
        Mapped::SetAside { code, message } => {
            // Codes of the 5000s are mistakes in settings and blueprints.
            let configuration = code.as_str().starts_with("MR5");
            return Err(Refusal { configuration, reason: format!("{} {message}", code.as_str()) });
        }
    }
    let mut sent = Vec::new();
    for request in requests_for(&rows, &options) {
        let authorization = request
            .headers
            .iter()
            .find(|(name, _)| *name == "authorization")
            .map(|(_, v)| v.clone());
        let params: Map<String, Value> =
            request.params.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
        let body: Value = serde_json::from_slice(&request.body)
            .map_err(|error| Refusal::event(format!("the body is no JSON: {error}")))?;
        for row in body.as_array().into_iter().flatten() {
            let (url, authorization) = (request.url.clone(), authorization.clone());
            let row = Sent { url, authorization, row: row.clone() };
            sent.push((row, Value::Object(params.clone())));
        }
    }
    Ok(sent)
}

/// The blueprint with the settings of a case. Defaults of the peer that are not ours are said.
fn plan(config: &Map<String, Value>) -> Result<Plan, Refusal> {
    let mut settings = config.clone();
    settings.retain(|name, _| !CONNECTION.contains(&name.as_str()));
    for (name, default) in
        [("identityMergeApi", json!("original")), ("useNewMapping", json!(false))]
    {
        settings.entry(name).or_insert(default);
    }
    let blueprint = Blueprint::built_in("rudderstack")
        .ok_or_else(|| Refusal::event("there is no blueprint `rudderstack`"))?;
    let shown = |mistakes: Vec<millrace_model::diagnostic::Diagnostic>| {
        let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        Refusal::configuration(lines.join("; "))
    };
    let blueprint = blueprint.map_err(shown)?;
    Plan::compile(&blueprint, &SettingValues::from_json(&Value::Object(settings))).map_err(shown)
}

/// Where the integration of a case sends to. Compression is a setting of the transport, and off.
pub(super) fn options(config: &Map<String, Value>) -> Result<MixpanelOptions, Refusal> {
    let text = |name: &str| config.get(name).and_then(Value::as_str).unwrap_or_default();
    let region = match text("dataResidency") {
        "eu" => Region::Eu,
        "in" => Region::In,
        _ => Region::Us,
    };
    let fail = |error: millrace_delivery::mixpanel::OptionsError| {
        Refusal::configuration(error.to_string())
    };
    let options = MixpanelOptions::new(region, Secret::new(text("token"))).map_err(fail)?;
    Ok(options.with_gzip(false))
}

/// Admits the message as one that the collector holds: its time has been corrected already, so
/// that `sentAt` must not correct it again.
fn admit(message: &Value, now: UnixMillis) -> Result<Event, Refusal> {
    let mut message = message.clone();
    if let Some(members) = message.as_object_mut() {
        members.remove("sentAt");
    }
    let limits = Limits::default();
    let body = Bytes::from(json!({ "batch": [message] }).to_string());
    let envelope = Envelope::read(Call::Batch, body, &limits)
        .map_err(|error| Refusal::event(error.to_string()))?;
    let pipeline =
        "conformance".parse::<PipelineId>().map_err(|error| Refusal::event(error.to_string()))?;
    let batch = envelope.admit(&Admission {
        pipeline: &pipeline,
        received_at: now,
        client_ip: None,
        from_device: false,
        limits: &limits,
        entropy: &SeededEntropy::new(1),
    });
    match batch.items.into_iter().next() {
        Some(Item::Event(event)) => Ok(event),
        Some(Item::SetAside(aside)) => {
            Err(Refusal::event(format!("{} {}", aside.code.as_str(), aside.reason)))
        }
        Some(Item::Duplicate(_)) | None => Err(Refusal::event("nothing was admitted")),
    }
}

/// Compares the peer's requests with our rows.
fn compare(
    expected: &Value,
    config: &Map<String, Value>,
    ours: &[(Sent, Value)],
) -> anyhow::Result<Option<String>> {
    let requests = expected.get("requests").and_then(Value::as_array).context("requests")?;
    let token = config.get("token").and_then(Value::as_str);
    let mut theirs = Vec::new();
    for request in requests {
        let authorization = request
            .get("headers")
            .and_then(Value::as_object)
            .and_then(|headers| {
                headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("authorization"))
            })
            .and_then(|(_, value)| value.as_str().map(str::to_owned));
        let rows = request.get("body").and_then(Value::as_array).context("body")?;
        let params = request.get("params").cloned().unwrap_or_default();
        for row in rows {
            let (url, authorization) = (text_of(request, "url"), authorization.clone());
            theirs.push((Sent { url, authorization, row: row.clone() }, params.clone()));
        }
    }
    for (place, (theirs, their_params)) in theirs.iter().enumerate() {
        let Some((ours, our_params)) = ours.get(place) else {
            return Ok(Some(format!("row {} is missing: {}", place + 1, theirs.row)));
        };
        if let Some(difference) = parameters(their_params, our_params) {
            return Ok(Some(format!("row {}: {difference}", place + 1)));
        }
        let (theirs, ours) = theirs.clone().without_framing(ours.clone(), token)?;
        if let Some(difference) = difference(&theirs, &ours) {
            return Ok(Some(format!("row {}: {difference}", place + 1)));
        }
    }
    let more = ours.get(theirs.len());
    Ok(more.map(|(row, _)| format!("one row more than the peer: {}", row.row)))
}

/// The query. We always ask for strict checks and for answers in words; a peer that leaves that to
/// an option gets at least what it asks for. All else must be the same.
fn parameters(theirs: &Value, ours: &Value) -> Option<String> {
    let of = |params: &Value, key: &str| match params.get(key) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    };
    if of(theirs, "strict") == "1" && of(ours, "strict") != "1" {
        return Some("the request is not strict".to_owned());
    }
    if !of(theirs, "verbose").is_empty() && of(ours, "verbose").is_empty() {
        return Some("the request is not verbose".to_owned());
    }
    let (theirs, ours) = (of(theirs, "project_id"), of(ours, "project_id"));
    (theirs != ours).then(|| format!("project_id is {ours:?}, not {theirs:?}"))
}

impl Sent {
    /// Takes off what is framing. On the peer's side: the slash at the end of its addresses, and
    /// the token inside of event properties, which must be the one of the credentials. On ours:
    /// the address "0", which says that there is none; the insert id where the peer sends none;
    /// and on identity events, which the peer sends bare, what Mixpanel needs to see them once.
    fn without_framing(
        mut self,
        mut ours: Sent,
        token: Option<&str>,
    ) -> anyhow::Result<(Sent, Sent)> {
        self.url = self.url.trim_end_matches('/').to_owned();
        let joins = matches!(text_of(&self.row, "event").as_str(), "$merge" | "$create_alias");
        if let (Some(theirs), Some(ours)) = (properties(&mut self.row), properties(&mut ours.row)) {
            if let Some(sent) = theirs.remove("token") {
                let same = sent.as_str() == token;
                same.then_some(()).ok_or_else(|| anyhow!("the case sends two tokens"))?;
            }
            let mut ours_alone = vec!["$insert_id"];
            if joins {
                ours_alone.extend(["time", "distinct_id"]);
            }
            for name in ours_alone {
                if !theirs.contains_key(name) {
                    ours.remove(name);
                }
            }
        }
        let zero = |members: &mut Map<String, Value>, name: &str| {
            if members.get(name).is_some_and(|ip| ip == "0") {
                members.remove(name);
            }
        };
        if let Some(ours) = properties(&mut ours.row) {
            zero(ours, "ip");
        }
        if let Some(ours) = ours.row.as_object_mut() {
            zero(ours, "$ip");
        }
        Ok((self, ours))
    }
}

fn properties(row: &mut Value) -> Option<&mut Map<String, Value>> {
    row.get_mut("properties").and_then(Value::as_object_mut)
}

fn difference(theirs: &Sent, ours: &Sent) -> Option<String> {
    if theirs.url != ours.url {
        return Some(format!("sent to {}, not to {}", ours.url, theirs.url));
    }
    if theirs.authorization != ours.authorization {
        return Some("other credentials".to_owned());
    }
    let mut found = Vec::new();
    differences("", &theirs.row, &ours.row, &mut found);
    (!found.is_empty()).then(|| found.join("; "))
}

/// What differs between two values, by path.
fn differences(path: &str, theirs: &Value, ours: &Value, found: &mut Vec<String>) {
    match (theirs, ours) {
        (Value::Object(theirs), Value::Object(ours)) => {
            for (key, value) in theirs {
                let path = format!("{path}/{key}");
                match ours.get(key) {
                    Some(own) => differences(&path, value, own, found),
                    None => found.push(format!("{path} is missing (the peer has {value})")),
                }
            }
            for (key, value) in ours.iter().filter(|(key, _)| !theirs.contains_key(*key)) {
                found.push(format!("{path}/{key} is ours alone ({value})"));
            }
        }
        (Value::Array(theirs), Value::Array(ours)) if theirs.len() == ours.len() => {
            for (place, (value, own)) in theirs.iter().zip(ours).enumerate() {
                differences(&format!("{path}/{place}"), value, own, found);
            }
        }
        (Value::Number(a), Value::Number(b)) if a.as_f64() == b.as_f64() => {}
        (theirs, ours) if theirs == ours => {}
        (theirs, ours) => found.push(format!("{path} is {ours}, not {theirs}")),
    }
}
