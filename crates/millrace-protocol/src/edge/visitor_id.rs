//! Adobe's id of a visitor, the ECID: made, kept in a cookie, found again.
//!
//! Nothing about a visitor is stored at the collector. The client keeps the ECID in a cookie whose
//! name holds the customer's organisation and whose value the Web SDK decodes
//! (`reference/sdk-wire-formats.md` section 8).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use xxhash_rust::xxh3::xxh3_128;

use millrace_model::entropy::Entropy;

/// One more than the largest ECID.
const ECIDS: u128 = 10_u128.pow(38);

/// How long a browser keeps the identity cookie, in seconds: 395 days, as Adobe says it.
pub const IDENTITY_SECONDS: u32 = 34_128_000;

/// How long a browser keeps the consent cookie, in seconds: 180 days.
pub const CONSENT_SECONDS: u32 = 15_552_000;

/// A new ECID: 38 random digits.
#[must_use]
pub fn new_ecid(entropy: &dyn Entropy) -> String {
    let bits = (u128::from(entropy.next_u64()) << 64) | u128::from(entropy.next_u64());
    digits(bits)
}

/// The ECID of a device id that the customer keeps themselves. The same FPID always has the same
/// ECID, so that nothing has to be remembered.
#[must_use]
pub fn ecid_of_fpid(fpid: &str) -> String {
    digits(xxh3_128(fpid.as_bytes()))
}

fn digits(bits: u128) -> String {
    format!("{:038}", bits % ECIDS)
}

/// The value of the identity cookie: base64url of a message whose field 1 is the ECID.
#[must_use]
pub fn cookie_of_ecid(ecid: &str) -> String {
    let length = u8::try_from(ecid.len()).unwrap_or(u8::MAX);
    URL_SAFE_NO_PAD.encode([&[0x0a, length], ecid.as_bytes()].concat())
}

/// The name of the identity cookie of an organisation such as `ABC@AdobeOrg`.
#[must_use]
pub fn identity_cookie(organisation: &str) -> String {
    format!("kndctr_{}_identity", organisation.replace('@', "_"))
}

/// The name of the consent cookie of an organisation.
#[must_use]
pub fn consent_cookie(organisation: &str) -> String {
    format!("kndctr_{}_consent", organisation.replace('@', "_"))
}

/// The cookies in the value of a header `Cookie`: name and value.
pub fn cookies(header: &str) -> impl Iterator<Item = (&str, &str)> {
    header.split(';').filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        Some((name.trim(), value.trim().trim_matches('"')))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::ecid_of_cookie;
    use millrace_model::entropy::SeededEntropy;
    use proptest::prelude::*;

    #[test]
    fn names_and_values_are_those_of_the_web_sdk() {
        assert_eq!(identity_cookie("FAKEORG0001@AdobeOrg"), "kndctr_FAKEORG0001_AdobeOrg_identity");
        assert_eq!(consent_cookie("FAKEORG0001@AdobeOrg"), "kndctr_FAKEORG0001_AdobeOrg_consent");
        assert_eq!(
            cookie_of_ecid("31415926535897932384626433832795028841"),
            "CiYzMTQxNTkyNjUzNTg5NzkzMjM4NDYyNjQzMzgzMjc5NTAyODg0MQ"
        );
    }

    #[test]
    fn cookies_of_a_header_are_taken_apart() {
        let found: Vec<_> = cookies("a=1; b = \"x=y\" ;c; =z;d=").collect();
        assert_eq!(found, [("a", "1"), ("b", "x=y"), ("", "z"), ("d", "")]);
    }

    proptest! {
        #[test]
        fn an_ecid_survives_its_cookie(seed in any::<u64>(), fpid in ".{0,60}") {
            for ecid in [new_ecid(&SeededEntropy::new(seed)), ecid_of_fpid(&fpid)] {
                prop_assert_eq!(ecid.len(), 38);
                prop_assert_eq!(ecid_of_cookie(&cookie_of_ecid(&ecid)), Some(ecid));
            }
            prop_assert_eq!(ecid_of_fpid(&fpid), ecid_of_fpid(&fpid));
        }

        #[test]
        fn no_header_panics(header in ".{0,200}") {
            prop_assert!(cookies(&header).count() <= header.len());
        }
    }
}
