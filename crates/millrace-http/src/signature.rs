//! Signatures of requests: HMAC-SHA256 over the bytes as they were sent, compared in constant time.
//!
//! It knows the forms (`reference/datafly-adobe.md` 1.2 and what Stripe, Shopify and HubSpot publish
//! about theirs), not who may sign. A signature that carries a time holds for five minutes to either
//! side of the collector's clock, so that a request that was listened to cannot be sent again later.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use percent_encoding::percent_decode_str;
use ring::hmac;
use subtle::ConstantTimeEq;

use millrace_model::secret::Secret;
use millrace_model::time::UnixMillis;

/// How far the time of a signature may be from now.
pub(crate) const TOLERANCE_MILLIS: i64 = 5 * 60_000;
/// More signatures than this in one header are not looked at.
const MAX_SIGNATURES: usize = 16;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Why a signature does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// There is none where it belongs.
    Missing,
    /// It does not fit.
    Wrong,
    /// It was made more than five minutes before or after now.
    Expired,
}

/// The HMAC of several pieces as one.
fn mac(secret: &Secret, pieces: &[&[u8]]) -> hmac::Tag {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
    let mut context = hmac::Context::with_key(&key);
    for piece in pieces {
        context.update(piece);
    }
    context.sign()
}

fn is_mac(given: &[u8], secret: &Secret, pieces: &[&[u8]]) -> bool {
    // An empty secret is no secret: it would let everybody in.
    !secret.is_empty() && mac(secret, pieces).as_ref().ct_eq(given).into()
}

/// A time in milliseconds that is close enough to now.
fn is_fresh(at: i64, now: UnixMillis) -> bool {
    now.0.saturating_sub(at).saturating_abs() <= TOLERANCE_MILLIS
}

/// Datafly's: `X-Signature: sha256=HEX` over `X-Timestamp`, a dot and the body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Datafly<'a> {
    signature: [u8; 32],
    timestamp: &'a str,
}

impl<'a> Datafly<'a> {
    /// Reads the two headers.
    pub(crate) fn read(
        signature: &str,
        timestamp: Option<&'a str>,
        now: UnixMillis,
    ) -> Result<Datafly<'a>, Fault> {
        let timestamp = timestamp.ok_or(Fault::Missing)?.trim();
        let at: i64 = timestamp.parse().map_err(|_| Fault::Wrong)?;
        if !is_fresh(at, now) {
            return Err(Fault::Expired);
        }
        let hex = signature.trim().strip_prefix("sha256=").ok_or(Fault::Wrong)?;
        Ok(Datafly { signature: sha256_hex(hex).ok_or(Fault::Wrong)?, timestamp })
    }

    /// True when it was made with this secret.
    pub(crate) fn is_by(&self, secret: &Secret, body: &[u8]) -> bool {
        is_mac(&self.signature, secret, &[self.timestamp.as_bytes(), b".", body])
    }
}

/// Stripe's: `t=SECONDS,v1=HEX`, perhaps with several `v1` while a secret is changed.
pub(crate) fn check_stripe(
    header: Option<&str>,
    body: &[u8],
    secret: &Secret,
    now: UnixMillis,
) -> Result<(), Fault> {
    let header = header.ok_or(Fault::Missing)?;
    let (mut timestamp, mut signatures) = (None, Vec::new());
    for part in header.split(',') {
        match part.trim().split_once('=') {
            Some(("t", value)) => timestamp = Some(value),
            Some(("v1", value)) if signatures.len() < MAX_SIGNATURES => {
                signatures.extend(sha256_hex(value));
            }
            _ => {}
        }
    }
    let timestamp = timestamp.ok_or(Fault::Wrong)?;
    let seconds: i64 = timestamp.parse().map_err(|_| Fault::Wrong)?;
    let pieces = [timestamp.as_bytes(), b".", body];
    if !signatures.iter().any(|signature| is_mac(signature, secret, &pieces)) {
        return Err(Fault::Wrong);
    }
    if is_fresh(seconds.saturating_mul(1000), now) { Ok(()) } else { Err(Fault::Expired) }
}

/// Shopify's: base64 of the HMAC over the body.
pub(crate) fn check_shopify(
    header: Option<&str>,
    body: &[u8],
    secret: &Secret,
) -> Result<(), Fault> {
    let given = BASE64.decode(header.ok_or(Fault::Missing)?.trim()).map_err(|_| Fault::Wrong)?;
    if is_mac(&given, secret, &[body]) { Ok(()) } else { Err(Fault::Wrong) }
}

/// What HubSpot's third version signs beside the body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HubSpotRequest<'a> {
    pub(crate) method: &'a str,
    /// The whole address as HubSpot called it.
    pub(crate) address: &'a str,
    pub(crate) signature: Option<&'a str>,
    pub(crate) timestamp: Option<&'a str>,
}

/// HubSpot's third version: base64 of the HMAC over method, address, body and time.
pub(crate) fn check_hubspot(
    request: HubSpotRequest<'_>,
    body: &[u8],
    secret: &Secret,
    now: UnixMillis,
) -> Result<(), Fault> {
    let given = request.signature.ok_or(Fault::Missing)?.trim();
    let timestamp = request.timestamp.ok_or(Fault::Missing)?.trim();
    let at: i64 = timestamp.parse().map_err(|_| Fault::Wrong)?;
    let given = BASE64.decode(given).map_err(|_| Fault::Wrong)?;
    let address = hubspot_address(request.address);
    let pieces = [request.method.as_bytes(), address.as_bytes(), body, timestamp.as_bytes()];
    if !is_mac(&given, secret, &pieces) {
        return Err(Fault::Wrong);
    }
    if is_fresh(at, now) { Ok(()) } else { Err(Fault::Expired) }
}

