//! The pace of one endpoint: when a request may be formed, after success and after failure.
//!
//! No clock: every call is told the time.

use std::time::Duration;

use millrace_model::entropy::Entropy;

use super::limits::Limits;

/// The smallest size to which requests shrink after Mixpanel found one too large.
const LEAST_REQUEST_BYTES: usize = 256 * 1024;

/// When an endpoint may send next.
#[derive(Debug)]
pub(super) struct Pace {
    /// Rows that wait to be sent.
    pub(super) pending_rows: usize,
    /// Their bytes.
    pub(super) pending_bytes: usize,
    /// Requests in flight.
    pub(super) requests: usize,
    /// Bytes that a request may have; shrinks when Mixpanel finds one too large.
    pub(super) request_bytes: usize,
    /// When the rows that wait have waited long enough for company.
    due: Option<Duration>,
    /// Set when all rows that wait have to wait for others: looking again would find the same.
    stalled: bool,
    /// Set when there are many rows and few may leave: no full request before it is due.
    thin: bool,
    blocked_until: Duration,
    failures: u32,
}

impl Pace {
    pub(super) const fn new(limits: &Limits) -> Pace {
        Pace {
            pending_rows: 0,
            pending_bytes: 0,
            requests: 0,
            request_bytes: limits.request_bytes,
            due: None,
            stalled: false,
            thin: false,
            blocked_until: Duration::ZERO,
            failures: 0,
        }
    }

    /// A new row waits.
    pub(super) fn arrived(&mut self, now: Duration, limits: &Limits) {
        self.stalled = false;
        self.thin = false;
        if self.due.is_none() {
            self.due = Some(now + limits.linger);
        }
    }

    /// A row has come back. It has waited for company before.
    pub(super) fn came_back(&mut self, now: Duration, bytes: usize) {
        self.pending_rows += 1;
        self.pending_bytes += bytes;
        self.stalled = false;
        self.due = Some(self.due.map_or(now, |due| due.min(now)));
    }

    /// An answer came, here or elsewhere: rows that had to wait may be free now. They have waited
    /// already, so they wait for company only a fraction of the usual span.
    pub(super) fn freed(&mut self, now: Duration, limits: &Limits) {
        if self.stalled || self.thin {
            self.stalled = false;
            self.thin = false;
            let soon = now + limits.linger / 4;
            self.due = Some(self.due.map_or(soon, |due| due.min(soon)));
        }
    }

    /// Whether to look for a request now. `urgent` when waiting cannot bring more company.
    pub(super) fn may_form(&self, now: Duration, rows: usize, urgent: bool, most: usize) -> bool {
        let full = self.pending_rows >= rows || self.pending_bytes >= self.request_bytes;
        self.is_open(most)
            && now >= self.blocked_until
            && ((full && !self.thin) || urgent || self.is_due(now))
    }

    pub(super) fn is_due(&self, now: Duration) -> bool {
        self.due.is_some_and(|due| now >= due)
    }

    fn is_open(&self, most: usize) -> bool {
        // After a failure one request at a time finds out whether things are well again.
        let most = if self.failures > 0 { 1 } else { most };
        self.pending_rows > 0 && !self.stalled && self.requests < most
    }

    /// No row may leave.
    pub(super) fn found_none(&mut self) {
        self.stalled = true;
    }

    /// Some may leave, but too few before they are due.
    pub(super) fn found_few(&mut self) {
        self.thin = true;
    }

    /// A request has left; `rest` when rows were left behind that may not leave yet.
    pub(super) fn formed(&mut self, now: Duration, limits: &Limits, rest: bool) {
        self.requests += 1;
        self.thin = rest;
        self.due = (self.pending_rows > 0).then(|| now + limits.linger);
    }

    /// When to look next, if nothing else happens before.
    pub(super) fn wake(&self, most: usize) -> Option<Duration> {
        if !self.is_open(most) {
            return None;
        }
        self.due.map(|due| due.max(self.blocked_until))
    }

    /// An answer showed that the endpoint works.
    pub(super) fn went_well(&mut self) {
        self.failures = 0;
    }

    /// An answer asks for another try later: exponential back-off with full jitter, not shorter
    /// than what Mixpanel asks for.
    pub(super) fn back_off(
        &mut self,
        now: Duration,
        after: Option<Duration>,
        limits: &Limits,
        entropy: &dyn Entropy,
    ) {
        // Requests that failed together are one failure.
        if now >= self.blocked_until {
            let doubled = 2_u32.saturating_pow(self.failures.min(20));
            let most = limits.backoff_first.saturating_mul(doubled).min(limits.backoff_last);
            self.failures = self.failures.saturating_add(1);
            let micros = u64::try_from(most.as_micros()).unwrap_or(u64::MAX);
            self.blocked_until = now + Duration::from_micros(entropy.below(micros) + 1);
        }
        if let Some(after) = after {
            self.blocked_until = self.blocked_until.max(now + after);
        }
    }

    /// A pause is over: nothing that was learnt before it counts.
    pub(super) fn start_over(&mut self, now: Duration) {
        self.stalled = false;
        self.thin = false;
        self.failures = 0;
        self.blocked_until = Duration::ZERO;
        if self.pending_rows > 0 {
            self.due = Some(now);
        }
    }

    /// Mixpanel found a request of this size too large.
    pub(super) fn shrink(&mut self, bytes: usize) {
        self.request_bytes = self.request_bytes.min((bytes / 2).max(LEAST_REQUEST_BYTES));
    }
}
