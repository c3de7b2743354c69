//! What actions send beyond one row an event: an action for each item, other projects, joins,
//! deletions, lanes, and checked conversions.

use millrace_blueprint::Blueprint;
use millrace_model::row::{LaneKey, ProjectKey};
use serde_json::{Value, json};

use crate::Mapping;

fn mapping(send: &str, settings: &Value) -> Mapping {
    let text = format!(
        "blueprint: b\nsettings:\n  mode: {{ kind: choice, of: [simplified, original, legacy], default: simplified }}\n  \
         link: {{ kind: text, default: Linked }}\n  one: {{ kind: switch, default: true }}\nrules:\n  - name: r\n    \
         send:\n{send}"
    );
    let blueprint = Blueprint::parse("b", &text).unwrap_or_else(|found| panic!("{found:#?}"));
    Mapping::new(&blueprint, settings)
}

const PRODUCTS: &str = "      - event: { name: Order, distinct_id: $.userId }\n      - event:\n          \
    each: $.products\n          when: exists(.id)\n          name: Product\n          distinct_id: $.userId\n          \
    token: .token\n          alone: settings.one\n          properties: { id: .id, at: place() }\n";

#[test]
fn an_action_is_done_for_each_item() {
    let mut mapping = mapping(PRODUCTS, &json!({}));
    let event = r#"{"userId": "u", "products": [{"id": 1, "token": "t1"}, {}, {"id": 3}]}"#;
    let rows = mapping.outcome(event);
    let told: Vec<_> = rows
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| {
            let properties = &row["body"]["properties"];
            (properties["$insert_id"].clone(), properties["id"].clone(), properties["at"].clone())
        })
        .collect();
    let wanted = [
        ("m-1", json!(null), json!(null)),
        ("0m-1", json!(1), json!(0)),
        ("1m-1", json!(3), json!(2)),
    ];
    assert_eq!(told, wanted.map(|(id, one, at)| (json!(id), one, at)));
    let rows = &mapping.rows.rows;
    assert_eq!(rows.iter().map(|row| row.alone).collect::<Vec<_>>(), [false, true, true]);
    let project = Some(ProjectKey::of("t1"));
    assert_eq!(rows.iter().map(|row| row.project).collect::<Vec<_>>(), [None, project, None]);
    // An object alone counts as one item, other values as none.
    let events =
        |mapping: &mut Mapping, event: &str| mapping.outcome(event).as_array().map(Vec::len);
    assert_eq!(events(&mut mapping, r#"{"userId": "u", "products": {"id": 1}}"#), Some(2));
    assert_eq!(events(&mut mapping, r#"{"userId": "u", "products": "id"}"#), Some(1));
}

#[test]
fn no_two_rows_of_an_event_have_the_same_insert_id() {
    let text = "blueprint: b\nrules:\n  - name: first\n    continue: true\n    send:\n      \
        - event: { name: A, distinct_id: $.userId, insert_id: $.messageId }\n      \
        - event: { each: $.l, name: A, distinct_id: $.userId, insert_id: .id }\n      \
        - event: { each: $.l, name: A, distinct_id: $.userId }\n      \
        - join: { each: $.l, identity: simplified, user_id: $.userId, device_id: .device, name: Linked }\n  \
        - name: second\n    send:\n      \
        - event: { each: $.l, name: B, distinct_id: $.userId }\n      \
        - event: { name: B, distinct_id: $.userId, insert_id: $.messageId }\n      \
        - join: { identity: simplified, user_id: $.userId, device_id: $.anonymousId, name: Linked }\n";
    let blueprint = Blueprint::parse("b", text).unwrap_or_else(|found| panic!("{found:#?}"));
    let mut mapping = Mapping::new(&blueprint, &json!({}));
    let event = r#"{"userId": "u", "anonymousId": "d0", "messageId": "m-1", "l": [
        {"id": "x", "device": "d1"}, {"id": "x", "device": "d2"}, {"id": "m-1", "device": "d3"}, {"id": "0m-1"}]}"#;
    let ids = |rows: &Value| -> Vec<String> {
        let id = |row: &Value| row["body"]["properties"]["$insert_id"].as_str().map(str::to_owned);
        rows.as_array().expect("rows").iter().filter_map(id).collect()
    };
    let rows = mapping.outcome(event);
    let first = ids(&rows);
    let different: std::collections::HashSet<&String> = first.iter().collect();
    assert_eq!((first.len(), different.len()), (18, 18), "{first:?}");
    assert_eq!(first.first().map(String::as_str), Some("m-1"));
    assert_eq!(first.get(1).map(String::as_str), Some("x"));
    // A replay repeats them.
    assert_eq!(ids(&mapping.outcome(event)), first);
}

#[test]
fn too_many_items_set_the_event_aside() {
    let mut mapping = mapping(PRODUCTS, &json!({}));
    let event =
        |count| json!({"userId": "u", "products": vec![json!({"id": 1}); count]}).to_string();
    assert_eq!(mapping.outcome(&event(1000)).as_array().map(Vec::len), Some(1001));
    assert_eq!(mapping.outcome(&event(1001)), json!({"set_aside": "MR2011"}));
    let wide = "      - event: { each: $.products, name: P, distinct_id: $.userId, properties: { \"...\": $ } }\n";
    assert!(
        Blueprint::parse("b", &format!("blueprint: b\nrules:\n  - name: r\n    send:\n{wide}"))
            .is_err()
    );
    let mut mapping = self::mapping(&wide.replace(": $ }", ": $.p }"), &json!({}));
    let long = "x".repeat(20_000);
    let event = json!({"userId": "u", "products": vec![1; 900], "p": {"long": long}});
    assert_eq!(mapping.outcome(&event.to_string()), json!({"set_aside": "MR2011"}));
}

#[test]
fn one_insert_id_for_all_items_is_a_mistake() {
    for (id, right) in
        [("$.messageId", false), ("'\"$.messageId-{{place()}}\"'", true), (".id", true)]
    {
        let text = format!(
            "blueprint: b\nrules:\n  - name: r\n    send:\n      - event: {{ each: $.l, name: n, distinct_id: $.u, insert_id: {id} }}\n"
        );
        assert_eq!(Blueprint::parse("b", &text).is_ok(), right, "{id}");
    }
}

#[test]
fn a_join_follows_the_identity_mode() {
    let send = "      - join: { identity: settings.mode, user_id: $.userId, device_id: $.anonymousId, name: settings.link }\n";
    for (settings, event, wanted) in [
        (json!({}), "Linked", Some("$user_id")),
        (json!({"mode": "original"}), "$identify", Some("$identified_id")),
        (json!({"mode": "legacy"}), "", None),
        (json!({"link": ""}), "", None),
    ] {
        let mut mapping = mapping(send, &settings);
        let outcome = mapping.outcome(r#"{"userId": "u", "anonymousId": "d"}"#);
        match wanted {
            Some(key) => {
                assert_eq!(outcome[0]["body"]["event"], event);
                assert_eq!(outcome[0]["body"]["properties"][key], "u", "{outcome}");
            }
            None => assert_eq!(outcome, json!({"filtered": "no_rule"})),
        }
        assert_eq!(mapping.outcome(r#"{"userId": "u"}"#), json!({"filtered": "no_rule"}));
    }
}

#[test]
fn a_profile_is_deleted() {
    let send = "      - delete: { distinct_id: $.userId, ignore_alias: settings.one }\n";
    let mut mapping = mapping(send, &json!({}));
    let body = json!({"$distinct_id": "u", "$ignore_alias": true, "$delete": ""});
    assert_eq!(mapping.outcome(r#"{"userId": "u"}"#), json!([{"path": "/engage", "body": body}]));
    assert_eq!(mapping.outcome("{}"), json!({"set_aside": "MR1104"}));
}

#[test]
fn rows_keep_the_order_of_their_own_ids_too() {
    let send = "      - event: { name: n, distinct_id: '?\"$device:$.xdm.id\"', user_id: $.xdm.user }\n      \
        - profile: { distinct_id: $.xdm.user, set: { a: 1 } }\n";
    let mut mapping = mapping(send, &json!({}));
    let _ = mapping.map(r#"{"anonymousId": "a", "xdm": {"id": "d", "user": "u"}}"#);
    let lanes: Vec<Vec<LaneKey>> =
        mapping.rows.rows.iter().map(|row| row.lanes.iter().collect()).collect();
    let person = LaneKey::person;
    assert_eq!(lanes[0], [person("a"), person("d"), person("u")]);
    assert_eq!(lanes[1], [person("a"), person("u")]);
}

#[test]
fn values_of_the_wrong_kind_set_the_event_aside() {
    let value = |function: &str, value: &str| {
        let send = format!(
            "      - event: {{ name: n, distinct_id: u, properties: {{ p: {function}($.a.b) }} }}\n"
        );
        let mut mapping = mapping(&send, &json!({}));
        match mapping.map(&format!(r#"{{"a": {{"b": {value}}}}}"#)) {
            millrace_model::row::Mapped::SetAside { code, message } => {
                assert_eq!(code.as_str(), "MR2010");
                message
            }
            _ => mapping.bodies()[0]["body"]["properties"]["p"].to_string(),
        }
    };
    for (function, given, wanted) in [
        ("need_text", "\"a\"", "\"a\""),
        ("need_text", "1.50", "\"1.50\""),
        ("need_text", "true", "\"true\""),
        ("need_text", "[7]", "\"7\""),
        ("need_text", "null", "null"),
        ("need_text", "{}", "`$.a.b` must be a text, and is an object"),
        ("need_text", "[1,2]", "`$.a.b` must be a text, and is a list"),
        ("need_number", "\" 1.5 \"", "1.5"),
        ("need_number", "true", "1"),
        ("need_number", "\"\"", "`$.a.b` must be a number, and is a text"),
        ("need_integer", "5.0", "5.0"),
        ("need_integer", "\"5.5\"", "`$.a.b` must be a whole number, and is a text"),
        ("need_switch", "\"false\"", "false"),
        ("need_switch", "1", "true"),
        ("need_switch", "2", "`$.a.b` must be true or false, and is a number"),
        ("need_time", "\"2025-11-20T10:11:12Z\"", "1763633472000"),
        ("need_time", "\"soon\"", "`$.a.b` must be a time, and is a text"),
        ("need_object", "[{\"x\":1}]", "{\"x\":1}"),
        ("need_object", "3", "`$.a.b` must be an object, and is a number"),
        ("need_list", "\"x\"", "[\"x\"]"),
        ("need_list", "[1]", "[1]"),
        ("need_list", "{}", "`$.a.b` must be a list, and is an object"),
    ] {
        assert_eq!(value(function, given), wanted, "{function} {given}");
    }
}
