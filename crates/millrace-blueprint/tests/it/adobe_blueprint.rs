//! What the `adobe` blueprint makes of events of the Edge Network: golden rows, the identity rule,
//! ids by order of preference, recorded requests, and the vendor's own table.

use bytes::Bytes;
use millrace_blueprint::Blueprint;
use millrace_model::entropy::SeededEntropy;
use millrace_model::event::Item;
use millrace_model::row::ProjectKey;
use millrace_protocol::Limits;
use millrace_protocol::edge::{Admission, Envelope, Form, MixpanelCookie, Visitor};
use serde_json::{Value, json};

use crate::{AT, Mapping};

const ECID: &str = "31415926535897932384626433832795028841";
const DEVICE: &str = "d19a4a76-2ec6-440c-b50e-b574d3763384";

fn built_in(name: &str, settings: &Value) -> Mapping {
    let blueprint = Blueprint::built_in(name).expect("there").expect("right");
    Mapping::new(&blueprint, settings)
}

/// The rows of a request's events, by the way that production takes.
pub(crate) fn outcomes(
    mapping: &mut Mapping,
    form: Form,
    body: &[u8],
    visitor: Visitor<'_>,
) -> Vec<Value> {
    let limits = Limits::default();
    let read = Envelope::read(form, Bytes::copy_from_slice(body), &limits).expect("a request");
    let batch = read.admit(&Admission {
        pipeline: &"web".parse().expect("a name"),
        received_at: AT,
        request_id: Some("r-1"),
        visitor,
        keep_decisioning: true,
        limits: &limits,
        entropy: &SeededEntropy::new(1),
    });
    let outcome = |item: &Item| match item {
        Item::Event(event) => {
            mapping.facts = event.facts.clone();
            mapping.outcome(std::str::from_utf8(&event.body).expect("text"))
        }
        other => json!({ "refused": format!("{other:?}") }),
    };
    batch.items.iter().map(outcome).collect()
}

fn one(mapping: &mut Mapping, event: &Value) -> Value {
    let visitor = Visitor::default();
    outcomes(mapping, Form::Bare, event.to_string().as_bytes(), visitor).remove(0)
}

fn page_view() -> Value {
    json!({
        "xdm": {
            "_id": "x-1", "eventType": "web.webpagedetails.pageViews", "timestamp": "2025-11-20T10:11:12.000Z",
            "identityMap": {"ECID": [{"id": ECID}], "CRMID": [{"id": "u-1", "authenticatedState": "authenticated"}]},
            "web": {"webPageDetails": {"URL": "https://shop.example/p", "name": "Mugs"},
                "webReferrer": {"URL": "https://search.example/?q=mug"}},
            "device": {"screenWidth": 1280, "screenHeight": 720},
            "environment": {"ipV4": "192.0.2.7"},
            "commerce": {"order": {"purchaseID": "o-1", "priceTotal": "42.50", "currencyCode": "EUR"}},
            "productListItems": [{"SKU": "s1", "name": "Mug", "quantity": 2, "priceTotal": 21.25}],
        },
        "data": {"loyalty": "gold", "__adobe": {"analytics": {"eVar1": "x"}}},
    })
}

#[test]
fn an_event_brings_what_xdm_has_a_field_for() {
    let mut properties = json!({
        "time": 1_763_633_472_000_i64, "$insert_id": "x-1", "ip": "192.0.2.7",
        "$current_url": "https://shop.example/p", "current_page_title": "Mugs",
        "$referrer": "https://search.example/?q=mug", "$referring_domain": "search.example",
        "$screen_width": 1280, "$screen_height": 720, "order_id": "o-1", "revenue": 42.50, "currency": "EUR",
        "products": [{"sku": "s1", "name": "Mug", "quantity": 2, "price": 21.25}],
        "distinct_id": "u-1", "$user_id": "u-1", "$device_id": ECID, "loyalty": "gold",
    });
    let body = |properties: &Value| json!([{"path": "/import", "body": {"event": "web.webpagedetails.pageViews", "properties": properties}}]);
    assert_eq!(one(&mut built_in("adobe", &json!({})), &page_view()), body(&properties));
    let members = properties.as_object_mut().expect("an object");
    members.retain(|name, _| !["$user_id", "$device_id", "loyalty"].contains(&name.as_str()));
    members.insert("distinct_id".to_owned(), json!(ECID));
    assert_eq!(one(&mut built_in("adobe-classic", &json!({})), &page_view()), body(&properties));
}

