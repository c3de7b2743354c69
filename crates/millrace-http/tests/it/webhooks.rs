//! Webhooks: signatures, mapping, answers. The signatures were computed by another program.

use std::sync::Arc;
use std::time::Duration;

use axum::http::Request;
use axum::http::request::Builder;
use millrace_http::{
    CollectorOptions, DataflyOptions, PipelineOptions, WebhookOptions, WebhookProof,
};
use millrace_model::code::Code;
use millrace_model::event::Item;
use millrace_model::passage::Origin;
use millrace_model::secret::Secret;
use millrace_model::time::UnixMillis;
use millrace_protocol::webhook::Mapping;
use serde_json::{Value, json};

use crate::recording::{TestCollector, posting};

const STRIPE: &str = r#"{"id":"evt_1","type":"invoice.paid","created":1795359590,"data":{"object":{"customer":"cus_1","amount_paid":1999,"currency":"eur"}}}"#;
const STRIPE_MAC: &str = "312e067ec37421037fefde2d4631dd70450a75fa5398895cf22524e30692d8a3";
const SHOPIFY: &str = r#"{"id":820982911946154508,"email":"jon@example.com","total_price":"403.00","customer":{"id":115310627314723954}}"#;
const SHOPIFY_MAC: &str = "nqSbahF/088qaicnygUKkK5gwW90epXt6YN4Hf1vPb4=";
const HUBSPOT: &str = r#"[{"eventId":1,"subscriptionId":25,"occurredAt":1795359500000,"subscriptionType":"contact.creation","attemptNumber":0,"objectId":123},{"eventId":2,"subscriptionId":25,"occurredAt":1795359500001,"attemptNumber":0,"objectId":124}]"#;
const HUBSPOT_MAC: &str = "X2goBl0iCam/T1Qn6AL5aelGhL1asSUaQdGgk0iGflg=";
const OWN: &str = r#"{"kind":"Ping","user":7}"#;
const OWN_MAC: &str = "a073916f166798fa1c8dcc4f8d371f5a9a439acb6a2365da3f84276258427ff5";

fn webhook(
    id: &str,
    proof: WebhookProof,
    path: Option<&str>,
    targets: &[(&str, &str)],
) -> WebhookOptions {
    let mut mapping = Mapping::new(path).unwrap();
    for (target, source) in targets {
        mapping.target(target, source).unwrap();
    }
    WebhookOptions { id: id.to_owned(), proof, mapping: Arc::new(mapping) }
}

fn collector() -> TestCollector {
    let secret = |text: &str| Secret::new(text);
    let webhooks = vec![
        webhook(
            "wh_stripe",
            WebhookProof::Stripe(secret("whsec_1")),
            None,
            &[
                ("userId", "$.data.object.customer"),
                ("properties.amount", "$.data.object.amount_paid"),
                ("properties.system", "stripe"),
            ],
        ),
        webhook(
            "wh_shop",
            WebhookProof::Shopify(secret("shpss_1")),
            None,
            &[("userId", "$.customer.id"), ("properties.total", "$.total_price")],
        ),
        webhook(
            "wh_hub",
            WebhookProof::HubSpot {
                secret: secret("hub_1"),
                public_url: "https://collect.example.com/in".to_owned(),
            },
            None,
            &[("userId", "$.objectId")],
        ),
        webhook(
            "wh_own",
            WebhookProof::Hmac { header: "x-signature".to_owned(), secret: secret("own_1") },
            Some("$.kind"),
            &[("userId", "$.user")],
        ),
        webhook(
            "wh_shared",
            WebhookProof::SharedSecret { header: "x-secret".to_owned(), secret: secret("s") },
            Some("$.kind"),
            &[],
        ),
        webhook("wh_open", WebhookProof::Nothing, Some("$.kind"), &[]),
    ];
    let pipeline = PipelineOptions {
        webhooks,
        // A webhook proves its sender in its own way.
        datafly: DataflyOptions { strict: true, require_signature: true, ..Default::default() },
        ..PipelineOptions::new("dev".parse().unwrap())
    };
    TestCollector::of(CollectorOptions { pipelines: vec![pipeline], ..CollectorOptions::default() })
}

fn to(id: &str) -> Builder {
    posting(&format!("/v1/webhook?source={id}"))
}

fn stripe(signature: &str, body: &str) -> Request<axum::body::Body> {
    to("wh_stripe").header("stripe-signature", signature).body(body.to_owned().into()).unwrap()
}

