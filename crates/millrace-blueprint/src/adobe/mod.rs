//! Adobe's event forwarding: rules written down from its UI, and the comparisons in them.
//!
//! What is read here becomes the same checked tree as every other blueprint; there is no second
//! evaluator. Facts: reference/datafly-adobe.md 2.1 to 2.3. The form of the file is ours, because
//! Adobe has none: docs/blueprints/adobe.md shows it.
//!
//! | module | owns |
//! | --- | --- |
//! | `rules` | the file as a whole, and its rules |
//! | `elements` | data elements, and texts that refer to them |
//! | `conditions` | value comparisons, by the words of the UI |
//! | `actions` | Track Event, Mixpanel Identify, Mixpanel Alias |
//! | `shapes` | event properties, as JSON or in pairs |
//! | `compare` | what the operators mean |
//! | `pattern` | patterns of JavaScript |

mod actions;
pub(crate) mod compare;
mod conditions;
mod elements;
mod pattern;
mod rules;
mod shapes;

use crate::syntax::tree::{Node, NodeValue};

pub(crate) use rules::read;

/// The key by which a file of rules is known.
const KEY: &str = "adobe";

/// True for a file that holds rules of Adobe's.
pub(crate) fn is_rules(root: &Node) -> bool {
    match &root.value {
        NodeValue::Map(members) => members.iter().any(|(key, _)| key.text == KEY),
        NodeValue::Scalar(_) | NodeValue::List(_) => false,
    }
}
