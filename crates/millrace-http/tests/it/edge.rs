//! Adobe's Edge Network API: what its clients need to hear, and what is stored.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use base64::Engine;
use millrace_http::{AdobeOptions, CollectorOptions, PipelineOptions, RateLimits, WriteKey};
use millrace_model::disposition::FilterReason;
use millrace_model::event::{Event, Item};
use millrace_model::intake::AdmitError;
use millrace_model::passage::Origin;
use millrace_model::secret::Secret;
use millrace_protocol::edge::{cookie_of_ecid, ecid_of_fpid};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::fixtures::{recordings, request_of};
use crate::recording::{Answered, TestCollector, posting};

const ORGANISATION: &str = "FAKEORG0001@AdobeOrg";
const COOKIE: &str = "kndctr_FAKEORG0001_AdobeOrg_identity";
const ECID: &str = "31415926535897932384626433832795028841";
const INTERACT: &str = "/ee/v1/interact?configId=fake-datastream-0001&requestId=r-1";
const PAGE: &str = "https://www.shop.example";

fn pipeline(id: &str, adobe: AdobeOptions) -> PipelineOptions {
    PipelineOptions { adobe, ..PipelineOptions::new(id.parse().unwrap()) }
}

fn web() -> AdobeOptions {
    AdobeOptions {
        datastreams: vec![WriteKey::active("fake-datastream-0001")],
        disabled_datastreams: vec!["off".to_owned()],
        organisation: Some(ORGANISATION.to_owned()),
        ..AdobeOptions::default()
    }
}

fn with(pipelines: Vec<PipelineOptions>) -> TestCollector {
    let mut options = CollectorOptions { pipelines, ..CollectorOptions::default() };
    options.limits.body_bytes = 64 << 10;
    options.limits.batch_events = 3;
    options.limits.event_bytes = 4 << 10;
    TestCollector::of(options)
}

fn edge() -> TestCollector {
    with(vec![pipeline("web", web())])
}

async fn post(collector: &TestCollector, path: &str, body: &Value) -> Answered {
    let request = posting(path).header("origin", PAGE).header("content-type", "text/plain");
    collector.send(request.body(Body::from(body.to_string())).unwrap()).await
}

fn json_of(answered: &Answered) -> Value {
    serde_json::from_str(&answered.body).unwrap_or_else(|_| panic!("{}", answered.body))
}

/// The payload of the handle of that type.
fn handle(answered: &Answered, kind: &str) -> Option<Value> {
    let body = json_of(answered);
    let handles = body["handle"].as_array().unwrap().clone();
    handles
        .into_iter()
        .find(|handle| handle["type"] == kind)
        .map(|handle| handle["payload"].clone())
}

fn ecid(answered: &Answered) -> Option<String> {
    let payload = handle(answered, "identity:result")?;
    assert_eq!(payload[0]["namespace"]["code"], "ECID");
    payload[0]["id"].as_str().map(str::to_owned)
}

fn events(collector: &TestCollector) -> Vec<Event> {
    let event = |item| match item {
        Item::Event(event) => event,
        other => panic!("{other:?}"),
    };
    collector.stored().into_iter().map(event).collect()
}

fn body_of(event: &Event) -> Value {
    serde_json::from_slice(&event.body).unwrap()
}

fn one_event() -> Value {
    json!({"events": [{"xdm": {"eventType": "e"}}]})
}

#[tokio::test]
async fn every_recorded_request_gets_what_its_client_needs() {
    let Some(folder) = recordings() else { return };
    let (mut replayed, mut stored) = (0, 0);
    for name in ["alloy", "adobe-edge-api"] {
        for file in std::fs::read_dir(folder.join(name)).unwrap() {
            let path = file.unwrap().path();
            let recording: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            let row = path.display();
            let collector = edge();
            let answered = collector.send(request_of(&recording["request"])).await;
            let given = &recording["reply_given"];
            assert_eq!(
                json!(answered.status.as_u16()),
                given["status"],
                "{row}: {}",
                answered.body
            );
            match answered.status {
                StatusCode::NO_CONTENT => assert_eq!(answered.body, "", "{row}"),
                StatusCode::ACCEPTED => assert!(json_of(&answered)["requestId"].is_string()),
                _ => check_reply(&answered, &recording["request"], &row.to_string()),
            }
            if recording["request"]["headers"].to_string().contains("origin") {
                assert_eq!(answered.header("access-control-allow-credentials"), Some("true"));
                let exposed = answered.header("access-control-expose-headers");
                assert_eq!(exposed, Some("Retry-After, x-adobe-edge"), "{row}");
            }
            stored += check_events(
                &collector,
                &recording["request"],
                ecid_told(&answered).as_deref(),
                &row.to_string(),
            );
            replayed += 1;
        }
    }
    assert_eq!((replayed, stored), (14, 14));
}

