//! The blueprints that come with Millrace. Their texts are part of the binary.

use std::sync::LazyLock;

/// A text, its name, and the names of its variants.
struct BuiltIn {
    name: &'static str,
    /// As they stand in the text; a test compares them. So that asking for a name reads one text only.
    variants: &'static [&'static str],
    text: &'static str,
}

/// All of them, in the order in which they are shown.
const ALL: &[BuiltIn] = &[
    BuiltIn { name: "default", variants: &[], text: include_str!("../blueprints/default.yaml") },
    BuiltIn {
        name: "rudderstack",
        variants: &["rudderstack-classic"],
        text: include_str!("../blueprints/rudderstack.yaml"),
    },
    BuiltIn {
        name: "datafly",
        variants: &["datafly-retail", "datafly-classic"],
        text: include_str!("../blueprints/datafly.yaml"),
    },
    BuiltIn {
        name: "adobe",
        variants: &["adobe-classic"],
        text: include_str!("../blueprints/adobe.yaml"),
    },
    BuiltIn {
        name: "segment",
        variants: &["segment-classic"],
        text: include_str!("../blueprints/segment.yaml"),
    },
    BuiltIn {
        name: "syft",
        variants: &["syft-classic"],
        text: include_str!("../blueprints/syft.yaml"),
    },
    BuiltIn {
        name: "passthrough",
        variants: &[],
        text: include_str!("../blueprints/passthrough.yaml"),
    },
];

/// The names of blueprints and variants.
pub(crate) static NAMES: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let names =
        |one: &'static BuiltIn| std::iter::once(one.name).chain(one.variants.iter().copied());
    ALL.iter().flat_map(names).collect()
});

/// The name of the blueprint that has this name or a variant of this name, and its text.
pub(crate) fn find(name: &str) -> Option<(&'static str, &'static str)> {
    let found = ALL.iter().find(|one| one.name == name || one.variants.contains(&name))?;
    Some((found.name, found.text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Blueprint;

    #[test]
    fn every_variant_is_known_by_its_name() {
        for one in ALL {
            let read = Blueprint::built_in(one.name).expect("there").expect("right");
            let variants: Vec<&str> = read.variants().iter().map(|one| one.name.as_str()).collect();
            assert_eq!(variants, one.variants, "{}", one.name);
            assert_eq!(read.name(), one.name);
            for name in one.variants {
                let variant = Blueprint::built_in(name).expect("there").expect("right");
                assert_eq!(variant.name(), *name);
            }
        }
        let mut names = NAMES.clone();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), NAMES.len(), "a name stands twice");
    }
}
