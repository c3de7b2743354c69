//! The tests of the blueprints that come with Millrace. Their texts are part of the binary, so that
//! `millrace test NAME` runs them anywhere.

/// The tests of a blueprint.
pub(crate) fn text(name: &str) -> Option<&'static str> {
    match name {
        "default" => Some(include_str!("../blueprints/default.tests.yaml")),
        "rudderstack" => Some(include_str!("../blueprints/rudderstack.tests.yaml")),
        "datafly" => Some(include_str!("../blueprints/datafly.tests.yaml")),
        "adobe" => Some(include_str!("../blueprints/adobe.tests.yaml")),
        "segment" => Some(include_str!("../blueprints/segment.tests.yaml")),
        "syft" => Some(include_str!("../blueprints/syft.tests.yaml")),
        "passthrough" => Some(include_str!("../blueprints/passthrough.tests.yaml")),
        _ => None,
    }
}
