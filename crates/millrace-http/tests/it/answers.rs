//! One table of what every kind of client hears when something is the matter, and of what is stored
//! then. It is `reference/sdk-wire-formats.md` sections 1 to 8 and 11: no answer makes a client drop
//! what could be taken later, nor send for ever what never can be.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use millrace_http::{
    AdobeOptions, CollectorOptions, DataflyOptions, MixpanelAccess, PeerAddress, PipelineOptions,
    RateLimits, WebhookOptions, WebhookProof, WriteKey,
};
use millrace_model::code::Code;
use millrace_model::event::Item;
use millrace_model::intake::AdmitError;
use millrace_model::secret::Secret;
use millrace_protocol::webhook::Mapping;
use ring::hmac;
use serde_json::{Value, json};

use crate::recording::{Answered, NOW, TestCollector, basic};

/// What is the matter. The order is that of the columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    /// Too many bytes are being taken in.
    Bytes,
    /// Too much waits to be written.
    Queue,
    DiskFull,
    Poisoned,
    Stopping,
    /// The key sends faster than it may.
    Rate,
    Oversize,
    WrongKey,
    RevokedKey,
    /// A good event and a bad one; of clients that send one at a time, a bad one.
    OneBad,
}

use Trouble::{
    Bytes, DiskFull, OneBad, Oversize, Poisoned, Queue, Rate, RevokedKey, Stopping, WrongKey,
};

const TROUBLES: [Trouble; 10] =
    [Bytes, Queue, DiskFull, Poisoned, Stopping, Rate, Oversize, WrongKey, RevokedKey, OneBad];

/// How the answers of a client are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// `{"success":true}`; else `code` and `message` (1.5).
    Spec,
    /// The same; of a batch in which some events are wrong, the list of them.
    Listing,
    /// An image, whatever the matter is (6).
    Image,
    /// `{}`; else as the spec (10).
    Syft,
    /// A digit; else an object (7).
    Digit,
    /// An object with `status` as a number (7).
    Verbose,
    /// An object with counts (7).
    Counted,
    /// Handles; else a problem (8 and 9).
    Handles,
    /// Nothing; else a problem.
    Nothing,
    /// An id; else a problem.
    Accepted,
}

