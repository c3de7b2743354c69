//! Member names that are longer than Mixpanel keeps.
//!
//! Mixpanel cuts a name to [`NAME_LIMIT`] characters (reference/mixpanel-api.md 2.3), so that two
//! names that begin alike become one property. A shorter name is made here instead, which depends
//! on the whole name and on nothing else: every event writes the same one.

use xxhash_rust::xxh3::xxh3_64;

/// How many characters of a property name Mixpanel keeps (reference/mixpanel-api.md 2.3, 3.2).
pub(crate) const NAME_LIMIT: usize = 255;

/// What stands behind the kept beginning: `~` and the hash of the whole name in 16 digits.
const TAIL: usize = 17;

/// A name that Mixpanel keeps whole in place of one that it would cut; none when it would not.
pub(crate) fn shortened(name: &str) -> Option<String> {
    if name.len() <= NAME_LIMIT || name.chars().nth(NAME_LIMIT).is_none() {
        return None;
    }
    let mut short: String = name.chars().take(NAME_LIMIT - TAIL).collect();
    short.push_str(&format!("~{:016x}", xxh3_64(name.as_bytes())));
    Some(short)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_stay_different() {
        assert_eq!(shortened(&"n".repeat(255)), None);
        assert_eq!(shortened(&"ä".repeat(255)), None);
        let (one, other) = ("ä".repeat(255) + "1", "ä".repeat(255) + "2");
        let short = shortened(&one).unwrap_or_default();
        assert_eq!(short.chars().count(), 255);
        assert!(short.starts_with(&"ä".repeat(238)) && shortened(&other) != Some(short.clone()));
        // Written down once: another name would be another property.
        assert_eq!(short.get(238 * 2..), Some("~bfba23e1ac8f3208"));
    }
}