fn ecid_told(answered: &Answered) -> Option<String> {
    if answered.status == StatusCode::OK { ecid(answered) } else { None }
}

/// The handles that the Web SDK needs, and the id that it sent.
fn check_reply(answered: &Answered, request: &Value, row: &str) {
    let told = ecid(answered).unwrap();
    assert!(told.len() == 38 && told.bytes().all(|byte| byte.is_ascii_digit()), "{row}: {told}");
    let sent = String::from_utf8_lossy(&body_bytes(request)).into_owned();
    if sent.contains(ECID) || sent.contains(&cookie_of_ecid(ECID)) {
        assert_eq!(told, ECID, "{row}");
    }
    let stored = handle(answered, "state:store").unwrap();
    let cookie = json!({
        "key": COOKIE, "value": cookie_of_ecid(&told), "maxAge": 34_128_000, "attrs": {"SameSite": "Lax"},
    });
    assert_eq!(stored, json!([cookie]), "{row}");
    let body = json_of(answered);
    let id = body["requestId"].as_str().unwrap();
    let asked = request["query"]["requestId"].as_str().unwrap();
    let (head, tail) = id.rsplit_once('-').unwrap();
    assert_eq!((head, tail.len()), (asked, 16), "{row}");
    assert_eq!(answered.header("x-request-id"), Some(id), "{row}");
}

fn body_bytes(request: &Value) -> Vec<u8> {
    let encoded = request["body_base64"].as_str().unwrap();
    base64::engine::general_purpose::STANDARD.decode(encoded).unwrap()
}

/// Every event that was sent is stored with everything in it.
fn check_events(
    collector: &TestCollector,
    request: &Value,
    told: Option<&str>,
    row: &str,
) -> usize {
    let sent: Value = serde_json::from_slice(&body_bytes(request)).unwrap();
    let sent: Vec<&Value> = match (&sent["events"], &sent["event"]) {
        (Value::Array(events), _) => events.iter().collect(),
        (_, Value::Object(_)) => vec![&sent["event"]],
        _ => Vec::new(),
    };
    let stored = events(collector);
    assert_eq!(stored.len(), sent.len(), "{row}");
    for (event, sent) in stored.iter().zip(sent) {
        let body = body_of(event);
        for (name, value) in sent.as_object().unwrap() {
            assert_eq!(&body[name], value, "{row}: {name}");
        }
        let map = &sent["xdm"]["identityMap"];
        assert_eq!(event.passage.origin, Origin::Edge, "{row}");
        assert_eq!(body["event"], sent["xdm"]["eventType"], "{row}");
        assert_eq!(body["type"], "track", "{row}");
        assert_eq!(body.get("userId"), map["CRMID"][0].get("id"), "{row}");
        let own = map["ECID"][0]["id"].as_str().map(str::to_owned);
        let made = map["FPID"][0]["id"].as_str().map(ecid_of_fpid);
        // A beacon is told nothing, but its body carries the cookie.
        let device = own.or(made).or_else(|| told.map(str::to_owned)).or(Some(ECID.to_owned()));
        assert_eq!(body["anonymousId"].as_str().map(str::to_owned), device, "{row}");
        let device = request["headers"].to_string().contains("origin");
        assert_eq!(body["context"]["userAgent"].is_string(), device, "{row}");
    }
    stored.len()
}

