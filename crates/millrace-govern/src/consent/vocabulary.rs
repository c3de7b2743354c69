//! What the codes of consent platforms mean: code to canonical categories.
//!
//! Codes are compared in one spelling ([`normalised`]). A code without a meaning here is kept under
//! its own name, so that an integration may ask for it, and says nothing about any category.

use std::collections::BTreeMap;

use millrace_model::passage::ESSENTIAL;

/// The longest code that is kept, in bytes.
const CODE_BYTES: usize = 64;

/// A category that many systems share (`reference/datafly-adobe.md` 1.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Category {
    /// Without it the site does not work; needs no consent.
    Essential,
    /// Comfort: preferences, languages, chats.
    Functional,
    /// Counting and understanding.
    Analytics,
    /// Advertising, and handing data on for it.
    Marketing,
    /// Content chosen for the person.
    Personalization,
}

impl Category {
    /// Every category.
    pub const ALL: [Category; 5] = [
        Category::Essential,
        Category::Functional,
        Category::Analytics,
        Category::Marketing,
        Category::Personalization,
    ];

    /// The name in events, configurations and traces.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Category::Essential => ESSENTIAL,
            Category::Functional => "functional",
            Category::Analytics => "analytics",
            Category::Marketing => "marketing",
            Category::Personalization => "personalization",
        }
    }

    /// The category of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Category> {
        Category::ALL.into_iter().find(|category| category.as_str() == name)
    }
}

use Category::{Analytics, Essential, Functional, Marketing, Personalization};

/// All but what is essential: what a person who objects to everything objects to.
const OPTIONAL: &[Category] = &[Functional, Analytics, Marketing, Personalization];

/// The codes that are known without any configuration, with their source.
const KNOWN: &[(&str, &[Category])] = &[
    // OneTrust's default groups.
    ("c0001", &[Essential]),
    ("c0002", &[Analytics]),
    ("c0003", &[Functional, Personalization]),
    ("c0004", &[Marketing]),
    ("c0005", &[Marketing]),
    // Cookiebot; "preferences" stands for both in its own Consent Mode setting, too.
    ("necessary", &[Essential]),
    ("preferences", &[Functional, Personalization]),
    ("statistics", &[Analytics]),
    // Osano.
    ("storage", &[Functional]),
    // Datafly's older booleans and Segment's and RudderStack's usual names.
    ("advertising", &[Marketing]),
    ("strictly_necessary", &[Essential]),
    ("required", &[Essential]),
    ("performance", &[Analytics]),
    ("measurement", &[Analytics]),
    ("targeting", &[Marketing]),
    ("ads", &[Marketing]),
    ("social_media", &[Marketing]),
    ("sale_of_info", &[Marketing]),
    ("saleofinfo", &[Marketing]),
    ("data_sharing", &[Marketing]),
    ("datasharing", &[Marketing]),
    ("personalisation", &[Personalization]),
    // Google Consent Mode v2.
    ("ad_storage", &[Marketing]),
    ("ad_user_data", &[Marketing]),
    ("ad_personalization", &[Marketing]),
    ("analytics_storage", &[Analytics]),
    ("functionality_storage", &[Functional]),
    ("personalization_storage", &[Personalization]),
    ("security_storage", &[Essential]),
    // Didomi's names of the purposes of the TCF.
    ("cookies", &[Functional]),
    ("select_basic_ads", &[Marketing]),
    ("create_ads_profile", &[Marketing]),
    ("select_personalized_ads", &[Marketing]),
    ("measure_ad_performance", &[Marketing]),
    ("create_content_profile", &[Personalization]),
    ("select_personalized_content", &[Personalization]),
    ("measure_content_performance", &[Analytics]),
    ("market_research", &[Analytics]),
    ("improve_products", &[Analytics]),
    // Adobe: XDM `consents`, and the single switch of its standard 1.0.
    ("share", &[Marketing]),
    ("ad_id", &[Marketing]),
    ("general", OPTIONAL),
];