fn body(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

#[tokio::test]
async fn stripes_event_is_mapped() {
    let collector = collector();
    for path in ["/v1/webhook?source=wh_stripe", "/v1/webhook/wh_stripe"] {
        let request = posting(path)
            .header("stripe-signature", format!("t=1795359600,v1={STRIPE_MAC}"))
            .body(STRIPE.into())
            .unwrap();
        let answered = collector.send(request).await;
        assert_eq!(
            (answered.status.as_u16(), answered.body.as_str()),
            (200, r#"{"success":true}"#)
        );
        let event = collector.stored_event();
        assert_eq!(event.passage.origin, Origin::Webhook);
        assert_eq!(event.facts.message_id, "evt_1");
        assert_eq!(event.facts.time, UnixMillis(1_795_359_590_000));
        assert_eq!(event.facts.client_ip, None);
        assert_eq!(
            body(&event.body),
            json!({"type": "track", "event": "invoice.paid", "userId": "cus_1", "messageId": "evt_1",
                   "timestamp": 1_795_359_590, "properties": {"amount": 1999, "system": "stripe"}})
        );
    }
}

#[tokio::test]
async fn shopifys_topic_and_id_stand_in_headers() {
    let collector = collector();
    let request = to("wh_shop")
        .header("x-shopify-hmac-sha256", SHOPIFY_MAC)
        .header("x-shopify-topic", "orders/create")
        .header("x-shopify-webhook-id", "b54557e4-bdd9-4b37-8a5f-bf7d70bcd043")
        .header("x-shopify-triggered-at", "2026-11-22T14:59:50.123456789Z")
        .body(SHOPIFY.into())
        .unwrap();
    assert_eq!(collector.send(request).await.status.as_u16(), 200);
    let event = collector.stored_event();
    assert_eq!(event.facts.message_id, "b54557e4-bdd9-4b37-8a5f-bf7d70bcd043");
    let stored = body(&event.body);
    assert_eq!(stored["event"], "orders/create");
    assert_eq!(stored["properties"]["total"], "403.00");
    // Every digit is there.
    assert!(String::from_utf8_lossy(&event.body).contains("\"userId\":115310627314723954"));
}

#[tokio::test]
async fn hubspots_list_gives_an_event_for_each_item() {
    let collector = collector();
    // The escape of the address is taken back before it is signed.
    let request = posting("/v1/webhook?source=wh_hub&a=x%40y")
        .header("x-hubspot-signature-v3", HUBSPOT_MAC)
        .header("x-hubspot-request-timestamp", "1795359600000")
        .body(HUBSPOT.into())
        .unwrap();
    assert_eq!(collector.send(request).await.status.as_u16(), 200);
    let stored = collector.stored();
    let [Item::Event(first), Item::SetAside(second)] = &stored[..] else { panic!("{stored:?}") };
    assert_eq!(first.facts.message_id, "hubspot-25-1-1795359500000");
    assert_eq!(first.facts.time, UnixMillis(1_795_359_500_000));
    assert_eq!(body(&first.body)["event"], "contact.creation");
    // The second has no subscriptionType.
    assert_eq!((second.code, second.origin), (Code::UnmappedPayload, Origin::Webhook));
    assert_eq!(body(&second.body)["objectId"], 124);
}

#[tokio::test]
async fn what_is_tampered_with_is_refused_and_nothing_is_kept() {
    let collector = collector();
    let good = format!("t=1795359600,v1={STRIPE_MAC}");
    let signed = |id: &str, header: &str, value: &str, body: &str| {
        to(id).header(header, value).body(body.to_owned().into()).unwrap()
    };
    let hubspot = |timestamp: &str, path: &str| {
        posting(path)
            .header("x-hubspot-signature-v3", HUBSPOT_MAC)
            .header("x-hubspot-request-timestamp", timestamp)
            .body(HUBSPOT.into())
            .unwrap()
    };
    let other_body = STRIPE.replace("1999", "9999");
    let old = format!("t=1795359299,v1={STRIPE_MAC}");
    let table = [
        ("stripe, body", stripe(&good, &other_body), 401, Code::SignatureRefused),
        ("stripe, time", stripe(&old, STRIPE), 401, Code::SignatureRefused),
        ("stripe, none", to("wh_stripe").body(STRIPE.into()).unwrap(), 401, Code::UnsignedRequest),
        (
            "shopify, body",
            signed("wh_shop", "x-shopify-hmac-sha256", SHOPIFY_MAC, "{}"),
            401,
            Code::SignatureRefused,
        ),
        (
            "shopify, no base64",
            signed("wh_shop", "x-shopify-hmac-sha256", "?", SHOPIFY),
            401,
            Code::SignatureRefused,
        ),
        (
            "hubspot, address",
            hubspot("1795359600000", "/v1/webhook?source=wh_hub"),
            401,
            Code::SignatureRefused,
        ),
        (
            "hubspot, time",
            hubspot("1795359600001", "/v1/webhook?source=wh_hub&a=x%40y"),
            401,
            Code::SignatureRefused,
        ),
        ("own, body", signed("wh_own", "x-signature", OWN_MAC, "{}"), 401, Code::SignatureRefused),
        ("shared, wrong", signed("wh_shared", "x-secret", "t", OWN), 401, Code::SignatureRefused),
        ("shared, none", to("wh_shared").body(OWN.into()).unwrap(), 401, Code::UnsignedRequest),
        ("unknown", to("wh_none").body(OWN.into()).unwrap(), 404, Code::UnknownWebhook),
        ("no id", posting("/v1/webhook").body(OWN.into()).unwrap(), 404, Code::UnknownWebhook),
    ];
    for (name, request, status, code) in table {
        let answered = collector.send(request).await;
        assert_eq!((answered.status.as_u16(), answered.code()), (status, Some(code)), "{name}");
        assert_eq!(collector.stored().len(), 0, "{name}");
    }
}

#[tokio::test]
async fn a_signature_of_stripe_and_hubspot_ages() {
    let collector = collector();
    for (step, refused) in [(300, false), (1, true)] {
        collector.clock.advance(Duration::from_secs(step));
        let requests = [
            stripe(&format!("t=1795359600,v1={STRIPE_MAC}"), STRIPE),
            posting("/v1/webhook?source=wh_hub&a=x%40y")
                .header("x-hubspot-signature-v3", HUBSPOT_MAC)
                .header("x-hubspot-request-timestamp", "1795359600000")
                .body(HUBSPOT.into())
                .unwrap(),
        ];
        for request in requests {
            let answered = collector.send(request).await;
            assert_eq!(answered.code(), refused.then_some(Code::SignatureExpired), "{step}");
            assert_eq!(collector.stored().is_empty(), refused);
        }
    }
}

#[tokio::test]
async fn ones_own_sender_signs_in_any_of_the_common_ways() {
    use base64::Engine;
    let collector = collector();
    let digit = |digit: &u8| char::from(*digit).to_digit(16).unwrap() as u8;
    let pairs = OWN_MAC.as_bytes().chunks_exact(2);
    let bytes: Vec<u8> = pairs.map(|pair| digit(&pair[0]) * 16 + digit(&pair[1])).collect();
    let base64 = base64::engine::general_purpose::STANDARD.encode(bytes);
    for value in [OWN_MAC.to_owned(), format!("sha256={OWN_MAC}"), base64, OWN_MAC.to_uppercase()] {
        let request = to("wh_own").header("X-Signature", value).body(OWN.into()).unwrap();
        assert_eq!(collector.send(request).await.status.as_u16(), 200);
        let event = collector.stored_event();
        assert_eq!(body(&event.body), json!({"type": "track", "event": "Ping", "userId": 7}));
    }
    for request in [
        to("wh_shared").header("x-secret", "s").body(OWN.into()).unwrap(),
        to("wh_open").body(OWN.into()).unwrap(),
    ] {
        assert_eq!(collector.send(request).await.status.as_u16(), 200);
        assert_eq!(body(&collector.stored_event().body)["event"], "Ping");
    }
}

#[tokio::test]
async fn what_cannot_be_mapped_is_kept_as_it_came() {
    let collector = collector();
    for (payload, code) in [
        ("hello", Code::BadJson),
        ("", Code::EmptyBody),
        ("7", Code::UnmappedPayload),
        (r#"{"kind":{}}"#, Code::UnmappedPayload),
        (r#"{"other":"x"}"#, Code::UnmappedPayload),
    ] {
        let answered = collector.send(to("wh_open").body(payload.into()).unwrap()).await;
        assert_eq!(answered.status.as_u16(), 200, "{payload}");
        let aside = collector.stored_aside();
        assert_eq!((aside.code, aside.origin), (code, Origin::Webhook), "{payload}");
        assert_eq!(&aside.body[..], payload.as_bytes());
    }
    let payload = "[{\"kind\":\"a\"},7,{\"kind\":\"b\"},{\"kind\":\"\\ud800\"}]";
    collector.send(to("wh_open").body(payload.into()).unwrap()).await;
    let kinds: Vec<bool> =
        collector.stored().iter().map(|item| matches!(item, Item::Event(_))).collect();
    assert_eq!(kinds, [true, false, true, false]);
}
