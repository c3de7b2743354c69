//! What an answer does to the rows of its request.

use std::time::Duration;

use millrace_model::code::Code;
use millrace_model::disposition::Disposition;
use millrace_model::row::Endpoint;

use super::events::End;
use super::{Flight, OnUnclear, RequestId, Scheduler};
use crate::receipt::{Receipt, RefusedRow};

impl Scheduler {
    /// Takes the receipt of a request. One that is not in flight is ignored.
    ///
    /// A `Pause` gives the rows back uncharged; the caller also calls [`Scheduler::pause`].
    pub fn answer(&mut self, now: Duration, id: RequestId, receipt: Receipt) {
        let Some(flight) = self.flights.remove(&id) else { return };
        self.paces.of_mut(flight.endpoint).answered();
        match receipt {
            Receipt::Delivered => self.all_delivered(&flight),
            Receipt::Partly(refused) => self.partly_delivered(&flight, refused),
            Receipt::Split { words } => {
                if flight.rows.len() > 1 {
                    self.paces.of_mut(flight.endpoint).shrink(flight.bytes);
                }
                self.halve(now, &flight, Code::RowTooLargeForMixpanel, words, false);
            }
            Receipt::Bisect { words, perhaps_taken } => {
                self.halve(now, &flight, Code::RowRejected, words, perhaps_taken);
            }
            Receipt::Pause { .. } => self.all_back(now, &flight, false),
            Receipt::Retry { after, reason, perhaps_taken, .. } => {
                let entropy = std::sync::Arc::clone(&self.entropy);
                let pace = self.paces.of_mut(flight.endpoint);
                pace.back_off(now, after, &self.limits, entropy.as_ref());
                self.back_unless_dead(now, &flight, &reason, perhaps_taken);
            }
        }
        for endpoint in Endpoint::ALL {
            self.paces.of_mut(endpoint).freed(now, &self.limits);
        }
    }

    fn all_delivered(&mut self, flight: &Flight) {
        self.paces.of_mut(flight.endpoint).went_well();
        for row in &flight.rows {
            self.end(*row, End::DELIVERED);
        }
    }

    fn partly_delivered(&mut self, flight: &Flight, refused: Vec<RefusedRow>) {
        self.paces.of_mut(flight.endpoint).went_well();
        let mut refused = refused.into_iter().peekable();
        for (index, row) in flight.rows.iter().enumerate() {
            let end = match refused.next_if(|refused| refused.index == index) {
                Some(refused) => End::rejected(Code::RowRejected, refused.words),
                None => End::DELIVERED,
            };
            self.end(*row, end);
        }
    }

    /// Sends the rows again in smaller company. A row that stood alone is the culprit.
    fn halve(
        &mut self,
        now: Duration,
        flight: &Flight,
        code: Code,
        words: String,
        perhaps_taken: bool,
    ) {
        self.paces.of_mut(flight.endpoint).went_well();
        if let [only] = flight.rows.as_slice() {
            self.end(*only, End::rejected(code, words));
            return;
        }
        self.totals.retried_requests += 1;
        let company = flight.rows.len().div_ceil(2).max(1);
        for number in flight.rows.iter().rev() {
            if let Some(row) = self.rows.get_mut(*number) {
                row.company = company;
            }
            self.back_or_aside(now, *number, perhaps_taken);
        }
    }

    fn all_back(&mut self, now: Duration, flight: &Flight, perhaps_taken: bool) {
        self.totals.retried_requests += 1;
        for row in flight.rows.iter().rev() {
            self.back_or_aside(now, *row, perhaps_taken);
        }
    }

    fn back_unless_dead(
        &mut self,
        now: Duration,
        flight: &Flight,
        reason: &str,
        perhaps_taken: bool,
    ) {
        self.totals.retried_requests += 1;
        let active = self.active(now);
        for number in flight.rows.iter().rev() {
            let first = self.rows.get(*number).and_then(|row| row.first_sent).unwrap_or(active);
            if active.saturating_sub(first) < self.limits.horizon {
                self.back_or_aside(now, *number, perhaps_taken);
            } else {
                let words = Some(reason.to_owned());
                let code = Some(Code::HorizonPassed);
                self.end(*number, End { state: Disposition::Dead, code, words });
            }
        }
    }

    /// Takes a row back, unless it must not be sent twice and perhaps was (DESIGN 9.15).
    fn back_or_aside(&mut self, now: Duration, number: u32, perhaps_taken: bool) {
        let repeatable = self.rows.get(number).is_none_or(|row| row.repeatable);
        if perhaps_taken && !repeatable && self.limits.on_unclear == OnUnclear::SetAside {
            self.end(number, End::set_aside(Code::UnclearAnswer));
        } else {
            self.take_back(now, number, perhaps_taken);
        }
    }
}
