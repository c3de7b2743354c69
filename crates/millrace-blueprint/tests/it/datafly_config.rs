//! Configs of Datafly, version 2: what they make of events, and every mistake with its place.

use millrace_blueprint::Blueprint;
use serde_json::{Value, json};

use crate::{AT, Mapping};

fn blueprint(text: &str) -> Blueprint {
    Blueprint::parse("config", text).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"))
}

fn mapped(text: &str, settings: &Value, event: &Value) -> Value {
    Mapping::new(&blueprint(text), settings).outcome(&event.to_string())
}

fn mistakes(text: &str) -> Vec<String> {
    let mistakes = Blueprint::parse("config", text).expect_err("mistakes");
    mistakes.iter().map(ToString::to_string).collect()
}

const SHOP: &str = r#"
version: 2
name: shop
delivery_mode: server_side
parameters:
  project_token: abc123
  api_secret: s3cret
  site: "Shop North"
global:
  mappings:
    - { source: context.page.url, target: properties.$current_url }
  enrichments:
    - { target: properties.Site, value: "{{site}} (${site})" }
    - { target: properties.Channels, value: [web, 1, true] }
global_event:
  mappings:
    - source: context.consent.marketing
      target: Consent
      value_map: { "true": GRANTED, "*": DENIED }
defaults:
  action: drop
events:
  Order Completed:
    vendor_event_name: Purchase
    mappings:
      - { source: properties.total, target: $amount, transform: to_number }
      - { source: properties.currency, target: properties.$currency, transform: upper }
      - { source: "properties.products[].product_id", target: Product ID }
      - { source: "properties.products[].category", target: Categories, transform: lower }
      - { source: properties.Ordered On, target: dates.ordered,
          transform: { type: date_format, format: iso8601 } }
      - { source: timestamp, target: dates.sent, transform: date_format, format: epoch_seconds }
      - { source: user_id, target: $set.Last Buyer Id }
      - { source: timestamp, target: $set_once.First Order,
          transform: date_format, format: epoch_micros }
    transforms:
      - { target: Categories, transform: upper }
  identify:
    mappings:
      - { source: traits, target: $set }
      - { source: traits.email, target: $set.$email, transform: lower }
  page: {}
  secret_event:
    enabled: false
"#;

#[test]
fn a_config_maps_what_it_lists() {
    let event = json!({"type": "track", "event": "Order Completed", "user_id": "u",
        "anonymous_id": "d", "context": {"page": {"url": "https://a.example/"},
            "consent": {"marketing": true}},
        "properties": {"total": "19.90", "currency": "eur", "Ordered On": "2025-11-20 10:00",
            "other": 1, "products": [{"product_id": "p1", "category": "Home"}, {"product_id": 2}]}});
    let ids = json!({"distinct_id": "u", "$user_id": "u", "$device_id": "d", "time": AT.0,
        "$insert_id": "m-1"});
    let mut properties = json!({"$current_url": "https://a.example/",
        "Site": "Shop North (Shop North)", "Channels": ["web", 1, true], "Consent": "GRANTED",
        "$amount": 19.90, "$currency": "EUR", "Product ID": ["p1", 2], "Categories": ["HOME"],
        "dates": {"ordered": "2025-11-20T10:00:00Z", "sent": 1_763_633_472}});
    for (name, value) in ids.as_object().expect("ids") {
        properties[name] = value.clone();
    }
    assert_eq!(
        mapped(SHOP, &json!({}), &event),
        json!([
            {"path": "/import", "body": {"event": "Purchase", "properties": properties}},
            {"path": "/engage", "body": {"$distinct_id": "u", "$set": {"Last Buyer Id": "u"}}},
            {"path": "/engage", "body": {"$distinct_id": "u",
                "$set_once": {"First Order": 1_763_633_472_345_000_i64}}}
        ])
    );
}

#[test]
fn calls_and_what_is_not_listed() {
    let identify = json!({"type": "identify", "userId": "u", "anonymousId": "d",
        "traits": {"email": "A@B.example", "plan": "pro"}});
    let rows = mapped(SHOP, &json!({"identity": "original"}), &identify);
    assert_eq!(rows[0]["body"]["event"], json!("$identify"));
    let set = json!({"email": "A@B.example", "plan": "pro", "$email": "a@b.example"});
    assert_eq!(rows[1]["body"], json!({"$distinct_id": "u", "$set": set}));
    let page = json!({"type": "page", "anonymousId": "d", "properties": {"title": "x"}});
    let rows = mapped(SHOP, &json!({}), &page);
    assert_eq!(rows[0]["body"]["event"], json!("Page Viewed"));
    assert_eq!(rows[0]["body"]["properties"]["distinct_id"], json!("$device:d"));
    assert_eq!(rows[0]["body"]["properties"]["title"], Value::Null);
    for name in ["secret_event", "Something"] {
        let event = json!({"type": "track", "event": name, "userId": "u"});
        assert_eq!(mapped(SHOP, &json!({}), &event), json!({"filtered": "drop_rule"}), "{name}");
    }
}

