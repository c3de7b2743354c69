//! The blueprints that come with Millrace. Their texts are part of the binary.

/// The names, in the order in which they are shown.
pub(crate) const NAMES: &[&str] = &["default", "rudderstack"];

/// The text of a blueprint.
pub(crate) fn text(name: &str) -> Option<&'static str> {
    match name {
        "default" => Some(include_str!("../blueprints/default.yaml")),
        "rudderstack" => Some(include_str!("../blueprints/rudderstack.yaml")),
        _ => None,
    }
}
