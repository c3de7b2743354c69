//! The six tables of Syft's page, row by row: each Source Field is read as it stands there, and the
//! row's value comes from exactly that path in the blueprint `syft` (and `syft-classic`).

use std::path::PathBuf;

use millrace_blueprint::Blueprint;
use serde_json::{Map, Value, json};

use crate::Mapping;

/// The tables, from the folder of shared material; none when it is not there, which only CI minds.
fn tables() -> Option<Value> {
    let shared = std::env::var_os("MILLRACE_SHARED").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")),
        PathBuf::from,
    );
    let path = shared.join("reference/seed-mapping-tables.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        assert!(std::env::var_os("CI").is_none(), "{} cannot be read", path.display());
        eprintln!("the tables are not tested: {} cannot be read", path.display());
        return None;
    };
    Some(serde_json::from_str(&text).expect("JSON"))
}

/// The calls of Syft, each with its rows.
fn calls(tables: &Value) -> Vec<(String, Vec<Value>)> {
    let systems = tables["systems"].as_array().expect("systems");
    let syft = systems.iter().find(|one| one["system"] == "syft").expect("syft");
    let calls = syft["calls"].as_array().expect("calls").iter();
    calls
        .map(|call| {
            let name = call["call"].as_str().expect("a name").to_owned();
            (name, call["fields"].as_array().expect("fields").clone())
        })
        .collect()
}

/// The paths of a Source Field, first to last.
fn paths(row: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().expect("a path").to_owned();
    let expr = &row["expr"];
    match expr["kind"].as_str() {
        Some("path") => vec![text(&expr["path"])],
        Some("coalesce") => expr["paths"].as_array().expect("paths").iter().map(text).collect(),
        Some("template") => vec!["$.name".to_owned()],
        _ => Vec::new(),
    }
}

/// Puts a value at a path such as `$.context.app.name`.
fn put(event: &mut Value, path: &str, value: &Value) {
    let mut at = event;
    for step in path.trim_start_matches("$.").split('.') {
        at = at.as_object_mut().expect("an object").entry(step).or_insert(json!({}));
    }
    *at = value.clone();
}

fn marker(row: &Value) -> Value {
    match row["type"].as_str() {
        Some("boolean") => json!(true),
        Some("number") => json!(7),
        Some("object") => json!({"marker": "m"}),
        _ => json!("marker"),
    }
}

#[test]
fn every_source_field_reads_as_it_stands_on_the_page() {
    let Some(tables) = tables() else { return };
    let mut count = 0;
    for (call, rows) in calls(&tables) {
        for row in rows {
            let source = match row.get("source") {
                Some(source) => source.clone(),
                // A mapping in Segment's notation is no text but data.
                None => row["expr"]["value"].clone(),
            };
            let text = json!({"blueprint": "row", "rules": [{"name": "r", "send": [{"event": {
                "name": "e", "distinct_id": "d", "properties": {"found": source}}}]}]});
            let blueprint = Blueprint::parse("row", &text.to_string());
            let blueprint =
                blueprint.unwrap_or_else(|mistakes| panic!("{call} {row}: {mistakes:?}"));
            let mut mapping = Mapping::new(&blueprint, &json!({}));
            let mut found = |event: &Value| {
                mapping.outcome(&event.to_string())[0]["body"]["properties"].get("found").cloned()
            };
            let wanted = marker(&row);
            for path in paths(&row) {
                // Facts of the collector stand over these two.
                if ["$.timestamp", "$.messageId"].contains(&path.as_str()) {
                    continue;
                }
                let mut event = json!({});
                put(&mut event, &path, &wanted);
                let is_template = row["expr"]["kind"] == "template";
                let wanted = if is_template { json!("Viewed marker") } else { wanted.clone() };
                assert_eq!(found(&event), Some(wanted), "{call} {row} {path}");
            }
            if let Some(literal) = row["expr"].get("value").filter(|_| row.get("source").is_some())
            {
                let text = literal.to_string();
                let shown = found(&json!({}));
                assert!(
                    shown == Some(literal.clone()) || shown == Some(json!(text)),
                    "{call} {row}"
                );
            }
            count += 1;
        }
    }
    assert_eq!(count, 44 + 46 + 44 + 44 + 4 + 3, "all rows of the six tables");
}

