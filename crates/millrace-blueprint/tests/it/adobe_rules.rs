//! Rules of Adobe's event forwarding: what their actions send.

use millrace_blueprint::{Blueprint, Parameters, Plan, SettingValues};
use millrace_model::row::ProjectKey;
use serde_json::{Value, json};

use crate::Mapping;

/// The sign-in rule of the vendor's page, and one for every event.
const SIGN_IN: &str = r#"
adobe: 1
name: forwarding
data_elements:
  Distinct ID: { type: path, path: arc.event.xdm._acme.distinct_id }
  Event Type: { type: path, path: arc.event.xdm._acme.event_type }
  Known User ID: { type: path, path: arc.event.xdm._acme.LoginID }
  Data: { type: path, path: arc.event.xdm._acme.properties }
  Channel: { type: constant, value: { kind: web, beta: null } }
  Page: { type: path, path: "arc.event.xdm.web.webPageDetails['URL']", default: none }
  SKU: { type: path, path: arc.event.xdm.productListItems.0.SKU, force_lower_case: true }
rules:
  - name: Every event
    exceptions:
      - { left_operand: "{{Event Type}}", operator: Equal, right_operand: signin }
    actions:
      - track_event:
          event_type: "{{Event Type}}"
          distinct_id: "{{Distinct ID}}"
          event_time: "{{arc.event.data.at}}"
          insert_id: "{{arc.event.data.id}}"
          event_properties: |
            {"page": "{{Page}}", "channel": "{{Channel}}", "sku": "{{SKU}}", "gone": "{{arc.event.data.gone}}",
             "text": "at {{Page}}!", "n": 1.5, "none": null, "list": [1, "{{SKU}}"],
             "bare": {"at": {{arc.event.data.at}}, "skus": [{{SKU}}, {{ SKU }}], "quoted": "\"{{SKU}}\\"}}
  - name: Sign in
    conditions:
      - { left_operand: "{{Event Type}}", operator: Equal, right_operand: signin }
    actions:
      - track_event: { event_type: "{{Event Type}}", distinct_id: "{{Distinct ID}}", event_properties: "{{Data}}" }
      - alias: { known_user_id: "{{Known User ID}}", distinct_id: "{{Distinct ID}}" }
      - identify: { known_user_id: "{{Known User ID}}", distinct_id: "{{Distinct ID}}" }
"#;

const DEVICE: &str = "d19a4a76-2ec6-440c-b50e-b574d3763384";

fn sign_in(settings: &Value, event: &str) -> Value {
    let blueprint = Blueprint::parse("rules", SIGN_IN).expect("rules that read");
    Mapping::new(&blueprint, settings).outcome(event)
}

#[test]
fn the_identity_rule_sends_its_three_rows_in_order() {
    let event = json!({"xdm": {"_acme": {"distinct_id": DEVICE, "event_type": "signin", "LoginID": "a@b.example",
        "properties": {"method": "password", "token": "t"}}}})
    .to_string();
    let original = json!([
        {"path": "/import", "body": {"event": "signin", "properties": {
            "time": 1_763_633_472_345_i64, "distinct_id": DEVICE, "$insert_id": "m-1", "method": "password"}}},
        {"path": "/import", "body": {"event": "$create_alias", "properties": {"distinct_id": DEVICE, "alias": "a@b.example"}}},
        {"path": "/import", "body": {"event": "$identify", "properties": {"$identified_id": "a@b.example", "$anon_id": DEVICE}}},
    ]);
    assert_eq!(sign_in(&json!({}), &event), original);
    // Legacy projects know aliases only.
    let legacy = sign_in(&json!({"identity": "legacy"}), &event);
    assert_eq!(
        legacy.as_array().map(Vec::as_slice),
        Some(&original.as_array().expect("rows")[..2])
    );
    // Simplified ones know neither: the two actions become one link event.
    let simplified = sign_in(&json!({"identity": "simplified"}), &event);
    let rows = simplified.as_array().expect("rows");
    assert_eq!(rows.len(), 2, "{simplified}");
    assert_eq!(rows[0]["body"]["properties"]["$device_id"], DEVICE);
    assert_eq!(rows[0]["body"]["properties"]["distinct_id"], format!("$device:{DEVICE}"));
    let link = &rows[1]["body"];
    assert_eq!(link["event"], "Identity Linked");
    assert_eq!(link["properties"]["$user_id"], "a@b.example");
    assert_eq!(link["properties"]["$device_id"], DEVICE);
}

