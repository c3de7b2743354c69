//! Webhooks of other systems: a payload to messages in canonical JSON, by a declared [`Mapping`].
//!
//! A mapping names members of the message and where their values stand in the payload. Values are
//! copied as the bytes that they are, so numbers keep their digits. What a payload does not have is
//! left out; without a name of an event nothing can be made of it ([`Unmapped`]), and the caller
//! sets it aside.
//!
//! It does not check signatures: `millrace-http` does, before anything is read.

mod mapping;
mod path;

pub use mapping::{Mapping, MappingError, Presets, Unmapped};
pub use path::{Path, PathError};

use bytes::Bytes;

use crate::error::DecodeError;
use crate::json::{Scanner, Span};
use crate::limits::Limits;

/// The items of a payload: those of a list, or the payload itself.
///
/// # Errors
/// When the payload is no JSON, or a list with too many items.
pub fn items(body: &Bytes, limits: &Limits) -> Result<Vec<Bytes>, DecodeError> {
    let mut scanner = Scanner::new(body);
    let mut spans: Vec<Span> = Vec::new();
    match scanner.peek() {
        None => return Err(DecodeError::Empty),
        Some(b'[') => {
            scanner.enter()?;
            let mut first = true;
            while scanner.next_item(&mut first)? {
                if spans.len() >= limits.batch_events {
                    return Err(DecodeError::TooManyEvents { limit: limits.batch_events });
                }
                spans.push(scanner.value()?);
            }
        }
        Some(_) => spans.push(scanner.value()?),
    }
    scanner.end()?;
    Ok(spans.into_iter().map(|span| body.slice(span.range())).collect())
}
