//! `millrace diff`: what two blueprints say differently, and what they make of the same events.

use std::fs::File;
use std::io::{BufReader, ErrorKind};
use std::ops::ControlFlow;
use std::path::Path;

use anyhow::Context as _;
use millrace_blueprint::diff::{BlueprintDiff, Change, DataDiff, DataReport};
use millrace_blueprint::{Blueprint, EventView, Plan, SettingValues};
use millrace_delivery::journal::kept_batches;
use millrace_model::event::{Batch, Item};
use millrace_model::time::{Clock as _, SystemClock, UnixMillis};
use serde_json::{Map, Value, json};

use super::check::print_found;
use crate::admit::Door;
use crate::app::{LOG_FOLDER, blueprints};
use crate::cli::DiffArguments;
use crate::config::Place;
use crate::exit::{Failure, Outcome};
use crate::lines::{Line, Lines};

/// How much of a value is shown on a line for people.
const SHOWN: usize = 80;

/// Prints the differences; fine whether there are any or not.
pub(super) fn run(arguments: &DiffArguments) -> Result<Outcome, Failure> {
    let (old, new) = (find(&arguments.old, arguments)?, find(&arguments.new, arguments)?);
    let said = BlueprintDiff::between(&old, &new);
    let data = match (&arguments.events, &arguments.data) {
        (Some(events), _) => Some(data(&old, &new, events, arguments)?),
        (None, Some(folder)) => Some((kept(&old, &new, folder, arguments)?, 0)),
        (None, None) => None,
    };
    if arguments.json {
        let mut told = json!({ "changes": said.to_json() });
        if let (Value::Object(told), Some((report, refused))) = (&mut told, &data) {
            told.insert("data".to_owned(), report.to_json());
            told.insert("not_events".to_owned(), json!(refused));
        }
        super::print_line(&told.to_string())?;
    } else {
        super::print(changes_text(&said).as_bytes())?;
        if let Some((report, refused)) = &data {
            super::print(report_text(report, *refused).as_bytes())?;
        }
    }
    Ok(Outcome::Fine)
}

fn find(name: &str, arguments: &DiffArguments) -> Result<Blueprint, Failure> {
    let place = Place { file: "millrace diff".to_owned(), line: 0, column: 0 };
    let found = blueprints::find(name, Some(&arguments.dir), &place).map_err(|mistakes| {
        print_found(&mistakes);
        Failure::usage(anyhow::anyhow!("the blueprint {name} cannot be used"))
    })?;
    Ok(found.blueprint)
}

/// Runs both over the events. Beside the report: how many lines were no events.
fn data(
    old: &Blueprint,
    new: &Blueprint,
    events: &Path,
    arguments: &DiffArguments,
) -> Result<(DataReport, u64), Failure> {
    let settings = settings(arguments.settings.as_deref())?;
    let (old, new) = (plan(old, &settings)?, plan(new, &settings)?);
    let received_at = arguments.now.unwrap_or_else(|| SystemClock::default().now());
    let file = File::open(events).and_then(|file| {
        if file.metadata()?.is_dir() { Err(ErrorKind::IsADirectory.into()) } else { Ok(file) }
    });
    let file = file.with_context(|| super::unreadable(events));
    let mut lines = Lines::new(BufReader::new(file.map_err(Failure::usage)?));
    let door = Door::new().map_err(Failure::internal)?;
    let mut diff = DataDiff::new(&old, &new);
    let (mut read, mut refused) = (0_u64, 0_u64);
    while arguments.limit.is_none_or(|limit| read < limit) {
        let line = lines.read_line().with_context(|| super::unreadable(events));
        let Some(line) = line.map_err(Failure::unavailable)? else { break };
        read += 1;
        if !add(&mut diff, &door, &line, received_at) {
            refused += 1;
        }
    }
    Ok((diff.report(), refused))
}

