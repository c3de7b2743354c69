//! The limits of Mixpanel's ingestion (reference/mixpanel-api.md 2.3, 2.4, 3.2), in one place.

/// Events or updates in one request.
pub(crate) const RECORDS: usize = 2_000;

/// Bytes of JSON in one request, after decompression and form decoding.
pub(crate) const BODY_BYTES: usize = 10 * 1024 * 1024;

/// Bytes of a request as it is sent and after decompression. Above [`BODY_BYTES`], because a form
/// carries the same JSON as base64 or percent-encoded.
pub(crate) const WIRE_BYTES: usize = 32 * 1024 * 1024;

/// Bytes of one event or update.
pub(crate) const RECORD_BYTES: usize = 1024 * 1024;

/// Properties of an event, keys of an object and items of a list stay below this.
pub(crate) const MEMBERS: usize = 255;

/// Objects may stand in objects this deep, the property's own value counted.
pub(crate) const DEPTH: usize = 3;

/// Characters of a string in an event, of a property name and of an event name; bytes of a string
/// in a profile.
pub(crate) const TEXT: usize = 255;

/// Bytes of a list or object in an event.
pub(crate) const EVENT_VALUE_BYTES: usize = 8 * 1024;

/// Bytes of a list or object in a profile.
pub(crate) const PROFILE_VALUE_BYTES: usize = 256 * 1024;

/// Properties of a profile.
pub(crate) const PROFILE_PROPERTIES: usize = 2_000;

/// Bytes of an insert id.
pub(crate) const INSERT_ID_BYTES: usize = 36;

/// Lines of one export.
pub(crate) const EXPORT_LINES: u64 = 100_000;

/// Bytes of a lookup table before compression (reference/mixpanel-api.md 3.3).
pub(crate) const LOOKUP_TABLE_BYTES: usize = 100 * 1024 * 1024;

/// Tables that may be sent in 24 hours. Whether the list counts, too, is not documented: here not.
pub(crate) const LOOKUP_TABLE_CALLS: usize = 100;

/// Rows that an answer to a lookup table names.
pub(crate) const FAILED_RECORDS: usize = 10;

/// What `/track` takes reaches back this far.
pub(crate) const TRACK_AGE_MILLIS: i64 = 5 * 24 * 3_600_000;

/// 1971-01-01T00:00:00Z: no event is older.
pub(crate) const OLDEST_MILLIS: i64 = 31_536_000_000;
