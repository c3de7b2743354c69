//! `millrace map`: what would be sent to Mixpanel, for events on standard input.
//!
//! The same steps as in production, without a log and without a network: admission, the plan, the
//! client's request building.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use anyhow::Context as _;
use millrace_blueprint::{Blueprint, EventView, Mapper, Parameters, Plan, SettingValues};
use millrace_delivery::mixpanel::{
    ConnectionSettings, Projects, RequestParts, SettingNote, requests_for,
};
use millrace_model::code::Code;
use millrace_model::diagnostic::Diagnostic;
use millrace_model::event::Event;
use millrace_model::row::{Mapped, Rows};
use millrace_model::secret::Secret;
use millrace_model::time::{Clock as _, SystemClock, UnixMillis};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::check::print_found;
use crate::admit::{Door, Refused};
use crate::app::blueprints;
use crate::cli::MapArguments;
use crate::config::Place;
use crate::exit::{Failure, Outcome};
use crate::lines::{Line, Lines};

/// Stands for the project token when the settings have none.
const NO_TOKEN: &str = "PROJECT_TOKEN";

/// Maps every line; ends with 0 whatever the lines come to.
pub(super) fn run(arguments: &MapArguments) -> Result<Outcome, Failure> {
    let blueprint = blueprint(&arguments.blueprint)?;
    let settings = Settings::read(arguments.settings.as_deref())?;
    let plan = Plan::compile_with(&blueprint, &settings.blueprint, &settings.parameters);
    let plan = plan.map_err(|mistakes| {
        print_found(&mistakes);
        Failure::usage(anyhow::anyhow!("the settings do not fit the blueprint"))
    })?;
    let clock = SystemClock::default();
    let mut mapping = Mapping {
        plan,
        projects: settings.projects,
        mapper: Mapper::new(),
        rows: Rows::default(),
        door: Door::new().map_err(Failure::internal)?,
        explain: arguments.explain,
    };
    let mut lines = Lines::new(io::stdin().lock());
    while let Some(line) =
        lines.read_line().context("cannot read standard input").map_err(Failure::unavailable)?
    {
        let received_at = arguments.now.unwrap_or_else(|| clock.now());
        let answer = match line {
            Line::Event(event) => mapping.map_line(&event, received_at),
            Line::TooLong { number } => refused(
                Code::EventTooLarge.as_str(),
                &format!("line {number} is longer than 10 MiB"),
            ),
        };
        let text = serde_json::to_string(&answer).map_err(Failure::internal)?;
        if !super::print_line(&text)? {
            break;
        }
    }
    Ok(Outcome::Fine)
}

/// A built-in blueprint by name, a file, or a published revision.
fn blueprint(name: &str) -> Result<Blueprint, Failure> {
    let place = Place { file: "--blueprint".to_owned(), line: 0, column: 0 };
    let found = blueprints::find(name, None, &place).map_err(|mistakes| {
        print_found(&mistakes);
        Failure::usage(anyhow::anyhow!("the blueprint {name} cannot be used"))
    })?;
    Ok(found.blueprint)
}

/// What the settings file says: where to send, and the settings of the blueprint.
struct Settings {
    projects: Projects,
    blueprint: SettingValues,
    /// What a pipeline would give.
    parameters: Parameters,
}

impl Settings {
    fn read(path: Option<&Path>) -> Result<Settings, Failure> {
        let mut object = match path {
            Some(path) => super::json_object(path)?,
            None => Map::new(),
        };
        let file = path.map_or_else(String::new, |path| path.display().to_string());
        let place = Place { file, line: 0, column: 0 };
        let others = object.remove("projects");
        let parameters = parameters(object.remove("parameters"))?;
        let mut own = connection(&mut object, &place)?;
        print_notes(own.region_warning(), &place);
        if own.token.is_none() && own.credentials.is_none() {
            own.token = Some(Secret::new(NO_TOKEN));
        }
        let own = own.options().map_err(Failure::usage)?;
        let region = own.region().clone();
        let mut projects = Projects::from(own);
        for (name, mut settings) in named_objects(others)? {
            let mut other = connection(&mut settings, &place)?;
            if let Some(unknown) = settings.keys().next() {
                return Err(Failure::usage(anyhow::anyhow!(
                    "project {name}: `{unknown}` is not about the connection"
                )));
            }
            other.region.get_or_insert_with(|| region.clone());
            let other = other.options().map_err(Failure::usage)?;
            projects.declare(name, other).map_err(Failure::usage)?;
        }
        let blueprint = SettingValues::from_json(&Value::Object(object));
        Ok(Settings { projects, blueprint, parameters })
    }
}

/// Takes the settings about the connection, in whichever system's words.
fn connection(
    object: &mut Map<String, Value>,
    place: &Place,
) -> Result<ConnectionSettings, Failure> {
    // Nothing is sent, so plain HTTP puts nobody in danger.
    let mut connection = ConnectionSettings::take(object, true).map_err(|mistakes| {
        let found: Vec<_> = mistakes.into_iter().map(|note| diagnostic(note, place)).collect();
        print_found(&found);
        Failure::usage(anyhow::anyhow!("the settings do not say where to send"))
    })?;
    print_notes(std::mem::take(&mut connection.warnings), place);
    Ok(connection)
}

