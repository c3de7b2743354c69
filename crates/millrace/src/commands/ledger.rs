//! `millrace ledger`: the sums of a running server, which must add up to zero.

use serde_json::{Value, json};

use super::server::Server;
use super::table::{cell, table};
use crate::cli::LedgerArguments;
use crate::exit::{Failure, Outcome};

const STATES: [&str; 9] = [
    "received",
    "delivered",
    "filtered",
    "duplicates",
    "set_aside",
    "rejected",
    "dead",
    "erased",
    "pending",
];

pub(super) fn run(arguments: &LedgerArguments) -> Result<Outcome, Failure> {
    let server = Server::of(&arguments.server)?;
    let answer = server.get("/api/v1/ledger", &[])?;
    let lines = answer.get("ledger").and_then(Value::as_array).cloned().unwrap_or_default();
    let verified = match arguments.verify {
        true => Some(server.get("/api/v1/ledger/verify", &[])?),
        false => None,
    };
    let differences = verified.as_ref().and_then(|told| told.get("differences")?.as_array());
    let adds_up = lines.iter().all(|line| line.get("unaccounted") == Some(&json!(0)));
    let agrees = differences.is_none_or(Vec::is_empty);
    if arguments.server.json {
        let shown = json!({ "ledger": lines, "verified": verified });
        super::print_line(&shown.to_string())?;
    } else {
        let mut out = shown(&lines);
        if let Some(differences) = differences {
            let records = verified.as_ref().and_then(|told| told.get("records"));
            let records = cell(records.unwrap_or(&Value::Null));
            out.push_str(&format!(
                "counted again from {records} records: {} differences\n",
                differences.len()
            ));
            differences.iter().for_each(|one| out.push_str(&format!("  {}\n", cell(one))));
        }
        super::print(out.as_bytes())?;
    }
    Ok(if adds_up && agrees { Outcome::Fine } else { Outcome::Internal })
}

fn shown(lines: &[Value]) -> String {
    let row = |line: &Value| {
        let events = |state: &str| {
            cell(line.pointer(&format!("/sums/{state}/events")).unwrap_or(&Value::Null))
        };
        let [a, b, c, d, e, f, g, h, i] = STATES.map(events);
        let [pipeline, integration, unaccounted] = ["pipeline", "integration", "unaccounted"]
            .map(|name| cell(line.get(name).unwrap_or(&Value::Null)));
        [pipeline, integration, a, b, c, d, e, f, g, h, i, unaccounted]
    };
    let rows: Vec<_> = lines.iter().map(row).collect();
    let [a, b, c, d, e, f, g, h, i] = STATES;
    let heads = ["pipeline", "integration", a, b, c, d, e, f, g, h, i, "unaccounted"];
    table(heads, &rows)
}
