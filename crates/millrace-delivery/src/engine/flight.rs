//! One request, or one probe, on its way: built, sent, its answer read.

use std::sync::Arc;

use millrace_model::code::Code;
use millrace_model::intake::AdmitError;
use millrace_model::row::Endpoint;
use millrace_model::time::Clock;

use super::seams::EventSink;
use crate::mixpanel::request::{probe, request};
use crate::mixpanel::{
    Credentials, MixpanelOptions, RequestParts, Response, Transport, TransportError,
    TransportErrorKind,
};
use crate::receipt::{self, Proof, Receipt};
use crate::scheduler::{Outgoing, RequestId};

/// What a flight came to.
#[derive(Debug)]
pub(super) enum Landing {
    /// A request has its receipt.
    Request { id: RequestId, endpoint: Endpoint, rows: usize, receipt: Receipt },
    /// A probe was answered.
    Proof(Proof),
    /// The intent could not be made durable and never can be, so the request was not sent.
    LogFailed { id: RequestId, code: Code, message: String },
}

/// What all flights of an integration share.
#[derive(Clone)]
pub(super) struct Route {
    pub(super) options: Arc<MixpanelOptions>,
    pub(super) sink: Arc<dyn EventSink>,
    pub(super) transport: Arc<dyn Transport>,
    pub(super) clock: Arc<dyn Clock>,
}

impl Route {
    /// Sends a request once.
    pub(super) async fn fly(self, outgoing: Outgoing) -> Landing {
        let Outgoing { id, endpoint, repeatable, bodies, insert_ids, .. } = outgoing;
        let options = Arc::clone(&self.options);
        let build = move || request(endpoint, bodies.iter().map(AsRef::as_ref), &options).packed();
        let rows = insert_ids.len();
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
                let receipt = Receipt::Retry {
                    after: Some(error.retry_after()),
                    code: error.code(),
                    reason: error.to_string(),
                    perhaps_taken: false,
                };
                return Landing::Request { id, endpoint, rows, receipt };
            }
        }
        let answer = match built {
            Ok(parts) => self.transport.send(parts).await,
            // The runtime goes down, and this task with it.
            Err(error) => Err(TransportError {
                kind: TransportErrorKind::Invalid,
                message: error.to_string(),
            }),
        };
        let mut receipt = receipt::read(&answer, &insert_ids, self.clock.now());
        if endpoint == Endpoint::Import && matches!(receipt, Receipt::Bisect { .. }) {
            receipt = self.doubt(receipt).await;
        }
        Landing::Request { id, endpoint, rows, receipt: self.redacted(receipt) }
    }

    /// A refusal that names no row may be about the settings, and would then burn every row in
    /// turn. A probe that is not answered as a good one tells the two apart.
    async fn doubt(&self, receipt: Receipt) -> Receipt {
        match self.prove().await {
            Proof::Good => receipt,
            Proof::Bad { code, reason } => Receipt::Pause { code, reason },
            Proof::Unknown { code, reason } => {
                Receipt::Retry { after: None, code, reason, perhaps_taken: true }
            }
        }
    }

    /// Asks whether the credentials are good.
    pub(super) async fn probe(self) -> Landing {
        Landing::Proof(self.prove().await)
    }

    async fn prove(&self) -> Proof {
        let mut proof = self.prove_with(probe(&self.options)).await;
        // A service account says nothing about the token that profile updates carry.
        let both = matches!(self.options.credentials(), Credentials::ServiceAccount { .. });
        if both && proof == Proof::Good {
            proof = self.prove_with(probe(&self.options.as_token())).await;
        }
        match proof {
            Proof::Good => Proof::Good,
            Proof::Bad { code, reason } => {
                Proof::Bad { code, reason: self.options.redact(&reason) }
            }
            Proof::Unknown { code, reason } => {
                Proof::Unknown { code, reason: self.options.redact(&reason) }
            }
        }
    }

    async fn prove_with(&self, parts: RequestParts) -> Proof {
        let answer: Result<Response, TransportError> = self.transport.send(parts).await;
        receipt::read_proof(&answer, self.clock.now())
    }

    /// Mixpanel's words may repeat what we sent; our secrets are blotted out before anybody sees
    /// them (promise 8).
    fn redacted(&self, receipt: Receipt) -> Receipt {
        let blot = |words: String| self.options.redact(&words);
        match receipt {
            Receipt::Delivered => Receipt::Delivered,
            Receipt::Partly(mut rows) => {
                for row in &mut rows {
                    row.words = blot(std::mem::take(&mut row.words));
                }
                Receipt::Partly(rows)
            }
            Receipt::Split { words } => Receipt::Split { words: blot(words) },
            Receipt::Bisect { words, perhaps_taken } => {
                Receipt::Bisect { words: blot(words), perhaps_taken }
            }
            Receipt::Pause { code, reason } => Receipt::Pause { code, reason: blot(reason) },
            Receipt::Retry { after, code, reason, perhaps_taken } => {
                Receipt::Retry { after, code, reason: blot(reason), perhaps_taken }
            }
        }
    }
}
