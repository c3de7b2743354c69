//! IAB Transparency and Consent strings, version 2: the purposes of the core segment.
//!
//! The layout is that of IAB Tech Lab's "Consent string and vendor list formats v2": base64url
//! segments between dots, the first of which is the core; its fields are packed bit by bit, highest
//! bit first. Only version and purposes are read; vendors and publisher restrictions are not, since
//! a pipeline asks what for, and not for whom.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::evidence::Statement;
use super::vocabulary::Category;

/// The letters of a core segment that are read: enough for every field before the vendors.
const CORE_LETTERS: usize = 40;
/// Where fields stand in the core segment, in bits.
const PURPOSE_CONSENTS: usize = 152;
const PURPOSE_INTERESTS: usize = 176;
/// How many purposes there is room for.
const PURPOSES: u8 = 24;

/// Which purposes must be allowed for a category, and on which basis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcfMeaning {
    /// Category and the purposes that it takes, all of them.
    pub purposes: Vec<(Category, Vec<u8>)>,
    /// Whether a legitimate interest that the person has not objected to counts as consent, for
    /// the purposes for which the framework knows it (2 and 7 to 11).
    pub legitimate_interest: bool,
}

impl Default for TcfMeaning {
    /// Storing on the device (1) is what anything takes; beyond that: measuring content (8) and
    /// audiences (9) for analytics, advertising profiles (3) and their use (4) for marketing,
    /// content profiles (5) and their use (6) for personalization.
    fn default() -> TcfMeaning {
        TcfMeaning {
            purposes: vec![
                (Category::Functional, vec![1]),
                (Category::Analytics, vec![1, 8, 9]),
                (Category::Marketing, vec![1, 3, 4]),
                (Category::Personalization, vec![1, 5, 6]),
            ],
            legitimate_interest: false,
        }
    }
}

/// The purposes of a consent string: bit 0 is purpose 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Purposes {
    /// What the person has consented to.
    pub(super) consents: u32,
    /// For what a legitimate interest was shown and not objected to.
    pub(super) interests: u32,
}

/// Reads the purposes of a consent string; none when it is no string of version 2.
#[must_use]
pub(super) fn read(string: &str) -> Option<Purposes> {
    let core = string.trim().split('.').next()?.trim_end_matches('=');
    let core = core.get(..CORE_LETTERS.min(core.len()))?;
    // A whole number of octets: letters beyond the last multiple of four are of later fields.
    let core = core.get(..core.len() / 4 * 4)?;
    let octets = URL_SAFE_NO_PAD.decode(core).ok()?;
    if bits(&octets, 0, 6)? != 2 {
        return None;
    }
    let purposes = |at: usize| {
        // The first purpose stands in the highest bit.
        let packed = bits(&octets, at, usize::from(PURPOSES))?;
        Some((packed << (32 - u32::from(PURPOSES))).reverse_bits())
    };
    Some(Purposes {
        consents: purposes(PURPOSE_CONSENTS)?,
        interests: purposes(PURPOSE_INTERESTS)?,
    })
}

/// Up to 32 bits from a place; none when there are fewer.
fn bits(octets: &[u8], at: usize, count: usize) -> Option<u32> {
    (at..at + count).try_fold(0_u32, |number, bit| {
        let octet = octets.get(bit / 8)?;
        Some(number << 1 | u32::from(octet >> (7 - bit % 8) & 1))
    })
}

impl Purposes {
    fn allow(self, purpose: u8, legitimate_interest: bool) -> bool {
        let Some(place) = purpose.checked_sub(1).filter(|place| *place < PURPOSES) else {
            return false;
        };
        let has = |set: u32| set >> place & 1 == 1;
        let by_interest = legitimate_interest && matches!(purpose, 2 | 7..=11);
        has(self.consents) || (by_interest && has(self.interests))
    }
}