/// What codes mean in one pipeline.
#[derive(Clone, Debug, Default)]
pub(super) struct Vocabulary {
    own: BTreeMap<String, Vec<Category>>,
}

impl Vocabulary {
    /// The default vocabulary with meanings of the customer's own, which win.
    #[must_use]
    pub(super) fn with(own: impl IntoIterator<Item = (String, Vec<Category>)>) -> Vocabulary {
        let own = own.into_iter();
        Vocabulary {
            own: own.filter_map(|(code, means)| Some((normalised(&code)?, means))).collect(),
        }
    }

    /// What a code means when it is granted or denied; none when it is not known.
    #[must_use]
    pub(super) fn meaning(&self, code: &str, granted: bool) -> Option<&[Category]> {
        if let Some(own) = self.own.get(code) {
            return Some(own);
        }
        // Whoever lets nothing be collected allows nothing; whoever lets it be collected has not
        // yet said what for beyond the counting.
        if code == "collect" {
            return Some(if granted { &[Analytics] } else { OPTIONAL });
        }
        let canonical = Category::ALL.iter().find(|category| category.as_str() == code);
        if let Some(category) = canonical {
            return Some(std::slice::from_ref(category));
        }
        KNOWN.iter().find(|(known, _)| *known == code).map(|(_, means)| *means)
    }
}

/// A code in the spelling in which codes are compared: lower case, with `_` for blanks and dashes.
/// None for what is no code: empty, too long, or with other characters than letters, digits and
/// `_ . :`, which nobody names a category by.
#[must_use]
pub fn normalised(code: &str) -> Option<String> {
    let code = code.trim();
    if code.is_empty() || code.len() > CODE_BYTES {
        return None;
    }
    let letter = |letter: char| match letter {
        ' ' | '-' | '_' => Some('_'),
        '.' | ':' => Some(letter),
        letter if letter.is_alphanumeric() => Some(letter.to_ascii_lowercase()),
        _ => None,
    };
    code.chars().map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_one_spelling() {
        for (code, wanted) in [
            ("C0002", Some("c0002")),
            (" Strictly Necessary ", Some("strictly_necessary")),
            ("Data-Sharing", Some("data_sharing")),
            ("analytics:ga.4", Some("analytics:ga.4")),
            ("", None),
            ("a@b.example", None),
            ("{\"a\":1}", None),
        ] {
            assert_eq!(normalised(code).as_deref(), wanted, "{code}");
        }
        assert_eq!(normalised(&"c".repeat(65)), None);
    }

    #[test]
    fn every_known_code_stands_in_its_spelling_once() {
        for (at, (code, _)) in KNOWN.iter().enumerate() {
            assert_eq!(normalised(code).as_deref(), Some(*code));
            assert!(KNOWN.iter().skip(at + 1).all(|(other, _)| other != code), "{code} twice");
        }
    }

    #[test]
    fn own_meanings_win() {
        let vocabulary = Vocabulary::with([
            ("C0005".to_owned(), vec![Functional]),
            ("Heat Maps".to_owned(), vec![Analytics, Personalization]),
            ("c0003".to_owned(), Vec::new()),
        ]);
        for (code, wanted) in [
            ("c0005", Some(vec![Functional])),
            ("c0004", Some(vec![Marketing])),
            ("heat_maps", Some(vec![Analytics, Personalization])),
            ("c0003", Some(Vec::new())),
            ("marketing", Some(vec![Marketing])),
            ("c0009", None),
        ] {
            assert_eq!(vocabulary.meaning(code, true).map(<[_]>::to_vec), wanted, "{code}");
        }
        assert_eq!(vocabulary.meaning("collect", true), Some(&[Analytics][..]));
        assert_eq!(vocabulary.meaning("collect", false), Some(OPTIONAL));
    }
}
