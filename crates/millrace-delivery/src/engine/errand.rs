//! One request, or one probe, and what has to be asked on the way: pure.
//!
//! An errand says what to send and is told the answer, until it comes to something. The engine
//! carries errands over the network (`flight`), a rehearsal hands them to a script; what an answer
//! means and when a probe has to follow is decided here, for both.

use std::sync::Arc;

use bytes::Bytes;
use millrace_model::id::InsertId;
use millrace_model::row::Endpoint;
use millrace_model::time::UnixMillis;

use crate::mixpanel::request::{probe, request};
use crate::mixpanel::{
    Credentials, MixpanelOptions, Projects, RequestParts, Response, TransportError,
};
use crate::receipt::{self, Proof, Receipt};
use crate::scheduler::{Outgoing, ProjectNumber, RequestId};

/// What an errand came to.
#[derive(Debug)]
pub(crate) enum Found {
    /// A request has its receipt.
    Receipt(Carried, Receipt),
    /// A probe was answered.
    Proof(ProjectNumber, Proof),
}

/// Which request it was.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Carried {
    pub(crate) id: RequestId,
    pub(crate) project: ProjectNumber,
    pub(crate) endpoint: Endpoint,
    pub(crate) rows: usize,
}

impl Carried {
    pub(crate) const fn of(outgoing: &Outgoing) -> Carried {
        let Outgoing { id, project, endpoint, .. } = outgoing;
        Carried { id: *id, project: *project, endpoint: *endpoint, rows: outgoing.insert_ids.len() }
    }
}

/// What follows an answer.
#[derive(Debug)]
pub(crate) enum Progress {
    /// Something has to be asked before the errand is done.
    Ask(Errand),
    /// It is done.
    Done(Found),
}

#[derive(Debug)]
pub(crate) struct Errand {
    project: ProjectNumber,
    options: Arc<MixpanelOptions>,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// The rows themselves.
    Rows { carried: Carried, bodies: Vec<Bytes>, insert_ids: Vec<Option<InsertId>> },
    /// A probe, with the credentials or with the token alone. `doubted` is what a request was
    /// answered with, if that is why the probe is sent.
    Probe { doubted: Option<(Carried, Receipt)>, token_alone: bool },
}

impl Errand {
    /// To send these rows.
    pub(crate) fn with_rows(projects: &Projects, outgoing: Outgoing) -> Errand {
        let carried = Carried::of(&outgoing);
        let Outgoing { project, bodies, insert_ids, .. } = outgoing;
        let options = Arc::clone(projects.options(project));
        Errand { project, options, stage: Stage::Rows { carried, bodies, insert_ids } }
    }

    /// To ask whether the credentials are good (DESIGN 9.16).
    pub(crate) fn to_prove(projects: &Projects, project: ProjectNumber) -> Errand {
        let options = Arc::clone(projects.options(project));
        Errand { project, options, stage: Stage::Probe { doubted: None, token_alone: false } }
    }

    /// What to send next, not yet packed. Takes milliseconds for a full batch.
    pub(crate) fn parts(&self) -> RequestParts {
        match &self.stage {
            Stage::Rows { carried, bodies, .. } => {
                request(carried.endpoint, bodies.iter().map(AsRef::as_ref), &self.options)
            }
            Stage::Probe { token_alone: false, .. } => probe(&self.options),
            Stage::Probe { token_alone: true, .. } => probe(&self.options.as_token()),
        }
    }

    /// Takes the answer to what was sent.
    pub(crate) fn answered(
        self,
        answer: &Result<Response, TransportError>,
        now: UnixMillis,
    ) -> Progress {
        let Errand { project, options, stage } = self;
        match stage {
            Stage::Rows { carried, ref insert_ids, .. } => {
                let receipt = receipt::read(answer, insert_ids, now);
                let in_doubt = carried.endpoint == Endpoint::Import
                    && matches!(receipt, Receipt::Bisect { .. });
                if in_doubt {
                    // A refusal that names no row may be about the settings, and would then burn
                    // every row in turn. A probe tells the two apart.
                    let doubted = Some((carried, receipt));
                    let stage = Stage::Probe { doubted, token_alone: false };
                    return Progress::Ask(Errand { project, options, stage });
                }
                Progress::Done(Found::Receipt(carried, redacted(receipt, &options)))
            }
            Stage::Probe { doubted, token_alone } => {
                let proof = receipt::read_proof(answer, now);
                // Other credentials say nothing about the token that profile updates carry.
                let both = !matches!(options.credentials(), Credentials::Token);
                if both && !token_alone && proof == Proof::Good {
                    let stage = Stage::Probe { doubted, token_alone: true };
                    return Progress::Ask(Errand { project, options, stage });
                }
                let Some((carried, receipt)) = doubted else {
                    return Progress::Done(Found::Proof(project, redacted_proof(proof, &options)));
                };
                let receipt = match proof {
                    Proof::Good => receipt,
                    Proof::Bad { code, reason } => Receipt::Pause { code, reason },
                    Proof::Unknown { code, reason } => {
                        Receipt::Retry { after: None, code, reason, perhaps_taken: true }
                    }
                };
                Progress::Done(Found::Receipt(carried, redacted(receipt, &options)))
            }
        }
    }
}

fn redacted_proof(proof: Proof, options: &MixpanelOptions) -> Proof {
    match proof {
        Proof::Good => Proof::Good,
        Proof::Bad { code, reason } => Proof::Bad { code, reason: options.redact(&reason) },
        Proof::Unknown { code, reason } => Proof::Unknown { code, reason: options.redact(&reason) },
    }
}

/// Mixpanel's words may repeat what we sent; our secrets are blotted out before anybody sees them
/// (promise 8).
fn redacted(receipt: Receipt, options: &MixpanelOptions) -> Receipt {
    let blot = |words: String| options.redact(&words);
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
