//! Nothing that a privacy rule takes out is in anything that is stored, by whatever protocol it came
//! and wherever it stands; and no key, token or signature ever is.

use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use millrace_govern::privacy::{PrivacyOptions, preset};
use millrace_govern::{RuleOptions, Rules};
use millrace_http::{
    AdobeOptions, CollectorOptions, MixpanelAccess, PeerAddress, PipelineOptions, WebhookOptions,
    WebhookProof, WriteKey,
};
use millrace_model::event::Item;
use millrace_model::secret::Secret;
use millrace_protocol::webhook::Mapping;
use serde_json::json;

use crate::recording::{TestCollector, basic, posting};

const EMAIL: &str = "ann.bell@shop.example";
const PHONE: &str = "+49 228 5551234";
const USER: &str = "user-4711-secret";
const DEVICE: &str = "device-0815-secret";
const IP: &str = "198.51.100.77";
const KEY: &str = "key-kept-by-nobody";
const OLD_KEY: &str = "old-key-kept-by-nobody";
const TOKEN: &str = "token-kept-by-nobody";

/// What must be nowhere. Of addresses the network may stay.
const GONE: [&str; 8] = [EMAIL, PHONE, USER, DEVICE, IP, KEY, OLD_KEY, TOKEN];

fn collector(secret: Option<&str>) -> TestCollector {
    let rules = ["personal", "ids"].into_iter().filter_map(preset).flatten().collect();
    let privacy =
        PrivacyOptions { rules, secret: secret.map(Secret::new), ..PrivacyOptions::default() };
    let rules = RuleOptions { privacy: Some(privacy), ..RuleOptions::default() };
    let mut mapping = Mapping::new(None).unwrap();
    for (target, source) in [
        ("userId", "$.customer.id"),
        ("messageId", "$.id"),
        ("traits.email", "$.customer.email"),
        ("properties.phone", "$.customer.phone"),
    ] {
        mapping.target(target, source).unwrap();
    }
    let webhook = WebhookOptions {
        id: "wh".to_owned(),
        proof: WebhookProof::Stripe(Secret::new(TOKEN)),
        mapping: Arc::new(mapping),
    };
    TestCollector::of(CollectorOptions {
        pipelines: vec![PipelineOptions {
            write_keys: vec![WriteKey::active(KEY), WriteKey::active(OLD_KEY).revoked()],
            rules: Arc::new(Rules::new(&rules)),
            adobe: AdobeOptions {
                datastreams: vec![WriteKey::active("stream")],
                organisation: Some("A@AdobeOrg".to_owned()),
                ..AdobeOptions::default()
            },
            mixpanel: MixpanelAccess {
                tokens: vec![WriteKey::active(TOKEN)],
                ..MixpanelAccess::default()
            },
            webhooks: vec![webhook],
            syft_path: Some("/api/syft".to_owned()),
            ..PipelineOptions::new("dev".parse().unwrap())
        }],
        ..CollectorOptions::default()
    })
}

/// The texts of a JSON value that are keys or values, their escapes taken off.
fn texts(value: &serde_json::Value, out: &mut String) {
    match value {
        serde_json::Value::String(text) => out.push_str(text),
        serde_json::Value::Array(items) => items.iter().for_each(|item| texts(item, out)),
        serde_json::Value::Object(members) => members.iter().for_each(|(name, value)| {
            out.push_str(name);
            texts(value, out);
        }),
        _ => {}
    }
    out.push('\n');
}

/// What is stored and ought not to be.
fn told(item: &Item, about: &str) -> Vec<String> {
    let mut told = Vec::new();
    let mut stored = match item {
        // Bytes print as text with escapes; the body is looked at without.
        Item::Event(event) => {
            let value = serde_json::from_slice(&event.body).unwrap();
            let mut stored = format!("{:?} {:?} ", event.facts, event.passage);
            texts(&value, &mut stored);
            stored
        }
        Item::SetAside(aside) => {
            let mut stored = format!("{} {}", aside.reason, String::from_utf8_lossy(&aside.body));
            if let Ok(value) = serde_json::from_slice(&aside.body) {
                texts(&value, &mut stored);
            }
            stored
        }
        other => format!("{other:?}"),
    };
    let decoded = percent_encoding::percent_decode_str(&stored).decode_utf8_lossy().into_owned();
    stored.push_str(&decoded);
    let lower = stored.to_lowercase();
    for value in GONE {
        let base64 = STANDARD.encode(value);
        // Its end depends on what follows.
        let inner = base64.get(..base64.len() - 4).unwrap();
        if lower.contains(&value.to_lowercase()) || stored.contains(inner) {
            told.push(format!("{about}: {value} in {stored}"));
        }
    }
    told
}

