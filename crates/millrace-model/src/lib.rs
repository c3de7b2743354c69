//! The words of Millrace as types.
//!
//! Everything that two crates must agree on stands here and nowhere else: what an event is, how an
//! accepted batch is written down, which states an event can be in, how errors are coded, and the
//! traits through which time, chance and the durable intake come in. There is no I/O in this crate,
//! no async runtime and no JSON parser: it depends on little, so that everything can depend on it.
//!
//! | module | owns |
//! | --- | --- |
//! | [`id`] | names of pipelines and integrations, message ids, positions in the log, insert ids |
//! | [`secret`] | [`Secret`](secret::Secret): masked in `Debug` and `Display`, not serialisable |
//! | [`time`] | [`UnixMillis`](time::UnixMillis), the [`Clock`](time::Clock) seam, RFC 3339 text |
//! | [`entropy`] | the [`Entropy`](entropy::Entropy) seam for randomness |
//! | [`event`] | an accepted batch and its items |
//! | [`record`] | the byte form of an accepted batch in the log |
//! | [`disposition`] | the states of an event for an integration |
//! | [`correction`] | what mapping changed or noticed, as counts |
//! | [`code`] | stable error codes, each with a page in `docs/errors/` |
//! | [`intake`] | the seam between the collector and the durable log |
//! | [`ledger`] | the sums that must add up to zero, as they are shown |
//! | [`row`] | what a blueprint makes of an event: rows for an endpoint of Mixpanel |
//! | [`diagnostic`] | an error in a file, with line, column and a suggestion |

pub mod code;
pub mod correction;
pub mod diagnostic;
pub mod disposition;
pub mod entropy;
pub mod event;
pub mod id;
pub mod intake;
pub mod ledger;
pub mod passage;
pub mod record;
pub mod row;
pub mod secret;
pub mod time;