/// The settings of a tenant as the page of the extension names its fields.
fn tenant(more: &Value) -> Value {
    let mut settings = json!({
        "distinct_id": "_acme.distinct_id", "event_type": "_acme.event_type", "login_id": "_acme.LoginID",
        "properties": "_acme.properties",
    });
    for (name, value) in more.as_object().expect("an object") {
        settings[name] = value.clone();
    }
    settings
}

fn sign_in() -> Value {
    json!({"xdm": {"_id": "s-1", "eventType": "web.webinteraction.linkClicks", "timestamp": "2025-11-20T10:11:12Z",
        "_acme": {"distinct_id": DEVICE, "event_type": "signin", "LoginID": "a@b.example",
            "properties": {"method": "password", "distinct_id": "evil", "$current_url": "https://own.example/"}}}})
}

#[test]
fn the_identity_rule_sends_track_alias_and_identify() {
    let rows = one(&mut built_in("adobe-classic", &tenant(&json!({}))), &sign_in());
    let wanted = json!([
        {"path": "/import", "body": {"event": "signin", "properties": {
            "time": 1_763_633_472_000_i64, "distinct_id": DEVICE, "$insert_id": "s-1", "method": "password",
            "$current_url": "https://own.example/"}}},
        {"path": "/import", "body": {"event": "$create_alias", "properties": {"distinct_id": DEVICE, "alias": "a@b.example"}}},
        {"path": "/import", "body": {"event": "$identify", "properties": {"$identified_id": "a@b.example", "$anon_id": DEVICE}}},
    ]);
    assert_eq!(rows, wanted);
    let legacy = one(&mut built_in("adobe", &tenant(&json!({"identity": "legacy"}))), &sign_in());
    assert_eq!(legacy.as_array().map(Vec::as_slice), Some(&wanted.as_array().expect("rows")[..2]));
}

#[test]
fn a_sign_in_links_the_device_under_simplified_identity() {
    let rows = one(&mut built_in("adobe", &tenant(&json!({}))), &sign_in());
    let rows = rows.as_array().expect("rows");
    assert_eq!(rows.len(), 2, "{rows:?}");
    for (row, name) in rows.iter().zip(["Identity Linked", "signin"]) {
        assert_eq!(row["body"]["event"], name);
        let properties = &row["body"]["properties"];
        assert_eq!(properties["distinct_id"], "a@b.example");
        assert_eq!(properties["$user_id"], "a@b.example");
        assert_eq!(properties["$device_id"], DEVICE);
    }
    let quiet = one(&mut built_in("adobe", &tenant(&json!({"link_event": ""}))), &sign_in());
    assert_eq!(quiet.as_array().map(Vec::len), Some(1));
    // Without a known user there is nobody to join.
    let mut unknown = sign_in();
    unknown["xdm"]["_acme"]["LoginID"] = json!("");
    for (name, settings) in [("adobe", json!({})), ("adobe-classic", json!({}))] {
        let rows = one(&mut built_in(name, &tenant(&settings)), &unknown);
        assert_eq!(rows.as_array().map(Vec::len), Some(1), "{rows}");
    }
}

