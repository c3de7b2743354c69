//! Feeding an item again that was set aside: its new run takes the place of the former one in one
//! record, so that a crash leaves the one or the other and never both (DESIGN 9.12).
//!
//! ```text
//! refeed := version:u8 seq:varint index:varint minute:i64le code:text bytes:varint batch
//! ```
//! The batch has the byte form of any other and keeps the time of receipt of the first. What is
//! said of the former run is all that the ledger needs to take it back: its own record may be gone
//! when this one is read.

use bytes::Bytes;
use millrace_log::Entry as LogEntry;
use millrace_model::code::Code;
use millrace_model::disposition::Disposition;
use millrace_model::event::Batch;
use millrace_model::id::{Position, Seq};
use millrace_model::intake::AdmitError;
use millrace_model::ledger::Tally;
use millrace_model::record::{
    RecordError, decode_batch, encode_batch, put_bytes, put_varint, take_i64, take_text, take_u8,
    take_varint,
};

use super::book::Book;
use super::core::{KIND_BATCH, KIND_REFEED};
use super::quarantine::Entry;

const VERSION: u8 = 1;

/// Why an item is not fed again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefeedError {
    /// The quarantine does not hold the item: it was fed again before, or its time is over.
    #[error("no item is kept at {0}: it was fed again, or dropped")]
    NotHeld(Position),
    /// The new batch is for another pipeline, or holds nothing.
    #[error("what the item at {0} was made into cannot take its place")]
    NoReplacement(Position),
    /// It cannot be stored now.
    #[error(transparent)]
    NotStored(#[from] AdmitError),
}

impl RefeedError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            RefeedError::NotHeld(_) => Code::NotHeld,
            RefeedError::NoReplacement(_) => Code::CannotBeFedAgain,
            RefeedError::NotStored(error) => error.code(),
        }
    }
}

/// The run that a re-fed item had before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Former {
    pub(super) position: Position,
    minute: i64,
    code: Code,
    bytes: u64,
}

impl Former {
    pub(super) fn of(position: Position, entry: &Entry) -> Former {
        let Entry { at, code, full_length, .. } = *entry;
        Former { position, minute: at.minute(), code, bytes: full_length }
    }

    /// Takes the former run out of a book that has counted it.
    pub(super) fn leave(&self, book: &mut Book) {
        let one = Tally { events: 1, rows: 0, bytes: self.bytes };
        book.take_back(self.minute, Disposition::SetAside, self.code.as_str(), one);
    }

    pub(super) fn encode(&self, batch: &Batch, out: &mut Vec<u8>) {
        out.push(VERSION);
        put_varint(out, self.position.seq.0);
        put_varint(out, u64::from(self.position.index));
        out.extend_from_slice(&self.minute.to_le_bytes());
        put_bytes(out, self.code.as_str().as_bytes());
        put_varint(out, self.bytes);
        encode_batch(batch, out);
    }

    fn take(bytes: &mut Bytes) -> Result<Former, RecordError> {
        let version = take_u8(bytes)?;
        if version != VERSION {
            return Err(RecordError::Version(version));
        }
        let seq = Seq(take_varint(bytes)?);
        let index = u32::try_from(take_varint(bytes)?).map_err(|_| RecordError::Bad("index"))?;
        Ok(Former {
            position: Position { seq, index },
            minute: take_i64(bytes)?,
            code: Code::parse(&take_text(bytes)?).ok_or(RecordError::Bad("code"))?,
            bytes: take_varint(bytes)?,
        })
    }
}

/// The batch of a record, as bytes, and the run whose place it takes; none when the record holds
/// no batch.
pub(super) fn batch_bytes(
    entry: &LogEntry,
) -> Result<Option<(Bytes, Option<Former>)>, RecordError> {
    let mut bytes = entry.payload.clone();
    match entry.kind {
        KIND_BATCH => Ok(Some((bytes, None))),
        KIND_REFEED => {
            let former = Former::take(&mut bytes)?;
            Ok(Some((bytes, Some(former))))
        }
        _ => Ok(None),
    }
}

/// The batch of a record, and the run whose place it takes; none when the record holds no batch.
pub(super) fn batch_of(entry: &LogEntry) -> Result<Option<(Batch, Option<Former>)>, RecordError> {
    match batch_bytes(entry)? {
        Some((bytes, former)) => Ok(Some((decode_batch(bytes)?, former))),
        None => Ok(None),
    }
}
