//! The tests of the blueprints that come with Millrace. Their texts are part of the binary, so that
//! `millrace test NAME` runs them anywhere.

/// The tests of a blueprint.
pub(crate) fn text(name: &str) -> Option<&'static str> {
    match name {
        "default" => Some(include_str!("../blueprints/default.tests.yaml")),
        "adobe" => Some(include_str!("../blueprints/adobe.tests.yaml")),
        _ => None,
    }
}
