//! What an answer does to the rows of its request.

use std::time::Duration;

use millrace_model::code::Code;
use millrace_model::disposition::Disposition;

use super::events::End;
use super::pace::Pace;
use super::project::Project;
use super::{Flight, OnUnclear, RequestId, Scheduler, Shared};
use crate::receipt::{Receipt, RefusedRow};

impl Scheduler {
    /// Takes the receipt of a request. One that is not in flight is ignored.
    ///
    /// A `Pause` gives the rows back uncharged; the caller also calls [`Scheduler::pause`].
    pub fn answer(&mut self, now: Duration, id: RequestId, receipt: Receipt) {
        let Some(flight) = self.flights.remove(&id) else { return };
        let active = self.active(now);
        let Some(project) = self.projects.get_mut(flight.project.index()) else { return };
        Answer { now, active, flight: &flight, project, shared: &mut self.shared }.take(receipt);
    }
}

/// An answer that is being taken.
struct Answer<'a> {
    now: Duration,
    /// The time without pauses.
    active: Duration,
    flight: &'a Flight,
    project: &'a mut Project,
    shared: &'a mut Shared,
}

impl Answer<'_> {
    fn take(mut self, receipt: Receipt) {
        self.pace().answered();
        match receipt {
            Receipt::Delivered => self.all_delivered(),
            Receipt::Partly(refused) => self.partly_delivered(refused),
            Receipt::Split { words } => {
                if self.flight.rows.len() > 1 {
                    let bytes = self.flight.bytes;
                    self.pace().shrink(bytes);
                }
                self.halve(Code::RowTooLargeForMixpanel, words, false);
            }
            Receipt::Bisect { words, perhaps_taken } => {
                self.halve(Code::RowRejected, words, perhaps_taken);
            }
            Receipt::Pause { .. } => self.all_back(),
            Receipt::Retry { after, reason, perhaps_taken, .. } => {
                let pace = self.project.paces.of_mut(self.flight.endpoint);
                pace.back_off(self.now, after, &self.shared.limits, self.shared.entropy.as_ref());
                self.back_unless_dead(&reason, perhaps_taken);
            }
        }
        self.project.freed(self.now, &self.shared.limits);
    }

    fn pace(&mut self) -> &mut Pace {
        self.project.paces.of_mut(self.flight.endpoint)
    }

    fn end(&mut self, number: u32, end: End) {
        if let Some(ended) = self.project.end(number) {
            self.shared.row_ended(ended, end);
        }
    }

    fn all_delivered(&mut self) {
        self.pace().went_well();
        for row in &self.flight.rows {
            self.end(*row, End::DELIVERED);
        }
    }

    fn partly_delivered(&mut self, refused: Vec<RefusedRow>) {
        self.pace().went_well();
        let mut refused = refused.into_iter().peekable();
        for (index, row) in self.flight.rows.iter().enumerate() {
            let end = match refused.next_if(|refused| refused.index == index) {
                Some(refused) => End::rejected(Code::RowRejected, refused.words),
                None => End::DELIVERED,
            };
            self.end(*row, end);
        }
    }

    /// Sends the rows again in smaller company. A row that stood alone is the culprit.
    fn halve(&mut self, code: Code, words: String, perhaps_taken: bool) {
        self.pace().went_well();
        if let [only] = self.flight.rows.as_slice() {
            self.end(*only, End::rejected(code, words));
            return;
        }
        self.shared.totals.retried_requests += 1;
        let company = self.flight.rows.len().div_ceil(2).max(1);
        for number in self.flight.rows.iter().rev() {
            if let Some(row) = self.project.rows.get_mut(*number) {
                row.company = company;
            }
            self.back_or_aside(*number, perhaps_taken);
        }
    }

    fn all_back(&mut self) {
        self.shared.totals.retried_requests += 1;
        for row in self.flight.rows.iter().rev() {
            self.back_or_aside(*row, false);
        }
    }

    fn back_unless_dead(&mut self, reason: &str, perhaps_taken: bool) {
        self.shared.totals.retried_requests += 1;
        for number in self.flight.rows.iter().rev() {
            let sent = self.project.rows.get(*number).and_then(|row| row.first_sent);
            let tried = self.active.saturating_sub(sent.unwrap_or(self.active));
            if tried < self.shared.limits.horizon {
                self.back_or_aside(*number, perhaps_taken);
            } else {
                let words = Some(reason.to_owned());
                let code = Some(Code::HorizonPassed);
                self.end(*number, End { state: Disposition::Dead, code, words });
            }
        }
    }

    /// Takes a row back, unless it must not be sent twice and perhaps was (DESIGN 9.15).
    fn back_or_aside(&mut self, number: u32, perhaps_taken: bool) {
        let repeatable = self.project.rows.get(number).is_none_or(|row| row.repeatable);
        let aside = self.shared.limits.on_unclear == OnUnclear::SetAside;
        if perhaps_taken && !repeatable && aside {
            self.end(number, End::set_aside(Code::UnclearAnswer));
        } else {
            self.project.take_back(self.now, number, perhaps_taken);
        }
    }
}