#[tokio::test]
async fn a_visitor_keeps_the_id_of_the_first_answer() {
    let collector = edge();
    let first = post(&collector, INTERACT, &one_event()).await;
    let given = ecid(&first).unwrap();
    assert_eq!(body_of(&events(&collector)[0])["anonymousId"], json!(given));
    let value = handle(&first, "state:store").unwrap()[0]["value"].as_str().unwrap().to_owned();

    // In a header, as on a host of the page's own domain.
    let cookie = format!("a=b; {COOKIE}={value}; kndctr_OTHER_AdobeOrg_identity=CiY");
    let request = posting(INTERACT).header("cookie", cookie);
    let second = collector.send(request.body(Body::from(one_event().to_string())).unwrap()).await;
    assert_eq!(ecid(&second).as_ref(), Some(&given));
    assert_eq!(body_of(&events(&collector)[0])["anonymousId"], json!(given));

    // In the body, as from a page of another site; by a beacon, too.
    let mut body = one_event();
    body["meta"] = json!({"state": {"entries": [{"key": COOKIE, "value": value}]}});
    let third = post(&collector, INTERACT, &body).await;
    assert_eq!(ecid(&third).as_ref(), Some(&given));
    let _ = events(&collector);
    let beacon = post(&collector, &INTERACT.replace("interact", "collect"), &body).await;
    assert_eq!(beacon.status, StatusCode::NO_CONTENT);
    assert_eq!(body_of(&events(&collector)[0])["anonymousId"], json!(given));

    let other = post(&collector, INTERACT, &one_event()).await;
    assert_ne!(ecid(&other), Some(given), "another visitor has another id");
}

#[tokio::test]
async fn a_host_within_the_domain_of_the_page_sets_the_cookie_itself() {
    let collector = edge();
    for (host, domain, sets) in [
        ("collect.shop.example", "shop.example", true),
        ("collect.shop.example:8443", "Shop.Example", true),
        ("shop.example", "shop.example", true),
        ("collect.example", "shop.example", false),
        ("myshop.example", "shop.example", false),
        ("collect.shop.example", "", false),
    ] {
        let mut body = one_event();
        body["meta"] = json!({"state": {"domain": domain, "cookiesEnabled": true}});
        let request = posting(INTERACT).header("host", host);
        let answered = collector.send(request.body(Body::from(body.to_string())).unwrap()).await;
        let cookie = answered.header("set-cookie");
        assert_eq!(cookie.is_some(), sets, "{host} {domain}");
        let value = cookie_of_ecid(&ecid(&answered).unwrap());
        let wanted = format!(
            "{COOKIE}={value}; Path=/; Domain=shop.example; Max-Age=34128000; SameSite=Lax"
        );
        assert!(cookie.is_none_or(|cookie| cookie == wanted), "{cookie:?}");
        let _ = collector.stored();
    }
}

#[tokio::test]
async fn refusals_are_problems_in_adobes_words() {
    let collector = edge();
    let events = one_event().to_string();
    let two = r#"{"events":[{},{}]}"#;
    let four = r#"{"events":[{},{},{},{}]}"#;
    let large = format!("{{\"events\":[],\"x\":\"{}\"}}", "x".repeat(70 << 10));
    let known = "?configId=fake-datastream-0001";
    let rows = [
        ("/ee/v1/interact", "", events.as_str(), 400, "0002-400", "MR1020"),
        ("/ee/v1/interact", "?configId=x", &events, 400, "0003-400", "MR1021"),
        ("/ee/v2/collect", "?datastreamId=off", &events, 422, "0004-422", "MR1022"),
        ("/ee/v1/interact", known, "{\"events\":[", 400, "0101-400", "MR1005"),
        ("/ee/v1/interact", known, "{}", 400, "0103-400", "MR1007"),
        ("/ee/v1/interact", known, "{\"events\":[]}", 400, "0103-400", "MR1007"),
        ("/ee/v1/privacy/set-consent", known, "{}", 400, "0103-400", "MR1007"),
        ("/ee/or2/v2/interact", known, two, 422, "0104-422", "MR1007"),
        ("/ee/v1/collect", known, " ", 408, "0109-408", "MR1006"),
        ("/ee/v1/collect", known, &large, 413, "0112-413", "MR1003"),
        ("/ee/v1/collect", known, four, 413, "0112-413", "MR1012"),
    ];
    for (path, query, body, status, adobe, code) in rows {
        let request = posting(&format!("{path}{query}")).header("origin", PAGE);
        let answered = collector.send(request.body(Body::from(body.to_owned())).unwrap()).await;
        let problem = json_of(&answered);
        assert_eq!(answered.status.as_u16(), status, "{path} {body:.40}: {problem}");
        assert_eq!(problem["type"], format!("https://ns.adobe.com/aep/errors/EXEG-{adobe}"));
        assert_eq!((&problem["status"], &problem["code"]), (&json!(status), &json!(code)));
        assert!(problem["detail"].is_string() && problem["report"]["errors"] == json!([]));
        assert_eq!(answered.header("content-type"), Some("application/problem+json"));
        assert_eq!(answered.header("access-control-allow-origin"), Some(PAGE), "{path}");
        assert!(collector.stored().is_empty(), "{path}");
    }
}