/// The place of a field of the track actions among the properties of the event.
const PROPERTIES: [(&str, &str); 36] = [
    ("anonymous_id", "$device_id"),
    ("user_id", "$user_id"),
    ("group_id", "$group_id"),
    ("app_name", "$app_name"),
    ("app_namespace", "$app_namespace"),
    ("app_build", "$app_build_number"),
    ("app_version", "$app_version_string"),
    ("os_name", "$os"),
    ("os_version", "$os_version"),
    ("device_type", "$device_type"),
    ("device_name", "$device_name"),
    ("device_manufacturer", "$manufacturer"),
    ("device_model", "$model"),
    ("bluetooth", "$bluetooth_enabled"),
    ("carrier", "$carrier"),
    ("cellular", "$cellular_enabled"),
    ("wifi", "$wifi_enabled"),
    ("country", "mp_country_code"),
    ("region", "$region"),
    ("language", "$locale"),
    ("library_name", "mp_lib"),
    ("library_version", "$lib_version"),
    ("ip", "ip"),
    ("idfa", "$ios_ifa"),
    ("url", "$current_url"),
    ("screen_width", "$screen_width"),
    ("screen_height", "$screen_height"),
    ("screen_density", "$screen_density"),
    ("referrer", "$referrer"),
    ("userAgent", "$browser"),
    ("advertising_id", "advertising_id"),
    ("ad_tracking_enabled", "ad_tracking_enabled"),
    ("timezone", "timezone"),
    ("app_platform", "app_platform"),
    ("name", "event_original_name"),
    ("event_properties", "marker"),
];

/// Where the blueprint leaves the page, as its deviations say: other paths, and what is sent
/// nowhere, by Syft neither.
fn source_here(field: &str, page: &str, classic: bool) -> Option<String> {
    match field {
        "screen_width" if !classic => Some("$.context.screen.width".to_owned()),
        "screen_height" if !classic => Some("$.context.screen.height".to_owned()),
        "device_id" | "context" => None,
        "region" if classic => None,
        _ => Some(page.to_owned()),
    }
}

/// Whether a field of a track action is found where it belongs when its source alone is there, and
/// is not when it is absent.
fn check_track_row(mapping: &mut Mapping, call: &str, row: &Value, classic: bool) {
    let field = row["field"].as_str().expect("a field");
    let Some((_, property)) = PROPERTIES.iter().find(|(name, _)| *name == field) else { return };
    let mut base = json!({"type": "track", "event": "Order Completed"});
    match call {
        "Track Calls" => base["event"] = json!("E"),
        "Page Calls" => base = json!({"type": "page"}),
        "Screen Calls" => base = json!({"type": "screen"}),
        _ => {}
    }
    let ids = ["anonymous_id", "user_id"];
    if !ids.contains(&field) {
        base["userId"] = json!("u1");
    }
    let mut value = marker(row);
    let mut wanted = value.clone();
    match field {
        "userAgent" => {
            value = json!("Mozilla/5.0 (X11; Linux) Gecko/20100101 Firefox/130.0");
            wanted = json!("Firefox");
        }
        "library_name" => {
            wanted = json!(if classic { "Segment Actions: marker" } else { "Syft: marker" })
        }
        "event_properties" => wanted = json!("m"),
        _ => {}
    }
    for page in paths(row) {
        let Some(path) = source_here(field, &page, classic) else { continue };
        let without = base.clone();
        let mut with = base.clone();
        // Track calls have an event always, and an order has this one.
        let is_track = ["Track Calls", "Order Completed Calls"].contains(&call);
        if field == "name" && is_track && (path == "$.name" || call != "Track Calls") {
            continue;
        }
        put(&mut with, &path, &value);
        let found = mapping.outcome(&with.to_string());
        let name = format!("{call} {field} {path} classic: {classic}: {found}");
        assert_eq!(found[0]["body"]["properties"].get(*property), Some(&wanted), "{name}");
        if !ids.contains(&field) && field != "name" {
            let found = mapping.outcome(&without.to_string());
            assert_eq!(found[0]["body"]["properties"].get(*property), None, "{name}");
        }
    }
}