/// Runs both over the events that a server keeps.
fn kept(
    old: &Blueprint,
    new: &Blueprint,
    folder: &Path,
    arguments: &DiffArguments,
) -> Result<DataReport, Failure> {
    let settings = settings(arguments.settings.as_deref())?;
    let (old, new) = (plan(old, &settings)?, plan(new, &settings)?);
    let folder = folder.join(LOG_FOLDER);
    if !folder.is_dir() {
        let shown = folder.display();
        return Err(Failure::usage(anyhow::anyhow!(
            "there is no log at {shown}: name the data folder of a server"
        )));
    }
    let wanted = |batch: &Batch| {
        arguments.pipeline.as_ref().is_none_or(|name| batch.pipeline.as_str() == name)
            && arguments.since.is_none_or(|since| batch.received_at >= since)
    };
    let mut diff = DataDiff::new(&old, &new);
    let mut read = 0_u64;
    kept_batches(&folder, |batch| {
        let events = batch.items.iter().filter_map(|item| match item {
            Item::Event(event) if wanted(&batch) => Some(event),
            _ => None,
        });
        for event in events {
            if arguments.limit.is_some_and(|limit| read >= limit) {
                return ControlFlow::Break(());
            }
            read += 1;
            diff.add(&EventView {
                kind: event.kind,
                facts: &event.facts,
                received_at: batch.received_at,
                body: &event.body,
            });
        }
        ControlFlow::Continue(())
    })
    .with_context(|| format!("cannot read the log at {}", folder.display()))
    .map_err(Failure::unavailable)?;
    Ok(diff.report())
}

/// Adds the event of a line; false when the collector would not take it.
fn add(diff: &mut DataDiff<'_>, door: &Door, line: &Line, received_at: UnixMillis) -> bool {
    let Line::Event(line) = line else { return false };
    let Ok(event) = door.admit(line, received_at) else { return false };
    diff.add(&EventView { kind: event.kind, facts: &event.facts, received_at, body: &event.body });
    true
}

fn settings(path: Option<&Path>) -> Result<Map<String, Value>, Failure> {
    path.map_or_else(|| Ok(Map::new()), super::json_object)
}

/// The plan with those of the settings that the blueprint declares: the other one may have others.
fn plan(blueprint: &Blueprint, settings: &Map<String, Value>) -> Result<Plan, Failure> {
    let declared = |name: &String| blueprint.settings().iter().any(|one| one.name == *name);
    let own: Map<String, Value> = settings
        .iter()
        .filter(|(name, _)| declared(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let values = SettingValues::from_json(&Value::Object(own));
    Plan::compile(blueprint, &values).map_err(|mistakes| {
        print_found(&mistakes);
        Failure::usage(anyhow::anyhow!("the settings do not fit {}", blueprint.name()))
    })
}

fn changes_text(said: &BlueprintDiff) -> String {
    if said.is_empty() {
        return "the blueprints say the same\n".to_owned();
    }
    let line = |change: &Change| {
        let mut text =
            format!("{:<8} {} (line {})\n", change.kind.as_str(), change.what, change.line);
        for (sign, side) in [('-', &change.old), ('+', &change.new)] {
            if let Some(side) = side {
                text.push_str(&format!("         {sign} {side}\n"));
            }
        }
        text
    };
    said.changes.iter().map(line).collect()
}

fn report_text(report: &DataReport, refused: u64) -> String {
    let DataReport { events, same, new_to_mixpanel: new, .. } = report;
    let mut text =
        format!("\n{events} events: {same} come to the same, {} differ\n", events - same);
    if refused > 0 {
        text.push_str(&format!("{refused} lines are no events that the collector takes\n"));
    }
    for one in &report.outcomes {
        let (event, old, now, count) = (&one.event, &one.old, &one.new, one.events);
        text.push_str(&format!("{count:>8} {event}: {old} -> {now} (as {})\n", one.example));
    }
    for one in &report.fields {
        let field = if one.field.is_empty() { "the whole row" } else { &one.field };
        let (rows, event, row, kind) = (one.rows, &one.event, &one.row, one.kind);
        let values = format!("{} -> {}", shown(&one.example.old), shown(&one.example.new));
        let example = &one.example.message_id;
        text.push_str(&format!(
            "{rows:>8} {event}, {row} {field} {kind}: {values} (as {example})\n"
        ));
    }
    if new.rows > 0 {
        text.push_str(&format!(
            "{} rows would be new to Mixpanel, which keeps the old ones, too: another name {}, \
             distinct id {}, insert id {}, time {}\n",
            new.rows, new.name, new.distinct_id, new.insert_id, new.time
        ));
    }
    if report.not_listed > 0 {
        text.push_str(&format!("{} further changes are not listed\n", report.not_listed));
    }
    text
}

fn shown(value: &Option<Value>) -> String {
    let text = value.as_ref().map_or_else(|| "nothing".to_owned(), Value::to_string);
    match text.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}...", text.get(..at).unwrap_or_default()),
        None => text,
    }
}
