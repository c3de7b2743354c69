//! The pace of one endpoint: when a request may be formed, after success and after failure.
//!
//! No clock: every call is told the time.

use std::time::Duration;

use millrace_model::entropy::Entropy;

use super::limits::Limits;

/// The smallest size to which requests shrink after Mixpanel found one too large.
const LEAST_REQUEST_BYTES: usize = 256 * 1024;

/// When an endpoint may send next.
///
/// Rows are chosen only when that can find something new: when as many rows have come as fill a request, when rows have waited long enough
/// for company, or after an answer, which may have freed some.
#[derive(Debug)]
pub(super) struct Pace {
    /// Rows that wait to be sent.
    pub(super) pending_rows: usize,
    /// Requests in flight.
    requests: usize,
    /// Bytes that a request may have; shrinks when Mixpanel finds one too large.
    pub(super) request_bytes: usize,
    /// Rows that wait and that no choice has looked at yet; those that are known to have to wait
    /// for answers may count.
    fresh_rows: usize,
    /// About their bytes; more at most.
    fresh_bytes: usize,
    /// When to look without further cause: rows have then waited long enough. None when no row
    /// waits for anything but answers.
    due: Option<Duration>,
    /// True when something has happened since the last choice.
    changed: bool,
    blocked_until: Duration,
    failures: u32,
}

impl Pace {
    pub(super) const fn new(limits: &Limits) -> Pace {
        Pace {
            pending_rows: 0,
            requests: 0,
            request_bytes: limits.request_bytes,
            fresh_rows: 0,
            fresh_bytes: 0,
            due: None,
            changed: false,
            blocked_until: Duration::ZERO,
            failures: 0,
        }
    }

    /// A new row waits.
    pub(super) fn arrived(&mut self, now: Duration, bytes: usize, limits: &Limits) {
        self.pending_rows += 1;
        self.fresh_rows += 1;
        self.fresh_bytes += bytes;
        self.changed = true;
        self.due.get_or_insert(now + limits.linger);
    }

    /// A row has come back. It has waited for company before.
    pub(super) fn came_back(&mut self, now: Duration) {
        self.pending_rows += 1;
        self.look_by(now);
    }

    /// An answer came, here or elsewhere: rows that had to wait may be free now. They have waited
    /// already, so they wait for company only a fraction of the usual span.
    pub(super) fn freed(&mut self, now: Duration, limits: &Limits) {
        if self.pending_rows > self.fresh_rows {
            self.look_by(now + limits.linger / 4);
        }
    }

    /// Look for a request not later than this.
    pub(super) fn look_by(&mut self, by: Duration) {
        self.changed = true;
        self.due = Some(self.due.map_or(by, |due| due.min(by)));
    }

    /// Whether to look for a request now. `urgent` when waiting cannot bring more company.
    pub(super) fn may_form(&self, now: Duration, rows: usize, urgent: bool, most: usize) -> bool {
        let full = self.fresh_rows >= rows || self.fresh_bytes >= self.request_bytes;
        self.is_open(most)
            && now >= self.blocked_until
            && (full || (urgent && self.changed) || self.is_due(now))
    }

    pub(super) fn is_due(&self, now: Duration) -> bool {
        self.due.is_some_and(|due| now >= due)
    }

    fn is_open(&self, most: usize) -> bool {
        // After a failure one request at a time finds out whether things are well again.
        let most = if self.failures > 0 { 1 } else { most };
        self.pending_rows > 0 && self.requests < most
    }

    /// A choice has looked at all rows that could leave. When none may leave, only an answer or a new row
    /// can change that.
    pub(super) const fn looked(&mut self, found: bool) {
        self.fresh_rows = 0;
        self.fresh_bytes = 0;
        self.changed = false;
        if !found {
            self.due = None;
        }
    }

    /// A request with this many rows has left; `left_behind` have to wait for answers.
    pub(super) fn formed(
        &mut self,
        now: Duration,
        rows: usize,
        left_behind: usize,
        limits: &Limits,
    ) {
        self.requests += 1;
        self.pending_rows = self.pending_rows.saturating_sub(rows);
        let fresh = self.pending_rows.saturating_sub(left_behind);
        // Which bytes have left is not worth a count: a share of them.
        self.fresh_bytes =
            self.fresh_bytes.checked_div(self.fresh_rows).unwrap_or_default() * fresh;
        self.fresh_rows = fresh;
        self.changed = fresh > 0;
        // Those that this choice did not come to may have waited as long as those that have left.
        let next = if self.is_due(now) { now } else { now + limits.linger };
        self.due = (fresh > 0).then_some(next);
    }

    /// A request has its answer.
    pub(super) const fn answered(&mut self) {
        self.requests = self.requests.saturating_sub(1);
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
        self.failures = 0;
        self.blocked_until = Duration::ZERO;
        if self.pending_rows > 0 {
            self.look_by(now);
        }
    }

    /// Mixpanel found a request of this size too large.
    pub(super) fn shrink(&mut self, bytes: usize) {
        self.request_bytes = self.request_bytes.min((bytes / 2).max(LEAST_REQUEST_BYTES));
    }
}