/// What a consent string says about the categories.
#[must_use]
pub(super) fn statement(string: &str, meaning: &TcfMeaning) -> Statement {
    let mut statement = Statement::default();
    match read(string) {
        Some(purposes) => {
            for (category, wanted) in &meaning.purposes {
                let granted = wanted
                    .iter()
                    .all(|purpose| purposes.allow(*purpose, meaning.legitimate_interest));
                statement.say(category.as_str(), granted);
            }
        }
        None => statement.unreadable(),
    }
    statement
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A consent string with these purposes, and a first vendor bit field as platforms write it.
    pub(crate) fn encode(consents: &[u8], interests: &[u8]) -> String {
        let mut bits = String::new();
        let mut put = |number: u64, count: usize| {
            bits.push_str(&format!("{number:0count$b}"));
        };
        let set =
            |purposes: &[u8]| purposes.iter().fold(0_u64, |set, purpose| set | 1 << (24 - purpose));
        put(2, 6);
        put(16_000_000_000, 36);
        put(16_000_000_001, 36);
        put(300, 12);
        put(2, 12);
        put(1, 6);
        put(0b000_100_001_101, 12);
        put(150, 12);
        put(4, 6);
        put(1, 1);
        put(0, 1);
        put(0, 12);
        put(set(consents), 24);
        put(set(interests), 24);
        put(0, 1);
        put(0b000_011_000_100, 12);
        put(10, 16);
        put(0, 1);
        put(0b10_1010_1010, 10);
        put(0, 16);
        put(0, 1);
        let octets: Vec<u8> = bits
            .as_bytes()
            .chunks(8)
            .map(|octet| {
                let text = format!("{:0<8}", std::str::from_utf8(octet).unwrap());
                u8::from_str_radix(&text, 2).unwrap()
            })
            .collect();
        URL_SAFE_NO_PAD.encode(octets)
    }

    fn purposes(string: &str) -> Option<(Vec<u8>, Vec<u8>)> {
        let list = |set: u32| (1..=24).filter(|at| set >> (at - 1) & 1 == 1).collect();
        read(string).map(|purposes| (list(purposes.consents), list(purposes.interests)))
    }

    #[test]
    fn strings_of_the_specification_and_of_public_decoders_are_read() {
        for (string, consents, interests) in [
            // The example of IAB Tech Lab's specification.
            (
                "COvFyGBOvFyGBAbAAAENAPCAAOAAAAAAAAAAAEEUACCKAAA.IFoEUQQgAIQwgIwQABAEAAAAOIAACAIAAAAQ",
                vec![1, 2, 3],
                vec![],
            ),
            // The example of IAB's decoder for Java.
            ("COtybn4PA_zT4KjACBENAPCIAEBAAECAAIAAAAAAAAAA", vec![2, 10], vec![2, 9]),
            // The example of a client library for Go, cut after the purposes.
            (
                "COxR03kOxR1CqBcABCENAgCMAP_AAH_AAAqIF3EXySoGY2thI2YVFxBEIYwfJxyigMgChgQIsSwNQIeFLBoGLiAA",
                (1..=10).collect(),
                (2..=10).collect(),
            ),
        ] {
            assert_eq!(purposes(string), Some((consents, interests)), "{string}");
        }
    }

    #[test]
    fn what_is_no_string_of_version_2_is_refused() {
        // The third is one of version 1, which ended in 2020.
        for string in
            ["", "C", "BOEFEAyOEFEAyAHABDENAIgAAAB9vABAASA", "....", "COvFyGBOvFyGBAbAAAENAP", "é"]
        {
            assert_eq!(read(string), None, "{string}");
        }
    }

    #[test]
    fn categories_take_all_of_their_purposes() {
        let said = |string: &str, meaning: &TcfMeaning| {
            let mut evidence = crate::consent::evidence::Evidence::default();
            evidence.take("tcf", statement(string, meaning), &Default::default());
            evidence
                .canonical()
                .iter()
                .filter(|(_, granted)| **granted)
                .map(|(c, _)| c.as_str())
                .collect::<Vec<_>>()
        };
        let strict = TcfMeaning::default();
        let all: Vec<u8> = (1..=11).collect();
        for (consents, interests, wanted) in [
            (vec![], vec![], vec![]),
            (vec![1], vec![], vec!["functional"]),
            (vec![1, 8, 9], vec![], vec!["functional", "analytics"]),
            (vec![1, 8], vec![9], vec!["functional"]),
            (vec![8, 9], vec![], vec![]),
            (vec![1, 3, 4], vec![], vec!["functional", "marketing"]),
            (vec![1, 3], vec![4], vec!["functional"]),
            (all, vec![], vec!["functional", "analytics", "marketing", "personalization"]),
        ] {
            let string = encode(&consents, &interests);
            assert_eq!(said(&string, &strict), wanted, "{consents:?} {interests:?}");
        }
        let lenient = TcfMeaning { legitimate_interest: true, ..TcfMeaning::default() };
        assert_eq!(said(&encode(&[1], &[8, 9]), &lenient), ["functional", "analytics"]);
        // An interest is never enough for profiles.
        assert_eq!(said(&encode(&[1], &[3, 4, 5, 6]), &lenient), ["functional"]);
    }

    proptest! {
        #[test]
        fn purposes_read_back(
            consents in proptest::collection::btree_set(1..=24_u8, 0..24),
            interests in proptest::collection::btree_set(1..=24_u8, 0..24),
        ) {
            let (consents, interests): (Vec<u8>, Vec<u8>) =
                (consents.into_iter().collect(), interests.into_iter().collect());
            let string = encode(&consents, &interests);
            prop_assert_eq!(purposes(&string), Some((consents, interests)));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,300}", letters in "[A-Za-z0-9_.=-]{0,400}") {
            let _ = (read(&text), read(&letters));
            let _ = statement(&letters, &TcfMeaning::default());
        }
    }
}
