//! From a message and a peer's settings to rows, by the production's own steps: admission, the plan
//! of the classic blueprint, the options of the client.

use bytes::Bytes;
use millrace_blueprint::{Blueprint, EventView, Mapper, Plan, SettingValues};
use millrace_delivery::mixpanel::MixpanelOptions;
use millrace_delivery::mixpanel::vendor_settings::ConnectionSettings;
use millrace_model::code::Code;
use millrace_model::entropy::SeededEntropy;
use millrace_model::event::{Event, Item};
use millrace_model::id::PipelineId;
use millrace_model::row::{Mapped, Rows};
use millrace_model::time::UnixMillis;
use millrace_protocol::limits::Limits;
use millrace_protocol::segment::{Admission, Call, Envelope};
use serde_json::{Map, Value, json};

/// The blueprint that maps as the peer does.
const BLUEPRINT: &str = "rudderstack-classic";

/// Why an event sends nothing.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub(super) struct Refusal {
    /// Whose fault it is: that of the settings, or of the event.
    pub(super) configuration: bool,
    pub(super) reason: String,
}

impl Refusal {
    pub(super) fn event(reason: impl Into<String>) -> Refusal {
        Refusal { configuration: false, reason: reason.into() }
    }

    pub(super) fn configuration(reason: impl Into<String>) -> Refusal {
        Refusal { configuration: true, reason: reason.into() }
    }

    /// Codes of the 5000s are mistakes in settings and blueprints.
    fn of(code: Code, message: &str) -> Refusal {
        let configuration = code.as_str().starts_with("MR5");
        Refusal { configuration, reason: format!("{} {message}", code.as_str()) }
    }
}

/// The blueprint with the settings of a case. What the peer takes for granted when nothing is said
/// stands in the classic variant.
pub(super) fn plan(config: &Map<String, Value>) -> Result<Plan, Refusal> {
    let settings = Value::Object(connection(config)?.1);
    let blueprint = Blueprint::built_in(BLUEPRINT)
        .ok_or_else(|| Refusal::configuration(format!("there is no blueprint `{BLUEPRINT}`")))?;
    let shown = |mistakes: Vec<millrace_model::diagnostic::Diagnostic>| {
        let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        Refusal::configuration(lines.join("; "))
    };
    let blueprint = blueprint.map_err(shown)?;
    Plan::compile(&blueprint, &SettingValues::from_json(&settings)).map_err(shown)
}

/// Where the integration of a case sends to, and as whom. Events are checked strictly, as an
/// integration of ours does unless it is told otherwise: the peer's lax default is not ours.
pub(super) fn options(config: &Map<String, Value>, gzip: bool) -> Result<MixpanelOptions, Refusal> {
    let options = connection(config)?.0.options();
    let options = options.map_err(|error| Refusal::configuration(error.to_string()))?;
    Ok(options.with_gzip(gzip))
}

/// The settings about the connection, and the rest, which is the blueprint's.
fn connection(
    config: &Map<String, Value>,
) -> Result<(ConnectionSettings, Map<String, Value>), Refusal> {
    let mut settings = config.clone();
    let connection = ConnectionSettings::take(&mut settings, false).map_err(|notes| {
        let lines: Vec<String> = notes.into_iter().map(|note| note.message).collect();
        Refusal::configuration(lines.join("; "))
    })?;
    Ok((connection, settings))
}

/// Maps a message; the rows are those of a mapping that sends.
pub(super) fn map(
    plan: &Plan,
    message: &Value,
    now: UnixMillis,
) -> Result<(Mapped, Rows), Refusal> {
    let event = admit(message, now)?;
    let view =
        EventView { kind: event.kind, facts: &event.facts, received_at: now, body: &event.body };
    let mut rows = Rows::default();
    match Mapper::new().map(plan, &view, &mut rows) {
        Mapped::SetAside { code, message } => Err(Refusal::of(code, &message)),
        mapped => Ok((mapped, rows)),
    }
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
        origin: millrace_model::passage::Origin::Spec,
        received_at: now,
        client_ip: None,
        from_device: false,
        limits: &limits,
        entropy: &SeededEntropy::new(1),
    });
    match batch.items.into_iter().next() {
        Some(Item::Event(event)) => Ok(event),
        Some(Item::SetAside(aside)) => Err(Refusal::of(aside.code, &aside.reason)),
        Some(Item::Duplicate(_) | Item::Filtered(_)) | None => {
            Err(Refusal::event("nothing was admitted"))
        }
    }
}
