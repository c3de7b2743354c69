//! Configs of Datafly Signal, version 2 and the older form with steps, as blueprints.
//!
//! A config is translated to the tree of the blueprint that says the same, node by node and with the
//! place of each, and that tree is read like any other. So a config can say nothing that a blueprint
//! could not, and everything that works on blueprints works on configs: checks, explain, coverage.
//! Mistakes of the config are found here, all at once, and carry its lines and columns.
//!
//! | module | owns |
//! | --- | --- |
//! | `config` | the document: its keys, layers, and the rules that come of it |
//! | `steps` | the older form: its steps, and the rules that come of them |
//! | `condition` | its expressions |
//! | `layer` | lists of mappings, enrichments and transforms |
//! | `source` | source paths as expressions |
//! | `target` | what a target path means for Mixpanel, and the values gathered by target |
//! | `transform` | the transforms, by name |
//! | `rules` | rules and actions as nodes |
//! | `nodes` | making nodes |
//!
//! What is known of the format comes from reference/datafly-adobe.md 1.6; what is not published
//! (the form of enrichments and transforms, what targets mean at Mixpanel) is decided here and
//! stands in docs/blueprints/datafly.md.

mod condition;
mod config;
mod layer;
mod nodes;
mod rules;
mod source;
mod steps;
mod target;
mod transform;

use crate::syntax::parts::member;
use crate::syntax::tree::{Node, NodeValue};

pub(crate) use config::read;

/// True for the document of a Datafly config: it has a version or steps, and no blueprint's name.
pub(crate) fn is_config(root: &Node) -> bool {
    let NodeValue::Map(members) = &root.value else { return false };
    let has = |name: &str| member(members, name).is_some();
    !has("blueprint") && (has("version") || has("steps"))
}
