//! What the management API shows, read from the journal and the engines.

use std::sync::Arc;

use millrace_delivery::engine::{EngineHandle, IntegrationState, IntegrationStatus};
use millrace_delivery::journal::Journal;
use millrace_http::Overview;
use millrace_model::id::{IntegrationId, PipelineId};
use millrace_model::ledger::LedgerSums;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::doorkeeper::Doorkeeper;
use super::metrics::{self, Numbers};
use crate::config::Config;

/// Journal and engines as the management API asks for them.
#[derive(Debug)]
pub(super) struct JournalOverview {
    journal: Journal,
    integrations: Vec<Entry>,
    doorkeeper: Arc<Doorkeeper>,
}

#[derive(Debug)]
struct Entry {
    id: IntegrationId,
    pipeline: PipelineId,
    status: watch::Receiver<IntegrationStatus>,
}

impl JournalOverview {
    pub(super) fn new(
        config: &Config,
        journal: Journal,
        engines: &[EngineHandle],
        doorkeeper: Arc<Doorkeeper>,
    ) -> Self {
        let integrations = config
            .integrations
            .iter()
            .zip(engines)
            .map(|(integration, engine)| Entry {
                id: integration.id.clone(),
                pipeline: integration.pipeline.clone(),
                status: engine.watch(),
            })
            .collect();
        JournalOverview { journal, integrations, doorkeeper }
    }
}

impl Overview for JournalOverview {
    fn ledger(&self) -> Vec<(PipelineId, Option<IntegrationId>, LedgerSums)> {
        self.integrations
            .iter()
            .filter_map(|entry| {
                let sums = self.journal.ledger(&entry.id)?;
                Some((entry.pipeline.clone(), Some(entry.id.clone()), sums))
            })
            .collect()
    }

    fn integrations(&self) -> Value {
        self.integrations
            .iter()
            .map(|entry| {
                json!({
                    "id": entry.id,
                    "pipeline": entry.pipeline,
                    "pending": self.journal.pending(&entry.id),
                    "status": status(&entry.status.borrow()),
                })
            })
            .collect()
    }

    fn pipelines(&self) -> Value {
        self.doorkeeper.show()
    }

    fn metrics(&self) -> String {
        let numbers = self.integrations.iter().map(|entry| Numbers {
            id: entry.id.clone(),
            pipeline: entry.pipeline.clone(),
            ledger: self.journal.ledger(&entry.id),
            status: entry.status.borrow().clone(),
        });
        let mut text = metrics::text(&numbers.collect::<Vec<_>>());
        text.push_str(&metrics::of_collector(&self.doorkeeper.collector().counts()));
        metrics::hot_ids(&self.doorkeeper.hot_ids(), &mut text);
        text
    }

    fn set_aside(&self, limit: usize) -> Value {
        self.journal
            .dispositions()
            .into_iter()
            .take(limit)
            .map(|disposed| {
                json!({
                    "pipeline": disposed.pipeline,
                    "integration": disposed.integration,
                    "position": disposed.position.to_string(),
                    "message_id": disposed.message_id,
                    "state": disposed.state,
                    "code": disposed.code,
                    "reason": disposed.reason,
                    "at": disposed.at.to_string(),
                })
            })
            .collect()
    }
}

/// An engine's status as JSON.
fn status(status: &IntegrationStatus) -> Value {
    let (state, pause) = match &status.state {
        IntegrationState::Running => ("running", Value::Null),
        IntegrationState::Paused { code, reason, since } => (
            "paused",
            json!({
                "code": code.map(|code| code.as_str()),
                "reason": reason,
                "since": since.to_string(),
            }),
        ),
        IntegrationState::Stopped => ("stopped", Value::Null),
    };
    let last_error = status.last_error.as_ref().map(|error| {
        json!({
            "code": error.code.as_str(),
            "message": error.message,
            "at": error.at.to_string(),
        })
    });
    let corrections: serde_json::Map<String, Value> = status
        .corrections
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(what, count)| (what.as_str().to_owned(), json!(count)))
        .collect();
    json!({
        "state": state,
        "pause": pause,
        "pending_rows": status.pending_rows,
        "in_flight_rows": status.in_flight_rows,
        "in_flight_requests": status.in_flight_requests,
        "delivered_rows": status.delivered_rows,
        "failed_rows": status.failed_rows,
        "requests": status.requests,
        "retried_requests": status.retried_requests,
        "corrections": corrections,
        "last_error": last_error,
    })
}
