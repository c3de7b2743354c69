//! What the door of a pipeline lets in and what it changes, before anything is stored (DESIGN 9.8).
//!
//! [`Rules::govern`] goes over the items of a decoded batch. It may change the bytes of an event,
//! add to its facts, note what it did in the event's passage, or put a note in the event's place
//! that says why it is not sent. Pure: no clock, no files, no sockets.
//!
//! Invariants: what a privacy rule takes out is in nothing that is stored, set-aside bytes included;
//! of an item that is too broken for the rules only a hash and the length stay; the number and the
//! order of the items never change.

pub mod bots;
pub mod consent;
pub mod document;
pub mod hot_ids;
pub mod internal;
mod pattern;
pub mod places;
pub mod privacy;
mod rules;

pub use pattern::Pattern;
pub use rules::{Action, Circumstances, RuleOptions, Rules};
