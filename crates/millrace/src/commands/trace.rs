//! `millrace trace`: everything that is known of an event.

use serde_json::Value;

use super::server::Server;
use super::table::cell;
use crate::cli::TraceArguments;
use crate::exit::{Failure, Outcome};

pub(super) fn run(arguments: &TraceArguments) -> Result<Outcome, Failure> {
    let server = Server::of(&arguments.server)?;
    let pipeline = arguments.pipeline.as_deref().unwrap_or("dev");
    let mut query = vec![("pipeline", pipeline), ("message_id", arguments.message_id.as_str())];
    if arguments.body {
        query.push(("body", "1"));
    }
    let answer = server.get("/api/v1/trace", &query)?;
    if arguments.server.json {
        super::print_line(&answer.to_string())?;
        return Ok(Outcome::Fine);
    }
    let mut out = String::new();
    for copy in answer.get("copies").and_then(Value::as_array).into_iter().flatten() {
        tell(copy, &mut out);
    }
    if answer.get("complete").and_then(Value::as_bool) != Some(true) {
        out.push_str("not all of the log was searched: there may be more\n");
    }
    super::print(out.as_bytes())?;
    Ok(Outcome::Fine)
}

/// One copy: what is the same for all, then what is its own.
fn tell(copy: &Value, out: &mut String) {
    let get = |name: &str| copy.get(name).filter(|value| !value.is_null());
    let heads = ["position", "received_at", "outcome"].map(|name| get(name).map(cell));
    let [position, received_at, outcome] = heads.map(Option::unwrap_or_default);
    out.push_str(&format!("{position}  received {received_at}  {outcome}\n"));
    for name in [
        "fed_again_from",
        "duplicate_of",
        "differs",
        "code",
        "reason",
        "origin",
        "kind",
        "time",
        "time_source",
        "bytes",
        "consent",
    ] {
        if let Some(value) = get(name) {
            line(out, name, &cell(value));
        }
    }
    for note in get("notes").and_then(Value::as_array).into_iter().flatten() {
        line(out, "note", &words(note, &["kind", "detail"]));
    }
    for one in get("integrations").and_then(Value::as_array).into_iter().flatten() {
        line(out, "integration", &words(one, &["integration", "state", "code", "detail"]));
    }
    if let Some(body) = get("body") {
        let text = body.get("text").or(body.get("base64")).unwrap_or(&Value::Null);
        line(out, "body", &cell(text));
    }
}

fn line(out: &mut String, name: &str, text: &str) {
    out.push_str(&format!("  {:<15} {text}\n", name.replace('_', " ")));
}

fn words(value: &Value, names: &[&str]) -> String {
    let given = names.iter().filter_map(|name| value.get(name).filter(|value| !value.is_null()));
    given.map(cell).collect::<Vec<_>>().join("  ")
}
