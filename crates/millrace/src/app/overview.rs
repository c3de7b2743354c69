//! What the management API shows, read from the journal and the engines.

use std::sync::Arc;

use millrace_delivery::engine::{EngineHandle, IntegrationState, IntegrationStatus};
use millrace_delivery::journal::{HeldQuery, Journal};
use millrace_http::{Overview, Readmission, RefeedOrder, SetAsideQuestion, TraceQuestion, Unshown};
use millrace_model::id::{IntegrationId, PipelineId, Position};
use millrace_model::ledger::LedgerSums;
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::doorkeeper::Doorkeeper;
use super::metrics::{self, Numbers, Unrouted};
use super::{quarantine, trace};
use crate::config::Config;

/// Journal and engines as the management API asks for them.
#[derive(Debug)]
pub(super) struct JournalOverview {
    journal: Journal,
    pipelines: Vec<PipelineId>,
    integrations: Vec<Entry>,
    doorkeeper: Arc<Doorkeeper>,
    readmission: Readmission,
    /// To wait for the journal from the threads on which views are made.
    runtime: Handle,
}

#[derive(Debug)]
struct Entry {
    id: IntegrationId,
    pipeline: PipelineId,
    status: watch::Receiver<IntegrationStatus>,
}

impl JournalOverview {
    /// Must be called on the runtime.
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
        let pipelines = config.pipelines.iter().map(|pipeline| pipeline.id.clone()).collect();
        let runtime = Handle::current();
        let readmission = doorkeeper.collector().readmission();
        JournalOverview { journal, pipelines, integrations, doorkeeper, readmission, runtime }
    }
}

impl JournalOverview {
    /// What came in while a pipeline had no integration.
    fn unrouted(&self) -> Vec<Unrouted> {
        let sums = |id: &PipelineId| Some((id.clone(), self.journal.unrouted(id)?));
        self.pipelines.iter().filter_map(sums).collect()
    }
}

impl Overview for JournalOverview {
    fn ledger(&self) -> Vec<(PipelineId, Option<IntegrationId>, LedgerSums)> {
        let routed = self.integrations.iter().filter_map(|entry| {
            let sums = self.journal.ledger(&entry.id)?;
            Some((entry.pipeline.clone(), Some(entry.id.clone()), sums))
        });
        let alone = self.unrouted().into_iter().map(|(pipeline, sums)| (pipeline, None, sums));
        routed.chain(alone).collect()
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
        let page = self.runtime.block_on(self.journal.held(HeldQuery::default()));
        // A journal that has ended holds nothing that could be told.
        let page = page.unwrap_or_default();
        let mut text = metrics::text(&numbers.collect::<Vec<_>>(), &self.unrouted(), &page);
        text.push_str(&metrics::of_collector(&self.doorkeeper.collector().counts()));
        metrics::hot_ids(&self.doorkeeper.hot_ids(), &mut text);
        text
    }

    fn set_aside(&self, question: &SetAsideQuestion) -> Result<Value, Unshown> {
        self.runtime.block_on(quarantine::list(&self.journal, question))
    }

    fn set_aside_item(&self, position: Position) -> Result<Value, Unshown> {
        self.runtime.block_on(quarantine::show(&self.journal, position))
    }

    fn refeed(&self, order: RefeedOrder) -> Result<Value, Unshown> {
        self.runtime.block_on(quarantine::refeed(&self.journal, &self.readmission, order))
    }

    fn trace(&self, question: &TraceQuestion) -> Result<Value, Unshown> {
        self.runtime.block_on(trace::trace(&self.journal, question))
    }

    fn verify(&self) -> Result<Value, Unshown> {
        let verified = self.runtime.block_on(self.journal.verify());
        let verified = verified.map_err(|error| quarantine::unread(&error))?;
        Ok(json!({
            "records": verified.records,
            "from": verified.from,
            "differences": verified.differences,
        }))
    }

    fn dispositions(&self, limit: usize) -> Value {
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
