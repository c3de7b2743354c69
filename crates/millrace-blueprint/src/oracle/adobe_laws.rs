//! The law for Adobe's rules: the plan does what the oracle does, for any two values.

use std::sync::LazyLock;

use millrace_model::event::EventKind;
use proptest::prelude::*;
use serde_json::json;

use super::laws::{both, facts, tree};
use crate::{Blueprint, EventView, Mapper, SettingValues};

/// Every operator between the fields of a random event, and every field of the actions.
static RULES: LazyLock<Blueprint> = LazyLock::new(|| {
    let two = [
        "equals",
        "doesNotEqual",
        "contains",
        "doesNotContain",
        "startsWith",
        "doesNotStartWith",
        "endsWith",
        "doesNotEndWith",
        "lessThan",
        "lessThanOrEqual",
        "greaterThan",
        "greaterThanOrEqual",
    ];
    let one = ["isTrue", "isFalse", "isTruthy", "isFalsy"];
    let mut conditions = Vec::new();
    for operator in two {
        for (name, right, ignore) in
            [("", "{{r}}", false), (" typed", "a {{r}}", true), (" one", "1", false)]
        {
            conditions.push((
                format!("{operator}{name}"),
                json!({"left_operand": "{{l}}", "operator": operator, "right_operand": right, "case_insensitive": ignore}),
            ));
        }
    }
    for operator in one {
        conditions
            .push((operator.to_owned(), json!({"left_operand": "{{l}}", "operator": operator})));
    }
    for operator in ["matchesRegex", "doesNotMatchRegex"] {
        let condition =
            json!({"left_operand": "{{l}}", "operator": operator, "right_operand": "^[a1]\\w*$"});
        conditions.push((operator.to_owned(), condition));
    }
    let mut rules: Vec<_> = conditions
        .iter()
        .map(|(name, condition)| {
            let actions = json!([{"track_event": {"event_type": name, "distinct_id": "u"}}]);
            json!({"name": name, "conditions": [condition], "actions": actions})
        })
        .collect();
    let (known, distinct) = ("{{l}}", "{{r}}");
    rules.push(json!({
        "name": "all",
        "exceptions": [{"left_operand": "{{r}}", "operator": "isTrue"}, {"left_operand": "{{l}}", "operator": "equals", "right_operand": "x"}],
        "actions": [
            {"track_event": {"event_type": "a {{l}}", "distinct_id": distinct, "event_time": "{{l}}", "insert_id": "{{r}}",
                "event_properties": {"l": "{{l}}", "r": "{{lower}}", "both": "<{{l}}|{{r}}>", "list": ["{{l}}", null]}}},
            {"track_event": {"event_type": "visitor", "event_properties": "{{l}}"}},
            {"alias": {"known_user_id": known, "distinct_id": distinct}},
            {"identify": {"known_user_id": known, "distinct_id": distinct}},
            {"identify": {"known_user_id": known}},
        ],
    }));
    let file = json!({
        "adobe": "1", "name": "laws", "rules": rules,
        "data_elements": {
            "l": {"type": "path", "path": "arc.event.xdm.l"},
            "r": {"type": "path", "path": "arc.event.xdm.r"},
            "lower": {"type": "path", "path": "arc.event.xdm.r.0.a", "default": "None", "force_lower_case": true},
        },
    });
    Blueprint::parse("laws", &file.to_string()).expect("right")
});

/// The built-in blueprint.
static ADOBE: LazyLock<Blueprint> =
    LazyLock::new(|| Blueprint::built_in("adobe").expect("there").expect("right"));

proptest! {
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases.max(600),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn plan_and_oracle_agree_on_any_two_values(
        left in tree(), right in tree(), context in tree(), mode in 0..3_usize, same: bool,
    ) {
        let right = if same { left.clone() } else { right };
        let body = format!(
            r#"{{"xdm": {{"l": {left}, "r": {right}}}, "anonymousId": "d", "context": {{"mixpanel": {{"user_id": {context}, "device_id": {right}}}}}}}"#
        );
        let facts = facts("m-1");
        let kind = EventKind::Track;
        let view = EventView { kind, facts: &facts, received_at: facts.time, body: body.as_bytes() };
        let mode = ["simplified", "original", "legacy"][mode];
        let chosen = SettingValues::from_json(&json!({"identity": mode}));
        let (ours, theirs) = both(&RULES, &chosen, &mut Mapper::new(), view);
        prop_assert_eq!(ours, theirs, "{}", body);
    }

    #[test]
    fn plan_and_oracle_agree_on_the_built_in_blueprint(
        values in prop::collection::vec(tree(), 12), mode in 0..3_usize, tenant: bool, name in 0..4_usize,
    ) {
        let [ids, web, device, environment, place, order, products, own, data, cookie, user, ecid] =
            values.as_slice() else { return Ok(()) };
        let name = ["\"signin\"", "\"Viewed\"", "null", "\"decisioning.propositionDisplay\""][name];
        let body = format!(
            r#"{{"event": {name}, "userId": {user}, "anonymousId": {ecid}, "data": {data},
                "context": {{"mixpanel": {cookie}, "userAgent": {web}}},
                "xdm": {{"web": {{"webPageDetails": {web}, "webReferrer": {{"URL": {web}}}}}, "device": {device},
                    "environment": {environment}, "placeContext": {{"geo": {place}}}, "commerce": {{"order": {order}}},
                    "productListItems": {products}, "_acme": {{"ids": {ids}, "own": {own}, "login": {user}}}}}}}"#
        );
        let facts = facts("m-1");
        let kind = EventKind::Track;
        let view = EventView { kind, facts: &facts, received_at: facts.time, body: body.as_bytes() };
        let mode = ["simplified", "original", "legacy"][mode];
        let mut chosen = json!({"identity": mode, "personalization": tenant});
        if tenant {
            let fields = json!({
                "distinct_id": "_acme.ids.a", "event_type": "_acme.own.name", "login_id": "_acme.login",
                "properties": "_acme.own", "event_time": "_acme.ids.n", "insert_id": "_acme.ids.b", "data": false,
            });
            chosen.as_object_mut().expect("an object").extend(fields.as_object().cloned().expect("an object"));
        }
        let chosen = SettingValues::from_json(&chosen);
        let (ours, theirs) = both(&ADOBE, &chosen, &mut Mapper::new(), view);
        prop_assert_eq!(ours, theirs, "{}", body);
    }
}
