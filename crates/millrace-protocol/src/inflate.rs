//! From the body of a request to the UTF-8 text of its JSON: gzip, byte order mark, repair.
//!
//! The content type is never looked at: SDKs label gzipped JSON as a form and JSON as plain text
//! (`reference/sdk-wire-formats.md` 1.1). The bytes decide; the content encoding is only a hint.

use std::io::Read;

use bytes::Bytes;

use crate::error::DecodeError;

/// Decompressed bytes between two questions for room.
const STEP: usize = 64 << 10;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const BYTE_ORDER_MARK: [u8; 3] = [0xef, 0xbb, 0xbf];
const REPLACEMENT: &str = "\u{fffd}";

/// True when [`decode_body`] would decompress this body.
#[must_use]
pub fn is_compressed(body: &[u8]) -> bool {
    body.starts_with(&GZIP_MAGIC)
}

/// Decompresses a body where it is gzip, once or twice, skips a byte order mark and repairs what is
/// not UTF-8.
///
/// A body in plain UTF-8 comes back as it is, without a copy. An empty `Content-Encoding` means
/// none (mixpanel-import sends it), and one that says gzip over plain JSON is taken for a proxy's
/// that has decompressed it: JSON never begins like gzip, so there is no doubt.
///
/// # Errors
/// When the body is damaged gzip, of an unknown encoding, or passes `limit` bytes decompressed.
pub fn decode_body(
    body: Bytes,
    content_encoding: &str,
    limit: usize,
) -> Result<Bytes, DecodeError> {
    decode_body_within(body, content_encoding, limit, |_| true)
}

/// The same, telling `has_room` of every further part of a decompressed body, 64 KiB at most.
/// When it says no, decompression ends there with [`DecodeError::TooLarge`].
///
/// # Errors
/// As [`decode_body`].
pub fn decode_body_within(
    body: Bytes,
    content_encoding: &str,
    limit: usize,
    mut has_room: impl FnMut(usize) -> bool,
) -> Result<Bytes, DecodeError> {
    let body = if is_compressed(&body) {
        let outer = inflate(&body, limit, &mut has_room)?;
        // A client has compressed, and a proxy before us once more. Both count towards the limit.
        if is_compressed(&outer) {
            let rest = limit.saturating_sub(outer.len());
            inflate(&outer, rest, &mut has_room).map_err(|error| match error {
                DecodeError::TooLarge { .. } => DecodeError::TooLarge { limit },
                other => other,
            })?
        } else {
            outer
        }
    } else {
        check_encoding(&body, content_encoding)?;
        body
    };
    // Places in the body are kept in 32 bits.
    let limit = limit.min(u32::MAX as usize);
    if body.len() > limit {
        return Err(DecodeError::TooLarge { limit });
    }
    let body = if body.starts_with(&BYTE_ORDER_MARK) { body.slice(3..) } else { body };
    if std::str::from_utf8(&body).is_ok() {
        return Ok(body);
    }
    repair_utf8(&body, limit).map(Bytes::from).ok_or(DecodeError::TooLarge { limit })
}

fn check_encoding(body: &[u8], content_encoding: &str) -> Result<(), DecodeError> {
    let encoding = content_encoding.trim();
    if encoding.is_empty() || encoding.eq_ignore_ascii_case("identity") {
        return Ok(());
    }
    if !encoding.eq_ignore_ascii_case("gzip") && !encoding.eq_ignore_ascii_case("x-gzip") {
        return Err(DecodeError::UnknownEncoding);
    }
    match body.trim_ascii_start().first() {
        None if body.is_empty() => Err(DecodeError::Empty),
        Some(b'{' | b'[') => Ok(()),
        _ => Err(DecodeError::BadGzip),
    }
}

fn inflate(
    body: &[u8],
    limit: usize,
    mut has_room: impl FnMut(usize) -> bool,
) -> Result<Bytes, DecodeError> {
    let likely = body.len().saturating_mul(4).min(limit);
    let mut text = Vec::with_capacity(likely);
    let mut decoder = flate2::bufread::MultiGzDecoder::new(body);
    loop {
        // One byte more than may be shows that there is more.
        let step = STEP.min(limit.saturating_add(1).saturating_sub(text.len()));
        let before = text.len();
        let mut part = decoder.by_ref().take(u64::try_from(step).unwrap_or(u64::MAX));
        part.read_to_end(&mut text).map_err(|_| DecodeError::BadGzip)?;
        let read = text.len() - before;
        if text.len() > limit || !has_room(read) {
            return Err(DecodeError::TooLarge { limit });
        }
        if read < step {
            return Ok(Bytes::from(text));
        }
    }
}

/// Makes UTF-8 of nearly UTF-8: surrogate pairs that were encoded one by one (CESU-8) are joined,
/// anything else that is invalid becomes U+FFFD. Nothing when that grows past the limit.
fn repair_utf8(body: &[u8], limit: usize) -> Option<Vec<u8>> {
    let mut text = Vec::with_capacity(body.len() + body.len() / 8);
    let mut rest = body;
    while !rest.is_empty() {
        let valid = match std::str::from_utf8(rest) {
            Ok(_) => rest.len(),
            Err(error) => error.valid_up_to(),
        };
        let (good, bad) = rest.split_at(valid);
        text.extend_from_slice(good);
        rest = bad;
        if text.len() > limit {
            return None;
        }
        if let Some((pair, after)) = bad.split_first_chunk::<6>()
            && let Some(joined) = join_surrogates(*pair)
        {
            text.extend_from_slice(joined.encode_utf8(&mut [0; 4]).as_bytes());
            rest = after;
        } else if !bad.is_empty() {
            text.extend_from_slice(REPLACEMENT.as_bytes());
            let skip = match std::str::from_utf8(bad) {
                Ok(_) => 0,
                Err(error) => error.error_len().unwrap_or(bad.len()),
            };
            rest = bad.get(skip.max(1)..).unwrap_or_default();
        }
    }
    (text.len() <= limit).then_some(text)
}

