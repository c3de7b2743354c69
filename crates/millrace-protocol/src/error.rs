//! Why a whole body is refused. What is wrong with one item is no error: the item is set aside.

use millrace_model::code::{Code, ErrorKind};

/// A body of which nothing can be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Nothing came, or only blanks.
    #[error("the body is empty: send one JSON object")]
    Empty,
    /// The body passes the limit, decompressed and with what its events share set into each.
    #[error("the body comes to more than {limit} bytes: send smaller batches")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// The body calls itself compressed and cannot be decompressed.
    #[error("the gzip body is damaged or cut short")]
    BadGzip,
    /// The body is compressed in a way that is not taken here.
    #[error("the content encoding is not known here: send gzip or no encoding")]
    UnknownEncoding,
    /// The body is not JSON.
    #[error("the body is not JSON: {what} at byte {at}")]
    BadJson {
        /// What is wrong.
        what: &'static str,
        /// The byte, from 0, in the decompressed body.
        at: usize,
    },
    /// The body is nested so deeply that it is not read to its end.
    #[error("the body is nested deeper than {limit} levels")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// The body is JSON, but not what the path takes.
    #[error("the body is no batch: send an object with an array `batch`")]
    NoBatch,
    /// The body is JSON, but holds no events of Adobe's.
    #[error("the body holds no events: send an object with a list `events` or an object `event`")]
    NoEvents,
    /// The batch has more items than the limit.
    #[error("the batch has more than {limit} events: send smaller batches")]
    TooManyEvents {
        /// The limit.
        limit: usize,
    },
}

impl DecodeError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            DecodeError::Empty => Code::EmptyBody,
            DecodeError::TooLarge { .. } => Code::BodyTooLarge,
            DecodeError::BadGzip | DecodeError::UnknownEncoding => Code::BadCompression,
            DecodeError::BadJson { .. } => Code::BadJson,
            DecodeError::TooDeep { .. } => Code::TooDeep,
            DecodeError::NoBatch | DecodeError::NoEvents => Code::BadBody,
            DecodeError::TooManyEvents { .. } => Code::TooManyEvents,
        }
    }

    /// What to do: the same bytes can never be taken.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        ErrorKind::Reject
    }
}
