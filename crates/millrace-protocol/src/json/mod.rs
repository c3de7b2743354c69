//! A JSON scanner: validates the grammar of RFC 8259 in one pass, keeps places instead of values,
//! never recurses and never copies.
//!
//! It exists because the door needs a dozen members of an object of some fifty, the bytes of the
//! whole untouched, and an exact answer for nesting of any depth; a parser to a tree or to a typed
//! struct gives up one of the three. It does not interpret numbers (`1e400` and 23 digits are good
//! grammar) nor pair surrogates: [`text`] does, when a member is read.

mod members;
mod scanner;
mod strings;

pub(crate) use members::{ObjectWriter, each_item, each_member};
pub use scanner::{Fault, MAX_DEPTH, Scanner, Span};
pub use strings::{name, text, write_text};
