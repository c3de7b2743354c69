//! Adobe's event forwarding: its comparisons, and the loader of rules written down from its UI.
//!
//! What is read here becomes the same checked tree as every other blueprint; there is no second
//! evaluator. Facts: reference/datafly-adobe.md 2.1 to 2.3.

#![allow(dead_code, reason = "the loader that uses it comes next")]

pub(crate) mod compare;
pub(crate) mod pattern;