#[test]
fn pass_keeps_what_is_not_listed() {
    let text = "version: 2\ndefaults:\n  action: pass\n  mappings:\n    \
                - { source: context.locale, target: Locale }\nevents:\n  A: { enabled: false }\n";
    let event = |name: &str| {
        json!({"type": "track", "event": name, "userId": "u", "context": {"locale": "de"},
            "properties": {"x": 1}})
    };
    let rows = mapped(text, &json!({}), &event("B"));
    let body = &rows[0]["body"];
    assert_eq!(body["event"], json!("B"));
    assert_eq!(
        (&body["properties"]["x"], &body["properties"]["Locale"]),
        (&json!(1), &json!("de"))
    );
    assert_eq!(mapped(text, &json!({}), &event("A")), json!({"filtered": "drop_rule"}));
    let identify = json!({"type": "identify", "userId": "u", "traits": {"a": 1}});
    let rows = mapped(text, &json!({}), &identify);
    assert_eq!(
        rows,
        json!([{"path": "/engage",
        "body": {"$distinct_id": "u", "$set": {"a": 1}}}])
    );
    let alias = json!({"type": "alias", "userId": "u", "previousId": "p"});
    assert_eq!(mapped(text, &json!({}), &alias), json!({"filtered": "drop_rule"}));
}

#[test]
fn json_is_the_same_config() {
    let text = r#"{"version": 2, "events": {"E": {"vendor_event_name": "F", "mappings": [
        {"source": "properties.a b", "target": "c"},
        {"source": "properties.when", "target": "time", "transform": "date_format", "format": "epoch_micros"},
        {"source": "vendor_ids.ga", "target": "distinct_id"}]}}}"#;
    let event = json!({"type": "track", "event": "E", "userId": "u", "vendorIds": {"ga": "g-1"},
        "properties": {"a b": 1, "when": "2025-11-20T09:00:00Z"}});
    assert_eq!(
        mapped(text, &json!({}), &event),
        json!([{"path": "/import", "body": {"event": "F", "properties": {
            "time": 1_763_629_200_000_i64, "distinct_id": "g-1", "$insert_id": "m-1", "c": 1}}}])
    );
}

#[test]
fn groups_name_their_key() {
    let text = "version: 2\nevents:\n  group:\n    enrichments:\n      \
                - { target: $group_key, value: company }\n    mappings:\n      \
                - { source: traits.name, target: $set.$name }\n";
    let event =
        json!({"type": "group", "userId": "u", "group_id": "acme", "traits": {"name": "A"}});
    assert_eq!(
        mapped(text, &json!({}), &event),
        json!([{"path": "/groups", "body": {"$group_key": "company", "$group_id": "acme",
            "$set": {"$name": "A"}}}])
    );
    let without = mistakes("version: 2\nevents:\n  group:\n    mappings: []\n");
    assert_eq!(without.len(), 1);
    assert!(without[0].starts_with("config:3:3: MR5005"), "{without:?}");
}

