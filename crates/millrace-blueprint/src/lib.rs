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
//! | `datafly` | configs of Datafly Signal, version 2, as blueprints |
//! | `built_in` | the blueprints that come with Millrace |
//! | `explanation`, `lineage` | where the fields of rows come from: in a run, and without one |
//! | `cases`, `coverage` | tests beside blueprints, and what they hit |
//! | [`diff`] | what differs between two blueprints, in words and in what they send |
//! | `canonical`, `revision` | the one form of a blueprint, its digest, its numbered revisions |
//!
//! A [`Plan`] is shared by all threads; each thread has a [`Mapper`] whose memory is used again
//! for every event. There is no I/O, no clock and no async in this crate: what the same plan makes
//! of the same event is the same for ever (DESIGN promises 2 and 6).

mod adobe;
mod agent;
mod blueprint;
mod built_in;
mod built_in_tests;
mod canonical;
mod cases;
mod coverage;
mod datafly;
pub mod diff;
mod explanation;
mod json;
mod lineage;
mod lint;
mod path_text;
mod plan;
mod reserved;
mod revision;
mod run;
pub mod segment;
pub mod settings;
mod syntax;

#[cfg(test)]
mod oracle;

pub use blueprint::{Blueprint, Deviation, Variant};
pub use canonical::Digest;
pub use cases::{CASE_MESSAGE_ID, CASE_RECEIVED_AT, Case, CaseOutcome, Difference, Expected};
pub use coverage::{Coverage, Covered};
pub use explanation::{Explanation, FieldExplained, RowExplained, RuleTried};
pub use lineage::{
    ANY_ITEM, ANY_MEMBER, ActionLineage, FieldLineage, Lineage, RuleLineage, Sources,
};
pub use plan::Plan;
pub use revision::{Publishing, Revision, Revisions};
pub use run::{EventView, Mapper};
pub use settings::{Parameter, Parameters, Setting, SettingKind, SettingValues};
pub use syntax::readings::Reading;
