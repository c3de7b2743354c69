//! What the blueprints `segment` and `syft` make of events. Their classic variants are held against
//! the peers' cases by `cargo xtask conformance`; the page's tables by `seed_tables`.

use millrace_blueprint::Blueprint;
use serde_json::{Value, json};

use crate::Mapping;

fn mapping(name: &str, settings: &Value) -> Mapping {
    let blueprint = Blueprint::built_in(name).expect("there").expect("right");
    Mapping::new(&blueprint, settings)
}

fn outcome(name: &str, settings: &Value, event: &Value) -> Value {
    mapping(name, settings).outcome(&event.to_string())
}

const ORDER: &str = r#"{"type": "track", "event": "Order Completed", "userId": "u1", "anonymousId": "d1",
    "properties": {"order_id": "o1", "total": 30, "products": [
        {"product_id": "p1", "price": 10, "colour": "red"}, {"product_id": "p2", "price": 20}]}}"#;

#[test]
fn an_order_is_followed_by_its_products() {
    let order: Value = serde_json::from_str(ORDER).expect("JSON");
    let found = outcome("segment", &json!({}), &order);
    let common = json!({"distinct_id": "u1", "$user_id": "u1", "$device_id": "d1",
        "$source": "segment", "event_original_name": "Order Completed", "order_id": "o1"});
    let with = |more: Value| {
        let mut all = common.as_object().cloned().expect("an object");
        all.extend(more.as_object().cloned().expect("an object"));
        Value::Object(all)
    };
    let products = &order["properties"]["products"];
    assert_eq!(
        found,
        json!([
            {"path": "/import", "body": {"event": "Order Completed", "properties": with(json!({
                "time": 1_763_633_472_345_i64, "$insert_id": "m-1", "total": 30, "products": products}))}},
            {"path": "/import", "body": {"event": "Product Purchased", "properties": with(json!({
                "time": 1_763_633_472_344_i64, "$insert_id": "0m-1", "product_id": "p1", "price": 10}))}},
            {"path": "/import", "body": {"event": "Product Purchased", "properties": with(json!({
                "time": 1_763_633_472_343_i64, "$insert_id": "1m-1", "product_id": "p2", "price": 20}))}},
        ])
    );
    let off = json!({"generatePurchaseEventPerProduct": false});
    assert_eq!(outcome("segment", &off, &order).as_array().map(Vec::len), Some(1));
}

#[test]
fn rows_go_alone_when_batching_is_off() {
    for name in ["segment", "syft", "segment-classic", "syft-classic"] {
        for (on, alone) in [(true, false), (false, true)] {
            let mut mapping = mapping(name, &json!({"enable_batching": on}));
            mapping.map(ORDER);
            assert_eq!(mapping.rows.rows.len(), 3, "{name}");
            assert!(mapping.rows.rows.iter().all(|row| row.alone == alone), "{name}");
        }
    }
}

#[test]
fn identity_follows_the_mode_of_the_project() {
    let event = json!({"type": "identify", "userId": "u1", "anonymousId": "d1",
        "traits": {"$email": "kept@a.example", "firstName": "Ann", "lastName": "Lee", "createdAt": "2021-01-01T00:00:00Z"}});
    let found = outcome("segment", &json!({}), &event);
    assert_eq!(found[0]["body"]["event"], "Identity Linked");
    assert_eq!(
        found[1]["body"],
        json!({"$distinct_id": "u1", "$set": {"$email": "kept@a.example", "$first_name": "Ann",
            "$last_name": "Lee", "$name": "Ann Lee", "$created": "2021-01-01T00:00:00"}})
    );
    let found = outcome("segment", &json!({"identity": "original"}), &event);
    assert_eq!(
        found[0]["body"],
        json!({"event": "$identify", "properties": {"$identified_id": "u1", "$anon_id": "d1"}})
    );
    let found = outcome("segment", &json!({"identity": "legacy"}), &event);
    assert_eq!(found.as_array().map(Vec::len), Some(1));

    let users = json!({"type": "alias", "userId": "u2", "previousId": "u1"});
    assert_eq!(outcome("segment", &json!({}), &users), json!({"set_aside": "MR2001"}));
    let device = json!({"type": "alias", "userId": "u2", "previousId": "$device:d1"});
    let found = outcome("segment", &json!({}), &device);
    assert_eq!(found[0]["body"]["properties"]["$device_id"], "d1");
    let found = outcome("segment", &json!({"identity": "original"}), &users);
    assert_eq!(found[0]["body"]["properties"], json!({"distinct_id": "u1", "alias": "u2"}));
}

#[test]
fn a_group_needs_no_person() {
    let event = json!({"type": "group", "groupId": "g1", "traits": {"name": "Acme", "team": "t1"}});
    for name in ["segment", "syft"] {
        let found = outcome(name, &json!({"group_key": "team"}), &event);
        assert_eq!(
            found,
            json!([{"path": "/groups", "body": {"$group_key": "team", "$group_id": "t1",
                "$set": {"$name": "Acme", "team": "t1"}}}]),
            "{name}"
        );
    }
    let nameless = json!({"type": "group", "userId": "u1", "traits": {"name": "Acme"}});
    assert_eq!(outcome("segment", &json!({}), &nameless), json!({"set_aside": "MR1106"}));
}

#[test]
fn odd_events_are_mapped_or_set_aside_for_a_reason() {
    let odd = ["null", "\"\"", "{}", "[]", "0", "true", "\"x\"", "[{}]", "{\"a\":{}}"];
    for name in ["segment", "segment-classic", "syft", "syft-classic"] {
        let mut mapping = mapping(name, &json!({}));
        for kind in ["track", "page", "screen", "identify", "group", "alias"] {
            for member in [
                "event",
                "name",
                "userId",
                "anonymousId",
                "groupId",
                "previousId",
                "properties",
                "traits",
                "context",
            ] {
                for value in odd {
                    let event = format!(
                        r#"{{"type":"{kind}","event":"E","userId":"u1","groupId":"g","{member}":{value}}}"#
                    );
                    let found = mapping.outcome(&event);
                    let said = found.is_array()
                        || found.get("filtered").is_some()
                        || found.get("set_aside").is_some();
                    assert!(said, "{name} {event}: {found}");
                }
            }
        }
    }
}