fn print_notes(notes: impl IntoIterator<Item = SettingNote>, place: &Place) {
    let warnings = notes.into_iter().map(|note| diagnostic(note, place).as_warning());
    print_found(&warnings.collect::<Vec<_>>());
}

fn diagnostic(note: SettingNote, place: &Place) -> Diagnostic {
    place.diagnostic(Code::BadValue, note.message, note.suggestion)
}

/// What a pipeline would give to the blueprint: an object of texts.
fn parameters(given: Option<Value>) -> Result<Parameters, Failure> {
    let wrong = || Failure::usage(anyhow::anyhow!("parameters must be texts by name"));
    match given {
        None => Ok(Parameters::default()),
        Some(Value::Object(given)) => given
            .into_iter()
            .map(|(name, value)| match value {
                Value::String(text) => Ok((name, text)),
                _ => Err(wrong()),
            })
            .collect(),
        Some(_) => Err(wrong()),
    }
}

type NamedObject = (String, Map<String, Value>);

/// The other projects: an object of objects, by name.
fn named_objects(projects: Option<Value>) -> Result<Vec<NamedObject>, Failure> {
    let wrong = || Failure::usage(anyhow::anyhow!("projects must be objects by name"));
    match projects {
        None => Ok(Vec::new()),
        Some(Value::Object(projects)) => projects
            .into_iter()
            .map(|(name, value)| match value {
                Value::Object(settings) => Ok((name, settings)),
                _ => Err(wrong()),
            })
            .collect(),
        Some(_) => Err(wrong()),
    }
}

/// A line of the answer: one of the three forms of the contract.
#[derive(Serialize)]
#[serde(untagged)]
enum Answer {
    Requests {
        requests: Vec<Request>,
        #[serde(skip_serializing_if = "Option::is_none")]
        explain: Option<Value>,
    },
    Other(Value),
}

#[derive(Serialize)]
struct Request {
    method: &'static str,
    url: String,
    params: BTreeMap<&'static str, String>,
    headers: BTreeMap<String, String>,
    encoding: &'static str,
    /// As it is sent: the text of numbers is not touched.
    body: Box<RawValue>,
}

struct Mapping {
    plan: Plan,
    projects: Projects,
    mapper: Mapper,
    rows: Rows,
    door: Door,
    explain: bool,
}

impl Mapping {
    fn map_line(&mut self, line: &[u8], received_at: UnixMillis) -> Answer {
        match self.door.admit(line, received_at) {
            Ok(event) => self.map_event(&event, received_at),
            Err(Refused { code, reason }) => refused(code.as_str(), &reason),
        }
    }

    fn map_event(&mut self, event: &Event, received_at: UnixMillis) -> Answer {
        let view =
            EventView { kind: event.kind, facts: &event.facts, received_at, body: &event.body };
        self.rows.clear();
        let mapped = self.mapper.map(&self.plan, &view, &mut self.rows);
        let explain = self.explain.then(|| self.mapper.explain(&self.plan, &view).to_json());
        match mapped {
            Mapped::Send => {
                let requests = match requests_for(&self.rows, &self.projects) {
                    Ok(requests) => requests,
                    Err(undeclared) => {
                        return refused(undeclared.code().as_str(), &undeclared.to_string());
                    }
                };
                match requests.into_iter().map(request).collect() {
                    Ok(requests) => Answer::Requests { requests, explain },
                    Err(error) => refused("MR2007", &format!("a mapped row is no JSON: {error}")),
                }
            }
            Mapped::Filtered { reason, rule } => {
                let mut answer = json!({"filtered": {"reason": reason.as_str(), "rule": rule}});
                with_explain(&mut answer, explain);
                Answer::Other(answer)
            }
            Mapped::SetAside { code, message } => {
                let mut answer = json!({"error": {"code": code.as_str(), "message": message}});
                with_explain(&mut answer, explain);
                Answer::Other(answer)
            }
        }
    }
}

fn with_explain(answer: &mut Value, explain: Option<Value>) {
    if let (Some(object), Some(explain)) = (answer.as_object_mut(), explain) {
        object.insert("explain".to_owned(), explain);
    }
}

fn refused(code: &str, message: &str) -> Answer {
    Answer::Other(json!({"error": {"code": code, "message": message}}))
}

fn request(parts: RequestParts) -> Result<Request, serde_json::Error> {
    Ok(Request {
        method: parts.method,
        url: parts.url,
        params: parts.params.into_iter().collect(),
        headers: parts.headers.into_iter().map(|(name, value)| (title_case(name), value)).collect(),
        encoding: parts.encoding.as_str(),
        body: serde_json::from_slice(&parts.body)?,
    })
}

/// `content-type` as `Content-Type`: header names in the form that people know.
fn title_case(name: &str) -> String {
    let mut start = true;
    name.chars()
        .map(|c| {
            let shown = if start { c.to_ascii_uppercase() } else { c };
            start = c == '-';
            shown
        })
        .collect()
}