/// A client: how its answers are written, and what it sends.
type Client = (&'static str, Form, fn(Trouble) -> Request<Body>);

/// Status, `Retry-After` if there is one, and what was stored: `e` for an event, `a` for one that was
/// set aside, a dot for nothing.
#[rustfmt::skip]
const TABLE: [(Client, [&str; 10]); 20] = [
    //                                              bytes      queue      disk full  poisoned    stopping   rate       oversize  wrong     revoked   one bad
    (("spec call", Form::Spec, spec_call),         ["429 1 .", "429 2 .", "503 2 .", "503 30 .", "503 5 .", "429 1 .", "413 .",  "401 .",  "200 a",  "200 a"]),
    (("spec batch", Form::Spec, spec_batch),       ["429 1 .", "429 2 .", "503 2 .", "503 30 .", "503 5 .", "429 1 .", "413 .",  "401 .",  "200 aa", "200 ea"]),
    (("beacon", Form::Spec, beacon),               ["429 1 .", "429 2 .", "503 2 .", "503 30 .", "503 5 .", "429 1 .", "413 .",  "401 .",  "200 aa", "200 ea"]),
    (("our script", Form::Spec, script),           ["429 1 .", "429 2 .", "503 2 .", "503 30 .", "503 5 .", "429 1 .", "413 .",  "401 .",  "200 aa", "200 ea"]),
    (("datafly call", Form::Spec, datafly_call),   ["429 1 .", "429 2 .", "503 2 .", "503 30 .", "503 5 .", "429 1 .", "413 .",  "401 .",  "200 a",  "400 ."]),
    (("datafly batch", Form::Listing, datafly_batch), ["429 1 .", "429 2 .", "503 2 .", "503 30 .", "503 5 .", "429 1 .", "413 .", "401 .", "200 aa", "200 ea"]),
    (("datafly signed", Form::Spec, signed),       ["429 1 .", "429 2 .", "503 2 .", "503 30 .", "503 5 .", "429 1 .", "413 .",  "401 .",  "200 a",  "400 ."]),
    (("segment pixel", Form::Image, segment_pixel), ["200 .",  "200 .",   "200 .",   "200 .",    "200 .",   "200 .",   "200 a",  "200 .",  "200 a",  "200 a"]),
    (("rudder pixel", Form::Image, rudder_pixel),  ["200 .",   "200 .",   "200 .",   "200 .",    "200 .",   "200 .",   "200 a",  "200 .",  "200 a",  "200 a"]),
    (("webhook", Form::Spec, webhook),             ["429 1 .", "429 2 .", "503 2 .", "503 30 .", "503 5 .", "429 1 .", "413 .",  "401 .",  "",       "200 ea"]),
    (("syft", Form::Syft, syft),                   ["429 1 .", "429 2 .", "503 2 .", "503 30 .", "503 5 .", "429 1 .", "413 .",  "401 .",  "200 aa", "200 ea"]),
    (("mixpanel track", Form::Digit, track),       ["503 1 .", "503 2 .", "503 2 .", "503 30 .", "503 5 .", "503 1 .", "413 .",  "401 .",  "200 aa", "200 ea"]),
    (("mixpanel GET", Form::Digit, track_by_get),  ["503 1 .", "503 2 .", "503 2 .", "503 30 .", "503 5 .", "503 1 .", "200 a",  "401 .",  "200 a",  "200 a"]),
    (("mixpanel verbose", Form::Verbose, verbose), ["503 1 .", "503 2 .", "503 2 .", "503 30 .", "503 5 .", "503 1 .", "413 .",  "401 .",  "200 aa", "200 ea"]),
    (("mixpanel engage", Form::Verbose, engage),   ["503 1 .", "503 2 .", "503 2 .", "503 30 .", "503 5 .", "503 1 .", "413 .",  "401 .",  "200 aa", "200 ea"]),
    (("mixpanel import", Form::Counted, import),   ["503 1 .", "503 2 .", "503 2 .", "503 30 .", "503 5 .", "503 1 .", "413 .",  "401 .",  "200 aa", "400 ea"]),
    (("edge v1 interact", Form::Handles, v1_interact), ["503 1 .", "503 2 .", "503 2 .", "503 30 .", "503 5 .", "503 1 .", "413 .", "400 .", "200 aa", "200 ea"]),
    (("edge v2 interact", Form::Handles, v2_interact), ["503 1 .", "503 2 .", "503 2 .", "503 30 .", "503 5 .", "503 1 .", "413 .", "400 .", "200 a", "200 a"]),
    (("edge v1 collect", Form::Nothing, v1_collect), ["503 1 .", "503 2 .", "503 2 .", "503 30 .", "503 5 .", "503 1 .", "413 .", "400 .", "204 aa", "204 ea"]),
    (("edge v2 collect", Form::Accepted, v2_collect), ["503 1 .", "503 2 .", "503 2 .", "503 30 .", "503 5 .", "503 1 .", "413 .", "400 .", "202 aa", "202 ea"]),
];

const PAGE: &str = "https://shop.example";
const LIMIT: usize = 4 << 10;

/// The key of a client: the pipeline knows two of each kind.
fn key(trouble: Trouble) -> &'static str {
    match trouble {
        WrongKey => "wrong",
        RevokedKey => "gone",
        _ => "good",
    }
}

fn keys() -> Vec<WriteKey> {
    vec![WriteKey::active("good"), WriteKey::active("gone").revoked()]
}

fn collector(trouble: Trouble) -> TestCollector {
    let mut mapping = Mapping::new(Some("$.kind")).unwrap();
    mapping.target("userId", "$.user").unwrap();
    let proof =
        WebhookProof::SharedSecret { header: "x-secret".into(), secret: Secret::new("good") };
    let limits = RateLimits {
        requests_per_second: Some(1).filter(|_| trouble == Rate),
        burst_seconds: 1,
        ..RateLimits::default()
    };
    let door = PipelineOptions {
        limits,
        write_keys: keys(),
        mixpanel: MixpanelAccess { tokens: keys(), ..MixpanelAccess::default() },
        adobe: AdobeOptions { datastreams: keys(), ..AdobeOptions::default() },
        webhooks: vec![WebhookOptions { id: "wh".into(), proof, mapping: Arc::new(mapping) }],
        ..PipelineOptions::new("dev".parse().unwrap())
    };
    let strict_key =
        |key: WriteKey| WriteKey { key: Secret::new(format!("dk-{}", key.key.expose())), ..key };
    let strict = PipelineOptions {
        limits,
        write_keys: keys().into_iter().map(strict_key).collect(),
        datafly: DataflyOptions {
            strict: true,
            hmac_secrets: vec![Secret::new("secret")],
            ..DataflyOptions::default()
        },
        ..PipelineOptions::new("strict".parse().unwrap())
    };
    let mut options =
        CollectorOptions { pipelines: vec![door, strict], ..CollectorOptions::default() };
    options.limits.body_bytes = LIMIT;
    options.limits.event_bytes = LIMIT;
    if trouble == Bytes {
        options.max_in_flight_bytes = 10;
    }
    let collector = TestCollector::of(options);
    let retry_after = Duration::from_millis(1_500);
    match trouble {
        Queue => collector.intake.refuse(AdmitError::Overloaded { retry_after }),
        DiskFull => collector.intake.refuse(AdmitError::DiskFull { retry_after }),
        Poisoned => collector.intake.refuse(AdmitError::Poisoned),
        Stopping => collector.intake.refuse(AdmitError::ShuttingDown),
        Bytes | Rate | Oversize | WrongKey | RevokedKey | OneBad => {}
    }
    collector
}

