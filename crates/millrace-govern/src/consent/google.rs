//! Google's Consent Mode v2, derived from the canonical categories
//! (`reference/datafly-adobe.md` 1.7, row C-06).

use std::collections::BTreeMap;

use super::vocabulary::Category;

/// The signals of Consent Mode and the category that each follows.
const SIGNALS: [(&str, Category); 7] = [
    ("ad_storage", Category::Marketing),
    ("ad_user_data", Category::Marketing),
    ("ad_personalization", Category::Marketing),
    ("analytics_storage", Category::Analytics),
    ("functionality_storage", Category::Functional),
    ("personalization_storage", Category::Personalization),
    ("security_storage", Category::Essential),
];

/// Each signal of which the category was decided, with `granted` or `denied`. What is essential is
/// granted; a signal about which nothing was said is not given, as Google's own tags leave it out.
pub(super) fn consent_mode(
    canonical: &BTreeMap<Category, bool>,
) -> impl Iterator<Item = (&'static str, &'static str)> + '_ {
    SIGNALS.into_iter().filter_map(|(signal, category)| {
        let essential = (category == Category::Essential).then_some(true);
        let granted = canonical.get(&category).copied().or(essential)?;
        Some((signal, if granted { "granted" } else { "denied" }))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Row C-06: the truth table.
    #[test]
    fn signals_follow_their_categories() {
        for (marketing, analytics) in [
            (Some(true), Some(true)),
            (Some(true), Some(false)),
            (Some(false), Some(true)),
            (Some(false), Some(false)),
            (None, Some(true)),
            (Some(false), None),
            (None, None),
        ] {
            let mut canonical = BTreeMap::new();
            canonical.extend(marketing.map(|granted| (Category::Marketing, granted)));
            canonical.extend(analytics.map(|granted| (Category::Analytics, granted)));
            let mode: BTreeMap<_, _> = consent_mode(&canonical).collect();
            let word = |granted: bool| if granted { "granted" } else { "denied" };
            for signal in ["ad_storage", "ad_user_data", "ad_personalization"] {
                assert_eq!(mode.get(signal).copied(), marketing.map(word), "{signal}");
            }
            assert_eq!(mode.get("analytics_storage").copied(), analytics.map(word));
            assert_eq!(mode.get("security_storage").copied(), Some("granted"));
            assert_eq!(mode.get("functionality_storage"), None);
        }
    }
}
