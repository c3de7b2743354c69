//! Requests a second that one core decodes and admits: Adobe's `interact` with one event, as the Web
//! SDK sends it, and `collect` with a hundred.
//!
//! `cargo run --release -p millrace-protocol --example edge_speed -- [ROUNDS]`

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a measurement for developers"
)]

use std::time::Instant;

use bytes::Bytes;
use millrace_model::entropy::SystemEntropy;
use millrace_model::time::UnixMillis;
use millrace_protocol::Limits;
use millrace_protocol::edge::{Admission, Envelope, Form, Visitor};
use serde_json::{Value, json};

const ECID: &str = "31415926535897932384626433832795028841";

fn main() {
    let rounds = std::env::args().nth(1).map_or(9, |rounds| rounds.parse().unwrap());
    for events in [1_usize, 100] {
        let body = Bytes::from(body(events).to_string());
        let repeated = 100_000 / events;
        let mut best = f64::MAX;
        for _ in 0..rounds {
            let start = Instant::now();
            for _ in 0..repeated {
                let admitted = admit(body.clone());
                assert_eq!(admitted, events);
            }
            best = best.min(start.elapsed().as_secs_f64());
        }
        let count = (repeated * events) as f64;
        let (micros, bytes) = (best * 1e6 / count, body.len() / events);
        println!(
            "{events} in a body: {micros:.2} µs an event of {bytes} bytes, {:.0} events/s",
            count / best
        );
    }
}

fn admit(body: Bytes) -> usize {
    let limits = Limits::default();
    let envelope = Envelope::read(Form::Request, body, &limits).unwrap();
    let batch = envelope.admit(&Admission {
        pipeline: &"web".parse().unwrap(),
        received_at: UnixMillis(1_795_354_997_615),
        request_id: Some("0b5d1f1e-3f0a-4a43-9c5b-6d6f3f0f8a11"),
        visitor: Visitor {
            ecid: Some(ECID),
            user_agent: Some("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"),
            ip: Some([203, 0, 113, 7].into()),
            ..Visitor::default()
        },
        keep_decisioning: false,
        limits: &limits,
        entropy: &SystemEntropy,
    });
    batch.items.len()
}

/// A purchase, with what the Web SDK says of page, device and place, in about 1.2 KB.
fn body(events: usize) -> Value {
    let event = json!({
        "xdm": {
            "eventType": "commerce.purchases",
            "timestamp": "2026-11-22T13:43:17.615Z",
            "identityMap": {"CRMID": [{"id": "ada", "authenticatedState": "authenticated", "primary": true}]},
            "web": {
                "webPageDetails": {"URL": "https://www.shop.example/checkout/thanks?order=o-1", "name": "Thanks"},
                "webReferrer": {"URL": "https://www.shop.example/checkout"},
            },
            "device": {"screenHeight": 720, "screenWidth": 1280, "screenOrientation": "landscape"},
            "environment": {"type": "browser", "browserDetails": {"viewportWidth": 1280, "viewportHeight": 720}},
            "placeContext": {"localTimezoneOffset": 0, "localTime": "2026-11-22T13:43:17.615Z", "ianaTimezone": "UTC"},
            "implementationDetails": {"name": "https://ns.adobe.com/experience/alloy", "version": "2.33.1", "environment": "browser"},
            "commerce": {"purchases": {"value": 1}, "order": {"purchaseID": "o-1", "priceTotal": 42.5, "currencyCode": "USD"}},
            "productListItems": [
                {"SKU": "s1", "name": "Mug", "quantity": 2, "priceTotal": 21},
                {"SKU": "s2", "name": "Plate", "quantity": 1, "priceTotal": 21.5},
            ],
        },
        "data": {"loyalty": "gold"},
        "query": {"personalization": {"schemas": [], "decisionScopes": ["__view__"], "surfaces": ["web://www.shop.example/"]}},
    });
    json!({
        "events": vec![event; events],
        "query": {"identity": {"fetch": ["ECID"]}},
        "meta": {"queueTimeMillis": 1, "state": {"domain": "shop.example", "cookiesEnabled": true, "entries": []}},
    })
}