#[test]
fn references_keep_types_alone_and_become_text_among_text() {
    let event = json!({
        "xdm": {"_acme": {"distinct_id": "u-1", "event_type": "Viewed"}, "productListItems": [{"SKU": "AB"}]},
        "data": {"at": 1_763_600_000, "id": "i-1"},
    });
    let wanted = json!([{"path": "/import", "body": {"event": "Viewed", "properties": {
        "time": 1_763_600_000_000_i64, "distinct_id": "u-1", "$insert_id": "i-1",
        "page": "none", "channel": {"kind": "web", "beta": null}, "sku": "ab", "text": "at none!", "n": 1.5,
        "none": null, "list": [1, "ab"],
        "bare": {"at": 1_763_600_000, "skus": ["ab", "ab"], "quoted": "\"ab\\"}}}}]);
    assert_eq!(sign_in(&json!({}), &event.to_string()), wanted);
}

#[test]
fn an_empty_distinct_id_is_the_visitor_of_the_page() {
    let event = |context: Value, ecid: Value| {
        let event = json!({"xdm": {"_acme": {"event_type": "Viewed", "distinct_id": ""}}, "context": context, "anonymousId": ecid});
        let rows = sign_in(&json!({}), &event.to_string());
        rows[0]["body"]["properties"]["distinct_id"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(
        event(json!({"mixpanel": {"distinct_id": "$device:m"}}), json!("ecid")),
        "$device:m"
    );
    assert_eq!(event(json!({"mixpanel": {"distinct_id": "undefined"}}), json!("ecid")), "ecid");
    assert_eq!(event(json!({}), json!("ecid")), "ecid");
    assert_eq!(event(json!({}), json!(null)), "");
}

#[test]
fn a_token_names_another_project_and_a_secret_the_integrations_own() {
    let file = r#"
adobe: 1
name: two projects
data_elements:
  Secret: { type: secret, secret: mixpanel }
  Token: { type: path, path: arc.event.data.token }
rules:
  - name: all
    actions:
      - track_event: { token: "{{Secret}}", event_type: own, distinct_id: u }
      - track_event: { token: 0123abc, event_type: other, distinct_id: u }
      - track_event: { token: "{{Token}}", event_type: named, distinct_id: u }
      - identify: { token: 0123abc, known_user_id: k, distinct_id: u }
"#;
    let blueprint = Blueprint::parse("rules", file).expect("rules that read");
    let mut mapping = Mapping::new(&blueprint, &json!({}));
    mapping.outcome(r#"{"data": {"token": "fedc"}}"#);
    let projects: Vec<_> = mapping.rows.rows.iter().map(|row| row.project).collect();
    let key = |token: &str| Some(ProjectKey::of(token));
    assert_eq!(projects, [None, key("0123abc"), key("fedc"), key("0123abc")]);
}

#[test]
fn secrets_are_parameters_and_several_must_be_given() {
    let file = |token: &str| {
        let actions = json!([
            {"track_event": {"token": "{{A}}", "event_type": "a", "distinct_id": "u"}},
            {"track_event": {"token": token, "event_type": "b", "distinct_id": "u"}},
        ]);
        let secret = |name: &str| json!({"type": "secret", "secret": name});
        let rules = json!({"adobe": "1", "name": "x", "rules": [{"name": "r", "actions": actions}],
            "data_elements": {"A": secret("first"), "B": secret("second")}});
        Blueprint::parse("rules", &rules.to_string()).expect("rules that read")
    };
    let projects = |blueprint: &Blueprint, given: &[(&str, &str)]| {
        let given: Parameters = given.iter().copied().collect();
        let plan = Plan::compile_with(blueprint, &SettingValues::default(), &given).ok()?;
        let mut mapping = Mapping::new(&file("{{A}}"), &json!({}));
        mapping.plan = plan;
        mapping.outcome("{}");
        Some(mapping.rows.rows.iter().map(|row| row.project).collect::<Vec<_>>())
    };
    let key = |token: &str| Some(ProjectKey::of(token));
    let one = file("{{A}}");
    assert_eq!(projects(&one, &[]), Some(vec![None, None]));
    assert_eq!(projects(&one, &[("first", "t1")]), Some(vec![key("t1"), key("t1")]));
    let two = file("{{B}}");
    assert_eq!(projects(&two, &[]), None);
    assert_eq!(projects(&two, &[("first", "")]), None);
    assert_eq!(projects(&two, &[("first", ""), ("second", "t2")]), Some(vec![None, key("t2")]));
}