#[test]
fn every_mistake_has_its_place() {
    let text = "\
version: 2
delivry_mode: server_side
global:
  mapings: []
  enrichments:
    - { target: sitename, value: x }
    - { target: properties.a, value: { b: 1 } }
defaults:
  action: passs
events:
  Order Completed:
    vendor_event_nme: Purchase
    enabled: maybe
    mappings:
      - { source: propertes.total, target: $amount }
      - { source: properties.a, target: properties.token }
      - { source: properties.a }
      - { source: properties.a, target: x, transform: uper }
      - { source: properties.a, target: x, transform: date_format, format: epoch_minutes }
      - { source: properties.a, target: x, format: epoch_micros }
      - { source: properties.a, target: a.b }
      - { source: properties.a, target: a }
      - { source: properties.a, target: y, valuemap: {} }
    enrichments:
      - { target: z, value: '{{sites}}' }
      - { target: z, value: '{{api_secret}}' }
      - { target: z, value: '{{site' }
    transforms:
      - { target: never, transform: lower }
      - { target: $set_onec.x, transform: lower }
";
    let wanted = [
        "config:2:1: MR5003 the key of a config of version 2 `delivry_mode` is not known (did you mean `delivery_mode`?)",
        "config:4:3: MR5003 the key of `global` `mapings` is not known (did you mean `mappings`?)",
        "config:6:17: MR5106 the target `sitename` is not known",
        "config:7:38: MR5004 a value is a text, a number, true, false or a list of them",
        "config:9:11: MR5004 the action `passs` is not known (did you mean `pass`?)",
        "config:12:5: MR5003 the key of an event `vendor_event_nme` is not known (did you mean `vendor_event_name`?)",
        "config:13:14: MR5004 `enabled` takes true or false",
        "config:15:19: MR5101 the source `propertes` is not known (did you mean `properties`?)",
        "config:16:41: MR5106 `properties.token` is no target (the token is added when the row is sent)",
        "config:17:9: MR5005 a mapping needs the key `target`",
        "config:18:55: MR5004 the transform `uper` is not known (did you mean `upper`?)",
        "config:19:76: MR5004 the format `epoch_minutes` is not known (did you mean `epoch_micros`?)",
        "config:20:52: MR5004 `format` without a transform means nothing (write transform: date_format beside it)",
        "config:22:41: MR5006 `a` is a value and an object at once, see line 21",
        "config:23:44: MR5003 the key of a mapping `valuemap` is not known (did you mean `value_map`?)",
        "config:25:29: MR5007 the parameter `sites` is not known (there are none)",
        "config:26:29: MR5007 `api_secret` belongs to the connection and to no payload (leave it out: the token is added when the row is sent)",
        "config:27:29: MR5101 `{{` is not closed (write {{name}} for a parameter of the pipeline)",
        "config:29:19: MR5007 no mapping gives this target a value to transform",
        "config:30:19: MR5106 the target `$set_onec` is not known (did you mean `$set_once`?)",
    ];
    let found = mistakes(text);
    for (found, wanted) in found.iter().zip(wanted) {
        assert!(found.starts_with(wanted), "{found}\n{wanted}");
    }
    assert_eq!(found.len(), wanted.len(), "{found:#?}");
}

#[test]
fn other_versions_are_refused_with_what_to_do() {
    for (text, place) in [
        ("version: 1\nevents: {}\n", "config:1:10: MR5004"),
        ("version: two\n", "config:1:10: MR5004"),
        ("version: 1\nsteps: 1\n", "config:2:8: MR5004"),
        ("version: 2\nsteps: []\n", "config:2:1: MR5004"),
        ("{\"version\": 2, \"events\": []}", "config:1:26: MR5004"),
    ] {
        let found = mistakes(text);
        assert!(found[0].starts_with(place), "{text}: {found:?}");
    }
}

#[test]
fn any_text_is_only_a_text() {
    for odd in ["$.userId", "a {{", "\"", "\\", "settings.identity", "number(1)", "?\"x\"", "#"] {
        if odd.contains("{{") {
            continue;
        }
        let text = json!({"version": 2, "events": {"E": {"vendor_event_name": odd,
            "enrichments": [{"target": "x", "value": odd}],
            "mappings": [{"source": "properties.a", "target": "y",
                "value_map": {"k": odd, "*": "other"}}]}}})
        .to_string();
        let event = json!({"type": "track", "event": "E", "userId": "u", "properties": {"a": "k"}});
        let rows = mapped(&text, &json!({}), &event);
        let body = &rows[0]["body"];
        assert_eq!(body["event"], json!(odd));
        assert_eq!(
            (&body["properties"]["x"], &body["properties"]["y"]),
            (&json!(odd), &json!(odd))
        );
    }
}

/// The examples of the page: `json event datafly` is for the blueprint, `json event` for the config
/// above it.
#[test]
fn every_example_of_the_page_is_true() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/blueprints/datafly.md");
    let page = std::fs::read_to_string(path).expect("the page");
    let mut last = Blueprint::built_in("datafly").expect("there").expect("right");
    let blocks = crate::guide::blocks(&page);
    let mut seen = 0;
    for (block, behind) in blocks.iter().zip(blocks.iter().skip(1)) {
        let (mark, text, line) = block;
        match mark.as_str() {
            "yaml" => last = Blueprint::parse("shop.yaml", text).expect("a config"),
            "yaml wrong" => {
                let mistakes = Blueprint::parse("shop.yaml", text).expect_err("mistakes");
                let shown: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
                assert_eq!(shown.join("\n"), behind.1.trim_end(), "line {line}");
            }
            "json event" | "json event datafly" => {
                let wanted: Value = serde_json::from_str(&behind.1).expect("rows");
                let found = Mapping::new(&last, &json!({})).outcome(text);
                assert_eq!(found, wanted, "line {line}");
            }
            _ => continue,
        }
        seen += 1;
    }
    assert_eq!(seen, 6);
}
