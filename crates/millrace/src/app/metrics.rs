//! The numbers of the ledger and of the integrations in the text form that Prometheus reads.
//!
//! What the ledger counts is counted over the life of the data folder, what an engine counts since
//! its start. Names and labels never change their meaning.

use std::fmt::{Display, Write as _};
use std::sync::Arc;

use millrace_delivery::engine::{IntegrationState, IntegrationStatus};
use millrace_delivery::journal::HeldPage;
use millrace_govern::hot_ids::HotIds;
use millrace_http::Counts;
use millrace_model::id::{IntegrationId, PipelineId};
use millrace_model::ledger::LedgerSums;
use millrace_model::passage::NoteKind;

/// An integration, and what is known of it.
pub(super) struct Numbers {
    pub(super) id: IntegrationId,
    pub(super) pipeline: PipelineId,
    /// None when the journal does not know the integration.
    pub(super) ledger: Option<LedgerSums>,
    pub(super) status: IntegrationStatus,
}

impl Numbers {
    fn of(&self) -> Of<'_> {
        Of { pipeline: &self.pipeline, integration: self.id.as_str() }
    }
}

/// What a number is about.
#[derive(Clone, Copy)]
struct Of<'a> {
    pipeline: &'a PipelineId,
    integration: &'a str,
}

/// What came in by a pipeline while it had no integration.
pub(super) type Unrouted = (PipelineId, LedgerSums);

/// All metrics of the ledger and of the integrations. Ids have no character that would have to be
/// escaped in a label; what came in while a pipeline had no integration has an empty one.
pub(super) fn text(
    integrations: &[Numbers],
    unrouted: &[Unrouted],
    quarantine: &HeldPage,
) -> String {
    let mut page = Page::default();
    let ledgers = ledgers(integrations, unrouted);
    page.family("millrace_events_received_total", "counter", "Events that were answered 200.");
    for (of, sums) in &ledgers {
        page.value(*of, "", sums.received.events);
    }
    page.family("millrace_events_total", "counter", "Events by what became of them.");
    for (of, sums) in &ledgers {
        for (state, tally) in [
            ("delivered", sums.delivered),
            ("filtered", sums.filtered),
            ("duplicate", sums.duplicates),
            ("set_aside", sums.set_aside),
            ("rejected", sums.rejected),
            ("dead", sums.dead),
            ("erased", sums.erased),
        ] {
            page.value(*of, &format!(",state=\"{state}\""), tally.events);
        }
    }
    page.door(&ledgers, quarantine);
    page.family("millrace_events_pending", "gauge", "Events that are still open.");
    for (of, sums) in &ledgers {
        page.value(*of, "", sums.pending.events);
    }
    page.family("millrace_events_unaccounted", "gauge", "Anything but 0 is a bug of Millrace.");
    for (of, sums) in &ledgers {
        page.value(*of, "", sums.unaccounted());
    }
    page.family("millrace_sending", "gauge", "1 when it sends, 0 when it is paused or stopped.");
    for one in integrations {
        page.value(one.of(), "", u8::from(one.status.state == IntegrationState::Running));
    }
    type Read = fn(&IntegrationStatus) -> u64;
    let counts: [(&str, &str, &str, Read); 6] = [
        ("millrace_rows_pending", "gauge", "Rows without a final answer.", |s| s.pending_rows),
        ("millrace_rows_in_flight", "gauge", "Rows in a request.", |s| s.in_flight_rows),
        ("millrace_rows_delivered_total", "counter", "Rows that Mixpanel has taken.", |s| {
            s.delivered_rows
        }),
        ("millrace_rows_failed_total", "counter", "Rows that ended otherwise.", |s| s.failed_rows),
        ("millrace_requests_total", "counter", "Requests sent.", |s| s.requests),
        ("millrace_requests_retried_total", "counter", "Requests sent again.", |s| {
            s.retried_requests
        }),
    ];
    for (name, kind, help, read) in counts {
        page.family(name, kind, help);
        for one in integrations {
            page.value(one.of(), "", read(&one.status));
        }
    }
    let help = "What mapping changed so that Mixpanel takes it, or noticed.";
    page.family("millrace_corrections_total", "counter", help);
    for one in integrations {
        for (what, count) in one.status.corrections.iter() {
            page.value(one.of(), &format!(",kind=\"{}\"", what.as_str()), count);
        }
    }
    page.text
}