#[test]
fn the_distinct_id_is_the_tenants_then_the_pages_then_the_ecid() {
    let cookie = MixpanelCookie {
        distinct_id: Some("$device:page".to_owned()),
        device_id: Some("page".to_owned()),
        user_id: None,
    };
    let event = |own: &str, user: &str, ecid: &str| {
        let identity = |id: &str| json!([{"id": id, "authenticatedState": "authenticated"}]);
        json!({"xdm": {"eventType": "e", "_acme": {"distinct_id": own},
            "identityMap": {"ECID": identity(ecid), "CRMID": identity(user)}}})
    };
    // tenant's, user, ECID, cookie; distinct id of an original project, ids of a simplified one
    for (own, user, ecid, with_cookie, single, simplified) in [
        ("own", "u", "e", true, Some("own"), ["u", "u", "own"]),
        ("own", "", "e", true, Some("own"), ["$device:own", "", "own"]),
        ("$device:own", "", "e", true, Some("$device:own"), ["$device:own", "", "own"]),
        ("undefined", "", "e", true, Some("$device:page"), ["$device:page", "", "page"]),
        ("", "", "e", true, Some("$device:page"), ["$device:page", "", "page"]),
        ("", "", "e", false, Some("e"), ["$device:e", "", "e"]),
        ("", "u", "e", false, Some("e"), ["u", "u", "e"]),
        // After a sign-in a page with Mixpanel's SDK has the user id for a distinct id.
        ("u", "u", "e", true, Some("u"), ["u", "u", "page"]),
        ("u", "u", "", false, Some("u"), ["u", "u", ""]),
        ("", "u", "", false, Some("u"), ["u", "u", ""]),
        ("", "", "", false, None, ["", "", ""]),
    ] {
        let body = event(own, user, ecid).to_string();
        let visitor = Visitor { mixpanel: with_cookie.then_some(&cookie), ..Visitor::default() };
        let rows = |settings: Value| {
            outcomes(
                &mut built_in("adobe", &tenant(&settings)),
                Form::Bare,
                body.as_bytes(),
                visitor,
            )
            .remove(0)
        };
        let text = |rows: &Value, name: &str| {
            rows[0]["body"]["properties"][name].as_str().unwrap_or_default().to_owned()
        };
        let original = rows(json!({"identity": "original"}));
        match single {
            Some(id) => assert_eq!(text(&original, "distinct_id"), id, "{body}"),
            None => assert_eq!(original, json!({"set_aside": "MR1104"}), "{body}"),
        }
        let found = rows(json!({}));
        let ids = ["distinct_id", "$user_id", "$device_id"].map(|name| text(&found, name));
        assert_eq!(ids, simplified, "{body}");
    }
}

#[test]
fn rows_hold_the_lanes_of_the_ids_in_them() {
    use millrace_model::row::LaneKey;
    let mut mapping = built_in("adobe-classic", &tenant(&json!({})));
    one(&mut mapping, &sign_in());
    for row in &mapping.rows.rows {
        let lanes: Vec<_> = row.lanes.iter().collect();
        assert!(lanes.contains(&LaneKey::person(DEVICE)), "{row:?}");
    }
    for row in &mapping.rows.rows[1..] {
        assert!(row.lanes.iter().any(|lane| lane == LaneKey::person("a@b.example")), "{row:?}");
    }
}

#[test]
fn fields_of_the_action_can_stand_in_the_tenants_fields() {
    let settings = tenant(
        &json!({"event_time": "_acme.at", "insert_id": "_acme.id", "other_project": "0123abc"}),
    );
    let mut mapping = built_in("adobe", &settings);
    let event = json!({"xdm": {"_id": "x", "_acme": {"distinct_id": "d", "event_type": "e", "at": 1_763_600_000, "id": "i-1"}}});
    let rows = one(&mut mapping, &event);
    let properties = &rows[0]["body"]["properties"];
    assert_eq!(
        (&properties["time"], &properties["$insert_id"]),
        (&json!(1_763_600_000_000_i64), &json!("i-1"))
    );
    assert_eq!(mapping.rows.rows[0].project, Some(ProjectKey::of("0123abc")));
}

#[test]
fn odd_events_map_or_are_put_aside_for_a_reason() {
    for (event, wanted) in [
        (json!({"xdm": {}}), json!({"set_aside": "MR2006"})),
        (json!({"xdm": {"eventType": ""}}), json!({"set_aside": "MR2006"})),
        (json!({"xdm": {"eventType": "e"}}), json!({"set_aside": "MR1104"})),
        (
            json!({"xdm": {"eventType": "e", "identityMap": {"ECID": [{"id": "null"}]}}}),
            json!({"set_aside": "MR2002"}),
        ),
        (
            json!({"xdm": {"eventType": "$identify", "identityMap": {"ECID": [{"id": "e"}]}}}),
            json!({"set_aside": "MR2009"}),
        ),
        (
            json!({"xdm": {"eventType": "decisioning.propositionDisplay"}}),
            json!({"filtered": "drop_rule"}),
        ),
        (json!({"data": {"a": 1}}), json!({"set_aside": "MR2006"})),
    ] {
        assert_eq!(one(&mut built_in("adobe", &json!({})), &event), wanted, "{event}");
    }
    for odd in [json!(null), json!(""), json!(7), json!([]), json!({}), json!([[1], {"a": null}])] {
        let event = json!({"xdm": {"eventType": "e", "identityMap": {"ECID": [{"id": "e"}]}, "web": odd, "device": {"screenWidth": odd},
            "productListItems": odd, "commerce": {"order": {"priceTotal": odd}}, "_acme": {"properties": odd}}, "data": odd});
        let rows = one(&mut built_in("adobe", &json!({"properties": "_acme.properties"})), &event);
        assert_eq!(rows.as_array().map(Vec::len), Some(1), "{event} {rows}");
    }
    let mut classic = built_in("adobe-classic", &json!({}));
    let event = json!({"xdm": {"eventType": "decisioning.propositionDisplay", "identityMap": {"ECID": [{"id": "e"}]}}});
    assert_eq!(one(&mut classic, &event).as_array().map(Vec::len), Some(1));
}