fn request(method: Method, target: &str) -> axum::http::request::Builder {
    let peer = PeerAddress("203.0.113.9".parse().unwrap());
    Request::builder().method(method).uri(target).header("origin", PAGE).extension(peer)
}

fn post(target: &str, body: &Value) -> Request<Body> {
    request(Method::POST, target).body(body.to_string().into()).unwrap()
}

/// A call of the spec, larger than may be if that is the trouble.
fn event(trouble: Trouble) -> Value {
    let filler = if trouble == Oversize { "x".repeat(2 * LIMIT) } else { String::new() };
    json!({"type": "track", "event": "e", "userId": "u", "messageId": "m-1",
           "properties": {"filler": filler}})
}

/// A call of the spec without a name and without an id.
fn bad_event() -> Value {
    json!({"type": "track"})
}

fn one(trouble: Trouble) -> Value {
    if trouble == OneBad { bad_event() } else { event(trouble) }
}

fn two(trouble: Trouble) -> Value {
    json!([event(trouble), if trouble == OneBad { bad_event() } else { event(trouble) }])
}

fn spec_call(trouble: Trouble) -> Request<Body> {
    let key = basic(&format!("{}:", key(trouble)));
    let request = request(Method::POST, "/v1/track").header("authorization", key);
    request.body(one(trouble).to_string().into()).unwrap()
}

fn spec_batch(trouble: Trouble) -> Request<Body> {
    post("/v1/batch", &json!({"batch": two(trouble), "writeKey": key(trouble)}))
}

fn beacon(trouble: Trouble) -> Request<Body> {
    let target = format!("/beacon/v1/batch?writeKey={}", key(trouble));
    post(&target, &json!({"batch": two(trouble)}))
}

fn script(trouble: Trouble) -> Request<Body> {
    let context = json!({"library": {"name": "millrace-collector", "version": "1"}});
    let body = json!({"batch": two(trouble), "writeKey": key(trouble), "context": context});
    post("/v1/batch", &body)
}

fn datafly(trouble: Trouble, target: &str, body: &Value) -> Request<Body> {
    let key = format!("Bearer dk-{}", key(trouble));
    let request = request(Method::POST, target).header("authorization", key);
    request.body(body.to_string().into()).unwrap()
}

fn datafly_call(trouble: Trouble) -> Request<Body> {
    datafly(trouble, "/v1/t", &one(trouble))
}

fn datafly_batch(trouble: Trouble) -> Request<Body> {
    datafly(trouble, "/v1/batch", &json!({"batch": two(trouble)}))
}

fn signed(trouble: Trouble) -> Request<Body> {
    let mut body = one(trouble);
    // With a key beside the signature, which need not be there.
    if trouble == RevokedKey {
        body["writeKey"] = json!("dk-gone");
    }
    let (body, time) = (body.to_string(), NOW.0.to_string());
    let secret = if trouble == WrongKey { "another" } else { "secret" };
    let secret = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&secret, format!("{time}.{body}").as_bytes());
    let tag: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let request = request(Method::POST, "/v1/events").header("x-timestamp", time);
    request.header("x-signature", format!("sha256={tag}")).body(body.into()).unwrap()
}

fn segment_pixel(trouble: Trouble) -> Request<Body> {
    let mut event = one(trouble);
    event["writeKey"] = json!(key(trouble));
    let data = STANDARD.encode(event.to_string()).replace('+', "%2B");
    // What is too large for an event still names its key where it can be read.
    let beside = if trouble == Oversize { "&writeKey=good" } else { "" };
    let target = format!("/v1/pixel/track?data={data}{beside}");
    request(Method::GET, &target).body(Body::empty()).unwrap()
}