#[test]
fn every_row_comes_from_its_source() {
    let Some(tables) = tables() else { return };
    for (blueprint, classic) in [("syft", false), ("syft-classic", true)] {
        let built_in = Blueprint::built_in(blueprint).expect("there").expect("right");
        let mut mapping = Mapping::new(&built_in, &json!({}));
        for (call, rows) in calls(&tables) {
            if ["Identify Calls", "Group Calls"].contains(&call.as_str()) {
                continue;
            }
            for row in &rows {
                check_track_row(&mut mapping, &call, row, classic);
            }
        }
    }
}

/// The fields that are no single property: names, ids, times, campaigns and products.
#[test]
fn fields_of_the_row_come_from_their_sources() {
    for (blueprint, classic) in [("syft", false), ("syft-classic", true)] {
        let built_in = Blueprint::built_in(blueprint).expect("there").expect("right");
        let mut mapping = Mapping::new(&built_in, &json!({}));
        let mut rows = |event: Value| mapping.outcome(&event.to_string());
        let device = if classic { "d1" } else { "$device:d1" };
        // event, distinct_id, insert_id, time
        let track = rows(json!({"type": "track", "event": "E", "anonymousId": "d1",
            "messageId": "m-1", "timestamp": "2025-11-20T10:11:12.345Z"}));
        assert_eq!(track[0]["body"]["event"], "E");
        let properties = &track[0]["body"]["properties"];
        assert_eq!(properties["distinct_id"], device);
        assert_eq!(properties["$insert_id"], "m-1");
        assert_eq!(properties["time"], json!(1_763_633_472_345_i64));
        let track =
            rows(json!({"type": "track", "event": "E", "userId": "u1", "anonymousId": "d1"}));
        assert_eq!(track[0]["body"]["properties"]["distinct_id"], "u1");
        for kind in ["page", "screen"] {
            let viewed = rows(json!({"type": kind, "name": "Home", "userId": "u1"}));
            assert_eq!(viewed[0]["body"]["event"], "Viewed Home");
        }
        // utm_properties
        let names = [
            ("source", "source"),
            ("medium", "medium"),
            ("name", "campaign"),
            ("term", "term"),
            ("content", "content"),
        ];
        for (member, utm) in names {
            let campaign: Map<String, Value> =
                [(member.to_owned(), json!("marker"))].into_iter().collect();
            let track = rows(json!({"type": "track", "event": "E", "userId": "u1",
                "context": {"campaign": campaign}}));
            assert_eq!(track[0]["body"]["properties"][format!("utm_{utm}")], "marker");
        }
        // products, generatePurchaseEventPerProduct
        let members = [
            "product_id",
            "sku",
            "category",
            "name",
            "brand",
            "variant",
            "coupon",
            "url",
            "image_url",
        ];
        for member in members {
            let product: Map<String, Value> =
                [(member.to_owned(), json!("marker"))].into_iter().collect();
            let order = rows(json!({"type": "track", "event": "Order Completed", "userId": "u1",
                "properties": {"total": 2, "products": [product]}}));
            assert_eq!(order[1]["body"]["event"], "Product Purchased");
            assert_eq!(order[1]["body"]["properties"][member], "marker");
            assert_eq!(
                order[1]["body"]["properties"].get("total"),
                None,
                "{blueprint} {member} {order}"
            );
        }
        // Identify and Group
        let identify = rows(json!({"type": "identify", "userId": "u1", "anonymousId": "d1",
            "context": {"ip": "203.0.113.9"}, "traits": {"plan": "marker"}}));
        let (user, anonymous) =
            if classic { ("$identified_id", "$anon_id") } else { ("$user_id", "$device_id") };
        assert_eq!(identify[0]["body"]["properties"][user], "u1");
        assert_eq!(identify[0]["body"]["properties"][anonymous], "d1");
        assert_eq!(identify[1]["body"]["$ip"], "203.0.113.9");
        assert_eq!(identify[1]["body"]["$set"]["plan"], "marker");
        let group =
            rows(json!({"type": "group", "userId": "u1", "groupId": "g1", "group_key": "team",
            "traits": {"plan": "marker"}}));
        let group = &group[0]["body"];
        assert_eq!((&group["$group_key"], &group["$group_id"]), (&json!("team"), &json!("g1")));
        assert_eq!(group["$set"]["plan"], "marker");
    }
}
