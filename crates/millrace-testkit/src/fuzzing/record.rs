//! Records of the log: whatever is read writes back to the same bytes, or to a newer version.

use bytes::Bytes;
use millrace_model::record::{decode_batch, encode_batch};

/// One input.
pub fn record(data: &[u8]) {
    let Ok(batch) = decode_batch(Bytes::copy_from_slice(data)) else { return };
    let mut bytes = Vec::new();
    encode_batch(&batch, &mut bytes);
    assert_eq!(decode_batch(Bytes::from(bytes)), Ok(batch));
}
