//! Mixpanel's own SDKs, unmodified, with the collector in the place of Mixpanel.

use serde_json::{Value, json};

use super::{Command, DevServer, drive, node_with, python_with, tally};

/// The project token that `serve --dev` takes.
const TOKEN: &str = "dev-token";

#[test]
fn mixpanel_for_node_arrives_whole() {
    arrives_whole(|server| node_with("mixpanel.mjs", server, TOKEN));
}

#[test]
fn mixpanel_for_python_arrives_whole() {
    arrives_whole(|server| python_with("mixpanel_driver.py", server, TOKEN));
}

/// Both drivers send the same: 66 events (one of them a verb that becomes a link), ten changes of
/// users' profiles, seven of groups', and a verb that simplified identity has no use for.
fn arrives_whole(driver: impl Fn(&DevServer) -> Command) {
    let server = DevServer::start();
    let report = drive(driver(&server), &[]);
    assert_eq!(report["sent"], 84, "{report}");

    let ledger = server.drain(84);
    assert_eq!(tally(&ledger, "received"), 84, "{ledger:#}");
    assert_eq!(tally(&ledger, "delivered"), 83, "{ledger:#}");
    assert_eq!(tally(&ledger, "filtered"), 1, "{ledger:#}");
    let summary = server.twin_get("/twin/v1/projects/1/summary");
    let expected = json!({ "Seen": 1, "Identity Linked": 1, "Batched": 60, "Old": 1, "Older": 3 });
    assert_eq!(summary["by_event"], expected, "{summary:#}");
    assert_eq!((&summary["events"], &summary["copies"]), (&json!(66), &json!(66)), "{summary:#}");
    // Those that were deleted are gone.
    assert_eq!((&summary["profiles"], &summary["groups"]), (&json!(1), &json!(1)), "{summary:#}");

    the_user_is_one(&server);
    let group = server.twin_get("/twin/v1/projects/1/groups/company_id/acme");
    holds(
        &group["profile"],
        &[
            ("employees", json!(12)),
            ("since", json!(2020)),
            ("tags", json!(["b"])),
            ("trial", Value::Null),
        ],
    );
}

/// The device's event is the user's, by the link that the verb became.
fn the_user_is_one(server: &DevServer) {
    let device = "0b8f1c52-6a0d-4f6e-9d0a-3f1f3f7c2a11";
    let user = server.twin_get(&format!("/twin/v1/projects/1/users/{device}?limit=100"));
    assert_eq!(user["distinct_id"], "mixpanel-user", "{user:#}");
    let profile = &user["profile"];
    holds(
        profile,
        &[
            ("$email", json!("ada@mail.example")),
            ("plan", json!("pro")),
            ("first", json!("yes")),
            ("logins", json!(2)),
            ("items", json!(["mug"])),
            ("tags", json!(["a", "c"])),
            ("trial", Value::Null),
        ],
    );
    let charge = &profile["$transactions"][0];
    assert_eq!((&charge["$amount"], &charge["plan"]), (&json!(9.5), &json!("pro")), "{profile:#}");

    let activity = user["activity"].as_array().expect("activity");
    let of = |key: &str, value: &str| {
        activity.iter().find(|event| event[key] == value).unwrap_or_else(|| panic!("{value}"))
    };
    let seen = of("event", "Seen");
    assert_eq!(seen["properties"]["label"], "žluťoučký 🐎", "{seen:#}");
    assert_eq!(seen["properties"]["plus"], "a+b", "{seen:#}");
    // Times are exact to the millisecond, and insert ids are the SDK's.
    assert_eq!(of("insert_id", "old-1")["time"], 1_700_000_000_123_i64, "{user:#}");
    assert_eq!(of("insert_id", "older-2")["time"], 1_690_000_002_000_i64, "{user:#}");
}

/// Null stands for a property that must not be there.
fn holds(profile: &Value, wanted: &[(&str, Value)]) {
    for (name, value) in wanted {
        assert_eq!(profile.get(name).unwrap_or(&Value::Null), value, "{name}: {profile:#}");
    }
}