/// What the collector counts.
pub(super) fn of_collector(counts: &Counts) -> String {
    let mut page = Page::default();
    page.family("millrace_collector_requests_total", "counter", "Requests by protocol.");
    for (protocol, count) in &counts.requests {
        page.line(&format!("protocol=\"{protocol}\""), count);
    }
    let help = "Requests that were refused, by code, and by pipeline if that was known by then.";
    page.family("millrace_refusals_total", "counter", help);
    for ((pipeline, code), count) in &counts.refusals {
        let pipeline = pipeline.as_ref().map_or("", |id| id.as_str());
        page.line(&format!("pipeline=\"{pipeline}\",code=\"{code}\""), count);
    }
    page.text
}

/// How many ids have so many events today that Mixpanel may rename them.
pub(super) fn hot_ids(pipelines: &[(PipelineId, Arc<HotIds>)], text: &mut String) {
    if pipelines.is_empty() {
        return;
    }
    let help = "Ids with more events today than the alarm of their pipeline allows.";
    let name = "millrace_hot_ids";
    // Writing to a String cannot fail.
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
    for (pipeline, hot) in pipelines {
        let _ = writeln!(text, "{name}{{pipeline=\"{pipeline}\"}} {}", hot.hot().len());
    }
}

/// The ledgers of the integrations, and those of what had none.
fn ledgers<'a>(
    integrations: &'a [Numbers],
    unrouted: &'a [Unrouted],
) -> Vec<(Of<'a>, &'a LedgerSums)> {
    let routed = integrations.iter().filter_map(|one| Some((one.of(), one.ledger.as_ref()?)));
    let alone = unrouted.iter().map(|(pipeline, sums)| (Of { pipeline, integration: "" }, sums));
    routed.chain(alone).collect()
}

/// A reason can be the name of a rule, which is the customer's own text.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[derive(Default)]
struct Page {
    text: String,
    family: &'static str,
}

impl Page {
    /// Every decision of the door.
    fn door(&mut self, ledgers: &[(Of<'_>, &LedgerSums)], quarantine: &HeldPage) {
        let help = "Events by state and reason: the rule that filtered, the code that set aside.";
        self.family("millrace_events_by_code_total", "counter", help);
        for (of, sums) in ledgers {
            for (what, count) in &sums.by_code {
                let (state, code) = what.split_once('/').unwrap_or((what, ""));
                self.value(*of, &format!(",state=\"{state}\",code=\"{}\"", escaped(code)), count);
            }
        }
        let help = "Duplicates whose bytes differ from those of the first.";
        self.family("millrace_duplicates_differing_total", "counter", help);
        for (of, sums) in ledgers {
            self.value(*of, "", sums.differs);
        }
        let help = "What the door noted on events that it took.";
        self.family("millrace_door_notes_total", "counter", help);
        for (of, sums) in ledgers {
            for kind in NoteKind::ALL {
                let count = sums.notes.get(kind.as_str()).copied().unwrap_or_default();
                self.value(*of, &format!(",kind=\"{}\"", kind.as_str()), count);
            }
        }
        self.family(
            "millrace_quarantine_items",
            "gauge",
            "Items that were set aside and are held.",
        );
        self.plain("", quarantine.entries);
        self.family("millrace_quarantine_bytes", "gauge", "The bytes that are kept of them.");
        self.plain("", quarantine.bytes);
        let help = "Items that were dropped from the quarantine because it was full.";
        self.family("millrace_quarantine_dropped_total", "counter", help);
        for (pipeline, code, count) in &quarantine.dropped {
            self.plain(&format!("{{pipeline=\"{pipeline}\",code=\"{code}\"}}"), *count);
        }
    }

    fn plain(&mut self, labels: &str, value: u64) {
        let name = self.family;
        let _ = writeln!(self.text, "{name}{labels} {value}");
    }

    fn family(&mut self, name: &'static str, kind: &str, help: &str) {
        self.family = name;
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn line(&mut self, labels: &str, value: impl Display) {
        let name = self.family;
        let _ = writeln!(self.text, "{name}{{{labels}}} {value}");
    }

    fn value(&mut self, of: Of<'_>, labels: &str, value: impl Display) {
        let Of { pipeline, integration } = of;
        let name = self.family;
        let _ = writeln!(
            self.text,
            "{name}{{pipeline=\"{pipeline}\",integration=\"{integration}\"{labels}}} {value}"
        );
    }
}