fn rudder_pixel(trouble: Trouble) -> Request<Body> {
    let mut target = format!("/pixel/v1/track?writeKey={}", key(trouble));
    if trouble != OneBad {
        target.push_str("&event=e&userId=u");
    }
    if trouble == Oversize {
        target.push_str("&properties.filler=");
        target.push_str(&"x".repeat(2 * LIMIT));
    }
    request(Method::GET, &target).body(Body::empty()).unwrap()
}

fn webhook(trouble: Trouble) -> Request<Body> {
    let filler = event(trouble);
    let good = json!({"kind": "Ping", "user": 7, "filler": filler});
    let second = if trouble == OneBad { json!({"user": 7}) } else { good.clone() };
    let request = request(Method::POST, "/v1/webhook?source=wh").header("x-secret", key(trouble));
    request.body(json!([good, second]).to_string().into()).unwrap()
}

fn syft(trouble: Trouble) -> Request<Body> {
    let body = json!({"events": two(trouble), "version": "0.0.1", "userAgentData": "Mozilla/5.0"});
    post(&format!("/syft/{}", key(trouble)), &body)
}

/// A record of Mixpanel's. A bad one has its token and no name.
fn record(trouble: Trouble, is_bad: bool) -> Value {
    let filler = if trouble == Oversize { "x".repeat(2 * LIMIT) } else { String::new() };
    let properties = json!({"token": key(trouble), "distinct_id": "u", "$insert_id": "i-1",
                            "time": NOW.0 / 1_000, "filler": filler});
    if is_bad {
        json!({"properties": properties})
    } else {
        json!({"event": "e", "properties": properties})
    }
}

fn records(trouble: Trouble) -> Value {
    json!([record(trouble, false), record(trouble, trouble == OneBad)])
}

fn form(target: &str, records: &Value, rest: &str) -> Request<Body> {
    let data = STANDARD.encode(records.to_string());
    let request = request(Method::POST, target).header("content-type", "text/plain;charset=UTF-8");
    request.body(format!("data={data}{rest}").into()).unwrap()
}

fn track(trouble: Trouble) -> Request<Body> {
    form("/track/", &records(trouble), "")
}

fn track_by_get(trouble: Trouble) -> Request<Body> {
    let data = STANDARD.encode(record(trouble, trouble == OneBad).to_string());
    let data = data.replace('+', "%2B");
    request(Method::GET, &format!("/track?ip=0&verbose=0&data={data}")).body(Body::empty()).unwrap()
}

fn verbose(trouble: Trouble) -> Request<Body> {
    form("/track/?verbose=1&ip=1", &records(trouble), "")
}

fn engage(trouble: Trouble) -> Request<Body> {
    let filler = event(trouble);
    let good = json!({"$token": key(trouble), "$distinct_id": "u", "$set": {"a": filler}});
    let bad = json!({"$token": key(trouble), "$distinct_id": "u"});
    let second = if trouble == OneBad { bad } else { good.clone() };
    form("/engage?verbose=1", &json!([good, second]), "")
}

fn import(trouble: Trouble) -> Request<Body> {
    let key = basic(&format!("{}:", key(trouble)));
    let request = request(Method::POST, "/import?strict=1&verbose=1&ip=0");
    let request = request.header("authorization", key).header("content-type", "application/json");
    request.body(records(trouble).to_string().into()).unwrap()
}

/// An event of Adobe's. A bad one is none.
fn xdm(trouble: Trouble, is_bad: bool) -> Value {
    let filler = event(trouble);
    if is_bad { json!(7) } else { json!({"xdm": {"eventType": "e", "_id": "x-1"}, "data": filler}) }
}

fn xdms(trouble: Trouble) -> Value {
    json!({"events": [xdm(trouble, false), xdm(trouble, trouble == OneBad)]})
}

fn v1_interact(trouble: Trouble) -> Request<Body> {
    post(&format!("/ee/v1/interact?configId={}", key(trouble)), &xdms(trouble))
}

fn v2_interact(trouble: Trouble) -> Request<Body> {
    let body = json!({"event": xdm(trouble, trouble == OneBad)});
    post(&format!("/ee/v2/interact?datastreamId={}", key(trouble)), &body)
}

fn v1_collect(trouble: Trouble) -> Request<Body> {
    post(&format!("/ee/irl1/v1/collect?configId={}", key(trouble)), &xdms(trouble))
}

fn v2_collect(trouble: Trouble) -> Request<Body> {
    post(&format!("/ee/v2/collect?datastreamId={}", key(trouble)), &xdms(trouble))
}

