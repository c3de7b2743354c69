//! The calls of Mixpanel's own SDKs, which Millrace takes as their tracking proxy: `/track` and
//! `/import` with events, `/engage` and `/groups` with changes of profiles.
//!
//! The way is [`Unpacked::new`] (form, base64, GET or JSON: the text of the JSON and the options),
//! [`Envelope::read`] (where the records are, and the project token of each, which says the
//! pipeline), then [`Envelope::admit`] for each record, which cannot fail: it is taken or set
//! aside, in Mixpanel's own words where Mixpanel has words. Facts about the wire:
//! `reference/sdk-wire-formats.md` 7 and `reference/mixpanel-api.md` 2 and 3.
//!
//! # The canonical form
//!
//! A record becomes an event of the form that all others have, so that every blueprint can map it,
//! and what that form has no place for stands under `mixpanel`, so that the blueprint `passthrough`
//! can say the same to Mixpanel again. Everything that names a person stands in one place only,
//! so that a privacy rule about it reaches every copy.
//!
//! | record | kind | what is where |
//! | --- | --- | --- |
//! | an event | track | `event`, `properties` |
//! | `$identify` | identify | `userId`, `anonymousId`, `properties` |
//! | `$create_alias`, `$merge` | alias | `userId` (the alias, or the first id), `previousId` (the distinct id, or the other one) |
//! | a change of a user's profile | profile | the operators by their own names at the top, such as `$set`; `$delete` is `true` |
//! | a change of a group's profile | profile | the same, with `groupId` and `mixpanel.group_key` |
//!
//! - `userId` is `$user_id`, else a `distinct_id` without the prefix `$device:` when there is no
//!   `$device_id`; `anonymousId` is `$device_id`, else the `distinct_id` behind that prefix. That is
//!   Mixpanel's own reading (`reference/mixpanel-api.md` 4.1). Where the distinct id that was sent
//!   does not follow from the two, it stands in `mixpanel.distinct_id`: projects of original or
//!   legacy identity need it. A profile belongs to the `$distinct_id` alone; the `$user_id` and
//!   `$device_id` beside it stand under `mixpanel` and are not sent.
//! - `properties` has neither the token nor the ids, the time, the insert id and the address: the
//!   token is dropped, the others are `userId` and so on, the event's time and message id, and
//!   `context.ip`.
//! - An address is taken from the record; else from the connection, when the call says `ip=1`, or
//!   for a profile does not say `ip=0`. `$ip: "0"` asks for none.
//! - `mixpanel.endpoint` is `track`, `import`, `engage` or `groups`; `mixpanel.anon_id` the
//!   anonymous id of `$identify` with its prefix; `mixpanel.distinct_ids` the ids of `$merge`.
//!
//! The message id is the `$insert_id`; without one it is drawn, and the record never counts as a
//! repetition. With one, name, id, time and `$insert_id` together say what is a repetition, as at
//! Mixpanel (DESIGN 9.5). Changes of profiles have no id and are never repetitions.

mod admit;
mod body;
mod cookie;
mod envelope;
mod fields;
mod options;
mod profile;
mod verbs;

pub use admit::{Admission, Failure};
pub use body::Unpacked;
pub use cookie::offer;
pub use envelope::{Envelope, endpoint_of};
pub use options::Options;

/// What a path takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `/track`: events.
    Track,
    /// `/import`: events, of any age.
    Import,
    /// `/engage`: changes of users' profiles.
    Engage,
    /// `/groups`: changes of groups' profiles.
    Groups,
}

impl Endpoint {
    /// The name in paths.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Endpoint::Track => "track",
            Endpoint::Import => "import",
            Endpoint::Engage => "engage",
            Endpoint::Groups => "groups",
        }
    }

    /// True where records are events, false where they change profiles.
    #[must_use]
    pub const fn takes_events(self) -> bool {
        matches!(self, Endpoint::Track | Endpoint::Import)
    }
}
