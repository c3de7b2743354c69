//! One purchase, sent by every protocol: the same event in Mixpanel, whichever way it came in, and
//! once, however often its client sends it (`reference/datafly-adobe.md` A-21; DESIGN 9.5 to 9.7).

#![expect(
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    reason = "helper functions of tests"
)]

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use millrace_model::time::{Clock as _, SystemClock, UnixMillis};
use serde_json::{Value, json};

use crate::http::{Connection, basic, get_basic};
use crate::server::{ADMIN_TOKEN, DevServer, tally};

const DEVICE: &str = "31415926535897932384626433832795028841";

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

[pipelines.mixpanel]
tokens = ["shop-token"]

[pipelines.adobe]
datastreams = ["shop-stream"]
organisation = "shop@AdobeOrg"

[pipelines.syft]
path = "/api/uploads"

[[pipelines.webhooks]]
id = "wh_shop"
type = "custom"
signature = "none"
event_type_path = "$.kind"

[pipelines.webhooks.mappings]
messageId = "$.id"
timestamp = "$.at"
userId = "$.buyer"
anonymousId = "$.device"
"properties.revenue" = "$.total"
"properties.order_id" = "$.order"
"properties.currency" = "$.money"

[[integrations]]
id = "mixpanel"
pipeline = "shop"
token = "token"
region = "twin"

[twin]
listen = "127.0.0.1:0"
projects = [{{ id = 1, token = "token", api_secret = "twin-secret" }}]
"#
    )
}

/// A request: what it is called, which is its message id, then method, target and body.
struct Call {
    id: &'static str,
    method: &'static str,
    target: String,
    body: Option<String>,
}

fn post(id: &'static str, target: &str, body: impl ToString) -> Call {
    Call { id, method: "POST", target: target.to_owned(), body: Some(body.to_string()) }
}

fn get(id: &'static str, target: String) -> Call {
    Call { id, method: "GET", target, body: None }
}

fn message(id: &str, time: UnixMillis) -> Value {
    json!({
        "type": "track", "event": "Order Completed", "userId": "u1", "anonymousId": DEVICE,
        "messageId": id, "timestamp": time.to_string(),
        "properties": {"revenue": 42.5, "order_id": "o-1", "currency": "USD"},
    })
}

fn mixpanel(id: &str, time: Value) -> Value {
    json!({"event": "Order Completed", "properties": {
        "token": "shop-token", "distinct_id": "u1", "$user_id": "u1",
        "$device_id": DEVICE, "time": time, "$insert_id": id,
        "revenue": 42.5, "order_id": "o-1", "currency": "USD",
    }})
}

fn xdm(id: &str, time: UnixMillis) -> Value {
    json!({"xdm": {
        "_id": id, "eventType": "Order Completed", "timestamp": time.to_string(),
        "identityMap": {
            "ECID": [{"id": DEVICE}],
            "CRMID": [{"id": "u1", "authenticatedState": "authenticated", "primary": true}],
        },
        "commerce": {"order": {"purchaseID": "o-1", "priceTotal": 42.5, "currencyCode": "USD"}},
    }})
}