#[test]
fn recorded_requests_become_rows() {
    let Some(shared) = crate::shared("fixtures/sdk") else { return };
    let mut count = 0;
    for folder in ["alloy", "adobe-edge-api"] {
        for file in std::fs::read_dir(shared.join(folder)).expect("a folder") {
            let text = std::fs::read(file.expect("a file").path()).expect("a recording");
            let recorded: Value = serde_json::from_slice(&text).expect("JSON");
            let decoded = &recorded["request"]["decoded"];
            if decoded.get("events").or(decoded.get("event")).is_none() {
                continue;
            }
            // The first visit of a browser has no ECID before the collector gives one out.
            let visitor = Visitor {
                ecid: Some("27182818284590452353602874713526624977"),
                ..Visitor::default()
            };
            let mut mapping = built_in("adobe", &json!({}));
            mapping.received_at = millrace_model::time::UnixMillis(1_795_400_000_000);
            for rows in
                outcomes(&mut mapping, Form::Request, decoded.to_string().as_bytes(), visitor)
            {
                let rows = rows.as_array().unwrap_or_else(|| panic!("{rows}: {decoded}")).clone();
                assert_eq!(rows.len(), 1, "{rows:?}");
                assert!(rows[0]["body"]["properties"]["$device_id"].is_string(), "{rows:?}");
                count += 1;
            }
        }
    }
    assert!(count >= 14, "{count} events");
}

#[test]
fn every_input_of_the_vendors_action_reaches_its_target() {
    let Some(tables) = crate::mapping_tables() else { return };
    let systems = tables["systems"].as_array().expect("systems");
    let adobe = systems.iter().find(|one| one["system"] == "adobe").expect("the system");
    let inputs = adobe["inputs"].as_array().expect("inputs");
    assert_eq!(inputs.len(), 6);
    let mut action = json!({});
    for input in inputs {
        let (field, value) = match input["name"].as_str().expect("a name") {
            "Project Token" => ("token", json!("0123abc")),
            "Event Type" => ("event_type", json!("{{field}}")),
            "Event Time" => ("event_time", json!("2025-11-20T10:00:00Z")),
            "Mixpanel Distinct ID" => ("distinct_id", json!("who")),
            "Insert ID" => ("insert_id", json!("i-1")),
            "Event Properties" => ("event_properties", json!({"field": "{{field}}"})),
            other => panic!("the input {other} is new"),
        };
        action[field] = value;
    }
    let file = json!({
        "adobe": "1", "name": "table",
        "data_elements": {"field": {"type": "path", "path": "arc.event.xdm.field"}},
        "rules": [{"name": "all", "actions": [{"track_event": action}]}],
    });
    let blueprint = Blueprint::parse("table", &file.to_string()).expect("rules that read");
    let mut mapping = Mapping::new(&blueprint, &json!({}));
    let rows = one(&mut mapping, &json!({"xdm": {"field": "value"}}));
    let body = &rows[0]["body"];
    for input in inputs {
        let target = input["target"].as_str().expect("a target");
        let wanted = match target {
            "properties.token" => {
                // The client writes the token of the row's project.
                assert_eq!(mapping.rows.rows[0].project, Some(ProjectKey::of("0123abc")));
                continue;
            }
            "event" | "properties.*" => json!("value"),
            "properties.time" => json!(1_763_632_800_000_i64),
            "properties.distinct_id" => json!("who"),
            "properties.$insert_id" => json!("i-1"),
            other => panic!("the target {other} is new"),
        };
        let pointer = format!("/{}", target.replace('.', "/").replace('*', "field"));
        assert_eq!(body.pointer(&pointer), Some(&wanted), "{target}");
    }
}
