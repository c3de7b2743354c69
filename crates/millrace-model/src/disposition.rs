//! The states of an event for an integration (DESIGN 9.2), and how several rows make one state.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A final state. Every accepted event ends in exactly one of them for each integration.
///
/// Ordered from the best to the worst: the state of an event is the worst of its rows'.
/// Matches on it have no wildcard arm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Disposition {
    /// Mixpanel has taken it.
    Delivered,
    /// A rule or a setting keeps it from being sent.
    Filtered,
    /// It had been accepted before.
    Duplicate,
    /// It cannot be sent, for a reason in the event itself.
    SetAside,
    /// Mixpanel has refused it.
    Rejected,
    /// It was tried until the horizon passed.
    Dead,
    /// It was erased on demand.
    Erased,
}

impl Disposition {
    /// Every state, in the order of their byte form.
    pub const ALL: [Disposition; 7] = [
        Disposition::Delivered,
        Disposition::Filtered,
        Disposition::Duplicate,
        Disposition::SetAside,
        Disposition::Rejected,
        Disposition::Dead,
        Disposition::Erased,
    ];

    /// The name in ledgers and answers, such as `set_aside`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Disposition::Delivered => "delivered",
            Disposition::Filtered => "filtered",
            Disposition::Duplicate => "duplicate",
            Disposition::SetAside => "set_aside",
            Disposition::Rejected => "rejected",
            Disposition::Dead => "dead",
            Disposition::Erased => "erased",
        }
    }

    /// The byte form. Stored: never changed.
    #[must_use]
    pub const fn to_byte(self) -> u8 {
        match self {
            Disposition::Delivered => 0,
            Disposition::Filtered => 1,
            Disposition::Duplicate => 2,
            Disposition::SetAside => 3,
            Disposition::Rejected => 4,
            Disposition::Dead => 5,
            Disposition::Erased => 6,
        }
    }

    /// The state of a byte form.
    #[must_use]
    pub fn from_byte(byte: u8) -> Option<Disposition> {
        Disposition::ALL.into_iter().find(|state| state.to_byte() == byte)
    }
}

impl fmt::Display for Disposition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why an event was filtered: the `code` of a `filtered` line in the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FilterReason {
    /// No rule of the blueprint matches the event, or none of the matching ones sends anything.
    NoRule,
    /// The pipeline has no integration.
    NoIntegration,
    /// A rule says to drop it.
    DropRule,
    /// Its person does not allow what the pipeline or the integration asks for.
    Consent,
    /// It comes from a program that is no browser of a person.
    Bot,
    /// It comes from the customer's own people or machines.
    Internal,
}

impl FilterReason {
    /// Every reason, in the order of their byte form.
    pub const ALL: [FilterReason; 6] = [
        FilterReason::NoRule,
        FilterReason::NoIntegration,
        FilterReason::DropRule,
        FilterReason::Consent,
        FilterReason::Bot,
        FilterReason::Internal,
    ];

    /// The byte form. Stored: never changed.
    #[must_use]
    pub const fn to_byte(self) -> u8 {
        self as u8
    }

    /// The reason of a byte form.
    #[must_use]
    pub fn from_byte(byte: u8) -> Option<FilterReason> {
        FilterReason::ALL.get(usize::from(byte)).copied()
    }

    /// The name in the ledger.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            FilterReason::NoRule => "no_rule",
            FilterReason::NoIntegration => "no_integration",
            FilterReason::DropRule => "drop_rule",
            FilterReason::Consent => "consent",
            FilterReason::Bot => "bot",
            FilterReason::Internal => "internal",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_forms_are_inverse_and_the_order_is_from_best_to_worst() {
        for state in Disposition::ALL {
            assert_eq!(Disposition::from_byte(state.to_byte()), Some(state));
        }
        assert_eq!(Disposition::from_byte(7), None);
        assert!(Disposition::Delivered < Disposition::Rejected);
        assert_eq!(
            [Disposition::Rejected, Disposition::Delivered].into_iter().max(),
            Some(Disposition::Rejected)
        );
    }
}