/// What was stored, a letter for each item.
fn stored(collector: &TestCollector, row: &str, trouble: Trouble) -> String {
    let letter = |item: &Item| match item {
        Item::Event(_) => 'e',
        Item::SetAside(aside) => {
            let by_key = aside.code == Code::RevokedWriteKey;
            assert_eq!(by_key, trouble == RevokedKey, "{row}: {}", aside.code);
            'a'
        }
        other => panic!("{row}: {other:?}"),
    };
    let batches = collector.intake.take();
    let letters: String = batches.iter().flat_map(|batch| &batch.items).map(letter).collect();
    if letters.is_empty() { ".".to_owned() } else { letters }
}

/// True when the client reads the answer as what it is.
fn is_understood(form: Form, trouble: Trouble, answered: &Answered) -> bool {
    let is_well = answered.status.is_success();
    let body: Value = serde_json::from_str(&answered.body).unwrap_or_default();
    let (is_text, is_number) = (
        |name: &str| body.get(name).is_some_and(Value::is_string),
        |name: &str, number: u16| body.get(name) == Some(&json!(number)),
    );
    let content = answered.header("content-type").unwrap_or_default();
    match form {
        Form::Image => content == "image/gif" && answered.body.starts_with("GIF89a"),
        Form::Listing if is_well && trouble == OneBad => {
            body["success"] == json!(true) && body["errors"][0]["index"] == json!(1)
        }
        Form::Spec | Form::Listing if is_well => answered.body == r#"{"success":true}"#,
        Form::Syft if is_well => answered.body == "{}",
        Form::Spec | Form::Listing | Form::Syft => {
            body["success"] == json!(false) && is_text("code") && is_text("message")
        }
        // A call of which nothing can be used hears that, under 200.
        Form::Digit if is_well => answered.body == "1" || answered.body == "0",
        Form::Verbose if is_well => body == json!({"status": 1, "error": null}),
        Form::Counted if is_well => {
            is_number("code", 200) && is_number("num_records_imported", 2) && body["status"] == "OK"
        }
        Form::Counted if trouble == OneBad => {
            is_number("code", 400)
                && is_number("num_records_imported", 1)
                && body["failed_records"][0]["index"] == json!(1)
        }
        Form::Counted => {
            is_number("code", answered.status.as_u16()) && is_text("error") && is_text("status")
        }
        Form::Digit | Form::Verbose => is_number("status", 0) && is_text("error"),
        Form::Handles if is_well => {
            let handles = body["handle"].as_array().map_or(0, Vec::len);
            handles > 0
                && is_text("requestId")
                && body.get("warnings").is_some() == (trouble == OneBad)
        }
        Form::Nothing if is_well => answered.body.is_empty(),
        Form::Accepted if is_well => is_text("requestId"),
        Form::Handles | Form::Nothing | Form::Accepted => {
            content == "application/problem+json"
                && is_number("status", answered.status.as_u16())
                && ["type", "title", "detail", "code"].into_iter().all(is_text)
                && body["report"]["requestId"].is_string()
        }
    }
}

/// True when a page at the origin may read the answer and when to come back.
fn is_readable(answered: &Answered) -> bool {
    answered.header("access-control-allow-origin") == Some(PAGE)
        && answered.header("access-control-allow-credentials") == Some("true")
        && answered.header("vary") == Some("Origin")
        && answered
            .header("access-control-expose-headers")
            .is_some_and(|names| names.starts_with("Retry-After"))
}

#[tokio::test]
async fn every_client_hears_what_it_can_act_on() {
    let mut wrong = Vec::new();
    for ((name, form, send), wanted) in TABLE {
        for (trouble, wanted) in TROUBLES.into_iter().zip(wanted) {
            if wanted.is_empty() {
                continue;
            }
            let row = format!("{name}, {trouble:?}");
            let collector = collector(trouble);
            if trouble == Rate {
                // The first is what the bucket holds.
                assert!(collector.send(send(trouble)).await.status.is_success(), "{row}");
                assert!(!collector.intake.take().is_empty(), "{row}");
            }
            let answered = collector.send(send(trouble)).await;
            let wait = answered.header("retry-after").map(|wait| format!("{wait} "));
            let stored = stored(&collector, &row, trouble);
            let found =
                format!("{} {}{stored}", answered.status.as_u16(), wait.unwrap_or_default());
            if found != wanted {
                wrong.push(format!("{row}: {found}, not {wanted}: {}", answered.body));
            }
            if !is_understood(form, trouble, &answered) {
                wrong.push(format!("{row}: {:?} {}", answered.headers, answered.body));
            }
            if !is_readable(&answered) {
                wrong.push(format!("{row}: {:?}", answered.headers));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
