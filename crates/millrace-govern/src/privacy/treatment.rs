//! What is done to a single text: hashed or masked.

use std::net::IpAddr;

use millrace_model::secret::Secret;
use ring::{digest, hmac};

/// What stands for what a mask hides. Its length is the same for all values.
const HIDDEN: &str = "***";

/// How Mixpanel marks the id of a device as such.
pub(super) const DEVICE_PREFIX: &str = "$device:";

/// Hashes with SHA-256, keyed with a secret if there is one (HMAC).
#[derive(Debug)]
pub(super) struct Hasher {
    key: Option<hmac::Key>,
    /// Hash also what looks like a hash.
    again: bool,
}

impl Hasher {
    pub(super) fn new(secret: Option<&Secret>, again: bool) -> Hasher {
        let key =
            secret.map(|secret| hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes()));
        Hasher { key, again }
    }

    /// The hash of a value, 64 hexadecimal digits. Mixpanel's mark of a device's id stays before it,
    /// so that the id has the same hash with it and without. An e-mail address is trimmed and put in lower case
    /// before, so that it is the same one wherever it was typed. What is 64 hexadecimal digits is
    /// taken for a hash already: a client may have hashed it, or the event comes a second time.
    pub(super) fn hash(&self, value: &str) -> String {
        if let Some(device) = value.strip_prefix(DEVICE_PREFIX) {
            return format!("{DEVICE_PREFIX}{}", self.bare(device));
        }
        self.bare(value)
    }

    fn bare(&self, value: &str) -> String {
        if !self.again && value.len() == 64 && value.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return value.to_ascii_lowercase();
        }
        let trimmed = value.trim();
        if email_domain(trimmed).is_some() {
            return self.bytes(trimmed.to_lowercase().as_bytes());
        }
        self.bytes(value.as_bytes())
    }

    /// The hash of bytes, as they are.
    pub(super) fn bytes(&self, bytes: &[u8]) -> String {
        match &self.key {
            Some(key) => hex(hmac::sign(key, bytes).as_ref()),
            None => hex(digest::digest(&digest::SHA256, bytes).as_ref()),
        }
    }
}

/// Hides a value but for what is useful and names nobody: of an address its network (24 bits of IPv4,
/// 48 of IPv6), of an e-mail address its domain, else the last characters. Masking what is masked
/// changes nothing.
pub(super) fn mask(value: &str, keep_last: usize) -> String {
    let trimmed = value.trim();
    if let Ok(ip) = trimmed.parse::<IpAddr>() {
        return network(ip);
    }
    if let Some(domain) = email_domain(trimmed) {
        return format!("{HIDDEN}@{}", domain.to_lowercase());
    }
    let letters = value.chars().count();
    if letters <= HIDDEN.len() + keep_last && value.starts_with(HIDDEN) {
        return value.to_owned();
    }
    // At least as much is hidden as is shown, and no short value is shown at all.
    if letters < 2 * keep_last || letters < 4 {
        return HIDDEN.to_owned();
    }
    let shown: String = value.chars().skip(letters - keep_last).collect();
    format!("{HIDDEN}{shown}")
}

fn network(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, c, _] = ip.octets();
            format!("{a}.{b}.{c}.0")
        }
        IpAddr::V6(ip) => {
            let [a, b, c, ..] = ip.segments();
            std::net::Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0).to_string()
        }
    }
}

/// The domain of an e-mail address; nothing when the text is none.
fn email_domain(text: &str) -> Option<&str> {
    let (name, domain) = text.rsplit_once('@')?;
    let plain = !name.is_empty() && !domain.is_empty() && !text.contains(char::is_whitespace);
    plain.then_some(domain)
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let digit = |half: u8| DIGITS.get(usize::from(half)).copied().unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_that_everybody_makes() {
        let plain = Hasher::new(None, false);
        let ann = "e13e8ec49f2e64e9ce8a89a1d0fea7c1b3d8c0a1e41d1a3c0e5b0a0d6c1f4f5b";
        assert_eq!(
            plain.hash("abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(plain.hash(" Ann@Shop.example "), plain.hash("ann@shop.example"));
        assert_ne!(plain.hash(" Ann "), plain.hash("ann"));
        assert_eq!(plain.hash(&ann.to_uppercase()), ann);
        assert_ne!(Hasher::new(None, true).hash(ann), ann);
        // RFC 4231, test case 2.
        let keyed = Hasher::new(Some(&Secret::new("Jefe")), false);
        assert_eq!(
            keyed.hash("what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn masks_show_little_and_masking_again_changes_nothing() {
        let table = [
            ("203.0.113.77", "203.0.113.0"),
            ("::ffff:203.0.113.77", "203.0.113.0"),
            ("2001:db8:1:2:3::4", "2001:db8:1::"),
            (" Ann.Bell@Shop.example", "***@shop.example"),
            ("4111111111111111", "***1111"),
            ("+49 228 1234567", "***4567"),
            ("secret", "***"),
            ("12", "***"),
            (
                "\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}",
                "***\u{e9}\u{e9}\u{e9}\u{e9}",
            ),
        ];
        for (value, masked) in table {
            assert_eq!(mask(value, 4), masked, "{value}");
            assert_eq!(mask(masked, 4), masked, "{masked}");
        }
        assert_eq!(mask("4111111111111111", 0), "***");
    }
}