fn pixel(query: &str) -> Request<Body> {
    let peer = PeerAddress(IP.parse().unwrap());
    Request::get(format!("/v1/pixel/track?{query}")).extension(peer).body(Body::empty()).unwrap()
}

fn post(path: &str, body: impl Into<Body>) -> Request<Body> {
    let peer = PeerAddress(IP.parse().unwrap());
    let cookie = json!({ "distinct_id": format!("$device:{DEVICE}"), "$device_id": DEVICE, "$user_id": USER });
    let cookie = percent_encoding::utf8_percent_encode(
        &cookie.to_string(),
        percent_encoding::NON_ALPHANUMERIC,
    )
    .to_string();
    posting(path)
        .extension(peer)
        .header("origin", "https://www.shop.example")
        .header("cookie", format!("mp_{TOKEN}_mixpanel={cookie}"))
        .body(body.into())
        .unwrap()
}

fn keyed(path: &str, key: &str, body: impl Into<Body>) -> Request<Body> {
    let mut request = post(path, body);
    let value = basic(&format!("{key}:")).parse().unwrap();
    request.headers_mut().insert("authorization", value);
    request
}

/// An event of the spec that names its person everywhere.
fn call(kind: &str) -> serde_json::Value {
    json!({
        "type": kind, "event": "Paid", "userId": USER, "anonymousId": DEVICE, "writeKey": KEY,
        "messageId": format!("paid-{EMAIL}"), "traits": { "email": EMAIL, "phone": PHONE, "id": USER },
        "context": {
            "ip": IP, "traits": { "email": EMAIL.to_uppercase(), "phone": PHONE },
            "device": { "id": DEVICE, "advertisingId": DEVICE },
            "page": { "url": format!("https://shop.example/x?a=1&email={}#x?e-mail={EMAIL}", EMAIL.replace('@', "%40")),
                      "path": format!("/x?email={EMAIL}"), "search": format!("?EMAIL={EMAIL}") },
        },
        "properties": { "list": [{ "deep": { "email": EMAIL } }], "phone": PHONE, "$email": EMAIL },
    })
}

fn segment_requests() -> Vec<(&'static str, Request<Body>)> {
    let whole = call("track").to_string();
    let escaped = whole.replace("email", "\\u0065mail").replace("user-", "\\u0075ser-");
    let twice = whole.replacen("\"traits\":{", &format!("\"traits\":{{\"email\":\"{EMAIL}\","), 2);
    let broken = call("tracks").to_string();
    let cut = whole.get(..whole.len() / 2).unwrap().to_owned();
    let list =
        |items: &[&str]| format!("{{\"batch\":[{}],\"writeKey\":\"{KEY}\"}}", items.join(","));
    let text = format!("\"{EMAIL} {USER} {PHONE} {DEVICE} {IP}\"");
    let merge = json!({ "type": "merge", "mergeProperties": [{ "type": "email", "value": EMAIL }], "writeKey": KEY });
    vec![
        ("a call", keyed("/v1/track", KEY, whole.clone())),
        ("an identify", keyed("/v1/identify", KEY, call("identify").to_string())),
        ("a batch", keyed("/v1/batch", KEY, list(&[&escaped, &twice, &broken, &text, "7"]))),
        ("a cut call", keyed("/v1/track", KEY, cut)),
        ("a revoked key", keyed("/v1/batch", OLD_KEY, list(&[&whole, &broken]))),
        ("a merge", keyed("/v1/merge", KEY, merge.to_string())),
        ("Datafly", keyed("/v1/t", KEY, whole.clone())),
        ("Syft", keyed(&format!("/syft/{KEY}"), KEY, format!("{{\"events\":[{whole},{broken}]}}"))),
        (
            "a pixel",
            pixel(&format!("wk={KEY}&e=E&uid={USER}&aid={DEVICE}&t.email={EMAIL}&mid={EMAIL}")),
        ),
        ("a pixel of base64", pixel(&format!("wk={KEY}&data={}", URL_SAFE_NO_PAD.encode(&whole)))),
        ("a bad pixel", pixel(&format!("wk={KEY}&uid={USER}&t.email={EMAIL}&data=%%%"))),
        ("a pixel without a name", pixel(&format!("wk={KEY}&uid={USER}&t.email={EMAIL}"))),
        ("the older pixel", {
            let encoded = STANDARD.encode(json!({ "writeKey": KEY, "event": "E", "userId": USER, "traits": { "email": EMAIL } }).to_string());
            Request::get(format!(
                "/v1/pixel/track?data={}",
                encoded.replace('=', "%3D").replace('+', "%2B")
            ))
            .body(Body::empty())
            .unwrap()
        }),
    ]
}