#[tokio::test]
async fn media_types_are_those_of_adobe() {
    let collector = edge();
    for (kind, status, adobe) in [
        (Some("application/json"), 200, ""),
        (Some("Text/Plain; charset=UTF-8"), 200, ""),
        (Some("text/javascript"), 200, ""),
        (Some("application/vnd.adobe+json"), 200, ""),
        (Some(""), 200, ""),
        (None, 200, ""),
        (Some("application/x-jackson-smile"), 415, "0111-415"),
        (Some("application/xml"), 415, "0111-415"),
        (Some("json"), 400, "0106-400"),
    ] {
        let mut request = posting(INTERACT);
        if let Some(kind) = kind {
            request = request.header("content-type", kind);
        }
        let answered =
            collector.send(request.body(Body::from(one_event().to_string())).unwrap()).await;
        assert_eq!(answered.status.as_u16(), status, "{kind:?}");
        assert!(answered.body.contains(adobe), "{kind:?}: {}", answered.body);
        let _ = collector.stored();
    }
}

#[tokio::test]
async fn trouble_on_this_side_is_503_with_a_time_to_come_back() {
    let wait = Duration::from_secs(2);
    for refusal in [
        AdmitError::Overloaded { retry_after: wait },
        AdmitError::DiskFull { retry_after: wait },
        AdmitError::Poisoned,
        AdmitError::ShuttingDown,
    ] {
        let collector = edge();
        let code = refusal.code();
        collector.intake.refuse(refusal);
        let answered = post(&collector, INTERACT, &one_event()).await;
        assert_eq!(answered.status, StatusCode::SERVICE_UNAVAILABLE, "{code}");
        assert_eq!(answered.code(), Some(code));
        assert!(answered.header("retry-after").is_some(), "{code}");
        assert_eq!(answered.header("access-control-allow-origin"), Some(PAGE));
    }
}

#[tokio::test]
async fn the_rules_of_the_pipelines_door_hold() {
    let mut guarded = pipeline("web", web());
    guarded.origins.allow(PAGE).unwrap();
    guarded.limits = RateLimits { events_per_day: Some(2), ..RateLimits::default() };
    let collector = with(vec![guarded]);
    let foreign = posting(INTERACT).header("origin", "https://other.example");
    let answered = collector.send(foreign.body(Body::from(one_event().to_string())).unwrap()).await;
    assert_eq!(answered.code().map(|code| code.as_str()), Some("MR1016"), "{}", answered.body);
    for status in [200, 200, 503] {
        let answered = post(&collector, INTERACT, &one_event()).await;
        assert_eq!(answered.status.as_u16(), status, "{}", answered.body);
        assert_eq!(answered.header("retry-after").is_some(), status == 503);
    }
    assert_eq!(collector.intake.take().len(), 2);
}

#[tokio::test]
async fn a_datastream_says_which_pipeline_it_is() {
    let stream = |id: &str| AdobeOptions {
        datastreams: vec![WriteKey::active(id)],
        ..AdobeOptions::default()
    };
    let mut production = stream("shop:prod");
    production.base_path = Some("shop/edge".to_owned());
    let collector = with(vec![
        pipeline("dev", stream("shop:dev")),
        pipeline("stage", stream("shop:stage")),
        pipeline("prod", production),
    ]);
    for (path, wanted) in [
        ("/ee/v1/interact?configId=shop%3Adev", "dev"),
        ("/ee/irl1/v1/interact?configId=shop:stage", "stage"),
        ("/shop/edge/v1/interact?configId=shop:prod", "prod"),
        ("/shop/edge/va6/v1/collect/?configId=shop:prod", "prod"),
        ("/ee/v2/interact?dataStreamId=shop:prod", "prod"),
    ] {
        let answered = post(&collector, path, &one_event()).await;
        assert!(answered.status.is_success(), "{path}: {}", answered.body);
        let batches = collector.intake.take();
        assert_eq!(batches[0].pipeline.as_str(), wanted, "{path}");
        if answered.status == StatusCode::OK {
            // Without an organisation the cookie has no name.
            assert_eq!(handle(&answered, "state:store"), None);
        }
    }
    let server =
        posting("/ee/v2/interact?datastreamId=shop:dev").header("x-gw-ims-org-id", "A@AdobeOrg");
    let answered = collector.send(server.body(Body::from(one_event().to_string())).unwrap()).await;
    let stored = handle(&answered, "state:store").unwrap();
    assert_eq!(stored[0]["key"], "kndctr_A_AdobeOrg_identity");
}

