//! `millrace set-aside`: what the door set aside, and feeding it in again.

use anyhow::{Context as _, anyhow};
use base64::Engine as _;
use serde_json::{Map, Value, json};

use super::server::Server;
use super::table::{cell, table};
use crate::cli::{RefeedArguments, SetAsideCommand, SetAsideFilter};
use crate::exit::{Failure, Outcome};

const PATH: &str = "/api/v1/set-aside";

pub(super) fn run(command: &SetAsideCommand) -> Result<Outcome, Failure> {
    match command {
        SetAsideCommand::List { server, filter, cursor } => {
            let answer = list(&Server::of(server)?, filter, cursor.as_deref())?;
            if server.json {
                super::print_line(&answer.to_string())?;
            } else {
                super::print(listed(&answer).as_bytes())?;
            }
            Ok(Outcome::Fine)
        }
        SetAsideCommand::Show { server, position } => {
            let place: Result<millrace_model::id::Position, _> = position.parse();
            place.map_err(|error| Failure::usage(anyhow!("a position {error}")))?;
            let answer = Server::of(server)?.get(&format!("{PATH}/{position}"), &[])?;
            if server.json {
                super::print_line(&answer.to_string())?;
            } else {
                super::print(shown(&answer).as_bytes())?;
            }
            Ok(Outcome::Fine)
        }
        SetAsideCommand::Refeed(arguments) => refeed(arguments),
    }
}

/// The parts of a filter that were given.
fn parts(filter: &SetAsideFilter) -> Vec<(&'static str, &str)> {
    let given = [("pipeline", &filter.pipeline), ("code", &filter.code), ("since", &filter.since)];
    given.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?))).collect()
}

fn list(server: &Server, filter: &SetAsideFilter, cursor: Option<&str>) -> Result<Value, Failure> {
    let limit = filter.limit.to_string();
    let mut query = parts(filter);
    query.push(("limit", &limit));
    query.extend(cursor.map(|cursor| ("cursor", cursor)));
    server.get(PATH, &query)
}

fn items<'a>(answer: &'a Value, name: &str) -> &'a [Value] {
    answer.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn listed(answer: &Value) -> String {
    let row = |item: &Value| {
        ["position", "pipeline", "received_at", "code", "origin", "bytes", "reason"]
            .map(|name| cell(item.get(name).unwrap_or(&Value::Null)))
    };
    let rows: Vec<_> = items(answer, "set_aside").iter().map(row).collect();
    let heads = ["POSITION", "PIPELINE", "RECEIVED", "CODE", "ORIGIN", "BYTES", "REASON"];
    let mut out = if rows.is_empty() { String::new() } else { table(heads, &rows) };
    let held = |name: &str| {
        answer.pointer(&format!("/held/{name}")).and_then(Value::as_u64).unwrap_or_default()
    };
    out.push_str(&format!("{} held, {} bytes", held("items"), held("bytes")));
    let dropped: u64 = items(answer, "dropped")
        .iter()
        .filter_map(|one| one.get("items").and_then(Value::as_u64))
        .sum();
    if dropped > 0 {
        out.push_str(&format!(", {dropped} were dropped because the quarantine was full"));
    }
    out.push('\n');
    if let Some(next) = answer.get("next").and_then(Value::as_str) {
        out.push_str(&format!("more with --cursor {next}\n"));
    }
    out
}

fn shown(answer: &Value) -> String {
    let mut out = String::new();
    let members = answer.as_object().into_iter().flatten();
    for (name, value) in members.filter(|(name, _)| *name != "body") {
        out.push_str(&format!("{:<12} {}\n", format!("{name}:"), cell(value)));
    }
    out.push('\n');
    match answer.pointer("/body/text").and_then(Value::as_str) {
        // Line ends and tabs may stay; a terminal must not obey the rest.
        Some(text) => out.extend(
            text.chars()
                .map(|c| if c.is_control() && !matches!(c, '\n' | '\t') { '\u{fffd}' } else { c }),
        ),
        None => out.push_str(&cell(answer.pointer("/body/base64").unwrap_or(&Value::Null))),
    }
    out.push('\n');
    out
}

fn refeed(arguments: &RefeedArguments) -> Result<Outcome, Failure> {
    let server = Server::of(&arguments.server)?;
    let mut order = Map::new();
    order.insert("dry_run".to_owned(), arguments.dry_run.into());
    if arguments.all {
        let mut filter: Map<String, Value> = parts(&arguments.filter)
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect();
        filter.insert("limit".to_owned(), arguments.filter.limit.into());
        order.insert("filter".to_owned(), filter.into());
    } else {
        if !parts(&arguments.filter).is_empty() {
            let message = "a filter goes with --all, not with positions";
            return Err(Failure::usage(anyhow!("{message}")));
        }
        order.insert("positions".to_owned(), json!(arguments.positions));
    }
    if let Some(path) = &arguments.body {
        let bytes =
            std::fs::read(path).with_context(|| super::unreadable(path)).map_err(Failure::usage)?;
        let encoded = base64::engine::general_purpose::STANDARD.encode(bytes);
        order.insert("body_base64".to_owned(), encoded.into());
    }
    let answer = server.post(&format!("{PATH}/refeed"), &order.into())?;
    if arguments.server.json {
        super::print_line(&answer.to_string())?;
    } else {
        super::print(told(&answer).as_bytes())?;
    }
    let refused = answer.get("refused").and_then(Value::as_u64).unwrap_or_default();
    Ok(if refused == 0 { Outcome::Fine } else { Outcome::Usage })
}

/// What became of each item.
fn told(answer: &Value) -> String {
    let mut rows = Vec::new();
    for result in items(answer, "results") {
        let position = cell(result.get("position").unwrap_or(&Value::Null));
        let parts = items(result, "parts");
        let parts = if parts.is_empty() { std::slice::from_ref(result) } else { parts };
        for part in parts {
            let get = |name: &str| part.get(name).filter(|value| !value.is_null());
            let why = ["code", "reason", "message_id"].into_iter().filter_map(get);
            let why: Vec<String> = why.map(cell).collect();
            let [outcome, now] =
                ["outcome", "now"].map(|name| cell(get(name).unwrap_or(&Value::Null)));
            rows.push([position.clone(), outcome, now, why.join(" ")]);
        }
    }
    let mut out = table(["POSITION", "BECOMES", "NOW", "WHAT"], &rows);
    let count = |name: &str| answer.get(name).and_then(Value::as_u64).unwrap_or_default();
    let dry = answer.get("dry_run").and_then(Value::as_bool).unwrap_or_default();
    let verb = if dry { "would be fed in again" } else { "fed in again" };
    out.push_str(&format!("{} {verb}, {} refused\n", count("fed"), count("refused")));
    if answer.get("more").and_then(Value::as_bool).unwrap_or_default() {
        out.push_str("there are more: run it once more, or raise --limit\n");
    }
    out
}
