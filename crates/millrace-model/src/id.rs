//! Names and numbers that have a meaning of their own.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Why a text is no valid name or id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The text is empty.
    #[error("must not be empty")]
    Empty,
    /// The text is longer than the limit.
    #[error("must have at most {0} bytes")]
    TooLong(usize),
    /// The text has a character that is not allowed.
    #[error("must have only {0}")]
    Charset(&'static str),
}

macro_rules! name_type {
    ($(#[doc = $doc:literal])+ $name:ident) => {
        $(#[doc = $doc])+
        ///
        /// Lower-case letters, digits, `-` and `_`, 1 to 63 bytes. Cheap to clone.
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                if text.is_empty() {
                    return Err(IdError::Empty);
                }
                if text.len() > 63 {
                    return Err(IdError::TooLong(63));
                }
                let allowed = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
                if !text.bytes().all(allowed) {
                    return Err(IdError::Charset("lower-case letters, digits, - and _"));
                }
                Ok(Self(Arc::from(text)))
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.as_ref().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name_type! {
    /// The name of a pipeline: one collection endpoint.
    PipelineId
}
name_type! {
    /// The name of an integration: a configured destination.
    IntegrationId
}

/// The number of a record in the log: 1 for the first, then without gaps.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Default,
)]
#[serde(transparent)]
pub struct Seq(pub u64);

impl Seq {
    /// The number after this one.
    #[must_use]
    pub const fn next(self) -> Seq {
        Seq(self.0.saturating_add(1))
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The place of one event: the record that holds its batch, and its index therein.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    /// The record.
    pub seq: Seq,
    /// The zero-based index of the item in the record.
    pub index: u32,
}

/// A text that is no position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must have the form RECORD:INDEX, such as 4711:0")]
pub struct PositionError;

impl FromStr for Position {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Position, PositionError> {
        let (seq, index) = text.split_once(':').ok_or(PositionError)?;
        let plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !plain(seq) || !plain(index) {
            return Err(PositionError);
        }
        Ok(Position {
            seq: Seq(seq.parse().map_err(|_| PositionError)?),
            index: index.parse().map_err(|_| PositionError)?,
        })
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.seq, self.index)
    }
}

/// The namespace of all ids that Millrace derives (UUIDv5). Fixed for ever: another value would
/// change every derived insert id, and a replay would double its events in Mixpanel.
pub const DERIVED_ID_NAMESPACE: Uuid = Uuid::from_u128(0x6d69_6c6c_7261_6365_9e1d_5f0b_7c2a_41d8);

/// Values that Mixpanel refuses as distinct id and insert id, in lower case
/// (`reference/mixpanel-api.md` section 2.4).
const BAD_VALUES: [&str; 17] = [
    "00000000-0000-0000-0000-000000000000",
    "anon",
    "anonymous",
    "nil",
    "none",
    "null",
    "n/a",
    "na",
    "undefined",
    "unknown",
    "<nil>",
    "0",
    "-1",
    "true",
    "false",
    "[]",
    "{}",
];

/// True when Mixpanel refuses this text as a distinct id or insert id, whatever its case.
#[must_use]
#[inline]
pub fn is_bad_identifier(text: &str) -> bool {
    // Of most ids the length tells enough.
    matches!(text.len(), 1..=9 | 36) && BAD_VALUES.iter().any(|bad| bad.eq_ignore_ascii_case(text))
}

/// A value for `$insert_id` that Mixpanel takes: 1 to 36 letters, digits and hyphens, no bad value.
///
/// It is a pure function of the event, so that a retry, a replay and a crash repeat it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct InsertId {
    bytes: [u8; 36],
    len: u8,
}

impl InsertId {
    /// The id as it stands, if Mixpanel takes it.
    #[must_use]
    pub fn exact(text: &str) -> Option<InsertId> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        if text.is_empty() || !text.bytes().all(allowed) || is_bad_identifier(text) {
            return None;
        }
        let mut bytes = [0; 36];
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Some(InsertId { bytes, len: u8::try_from(text.len()).ok()? })
    }

    /// The insert id of a client's message id (DESIGN 9.7): the id itself when Mixpanel takes it,
    /// else its last 36 characters when they are a UUID (Segment's ids are 59 or 60 long), else a
    /// UUIDv5 of it.
    #[must_use]
    pub fn from_message_id(message_id: &str) -> InsertId {
        if let Some(id) = InsertId::exact(message_id) {
            return id;
        }
        let tail = message_id.len().checked_sub(36).and_then(|at| message_id.get(at..));
        if let Some(tail) = tail
            && Uuid::try_parse(tail).is_ok()
            && let Some(id) = InsertId::exact(tail)
        {
            return id;
        }
        InsertId::derived(message_id)
    }

    /// A UUIDv5 of any text.
    #[must_use]
    pub fn derived(text: &str) -> InsertId {
        let uuid = Uuid::new_v5(&DERIVED_ID_NAMESPACE, text.as_bytes());
        let mut bytes = [0; 36];
        uuid.hyphenated().encode_lower(&mut bytes);
        InsertId { bytes, len: 36 }
    }

    /// The insert id of a further row of the same event: the place number in front while that fits
    /// 36 characters, else a UUIDv5 of both (DESIGN 9.7). Row 0 is the event's first and has the id
    /// itself; the next has the place number 0, as the products of an order have at Segment
    /// (reference/segment-syft.md 4).
    #[must_use]
    pub fn further(&self, row: u32) -> InsertId {
        let Some(place) = row.checked_sub(1) else { return *self };
        let text = format!("{place}{self}");
        InsertId::exact(&text).unwrap_or_else(|| InsertId::derived(&text))
    }

    /// The insert id of a row that goes beside the event's own rows, such as the link event of an
    /// identify: a UUIDv5 of the purpose and the event's id, so that it can never meet another's.
    #[must_use]
    pub fn beside(&self, purpose: &str) -> InsertId {
        InsertId::derived(&format!("{purpose}:{self}"))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Only ASCII ever gets in, so this cannot fail.
        std::str::from_utf8(self.bytes.get(..usize::from(self.len)).unwrap_or_default())
            .unwrap_or_default()
    }
}

