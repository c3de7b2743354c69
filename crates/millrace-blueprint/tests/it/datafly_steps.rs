//! Configs of Datafly with steps: they give what a config of version 2 of the same meaning gives.

use millrace_blueprint::Blueprint;
use serde_json::{Value, json};

use crate::Mapping;

fn mapped(text: &str, event: &Value) -> Value {
    let blueprint =
        Blueprint::parse("config", text).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
    Mapping::new(&blueprint, &json!({})).outcome(&event.to_string())
}

fn mistakes(text: &str) -> Vec<String> {
    let mistakes = Blueprint::parse("config", text).expect_err("mistakes");
    mistakes.iter().map(ToString::to_string).collect()
}

const STEPS: &str = "
name: shop
steps:
  - type: filter
    condition: event.type IN ('track', 'identify') AND NOT event.event = 'Secret'
  - type: map
    mappings:
      properties.$amount: event.properties.total
      properties.Product ID: event.properties.products[].product_id
      properties.Source: \"'shop''s'\"
      $set.Last Buyer: event.userId
      $set.$email: event.traits.email
  - type: enrich
    fields: { properties.Site: north, properties.Level: 3 }
  - type: transform
    fields:
      properties.$amount: to_number
      $set.$email: lower
";

const VERSION_TWO: &str = "
version: 2
global:
  mappings:
    - { source: properties.total, target: properties.$amount, transform: to_number }
    - { source: 'properties.products[].product_id', target: properties.Product ID }
    - { source: user_id, target: $set.Last Buyer }
    - { source: traits.email, target: $set.$email, transform: lower }
  enrichments:
    - { target: properties.Source, value: \"shop's\" }
    - { target: properties.Site, value: north }
    - { target: properties.Level, value: 3 }
events: { Order Completed: {}, identify: {}, Secret: { enabled: false } }
";

#[test]
fn steps_give_what_version_two_gives() {
    let products = json!([{"product_id": "p1"}, {"product_id": 2}]);
    for event in [
        json!({"type": "track", "event": "Order Completed", "userId": "u", "anonymousId": "d",
            "context": {"ip": "192.0.2.1"}, "properties": {"total": "19.90", "products": products}}),
        json!({"type": "track", "event": "Order Completed", "anonymousId": "d"}),
        json!({"type": "identify", "userId": "u", "anonymousId": "d",
            "traits": {"email": "A@B.EXAMPLE"}}),
        json!({"type": "track", "event": "Secret", "userId": "u"}),
        json!({"type": "page", "userId": "u"}),
        json!({"type": "group", "userId": "u", "groupId": "g"}),
    ] {
        assert_eq!(mapped(STEPS, &event), mapped(VERSION_TWO, &event), "{event}");
    }
}

#[test]
fn computed_values_have_types_and_errors_have_policies() {
    let text = |policy: &str| {
        format!(
            "
on_error: {policy}
steps:
  - type: map
    on_missing: skip
    mappings: {{ event: event.properties.title }}
  - type: compute
    fields:
      properties.Total:
        expression: COALESCE(event.properties.total, event.properties.revenue)
        type: number
      properties.Big: {{ expression: event.properties.total > 100, type: boolean }}
      properties.Gift: {{ expression: event.properties.gift, type: boolean }}
      properties.Order: {{ expression: event.properties.order, type: string }}
"
        )
    };
    let event = |properties: Value| json!({"type": "track", "event": "A", "userId": "u", "properties": properties});
    let good = json!({"revenue": "7.5", "gift": true, "order": 12, "title": "T"});
    for policy in ["skip", "drop", "fail"] {
        let rows = mapped(&text(policy), &event(good.clone()));
        assert_eq!(rows[0]["body"]["event"], json!("T"));
        let properties = &rows[0]["body"]["properties"];
        for (name, wanted) in [
            ("Total", json!(7.5)),
            ("Big", json!(false)),
            ("Gift", json!(true)),
            ("Order", json!("12")),
        ] {
            assert_eq!(properties[name], wanted, "{policy} {name}");
        }
    }
    for bad in [json!({"total": "much"}), json!({"gift": "yes"}), json!({"order": {"id": 1}})] {
        let event = event(bad.clone());
        let rows = mapped(&text("skip"), &event);
        assert_eq!(rows[0]["body"]["event"], json!("A"), "{bad}");
        assert_eq!(mapped(&text("drop"), &event), json!({"filtered": "drop_rule"}), "{bad}");
        assert_eq!(mapped(&text("fail"), &event), json!({"set_aside": "MR2010"}), "{bad}");
    }
}

#[test]
fn what_is_missing_has_a_policy_and_names_fit_each_call() {
    let text = |policy: &str| {
        format!(
            "steps:\n  - type: map\n    on_missing: {policy}\n    mappings: {{ properties.a: event.properties.a }}\n"
        )
    };
    let event = json!({"type": "track", "event": "A", "userId": "u"});
    assert_eq!(mapped(&text("skip"), &event)[0]["body"]["properties"]["a"], Value::Null);
    assert_eq!(mapped(&text("drop"), &event), json!({"filtered": "drop_rule"}));
    assert_eq!(mapped(&text("fail"), &event), json!({"set_aside": "MR2010"}));
    let transform = "on_error: fail\nsteps:\n  - type: map\n    mappings: { properties.a: event.properties.a }\n  \
                     - type: map\n    mappings: { properties.a: event.properties.b }\n  \
                     - type: transform\n    fields: { properties.a: to_number }\n";
    let wrong = json!({"type": "track", "event": "A", "userId": "u", "properties": {"a": "x"}});
    assert_eq!(mapped(transform, &wrong), json!({"set_aside": "MR2010"}));
    assert_eq!(mapped(transform, &event)[0]["body"]["event"], json!("A"));

    let named = "steps:\n  - type: map\n    mappings: { event: event.event, $group_key: \"'company'\", $set.b: event.traits.b }\n";
    for (kind, name) in [("track", "A"), ("page", "Page Viewed"), ("screen", "Screen Viewed")] {
        let mut event = json!({"type": kind, "userId": "u"});
        if kind == "track" {
            event["event"] = json!("A");
        }
        assert_eq!(mapped(named, &event)[0]["body"]["event"], json!(name), "{kind}");
    }
    let identify = json!({"type": "identify", "userId": "u", "traits": {"b": 1}});
    let update = json!([{"path": "/engage", "body": {"$distinct_id": "u", "$set": {"b": 1}}}]);
    assert_eq!(mapped(named, &identify), update);
    let group = json!({"type": "group", "userId": "u", "groupId": "g", "traits": {"b": 1}});
    let update = json!([{"path": "/groups",
        "body": {"$group_key": "company", "$group_id": "g", "$set": {"b": 1}}}]);
    assert_eq!(mapped(named, &group), update);
    let literal = "steps:\n  - type: map\n    mappings: { event: \"'Signed In'\" }\n  - type: filter\n    condition: event.type = 'identify'\n";
    assert_eq!(mapped(literal, &identify)[0]["body"]["event"], json!("Signed In"));
    assert_eq!(mapped(literal, &event), json!({"filtered": "drop_rule"}));
}

#[test]
fn every_mistake_has_its_place() {
    let text = "\
name: x
on_eror: skip
steps:
  - type: filtr
  - condition: event.type = 'track'
  - type: filter
    condition: event.type = 'purchase'
  - type: filter
    condition: type = 'track'
  - type: map
    on_missing: keep
    mappings:
      properties.a: properties.a
      properties.b: event.propertes.b
      properties.c: \"'open\"
      events[0].params.value: event.properties.d
      propertis.e: event.properties.e
  - type: compute
    fields:
      properties.f: event.properties.f
      properties.g: { expression: \"LOWER(event.properties.g)\" }
      properties.h: { expression: event.properties.h, type: nummer }
  - type: transform
    fields: { properties.z: lower, properties.a: uper }
  - map: {}
    type: enrich
";
    let wanted = [
        "config:2:1: MR5003 the key of a config with steps `on_eror` is not known (did you mean `on_error`?)",
        "config:4:11: MR5004 the type of a step `filtr` is not known (did you mean `filter`?)",
        "config:5:5: MR5005 a step needs the key `type`",
        "config:9:16: MR5101 `type` is no source (sources begin with event., texts stand in quotes: event.type or 'type')",
        "config:11:17: MR5004 `on_missing` `keep` is not known",
        "config:13:21: MR5101 `properties.a` is no source",
        "config:14:21: MR5101 the source `propertes` is not known (did you mean `properties`?)",
        "config:15:21: MR5101 the quote is not closed",
        "config:16:7: MR5004 `events[0].params.value` is no target",
        "config:17:7: MR5106 the target `propertis` is not known (did you mean `properties`?)",
        "config:20:21: MR5004 a computed field is a map",
        "config:21:35: MR5101 the function `LOWER` is not known (known is COALESCE)",
        "config:22:61: MR5004 the type of a value `nummer` is not known (did you mean `number`?)",
        "config:24:15: MR5007 no mapping gives this target a value to transform",
        "config:24:50: MR5004 the transform `uper` is not known (did you mean `upper`?)",
        "config:25:5: MR5003 the key of the step enrich `map` is not known",
        "config:25:5: MR5005 the step needs the key `fields`",
    ];
    let found = mistakes(text);
    for (found, wanted) in found.iter().zip(wanted) {
        assert!(found.starts_with(wanted), "{found}\n{wanted}");
    }
    assert_eq!(found.len(), wanted.len(), "{found:#?}");
    // A kind of event that does not exist is found by the checks that every blueprint has.
    let kind = mistakes("steps:\n  - { type: filter, condition: event.type = 'purchase' }\n");
    assert!(kind[0].contains("no event is of the type `purchase`"), "{kind:?}");
    let shape = mistakes("steps: {}\n");
    assert!(shape[0].starts_with("config:1:8: MR5004 `steps` takes a list"), "{shape:?}");
}
