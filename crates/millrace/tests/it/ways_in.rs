//! Signed calls, pixels, webhooks and Syft's uploads, from the collector to the twin, each once.

use millrace_model::time::{Clock as _, SystemClock};
use ring::hmac;
use serde_json::json;

use crate::http::Connection;
use crate::server::{ADMIN_TOKEN, DevServer, tally};

fn config() -> String {
    format!(
        r#"
data_dir = "data"

[server]
collect = "127.0.0.1:0"
manage = "127.0.0.1:0"
admin_token = "{ADMIN_TOKEN}"

[[pipelines]]
id = "shop"
write_keys = ["shop-key"]

[pipelines.datafly]
hmac_secrets = ["sk_shop"]

[pipelines.syft]
path = "/api/uploads"

[[pipelines.webhooks]]
id = "wh_stripe"
type = "stripe"
secret = "whsec_shop"

[pipelines.webhooks.mappings]
userId = "$.data.object.customer"
"properties.amount" = "$.data.object.amount"

[[integrations]]
id = "mixpanel"
pipeline = "shop"
token = "token"
region = "twin"

[twin]
listen = "127.0.0.1:0"
projects = [{{ id = 1, token = "token" }}]
"#
    )
}

/// The signature of a call, in hexadecimal digits.
pub(crate) fn signature(secret: &str, timestamp: &str, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, format!("{timestamp}.{body}").as_bytes());
    tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn every_way_in_leads_to_the_twin_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("millrace.toml");
    std::fs::write(&file, config()).unwrap();
    let server = DevServer::start_with(&file);
    let mut connection = Connection::open(server.collector_url()).unwrap();
    let now = SystemClock::default().now();
    let (millis, seconds) = (now.0.to_string(), (now.0 / 1000).to_string());
    let happened = now.0 - 1000;

    let signed = json!({"type": "track", "event": "Signed", "userId": "u1", "messageId": "s-1", "timestamp": happened}).to_string();
    let mac = format!("sha256={}", signature("sk_shop", &millis, &signed));
    let stripe = json!({"id": "evt_1", "type": "charge.succeeded", "created": happened / 1000,
        "data": {"object": {"customer": "u1", "amount": 1999}}})
    .to_string();
    let proof = format!("t={seconds},v1={}", signature("whsec_shop", &seconds, &stripe));
    let upload = json!({"events": [{"type": "track", "event": "Uploaded", "userId": "u1", "messageId": "y-1"}], "version": "0.0.1"}).to_string();
    let pixel = format!("/v1/pixel/track?wk=shop-key&e=Opened&uid=u1&mid=p-1&ts={happened}");
    // Each twice, as after an answer that was lost: the second is a duplicate.
    for _ in 0..2 {
        let headers = [("X-Timestamp", millis.as_str()), ("X-Signature", mac.as_str())];
        let (status, answer) =
            connection.send("POST", "/v1/events", &headers, Some(&signed)).unwrap();
        assert_eq!((status, answer.as_str()), (200, r#"{"success":true}"#));
        let headers = [("Stripe-Signature", proof.as_str())];
        let (status, answer) = connection
            .send("POST", "/v1/webhook?source=wh_stripe", &headers, Some(&stripe))
            .unwrap();
        assert_eq!((status, answer.as_str()), (200, r#"{"success":true}"#));
        let (status, answer) = connection.send("POST", "/api/uploads", &[], Some(&upload)).unwrap();
        assert_eq!((status, answer.as_str()), (200, "{}"));
        let (status, answer) = connection.send("GET", &pixel, &[], None).unwrap();
        assert_eq!(status, 200);
        assert!(answer.starts_with("GIF89a"), "{answer}");
    }
    // What is tampered with, and what is nobody's, leaves no trace.
    let headers = [("X-Timestamp", millis.as_str()), ("X-Signature", mac.as_str())];
    let changed = signed.replace("u1", "u2");
    let (status, _) = connection.send("POST", "/v1/events", &headers, Some(&changed)).unwrap();
    assert_eq!(status, 401);
    let (status, _) = connection.send("GET", "/v1/pixel/track?wk=nobody&e=e", &[], None).unwrap();
    assert_eq!(status, 200);

    let ledger = server.drain(8);
    let counts =
        ["received", "delivered", "duplicates", "set_aside"].map(|name| tally(&ledger, name));
    assert_eq!(counts, [8, 4, 4, 0], "{ledger:#}");
    let person = server.twin_get("/twin/v1/projects/1/users/u1");
    let activity = person["activity"].as_array().unwrap();
    let mut names: Vec<&str> =
        activity.iter().filter_map(|event| event["event"].as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["Opened", "Signed", "Uploaded", "charge.succeeded"], "{person:#}");
    let charge = activity.iter().find(|event| event["event"] == "charge.succeeded").unwrap();
    assert_eq!(charge["properties"]["amount"], 1999, "{charge:#}");
}
