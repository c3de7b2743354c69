//! Whether people allow what an integration is for: asked of every event when it is mapped, whatever
//! was decided at the door (DESIGN 9.8).

use std::borrow::Cow;

use millrace_model::disposition::{Disposition, FilterReason};
use millrace_model::event::Event;

use crate::journal::{Closed, EventAt, KnownConsents};

/// What an integration asks of the people whose events it sends. The default asks nothing and
/// costs nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct Gate {
    /// The categories that must be granted.
    pub(super) required: Vec<String>,
    pub(super) known: KnownConsents,
}

impl Gate {
    /// The end of an event that must not be sent.
    pub(super) fn refuse(&self, event: &Event, at: EventAt) -> Option<Closed> {
        let why = self.known.refusal(&self.required, event.passage.consent.as_deref(), &at)?;
        Some(Closed {
            state: Disposition::Filtered,
            code: Some(Cow::Borrowed(FilterReason::Consent.as_str())),
            detail: Some(why),
            ..Closed::delivered(at.at, 0)
        })
    }
}
