//! Blueprints: the declarative mapping of an event to the rows that Mixpanel takes.
//!
//! A blueprint is text (YAML, or JSON as the same data). It goes one way:
//!
//! ```text
//! text ──syntax──> tree with positions ──syntax──> checked tree ──plan──> Plan ──run──> Rows
//! ```
//!
//! | module | owns |
//! | --- | --- |
//! | `syntax` | reading and checking: every mistake at once, each with line, column and a suggestion |
//! | [`settings`] | what a blueprint lets its users choose, and what they chose |
//! | `plan` | a checked tree with settings, compiled: path trie, slots, nodes |
//! | `json` | the bytes of an event: one validating scan, decoding, careful copies |
//! | `reserved` | the property names that have a meaning, and those that are forbidden |
//! | `agent` | which browser a user agent names |
//! | `run` | a plan over an event: conditions, values, rows |
//! | [`segment`] | the notation of Segment: its match texts and mappings |
//! | `adobe` | the comparisons of Adobe's event forwarding, and its rules |
//! | `built_in` | the blueprints that come with Millrace |
//!
//! A [`Plan`] is shared by all threads; each thread has a [`Mapper`] whose memory is used again
//! for every event. There is no I/O, no clock and no async in this crate: what the same plan makes
//! of the same event is the same for ever (DESIGN promises 2 and 6).

mod adobe;
mod agent;
mod blueprint;
mod built_in;
mod explanation;
mod json;
mod path_text;
mod plan;
mod reserved;
mod run;
pub mod segment;
pub mod settings;
mod syntax;

#[cfg(test)]
mod oracle;

pub use blueprint::{Blueprint, Deviation, Variant};
pub use explanation::{Explanation, FieldExplained, RowExplained, RuleTried};
pub use plan::Plan;
pub use run::{EventView, Mapper};
pub use settings::{Setting, SettingKind, SettingValues};