impl fmt::Display for InsertId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for InsertId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InsertId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_checked() {
        assert!("dev".parse::<PipelineId>().is_ok());
        assert_eq!("".parse::<PipelineId>(), Err(IdError::Empty));
        assert!("Dev".parse::<PipelineId>().is_err());
        assert!("x".repeat(64).parse::<IntegrationId>().is_err());
    }

    #[test]
    fn positions_read_back() {
        let position = Position { seq: Seq(4711), index: 3 };
        assert_eq!(position.to_string().parse(), Ok(position));
        for wrong in ["", ":", "1", "1:", ":1", "+1:0", "1:-1", "1:0:0", "1:4294967296", "a:b"] {
            assert_eq!(wrong.parse::<Position>(), Err(PositionError), "{wrong}");
        }
    }

    #[test]
    fn insert_ids_follow_the_three_steps() {
        let uuid = "d19a4a76-2ec6-440c-b50e-b574d3763384";
        assert_eq!(InsertId::from_message_id(uuid).as_str(), uuid);
        assert_eq!(InsertId::from_message_id("29fc2962-6d9c").as_str(), "29fc2962-6d9c");
        let segment = format!("node-next-1763799335123-{uuid}");
        assert_eq!(InsertId::from_message_id(&segment).as_str(), uuid);
        for odd in ["a b", "undefined", "0", "äöü", "", &"x".repeat(400)] {
            let id = InsertId::from_message_id(odd);
            assert_eq!(id.as_str().len(), 36, "{odd:?}");
            assert_eq!(id, InsertId::from_message_id(odd));
        }
    }

    #[test]
    fn the_derived_namespace_never_changes() {
        // Written down once: whoever changes this doubles every replayed event.
        assert_eq!(InsertId::derived("a b").as_str(), "99a1a522-4bea-5945-a6ae-05a28d746e34");
    }

    #[test]
    fn further_rows_get_a_place_number_while_it_fits() {
        let short = InsertId::from_message_id("abc");
        assert_eq!(short.further(0), short);
        assert_eq!(short.further(2).as_str(), "1abc");
        let full = InsertId::from_message_id("d19a4a76-2ec6-440c-b50e-b574d3763384");
        assert_eq!(full.further(1).as_str().len(), 36);
        assert_ne!(full.further(1), full.further(2));
        assert_ne!(full.beside("link"), full);
    }

    proptest! {
        #[test]
        fn any_message_id_gives_an_id_that_mixpanel_takes(text in ".*") {
            let id = InsertId::from_message_id(&text);
            prop_assert_eq!(InsertId::exact(id.as_str()), Some(id));
        }
    }
}