/// Every way in. `resend` counts the times that a client sends the same: its `sentAt` moves on.
fn calls(time: UnixMillis, resend: i64) -> Vec<Call> {
    let millis = time.0;
    let sent_at = UnixMillis(millis + 60_000 + resend * 1_500).to_string();
    let with = |mut message: Value, name: &str, value: &str| {
        message[name] = Value::from(value);
        message
    };
    let mut rudder = message("x-rudder", time);
    rudder["originalTimestamp"] = rudder["timestamp"].take();
    let rudder = with(rudder, "sentAt", &sent_at);
    let browser = with(message("x-browser", time), "sentAt", &sent_at);
    let dotted = format!(
        "writeKey=shop-key&event=Order+Completed&userId=u1&anonymousId={DEVICE}&messageId=x-dotted\
         &timestamp={millis}&properties.revenue=42.5&properties.order_id=o-1&properties.currency=USD"
    );
    let short = format!(
        "wk=shop-key&e=Order+Completed&uid=u1&aid={DEVICE}&mid=x-short&ts={millis}&p.revenue=42.5\
         &p.order_id=o-1&p.currency=USD&cb={resend}"
    );
    let data = |message: &Value| STANDARD.encode(message.to_string()).replace('+', "%2B");
    #[expect(clippy::cast_precision_loss, reason = "it is far from the limit")]
    let seconds = millis as f64 / 1000.0;
    vec![
        post("x-single", "/v1/track", message("x-single", time)),
        post("x-browser", "/v1/t", with(browser, "writeKey", "shop-key")),
        post(
            "x-batch",
            "/v1/batch",
            json!({"batch": [message("x-batch", time)], "sentAt": sent_at}),
        ),
        post("x-rudder", "/v1/track", rudder),
        post(
            "x-beacon",
            "/beacon/v1/batch?writeKey=shop-key",
            json!({"batch": [message("x-beacon", time)], "sentAt": sent_at}),
        ),
        post("x-datafly", "/v1/batch", json!({"events": [message("x-datafly", time)]})),
        post(
            "x-syft",
            "/api/uploads",
            json!({"events": [message("x-syft", time)], "version": "0.0.1", "sentAt": sent_at}),
        ),
        get(
            "x-data",
            format!(
                "/v1/pixel/track?data={}",
                data(&with(message("x-data", time), "writeKey", "shop-key"))
            ),
        ),
        get("x-dotted", format!("/pixel/v1/track?{dotted}")),
        get("x-short", format!("/v1/pixel/track?{short}")),
        post(
            "x-webhook",
            "/v1/webhook?source=wh_shop",
            json!({"kind": "Order Completed", "id": "x-webhook", "at": millis, "buyer": "u1",
                "device": DEVICE, "total": 42.5, "order": "o-1", "money": "USD"}),
        ),
        // Milliseconds, seconds with a fraction, and both as text.
        get("x-node", format!("/track?ip=0&data={}", data(&mixpanel("x-node", json!(millis))))),
        post(
            "x-python",
            "/track",
            format!("data={}&verbose=1&ip=0", mixpanel("x-python", json!(seconds))),
        ),
        post(
            "x-web",
            "/track/?verbose=1&ip=1",
            format!("data={}", data(&json!([mixpanel("x-web", json!(seconds.to_string()))]))),
        ),
        post(
            "x-import",
            "/import?strict=1",
            json!([mixpanel("x-import", json!(millis.to_string()))]),
        ),
        post(
            "x-interact",
            "/ee/v1/interact?configId=shop-stream",
            json!({"events": [xdm("x-interact", time)]}),
        ),
        post(
            "x-collect",
            "/ee/or2/v2/collect?datastreamId=shop-stream",
            json!({"events": [xdm("x-collect", time)]}),
        ),
    ]
}

#[test]
fn a_purchase_is_the_same_event_whichever_way_it_comes_in() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("millrace.toml");
    std::fs::write(&file, config()).unwrap();
    let server = DevServer::start_with(&file);
    let mut connection = Connection::open(server.collector_url()).unwrap();
    let now = SystemClock::default().now();
    // Milliseconds that a second would lose.
    let time = UnixMillis(now.0.div_euclid(1000) * 1000 - 59_750);
    let authorization = basic("shop-key", "");
    for resend in 0..2 {
        for call in calls(time, resend) {
            // The keys of others stand in the body, the query or the path.
            let keyed = ["x-single", "x-batch", "x-rudder", "x-datafly"].contains(&call.id);
            let shown = [("Authorization", authorization.as_str())];
            let headers = if keyed { &shown[..] } else { &[] };
            let (status, answer) =
                connection.send(call.method, &call.target, headers, call.body.as_deref()).unwrap();
            assert!((200..300).contains(&status), "{} {status} {answer}", call.id);
        }
    }
    let ids: Vec<&str> = calls(time, 0).iter().map(|call| call.id).collect();
    let count = ids.len() as u64;
    let ledger = server.drain(2 * count);
    let counts =
        ["received", "delivered", "duplicates", "set_aside"].map(|name| tally(&ledger, name));
    assert_eq!(counts, [2 * count, count, count, 0], "{ledger:#}");

    let rows = export(&server, time, now);
    let found: BTreeMap<&str, Value> = rows.iter().map(gist).collect();
    let wanted = &found[ids[0]];
    assert_eq!(wanted[1]["revenue"], 42.5, "{rows:#?}");
    assert_eq!(wanted[1]["time"], time.0, "{rows:#?}");
    for id in &ids {
        assert_eq!(found.get(id), Some(wanted), "{id}");
    }
    assert_eq!(found.len(), ids.len());
}

/// The insert id of a row, and what has to be the same in all.
fn gist(row: &Value) -> (&str, Value) {
    let said = &row["properties"];
    let names =
        ["distinct_id", "$user_id", "$device_id", "time", "revenue", "order_id", "currency"];
    let gist: BTreeMap<&str, &Value> = names.map(|name| (name, &said[name])).into();
    (said["$insert_id"].as_str().unwrap(), json!([row["event"], gist]))
}

/// All rows of the twin.
fn export(server: &DevServer, from: UnixMillis, to: UnixMillis) -> Vec<Value> {
    let [from, to] = [from, to].map(|at| at.to_string().chars().take(10).collect::<String>());
    let target = format!("/api/2.0/export?from_date={from}&to_date={to}&time_in_ms=true");
    let (status, body) = get_basic(&format!("{}{target}", server.twin_url()), "twin-secret", "");
    assert_eq!(status, 200, "{body}");
    body.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
