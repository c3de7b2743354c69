//! Carries an errand over the network: its request built and packed, sent, its answer handed back.

use std::sync::Arc;

use millrace_model::code::Code;
use millrace_model::intake::AdmitError;
use millrace_model::time::Clock;

use super::errand::{Carried, Errand, Found, Progress};
use super::seams::EventSink;
use crate::mixpanel::{Projects, Transport};
use crate::receipt::Receipt;
use crate::scheduler::{Outgoing, ProjectNumber, RequestId};

/// What a flight came to.
#[derive(Debug)]
pub(super) enum Landing {
    /// What the errand found.
    Found(Found),
    /// The intent could not be made durable and never can be, so the request was not sent.
    LogFailed { id: RequestId, code: Code, message: String },
}

/// What all flights of an integration share.
#[derive(Clone)]
pub(super) struct Route {
    pub(super) projects: Arc<Projects>,
    pub(super) sink: Arc<dyn EventSink>,
    pub(super) transport: Arc<dyn Transport>,
    pub(super) clock: Arc<dyn Clock>,
}

impl Route {
    /// Sends a request once, and what its answer makes necessary to ask.
    pub(super) async fn fly(self, outgoing: Outgoing) -> Landing {
        let (id, repeatable) = (outgoing.id, outgoing.repeatable);
        let carried = Carried::of(&outgoing);
        let errand = Errand::with_rows(&self.projects, outgoing);
        let build = move || {
            let parts = errand.parts().packed();
            (errand, parts)
        };
        // What is about to be sent is on the disk first, so that after a crash the ledger knows
        // what is sent again. It costs no time of its own while the request is being built.
        let (intent, built) = tokio::join!(self.sink.flush(), tokio::task::spawn_blocking(build));
        match intent {
            Ok(()) => {}
            Err(error @ (AdmitError::Poisoned | AdmitError::ShuttingDown)) => {
                return Landing::LogFailed { id, code: error.code(), message: error.to_string() };
            }
            // A backlog must be able to drain while the disk is full. At worst a crash in these
            // moments makes a resend that the ledger does not count, under the same insert id.
            Err(AdmitError::DiskFull { .. } | AdmitError::Overloaded { .. }) if repeatable => {}
            Err(error @ (AdmitError::DiskFull { .. } | AdmitError::Overloaded { .. })) => {
                let after = Some(error.retry_after());
                let receipt = not_sent(after, error.code(), error.to_string());
                return Landing::Found(Found::Receipt(carried, receipt));
            }
        }
        match built {
            Ok((errand, parts)) => {
                let answer = self.transport.send(parts).await;
                let progress = errand.answered(&answer, self.clock.now());
                Landing::Found(self.finish(progress).await)
            }
            // The runtime goes down, and this task with it; or the building of the request failed
            // unexpectedly, and the next one may not.
            Err(error) => {
                let receipt = not_sent(None, Code::UnclearAnswer, error.to_string());
                Landing::Found(Found::Receipt(carried, receipt))
            }
        }
    }

    /// Asks whether the credentials of a project are good.
    pub(super) async fn probe(self, project: ProjectNumber) -> Landing {
        let errand = Errand::to_prove(&self.projects, project);
        Landing::Found(self.finish(Progress::Ask(errand)).await)
    }

    async fn finish(&self, mut progress: Progress) -> Found {
        loop {
            match progress {
                Progress::Done(found) => return found,
                Progress::Ask(errand) => {
                    let answer = self.transport.send(errand.parts().packed()).await;
                    progress = errand.answered(&answer, self.clock.now());
                }
            }
        }
    }
}

fn not_sent(after: Option<std::time::Duration>, code: Code, reason: String) -> Receipt {
    Receipt::Retry { after, code, reason, perhaps_taken: false }
}