fn other_requests() -> Vec<(&'static str, Request<Body>)> {
    let record = json!({ "event": "Paid", "properties": { "token": TOKEN, "distinct_id": USER,
        "$user_id": USER, "$device_id": DEVICE, "$insert_id": format!("i-{USER}"), "time": 1_795_359_000,
        "ip": IP, "$email": EMAIL, "$current_url": format!("https://a.example/?email={EMAIL}") } });
    let device = json!({ "event": "Seen", "properties": { "token": TOKEN,
        "distinct_id": format!("$device:{DEVICE}"), "$device_id": DEVICE } });
    let nameless = json!({ "properties": { "token": TOKEN, "api_key": TOKEN, "distinct_id": USER, "email": EMAIL } });
    let profile = json!({ "$token": TOKEN, "$distinct_id": USER, "$user_id": USER, "$device_id": DEVICE, "$ip": IP,
        "$set": { "$email": EMAIL, "$phone": PHONE } });
    let of_device = json!({ "$token": TOKEN, "$distinct_id": format!("$device:{DEVICE}"), "$set": { "email": EMAIL } });
    let empty = json!({ "$token": TOKEN, "$distinct_id": USER, "$email": EMAIL });
    let link = json!({ "event": "$identify", "properties": { "token": TOKEN, "$identified_id": USER, "$anon_id": DEVICE, "distinct_id": USER } });
    let alias = json!({ "event": "$create_alias", "properties": { "token": TOKEN, "distinct_id": DEVICE, "alias": USER } });
    let xdm = json!({ "xdm": { "_id": format!("x-{EMAIL}"), "eventType": "web.webpagedetails.pageViews",
        "identityMap": { "Email": [{ "id": EMAIL }], "CRMID": [{ "id": USER, "primary": true }], "ECID": [{ "id": DEVICE }] },
        "environment": { "ipV4": IP },
        "web": { "webPageDetails": { "URL": format!("https://a.example/?email={EMAIL}") },
                 "webInteraction": { "URL": format!("https://a.example/?email={EMAIL}") } },
        "personalEmail": { "address": EMAIL }, "mobilePhone": { "number": PHONE } } });
    let bad_xdm = json!({ "xdm": 7, "email": EMAIL, "x": USER });
    let hook = json!({ "id": format!("h-{EMAIL}"), "customer": { "id": USER, "email": EMAIL, "phone": PHONE } });
    let unmapped = json!({ "id": 1, "customer": { "id": {}, "email": EMAIL, "note": USER } });
    vec![
        ("Mixpanel", post("/track", json!([record, device, nameless, link, alias]).to_string())),
        ("profiles", post("/engage", json!([profile, of_device, empty]).to_string())),
        (
            "Adobe",
            post(
                "/ee/v1/interact?configId=stream",
                json!({ "events": [xdm, bad_xdm],
            "xdm": { "identityMap": { "Email": [{ "id": EMAIL }] } } })
                .to_string(),
            ),
        ),
        ("a webhook", signed(&hook.to_string())),
        ("a webhook that does not fit", signed(&unmapped.to_string())),
        ("a webhook of no JSON", signed(&format!("{EMAIL} {USER}"))),
    ]
}

/// As Stripe signs.
fn signed(body: &str) -> Request<Body> {
    let at = crate::recording::NOW.0 / 1_000;
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, TOKEN.as_bytes());
    let mac = ring::hmac::sign(&key, format!("{at}.{body}").as_bytes());
    let hex: String = mac.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let mut request = post("/v1/webhook/wh", body.to_owned());
    request.headers_mut().insert("stripe-signature", format!("t={at},v1={hex}").parse().unwrap());
    request
}

#[tokio::test]
async fn what_rules_take_out_is_in_nothing_that_is_stored() {
    for secret in [None, Some("k")] {
        let collector = collector(secret);
        let mut leaks = Vec::new();
        for (about, request) in segment_requests().into_iter().chain(other_requests()) {
            let answered = collector.send(request).await;
            let batches = collector.intake.take();
            let items: Vec<&Item> = batches.iter().flat_map(|batch| &batch.items).collect();
            assert!(
                answered.status.is_client_error() || !items.is_empty(),
                "{about}: nothing was stored: {} {}",
                answered.status,
                answered.body
            );
            leaks.extend(items.into_iter().flat_map(|item| told(item, about)));
        }
        assert!(leaks.is_empty(), "{}", leaks.join("\n"));
    }
}
