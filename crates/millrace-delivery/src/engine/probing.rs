//! When to probe: the back-off between one probe and the next.
//!
//! The back-off grows with every pause and every probe that fails. It starts again only when the
//! endpoint that had caused the pause has taken rows: a probe may be answered well although the
//! cause is still there, as when a project refuses identity events.

use std::sync::Arc;
use std::time::Duration;

use millrace_model::entropy::Entropy;
use millrace_model::row::Endpoint;

const FIRST: Duration = Duration::from_secs(1);
const LAST: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct Probing {
    entropy: Arc<dyn Entropy>,
    out: bool,
    due: Duration,
    failures: u32,
    cause: Option<Endpoint>,
}

impl Probing {
    pub(super) const fn new(entropy: Arc<dyn Entropy>) -> Probing {
        Probing { entropy, out: false, due: Duration::ZERO, failures: 0, cause: None }
    }

    /// True while a probe is on its way.
    pub(super) const fn is_out(&self) -> bool {
        self.out
    }

    /// Not before this time.
    pub(super) const fn due(&self) -> Duration {
        self.due
    }

    pub(super) const fn sent(&mut self) {
        self.out = true;
    }

    pub(super) const fn answered_well(&mut self) {
        self.out = false;
    }

    /// A probe failed.
    pub(super) fn failed(&mut self, now: Duration) {
        self.out = false;
        self.back_off(now);
    }

    /// A probe failed, or a pause began: the next probe not before a while.
    pub(super) fn back_off(&mut self, now: Duration) {
        let span = FIRST.saturating_mul(2_u32.saturating_pow(self.failures.min(10))).min(LAST);
        self.failures = self.failures.saturating_add(1);
        // Between half of the span and all of it: many integrations must not probe in step.
        let half = span / 2;
        let jitter = self.entropy.below(u64::try_from(half.as_micros()).unwrap_or(u64::MAX));
        self.due = now + half + Duration::from_micros(jitter);
    }

    pub(super) const fn caused_by(&mut self, endpoint: Endpoint) {
        self.cause = Some(endpoint);
    }

    /// An endpoint has taken rows.
    pub(super) fn went_well(&mut self, endpoint: Endpoint) {
        if self.cause.is_none_or(|cause| cause == endpoint) {
            self.failures = 0;
            self.cause = None;
        }
    }
}
