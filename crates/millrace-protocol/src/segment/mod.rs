//! The Segment and RudderStack calls: single messages and batches of them.
//!
//! The way is [`Envelope::read`] (one pass over the whole body: grammar, places of the members that
//! matter, the write key), then [`Envelope::admit`] (the rules of the door, item by item, which
//! cannot fail). Facts about the wire: `reference/sdk-wire-formats.md` sections 1 to 6.
//!
//! Rules that no vendor states:
//! - Of members with the same name the last wins.
//! - A number grammar-valid but out of every range (`1e400`, 23 digits) is none of the door's
//!   business, nor is half a surrogate pair, unless it stands in a member that the door reads.
//! - Years 1 and 9999 are times like others here; the mapping sets aside what Mixpanel refuses.
//! - `timestamp` and `sentAt` of a batch go into the time of its events, not into their bytes.
//!
//! Strictness is the choice of a pipeline ([`Envelope::be_strict`]): a message must then have its
//! `type`, an id of a person or device, objects where objects belong, and a readable time.

mod admit;
mod alone;
mod envelope;
mod rebuild;
mod scan;
mod strict;
mod time;

pub use admit::Admission;
pub(crate) use admit::{Refusal, time_at};
pub use alone::standing_alone;
pub use envelope::Envelope;
pub(crate) use rebuild::each_member;
pub(crate) use time::numeric_time;
pub use time::{SKEW_LIMIT_MILLIS, event_time};

use millrace_model::event::EventKind;

/// What a path says about its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// The body is one message of this kind, whatever its `type` says.
    Single(EventKind),
    /// The body is one message, which says its own `type`.
    Typed,
    /// The body is `{"batch": [...]}`, `{"events": [...]}` or a list alone, and each item has its own
    /// `type`.
    Batch,
}
