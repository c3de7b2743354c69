//! `useragent.json`: what Segment's destination reads from a user agent, against what the functions
//! `segment_browser` and `segment_browser_version` give in a plan.

use anyhow::{Context as _, anyhow};
use millrace_blueprint::{Blueprint, EventView, Mapper, Plan, SettingValues};
use millrace_model::event::{EventKind, Facts, TimeSource};
use millrace_model::row::{Mapped, Rows};
use millrace_model::time::UnixMillis;
use serde_json::{Value, json};

use super::report::{Case, Outcome};
use super::text_of;

/// A blueprint that calls the two functions and does nothing else.
const BLUEPRINT: &str = "
blueprint: agents
rules:
  - name: Agents
    send:
      - event:
          name: seen
          distinct_id: $.userId
          properties:
            browser: segment_browser($.agent)
            version: segment_browser_version($.agent)
";

/// Runs the cases of a file.
pub(crate) fn run(cases: &[Value]) -> anyhow::Result<Vec<Case>> {
    let plan = Blueprint::parse("agents", BLUEPRINT)
        .and_then(|blueprint| Plan::compile(&blueprint, &SettingValues::default()))
        .map_err(|mistakes| anyhow!("{mistakes:?}"))?;
    let mut mapper = Mapper::new();
    let cases = cases.iter().map(|case| {
        let outcome = match one(&mut mapper, &plan, case) {
            Ok(None) => Outcome::Pass,
            Ok(Some(difference)) => Outcome::Fail(difference),
            Err(error) => Outcome::Fail(format!("{error:#}")),
        };
        let (id, class) = (text_of(case, "id"), text_of(case, "class"));
        Case { id, class, kind: "useragent/1".to_owned(), outcome }
    });
    Ok(cases.collect())
}

/// Runs one case; what differs, or nothing.
fn one(mapper: &mut Mapper, plan: &Plan, case: &Value) -> anyhow::Result<Option<String>> {
    let event = json!({"userId": "u", "agent": case.get("user_agent").context("user_agent")?});
    let time = UnixMillis(1_763_633_472_345);
    let facts = Facts {
        message_id: "m".to_owned(),
        time,
        time_source: TimeSource::Client,
        client_ip: None,
    };
    let body = event.to_string();
    let kind = EventKind::Track;
    let view = EventView { kind, facts: &facts, received_at: time, body: body.as_bytes() };
    let mut rows = Rows::default();
    let mapped = mapper.map(plan, &view, &mut rows);
    let row = match (mapped, rows.rows.first()) {
        (Mapped::Send, Some(row)) => serde_json::from_slice::<Value>(rows.body(row))?,
        (other, _) => return Err(anyhow!("{other:?}")),
    };
    for name in ["browser", "version"] {
        let (ours, theirs) = (row.pointer(&format!("/properties/{name}")), case.get(name));
        if ours != theirs {
            let shown = |one: Option<&Value>| one.map_or("nothing".to_owned(), Value::to_string);
            return Ok(Some(format!("{name} is {}, not {}", shown(ours), shown(theirs))));
        }
    }
    Ok(None)
}