/// The character of a surrogate pair in CESU-8.
fn join_surrogates(pair: [u8; 6]) -> Option<char> {
    let [0xed, a @ 0xa0..=0xaf, b @ 0x80..=0xbf, 0xed, c @ 0xb0..=0xbf, d @ 0x80..=0xbf] = pair
    else {
        return None;
    };
    let high = (u32::from(a & 0x0f) << 6) | u32::from(b & 0x3f);
    let low = (u32::from(c & 0x0f) << 6) | u32::from(d & 0x3f);
    char::from_u32(0x1_0000 + ((high << 10) | low))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    const LIMIT: usize = 1 << 20;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn decode(body: &[u8], encoding: &str) -> Result<Vec<u8>, DecodeError> {
        decode_body(Bytes::copy_from_slice(body), encoding, LIMIT).map(|body| body.to_vec())
    }

    #[test]
    fn the_bytes_decide_what_is_compressed() {
        let plain = b"{\"a\":1}".to_vec();
        for encoding in ["", " ", "identity", "gzip", "x-gzip", "GZIP"] {
            assert_eq!(decode(&plain, encoding), Ok(plain.clone()), "{encoding}");
        }
        for encoding in ["", "gzip", "identity"] {
            assert_eq!(decode(&gzip(&plain), encoding), Ok(plain.clone()), "{encoding}");
        }
        assert_eq!(decode(&plain, "br"), Err(DecodeError::UnknownEncoding));
        assert_eq!(decode(b"abc", "gzip"), Err(DecodeError::BadGzip));
        assert_eq!(decode(b"", "gzip"), Err(DecodeError::Empty));
        let two = [gzip(b"{\"a\""), gzip(b":1}")].concat();
        assert_eq!(decode(&two, "gzip"), Ok(plain.clone()));
        assert_eq!(decode(&gzip(&gzip(&plain)), "gzip"), Ok(plain));
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        let bomb = gzip(&vec![b' '; 8 * LIMIT]);
        assert!(bomb.len() < 100_000);
        assert_eq!(decode(&bomb, ""), Err(DecodeError::TooLarge { limit: LIMIT }));
        let twice = gzip(&gzip(&vec![b' '; 64 * LIMIT]));
        assert_eq!(decode(&twice, ""), Err(DecodeError::TooLarge { limit: LIMIT }));
        assert_eq!(decode(&gzip(&vec![b' '; LIMIT]), "").map(|body| body.len()), Ok(LIMIT));
    }

    #[test]
    fn without_room_decompression_ends() {
        for size in [0, 1, STEP - 1, STEP, STEP + 1, 3 * STEP, 3 * STEP + 7] {
            let (mut asked, mut most) = (0, 0);
            let body = Bytes::from(gzip(&vec![b' '; size]));
            let decoded = decode_body_within(body.clone(), "", LIMIT, |more| {
                (asked, most) = (asked + more, most.max(more));
                true
            });
            assert_eq!(decoded.map(|body| body.len()), Ok(size));
            assert!(asked == size && most <= STEP, "{size}: {asked}, {most}");
            let mut left = 2 * STEP;
            let bounded = decode_body_within(body, "", LIMIT, |more| {
                let fits = left.checked_sub(more);
                left = fits.unwrap_or_default();
                fits.is_some()
            });
            assert_eq!(bounded.is_ok(), size <= 2 * STEP, "{size}");
        }
    }

    #[test]
    fn every_cut_of_a_gzip_body_is_an_error() {
        let whole = gzip(b"{\"userId\":\"u1\",\"event\":\"a\"}");
        for cut in 2..whole.len() {
            assert_eq!(decode(&whole[..cut], "gzip"), Err(DecodeError::BadGzip), "{cut}");
        }
    }

    #[test]
    fn text_is_repaired_rather_than_refused() {
        let table: [(&[u8], &str); 8] = [
            (b"\xef\xbb\xbf{}", "{}"),
            (b"\xed\xa0\xbd\xed\xb0\x8e", "\u{1f40e}"),
            (b"a\xed\xa0\xbdb", "a\u{fffd}\u{fffd}\u{fffd}b"),
            (b"\xed\xb0\x8e", "\u{fffd}\u{fffd}\u{fffd}"),
            (b"caf\xe9!", "caf\u{fffd}!"),
            (b"\xff\xfe", "\u{fffd}\u{fffd}"),
            (b"cut \xe2\x82", "cut \u{fffd}"),
            (b"\xc0\x80", "\u{fffd}\u{fffd}"),
        ];
        for (bytes, text) in table {
            assert_eq!(decode(bytes, ""), Ok(text.as_bytes().to_vec()), "{bytes:x?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_become_text_or_an_error(
            bytes in proptest::collection::vec(any::<u8>(), 0..400),
            encoding in "(gzip|identity|br|)"
        ) {
            if let Ok(body) = decode(&bytes, &encoding) {
                prop_assert!(std::str::from_utf8(&body).is_ok());
            }
        }

        #[test]
        fn text_stays_as_it_is(text in "[^\u{feff}\u{1f}].*") {
            prop_assert_eq!(decode(text.as_bytes(), ""), Ok(text.into_bytes()));
        }

        #[test]
        fn gzip_is_inverse(bytes in "[a-z{}\":]{0,300}") {
            prop_assert_eq!(decode(&gzip(bytes.as_bytes()), ""), Ok(bytes.into_bytes()));
        }
    }
}