/// HubSpot signs the address with these escapes taken back, and no others.
fn hubspot_address(address: &str) -> String {
    const DECODED: [&str; 12] =
        ["3A", "2F", "3F", "40", "21", "24", "27", "28", "29", "2A", "2C", "3B"];
    let mut out = String::with_capacity(address.len());
    let mut rest = address;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        let hex = after.get(..2).unwrap_or_default();
        let known = DECODED.iter().find(|code| code.eq_ignore_ascii_case(hex));
        match (known, after.get(2..)) {
            (Some(code), Some(following)) => {
                let escape = format!("%{code}");
                out.push_str(&percent_decode_str(&escape).decode_utf8_lossy());
                rest = following;
            }
            _ => {
                out.push('%');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

/// A sender of one's own: an HMAC over the body, in hexadecimal or base64, with or without
/// `sha256=` before it.
pub(crate) fn check_hmac(header: Option<&str>, body: &[u8], secret: &Secret) -> Result<(), Fault> {
    let given = header.ok_or(Fault::Missing)?.trim();
    let given = given.strip_prefix("sha256=").unwrap_or(given);
    let given = match sha256_hex(given) {
        Some(bytes) => bytes.to_vec(),
        None => BASE64.decode(given).map_err(|_| Fault::Wrong)?,
    };
    if is_mac(&given, secret, &[body]) { Ok(()) } else { Err(Fault::Wrong) }
}

/// The 32 bytes of 64 hexadecimal digits.
fn sha256_hex(text: &str) -> Option<[u8; 32]> {
    let digits = text.trim().as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |at: usize| char::from(*pair.get(at)?).to_digit(16);
        *byte = u8::try_from(digit(0)? * 16 + digit(1)?).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// RFC 4231, test case 2.
    #[test]
    fn the_mac_is_that_of_the_rfc() {
        let tag = mac(&Secret::new("Jefe"), &[b"what do ya want ", b"for nothing?"]);
        assert_eq!(
            hex(tag.as_ref()),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn a_time_holds_for_five_minutes_to_either_side() {
        let now = UnixMillis(1_763_800_000_000);
        let secret = Secret::new("s");
        let table = [(0, None), (300_000, None), (-300_000, None)]
            .into_iter()
            .chain([(300_001, Some(Fault::Expired)), (-301_000, Some(Fault::Expired))]);
        for (skew, wanted) in table {
            let timestamp = (now.0 + skew).to_string();
            let tag = mac(&secret, &[timestamp.as_bytes(), b".", b"body"]);
            let signature = format!("sha256={}", hex(tag.as_ref()));
            let read = Datafly::read(&signature, Some(&timestamp), now);
            assert_eq!(read.as_ref().err().copied(), wanted, "{skew}");
            if let Ok(read) = read {
                assert!(read.is_by(&secret, b"body"));
                assert!(!read.is_by(&secret, b"bodY") && !read.is_by(&Secret::new("t"), b"body"));
            }
        }
        let read = |signature, timestamp| Datafly::read(signature, timestamp, now).err();
        assert_eq!(read("sha256=00", Some("1763800000000")), Some(Fault::Wrong));
        assert_eq!(read("sha256=00", Some("soon")), Some(Fault::Wrong));
        assert_eq!(read("sha256=00", None), Some(Fault::Missing));
        assert_eq!(read("sha256=00", Some("-9223372036854775808")), Some(Fault::Expired));
    }

    #[test]
    fn an_empty_secret_opens_nothing() {
        let empty = Secret::new("");
        let tag = mac(&empty, &[b"body"]);
        let header = BASE64.encode(tag.as_ref());
        assert_eq!(check_shopify(Some(&header), b"body", &empty), Err(Fault::Wrong));
    }

    #[test]
    fn hubspot_takes_back_some_escapes_only() {
        let address = "https://a.example/v1/webhook?source=wh&x=%3A%2f%40%20%C3%A4%2%";
        assert_eq!(
            hubspot_address(address),
            "https://a.example/v1/webhook?source=wh&x=:/@%20%C3%A4%2%"
        );
    }

    #[test]
    fn stripes_header_may_hold_several_signatures() {
        let (now, secret) = (UnixMillis(1_763_800_000_000), Secret::new("whsec"));
        let good = hex(mac(&secret, &[b"1763800000", b".", b"{}"]).as_ref());
        let bad = "0".repeat(64);
        let check = |header: &str| check_stripe(Some(header), b"{}", &secret, now);
        assert_eq!(check(&format!("t=1763800000,v1={bad},v1={good},v0=x")), Ok(()));
        assert_eq!(check(&format!("t=1763800000,v1={bad}")), Err(Fault::Wrong));
        assert_eq!(check(&format!("t=1763800000,v0={good}")), Err(Fault::Wrong));
        assert_eq!(check(&format!("v1={good}")), Err(Fault::Wrong));
        assert_eq!(check("t=x"), Err(Fault::Wrong));
        assert_eq!(check_stripe(None, b"{}", &secret, now), Err(Fault::Missing));
        let old = hex(mac(&secret, &[b"1763799699", b".", b"{}"]).as_ref());
        assert_eq!(check(&format!("t=1763799699,v1={old}")), Err(Fault::Expired));
        // Over an unsigned time one learns nothing: the signature is judged first.
        assert_eq!(check(&format!("t=1,v1={good}")), Err(Fault::Wrong));
    }
}
