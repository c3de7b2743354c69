//! From the start of the process to its first event in the twin.

use std::path::Path;
use std::process::Command;

use anyhow::bail;

use super::table::{Limit, Row};
use crate::load::http::{Connection, get_json};
use crate::load::template::Template;
use crate::process::Server;

/// Starts `serve --dev` in an empty folder and sends one event.
pub(crate) async fn run(binary: &Path, events: &[&str]) -> anyhow::Result<Row> {
    let folder = tempfile::tempdir()?;
    let mut command = Command::new(binary);
    command
        .args(["serve", "--dev", "--listen", "127.0.0.1:0", "--twin-listen", "127.0.0.1:0"])
        .arg("--data")
        .arg(folder.path());
    let start = tokio::time::Instant::now();
    let server = Server::start(command)?;
    let first = events.get(..1).unwrap_or_default();
    let request = Template::batch(first, &server.collector, "dev-write-key")?;
    let mut connection = Connection::open(&server.collector).await?;
    connection.write(&request.bytes).await?;
    match connection.read().await? {
        Some(answer) if answer.status() == 200 => {}
        other => bail!("not accepted: {other:?}"),
    }
    let twin = server.twin.clone().unwrap_or_default();
    loop {
        let summary = get_json(&twin, "/twin/v1/projects/1/summary", None).await?;
        if summary.get("events").and_then(serde_json::Value::as_u64) > Some(0) {
            break;
        }
        if start.elapsed().as_secs() > 60 {
            bail!("the event did not arrive within a minute");
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let seconds = start.elapsed().as_secs_f64();
    Ok(Row::new("cold start to the first event in the twin", seconds, "s", Limit::AtMost(2.0)))
}
