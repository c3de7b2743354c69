//! One condition or value alone, over bare JSON: no rules, no rows, and no facts of admission.

use millrace_model::event::{EventKind, Facts, TimeSource};
use millrace_model::time::UnixMillis;

use super::{EventView, Mapper, Run};
use crate::Plan;
use crate::plan::node::{Node, Test};

/// The facts of bare JSON. A plan that was compiled alone reads none of them.
static NO_FACTS: Facts = Facts {
    message_id: String::new(),
    time: UnixMillis(0),
    time_source: TimeSource::Client,
    client_ip: None,
};

fn bare(body: &[u8]) -> EventView<'_> {
    EventView { kind: EventKind::Track, facts: &NO_FACTS, received_at: UnixMillis(0), body }
}

impl Mapper {
    /// Whether a test holds; none when the bytes are not one JSON object.
    pub(crate) fn test_alone(&mut self, plan: &Plan, test: &Test, body: &[u8]) -> Option<bool> {
        let event = bare(body);
        Run::start(plan, &event, &mut self.scratch).ok().map(|mut run| run.holds(test))
    }

    /// The JSON of a value; the inner none when it is nothing, the outer one when the bytes are
    /// not one JSON object or the value would be too large.
    pub(crate) fn value_alone(
        &mut self,
        plan: &Plan,
        node: &Node,
        body: &[u8],
    ) -> Option<Option<Vec<u8>>> {
        let event = bare(body);
        let mut run = Run::start(plan, &event, &mut self.scratch).ok()?;
        run.free = true;
        let value = run.value(node, 0);
        if run.overflow.get().is_some() {
            return None;
        }
        let mut json = Vec::new();
        run.copy(value, 0, &mut json);
        Some((!json.is_empty()).then_some(json))
    }
}
