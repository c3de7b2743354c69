//! Values of an event found by path in its bytes, and changed there, without a tree.
//!
//! All paths of a pipeline are put into one [`Watch`] when the configuration is read; one pass over
//! an event then finds all of them ([`Watch::find`]), and [`Edits`] writes the changed event, the rest of
//! its bytes untouched.
//!
//! Invariants: edited JSON is JSON, and what a tree edit would give; every copy of a key that stands
//! twice is found, and of two only the last counts for a reader ([`Finds::last`]); keys are compared
//! without their escapes; nothing recurses.
//!
//! | module | owns |
//! | --- | --- |
//! | `path` | the notation: `$.traits.email`, `$..email`, `$.products[*].name` |
//! | `watch` | many paths as one automaton, and the pass over the bytes |
//! | `edits` | replacing, removing and inserting |

mod edits;
mod path;
mod watch;

#[cfg(test)]
mod tests;

pub use edits::Edits;
pub use path::{Path, PathError, Step};
pub(crate) use watch::Sieve;
pub use watch::{Finds, Found, PathId, Reach, Watch};
