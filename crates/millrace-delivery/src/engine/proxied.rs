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

#[cfg(test)]
mod tests {
    use millrace_blueprint::{Blueprint, SettingValues};
    use millrace_model::event::{EventKind, Facts, TimeSource};
    use millrace_model::time::UnixMillis;
    use serde_json::json;

    use super::*;

    fn plan(name: &str) -> Arc<Plan> {
        let blueprint = Blueprint::built_in(name).unwrap().unwrap();
        Arc::new(Plan::compile(&blueprint, &SettingValues::from_json(&json!({}))).unwrap())
    }

    /// What becomes of an event that comes in this way: the outcome, and the text of its rows.
    fn mapped(proxied: ProxiedCalls, origin: Origin) -> (Mapped, String) {
        let mapping = IntegrationMapping { plan: plan("default"), proxied };
        let facts = Facts {
            message_id: "m-1".to_owned(),
            time: UnixMillis(1_763_633_472_345),
            time_source: TimeSource::Client,
            client_ip: None,
        };
        let event = EventView {
            kind: EventKind::Track,
            facts: &facts,
            received_at: facts.time,
            body: br#"{"type":"track","event":"Seen","userId":"u","category":"c"}"#,
        };
        let mut rows = Rows::default();
        let mut mapper = mapping.mapper();
        // A mapper keeps nothing of the event before.
        mapper.map(&event, &mut rows);
        let mapped = mapper.map_from(origin, &event, &mut rows);
        (mapped, rows.rows.iter().map(|row| String::from_utf8_lossy(rows.body(row))).collect())
    }

    #[test]
    fn proxied_calls_alone_go_their_own_way() {
        let passthrough = || ProxiedCalls::Passthrough(plan("passthrough"));
        // The category at the top is for `default` alone.
        let (sent, rows) = mapped(passthrough(), Origin::Mixpanel);
        assert!(sent == Mapped::Send && !rows.contains("category"), "{rows}");
        let (sent, rows) = mapped(ProxiedCalls::Blueprint, Origin::Mixpanel);
        assert!(sent == Mapped::Send && rows.contains("category"), "{rows}");
        let (filtered, rows) = mapped(ProxiedCalls::Drop, Origin::Mixpanel);
        let rule = Some("proxied_calls".to_owned());
        assert_eq!(filtered, Mapped::Filtered { reason: FilterReason::DropRule, rule });
        assert!(rows.is_empty());
        for proxied in [passthrough(), ProxiedCalls::Blueprint, ProxiedCalls::Drop] {
            let (sent, rows) = mapped(proxied, Origin::Spec);
            assert!(sent == Mapped::Send && rows.contains("category"), "{rows}");
        }
    }
}
