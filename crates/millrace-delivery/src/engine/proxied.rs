//! Who maps what Mixpanel's own SDKs have sent: those calls say already what Mixpanel is to get, so
//! they need not go the way of all others (DESIGN 9.19).

use std::sync::Arc;

use millrace_blueprint::{EventView, Plan};
use millrace_model::disposition::FilterReason;
use millrace_model::passage::Origin;
use millrace_model::row::{Mapped, Rows};

use super::seams::{MapEvent, MapEvents};

/// What becomes of the calls of Mixpanel's own SDKs.
#[derive(Clone, Debug)]
pub enum ProxiedCalls {
    /// This plan maps them: that of the built-in blueprint `passthrough`.
    Passthrough(Arc<Plan>),
    /// The integration's own blueprint maps them like everything else.
    Blueprint,
    /// They are filtered.
    Drop,
}

/// An integration's plan, and what becomes of proxied calls.
#[derive(Clone, Debug)]
pub struct IntegrationMapping {
    /// The plan of its blueprint.
    pub plan: Arc<Plan>,
    /// What becomes of the calls of Mixpanel's own SDKs.
    pub proxied: ProxiedCalls,
}

impl MapEvents for IntegrationMapping {
    fn mapper(&self) -> Box<dyn MapEvent> {
        let proxied = match &self.proxied {
            ProxiedCalls::Passthrough(plan) => ProxiedMapper::Other(plan.mapper()),
            ProxiedCalls::Blueprint => ProxiedMapper::Same,
            ProxiedCalls::Drop => ProxiedMapper::Drop,
        };
        Box::new(ByOrigin { own: self.plan.mapper(), proxied })
    }
}

enum ProxiedMapper {
    Other(Box<dyn MapEvent>),
    Same,
    Drop,
}

struct ByOrigin {
    own: Box<dyn MapEvent>,
    proxied: ProxiedMapper,
}

impl MapEvent for ByOrigin {
    fn map(&mut self, event: &EventView<'_>, out: &mut Rows) -> Mapped {
        self.own.map(event, out)
    }

    fn map_from(&mut self, origin: Origin, event: &EventView<'_>, out: &mut Rows) -> Mapped {
        match &mut self.proxied {
            _ if origin != Origin::Mixpanel => self.own.map(event, out),
            ProxiedMapper::Same => self.own.map(event, out),
            ProxiedMapper::Other(passthrough) => passthrough.map(event, out),
            ProxiedMapper::Drop => {
                out.clear();
                let rule = Some("proxied_calls".to_owned());
                Mapped::Filtered { reason: FilterReason::DropRule, rule }
            }
        }
    }
}
