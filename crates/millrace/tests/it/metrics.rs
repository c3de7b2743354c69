//! What mapping changed or noticed is counted where operators look.

use serde_json::{Value, json};

use crate::http::{Connection, get_bearer, get_json};
use crate::server::{ADMIN_TOKEN, DevServer};

#[test]
fn corrections_are_counted_in_the_overview_and_the_metrics() {
    let server = DevServer::start();
    let event = json!({
        "type": "track", "event": "E", "userId": "u", "anonymousId": "undefined",
        "messageId": "not for Mixpanel",
        "properties": {"$oops": 1, "long": "x".repeat(300), "deep": [[[[1]]]]},
    });
    let mut connection = Connection::open(server.collector_url()).unwrap();
    let (status, _) = connection.post("/v1/track", server.write_key(), &event.to_string()).unwrap();
    assert_eq!(status, 200);
    server.drain(1);

    let url = |path: &str| format!("{}{path}", server.collector_url());
    let shown = get_json(&url("/api/v1/integrations"), Some(ADMIN_TOKEN));
    let wanted = json!({
        "shape_as_text": 1, "long_text": 1, "unusable_id": 1, "derived_insert_id": 1,
        "unknown_dollar_name": 1,
    });
    assert_eq!(shown.pointer("/integrations/0/status/corrections"), Some(&wanted), "{shown:#}");

    let (status, page) = get_bearer(&url("/metrics"), ADMIN_TOKEN);
    assert_eq!(status, 200);
    let id = shown.pointer("/integrations/0/id").and_then(Value::as_str).unwrap();
    let labels = format!("pipeline=\"dev\",integration=\"{id}\"");
    for line in [
        "# TYPE millrace_events_total counter".to_owned(),
        format!("millrace_events_received_total{{{labels}}} 1"),
        format!("millrace_events_total{{{labels},state=\"delivered\"}} 1"),
        format!("millrace_events_unaccounted{{{labels}}} 0"),
        format!("millrace_sending{{{labels}}} 1"),
        format!("millrace_corrections_total{{{labels},kind=\"long_text\"}} 1"),
        format!("millrace_corrections_total{{{labels},kind=\"time_ahead\"}} 0"),
    ] {
        assert!(page.lines().any(|one| one == line), "{line} is not in\n{page}");
    }
    // Names of fields may be told, values never.
    assert!(!page.contains("oops") && !page.contains("Mixpanel takes\"x"), "{page}");
}
