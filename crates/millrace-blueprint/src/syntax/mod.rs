//! From text to the checked tree: every mistake of the text is found in one go.
//!
//! `tree` reads YAML, `lexer`, `expression` and `matching` the small languages inside its scalars,
//! `values` the nested values, `actions` what a rule sends, `declared` what a blueprint says about
//! itself, and `check` the blueprint as a whole. `parts` is what the last two share.

mod actions;
pub(crate) mod ast;
mod check;
mod choices;
mod declared;
mod expression;
mod forms;
pub(crate) mod functions;
#[cfg(test)]
mod fuzz;
mod lexer;
mod like;
mod matching;
pub(crate) mod parts;
pub(crate) mod problems;
mod reach;
pub(crate) mod readings;
pub(crate) mod scalar;
mod shared;
mod show;
#[cfg(test)]
mod tests;
pub(crate) mod tree;
pub(crate) mod values;

pub(crate) use actions::{is_operator, reserved_names};
pub(crate) use check::read;
pub(crate) use matching::read_segment as read_segment_match;
pub(crate) use problems::Problems;
pub(crate) use values::SETTING_PREFIX;