#[tokio::test]
async fn servers_need_a_token_where_there_are_tokens() {
    let adobe = AdobeOptions { tokens: vec![Secret::new("right")], ..web() };
    let collector = with(vec![pipeline("web", adobe)]);
    for (token, status) in [(None, 200), (Some("Bearer right"), 200), (Some("Bearer wrong"), 401)] {
        let mut request = posting("/ee/v2/interact?datastreamId=fake-datastream-0001");
        if let Some(token) = token {
            request = request.header("authorization", token);
        }
        let body = Body::from(r#"{"event":{"xdm":{}}}"#);
        let answered = collector.send(request.body(body).unwrap()).await;
        assert_eq!(answered.status.as_u16(), status, "{token:?}");
        assert_eq!(answered.body.contains("EXEG-0500-401"), status == 401);
        assert_eq!(collector.stored().len(), usize::from(status == 200));
    }
}

#[tokio::test]
async fn one_bad_event_costs_itself_and_is_told_as_a_warning() {
    let collector = edge();
    let body = json!({"events": [
        {"xdm": {"eventType": "good"}},
        {"xdm": {"eventType": 7}},
        {"xdm": {"eventType": "x".repeat(5 << 10)}},
    ]});
    let answered = post(&collector, INTERACT, &body).await;
    assert_eq!(answered.status, StatusCode::OK);
    let warnings = &json_of(&answered)["warnings"];
    assert_eq!(warnings[0]["report"]["eventIndex"], 1);
    assert_eq!((&warnings[0]["code"], &warnings[1]["code"]), (&json!("MR1107"), &json!("MR1103")));
    let kinds: Vec<bool> =
        collector.stored().iter().map(|item| matches!(item, Item::SetAside(_))).collect();
    assert_eq!(kinds, [false, true, true]);
}

#[tokio::test]
async fn personalisation_is_filtered_unless_it_is_wanted() {
    let body = json!({"events": [{"xdm": {"eventType": "decisioning.propositionDisplay"}}]});
    for keep_decisioning in [false, true] {
        let collector = with(vec![pipeline("web", AdobeOptions { keep_decisioning, ..web() })]);
        let answered = post(&collector, INTERACT, &body).await;
        assert!(ecid(&answered).is_some());
        match collector.stored().pop() {
            Some(Item::Filtered(filtered)) => {
                assert!(!keep_decisioning);
                assert_eq!(filtered.reason, FilterReason::DropRule);
            }
            Some(Item::Event(_)) => assert!(keep_decisioning),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_mixpanel_cookie_of_the_page_is_offered() {
    let mut pipeline = pipeline("web", web());
    pipeline.mixpanel.tokens = vec![WriteKey::active("0123")];
    let collector = with(vec![pipeline]);
    let cookie = "mp_9_mixpanel=%7B%22distinct_id%22%3A%22other%22%7D; mp_0123_mixpanel=%7B%22distinct_id%22%3A%22%24device%3Ad%22%2C%22%24device_id%22%3A%22d%22%7D";
    let request = posting(INTERACT).header("cookie", cookie);
    collector.send(request.body(Body::from(one_event().to_string())).unwrap()).await;
    let body = body_of(&events(&collector)[0]);
    assert_eq!(body["context"]["mixpanel"], json!({"distinct_id": "$device:d", "device_id": "d"}));
}

#[tokio::test]
async fn consent_is_answered_with_the_cookie_and_handed_on() {
    let path = "/ee/v1/privacy/set-consent?configId=fake-datastream-0001";
    let adobe = |general: &str| json!({"consent": [{"standard": "Adobe", "version": "1.0", "value": {"general": general}}]});
    let user = json!({"CRMID": [{"id": "u", "authenticatedState": "authenticated"}]});

    // Who refuses is given no id, and without an id there is nobody to remember.
    let collector = edge();
    let answered = post(&collector, path, &adobe("out")).await;
    let cookie = json!([{
        "key": "kndctr_FAKEORG0001_AdobeOrg_consent", "value": "general=out", "maxAge": 15_552_000,
        "attrs": {"SameSite": "Lax"},
    }]);
    assert_eq!(handle(&answered, "state:store"), Some(cookie));
    assert_eq!(ecid(&answered), None);
    assert!(collector.stored().is_empty());

    let mut body = adobe("out");
    body["identityMap"] = user;
    post(&collector, path, &body).await;
    let event = body_of(&events(&collector)[0]);
    assert_eq!(event["event"], "privacy.set-consent");
    assert_eq!(event["xdm"]["consents"], json!({"collect": {"val": "n"}}));
    assert_eq!((&event["userId"], event.get("anonymousId")), (&json!("u"), None));

    let answered = post(&collector, path, &adobe("in")).await;
    let given = ecid(&answered).unwrap();
    assert_eq!(handle(&answered, "state:store").unwrap()[1]["value"], "general=in");
    assert_eq!(body_of(&events(&collector)[0])["anonymousId"], json!(given));
}

#[tokio::test]
async fn media_preflights_and_other_paths_are_answered() {
    let collector = edge();
    let asking = |method: Method, path: &str| {
        Request::builder()
            .method(method)
            .uri(path)
            .header("origin", PAGE)
            .header("access-control-request-headers", "x-adobe-test")
            .body(Body::empty())
            .unwrap()
    };
    for (method, path, status) in [
        (Method::POST, "/ee/va/v1/sessionStart?configId=x", 204),
        (Method::OPTIONS, INTERACT, 204),
        (Method::OPTIONS, "/ee/irl1/v1/identity/acquire", 204),
        (Method::GET, INTERACT, 405),
        (Method::POST, "/ee/v1/unknown", 404),
        (Method::POST, "/eee/v1/interact", 404),
    ] {
        let answered = collector.send(asking(method.clone(), path)).await;
        assert_eq!(answered.status.as_u16(), status, "{method} {path}");
        assert_eq!(answered.header("access-control-allow-origin"), Some(PAGE), "{method} {path}");
        assert_eq!(answered.header("access-control-allow-credentials"), Some("true"));
    }
    assert!(collector.stored().is_empty());
}

#[tokio::test]
async fn an_id_that_a_server_may_not_keep_is_not_put_on_a_user() {
    let collector = edge();
    let user = json!({"CRMID": [{"id": "u", "authenticatedState": "authenticated"}]});
    let body = json!({"event": {"xdm": {"identityMap": user}}}).to_string();
    for from_page in [true, false] {
        let mut request = posting("/ee/v2/interact?datastreamId=fake-datastream-0001");
        if from_page {
            request = request.header("origin", PAGE);
        }
        let answered = collector.send(request.body(Body::from(body.clone())).unwrap()).await;
        let device = body_of(&events(&collector)[0]).get("anonymousId").cloned();
        assert_eq!(device, ecid(&answered).filter(|_| from_page).map(Value::from));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever comes, the answer is one that no client repeats for ever, and a 500 never.
    #[test]
    fn no_request_brings_the_collector_down(
        path in prop_oneof![
            Just("/ee/v1/interact".to_owned()),
            Just("/ee/v2/collect".to_owned()),
            Just("/ee/v1/privacy/set-consent".to_owned()),
            "/ee(/[a-z0-9]{1,4}){0,5}/?",
        ],
        request_id in "[ -~]{0,20}",
        body in prop_oneof![
            r#"\{"(events|event|consent|meta|xdm)":[{}\[\]":,a-z0-9]{0,60}\}"#,
            prop::collection::vec(any::<u8>(), 0..80).prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
        ],
        cookie in "[ -~]{0,60}",
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let collector = edge();
            let id: String = form_urlencoded::byte_serialize(request_id.as_bytes()).collect();
            let uri = format!("{path}?configId=fake-datastream-0001&requestId={id}");
            let request = posting(&uri).header("cookie", format!("{COOKIE}={cookie}"));
            let answered = collector.send(request.body(Body::from(body)).unwrap()).await;
            assert!(answered.status.as_u16() < 500, "{}", answered.status);
            if answered.status == StatusCode::OK {
                assert!(json_of(&answered)["handle"].is_array());
            }
        });
    }
}
