//! Events of the Adobe Experience Platform Edge Network: what the Web SDK and its HTTP API send.
//!
//! The way is that of the Segment calls: [`Envelope::read`] (one pass over the whole body), then
//! [`Envelope::admit`] (event by event, which cannot fail). Facts about the wire:
//! `reference/sdk-wire-formats.md` sections 8 and 9.
//!
//! # The canonical event
//!
//! An event is `track`. Its bytes are one JSON object: the members that were sent (`xdm`, `data`,
//! `meta`, `query`), and beside them what other events have at their top:
//!
//! | member | from |
//! | --- | --- |
//! | `type` | always `track` |
//! | `event` | `xdm.eventType`; absent where that is |
//! | `anonymousId` | the ECID: in `identityMap`, else in the identity cookie; else one made of the FPID, the same each time |
//! | `userId` | an identity with `authenticatedState` `authenticated` that names no device: the primary one, else the first |
//! | `context.mixpanel` | `distinct_id`, `device_id` and `user_id` of the page's Mixpanel cookie |
//! | `context.userAgent` | the request's header |
//!
//! Members of these names that were sent beside `xdm` do not count and are left out, as are
//! `messageId` and `timestamp`: the message id is `xdm._id`, the time `xdm.timestamp`, else that of
//! receipt. Nothing is made up: an identity that is ambiguous or logged out is no `userId`, and an
//! event without any id is taken, because a field of the customer's own may hold one.
//!
//! Rules that the vendor does not state:
//! - Events of type `decisioning.*` tell Adobe what its personalisation showed. They are filtered
//!   unless they are wanted.
//! - What the request says once (`xdm` beside `events`) is set in under each event's own, member by
//!   member, and its identities namespace by namespace.
//! - Without an `_id` the message id is made from the request's id, the place of the event and its
//!   bytes, so that a request that is sent again is known; without a request id it is a new one.

mod admit;
mod consent;
mod cookie;
mod envelope;
mod identity;
mod visitor_id;

pub use admit::{Admission, Visitor};
pub use consent::{CONSENT_EVENT, SaidConsent};
pub use cookie::{MixpanelCookie, ecid_of_cookie, is_identity_cookie};
pub use envelope::{Envelope, is_event};
pub use visitor_id::{
    CONSENT_SECONDS, IDENTITY_SECONDS, consent_cookie, cookie_of_ecid, cookies, ecid_of_fpid,
    identity_cookie, new_ecid,
};

/// What a path says about its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `{"events": [...]}` or `{"event": {...}}`, with what they share beside it.
    Request,
    /// The same, where events may be missing: the body asks for an identity or says what its person
    /// allows. Events in it do not count.
    Question,
    /// The body is one event: `{"xdm": {...}, "data": {...}}`.
    Bare,
}
