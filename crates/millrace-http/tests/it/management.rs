//! The management routes: who may ask, and what is shown.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use millrace_http::{Overview, RefeedOrder, SetAsideQuestion, TraceQuestion, Unshown, management};
use millrace_model::code::Code;
use millrace_model::id::{IntegrationId, PipelineId, Position};
use millrace_model::ledger::{LedgerSums, Tally};
use millrace_model::secret::Secret;
use serde_json::{Value, json};

use crate::recording::send;

struct FixedOverview;

impl Overview for FixedOverview {
    fn ledger(&self) -> Vec<(PipelineId, Option<IntegrationId>, LedgerSums)> {
        let received = Tally { events: 3, rows: 0, bytes: 300 };
        let delivered = Tally { events: 2, rows: 4, bytes: 200 };
        let sums = LedgerSums { received, delivered, ..LedgerSums::default() };
        vec![
            ("dev".parse().unwrap(), Some("mixpanel".parse().unwrap()), sums),
            ("idle".parse().unwrap(), None, LedgerSums::default()),
        ]
    }

    fn integrations(&self) -> Value {
        json!([{ "id": "mixpanel" }])
    }

    fn pipelines(&self) -> Value {
        json!({ "pipelines": [{ "id": "shop" }] })
    }

    fn metrics(&self) -> String {
        "millrace_sending 1\n".to_owned()
    }

    fn dispositions(&self, limit: usize) -> Value {
        json!(limit)
    }

    fn set_aside(&self, question: &SetAsideQuestion) -> Result<Value, Unshown> {
        Ok(json!({ "asked": format!("{question:?}") }))
    }

    fn set_aside_item(&self, position: Position) -> Result<Value, Unshown> {
        let (status, code) = (StatusCode::NOT_FOUND, Code::NotHeld);
        Err(Unshown { status, code, message: format!("nothing at {position}") })
    }

    fn refeed(&self, order: RefeedOrder) -> Result<Value, Unshown> {
        Ok(json!({ "ordered": format!("{order:?}") }))
    }

    fn trace(&self, question: &TraceQuestion) -> Result<Value, Unshown> {
        Ok(json!({ "asked": format!("{question:?}") }))
    }

    fn verify(&self) -> Result<Value, Unshown> {
        Ok(json!({ "differences": [] }))
    }
}

fn request(method: Method, path: &str, authorization: &str) -> Request<Body> {
    asking(method, path, authorization, "")
}

fn asking(method: Method, path: &str, authorization: &str, body: &str) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(path)
        .header("authorization", authorization)
        .body(Body::from(body.to_owned()))
        .unwrap()
}

#[tokio::test]
async fn questions_about_what_was_set_aside_are_read_or_refused() {
    let router = management(Secret::new("t0ken"), Arc::new(FixedOverview));
    let ask = async |method: Method, path: &str, body: &str| {
        let answered = send(&router, asking(method, path, "Bearer t0ken", body)).await;
        (answered.status.as_u16(), serde_json::from_str::<Value>(&answered.body).unwrap())
    };
    let list = "/api/v1/set-aside?pipeline=dev&code=MR1101&since=2026-11-22T12:00:00Z&limit=5000";
    let (status, shown) = ask(Method::GET, &format!("{list}&cursor=9:1&order=oldest"), "").await;
    assert_eq!(status, 200);
    let asked = shown["asked"].as_str().unwrap();
    for part in ["PipelineId(\"dev\")", "MR1101", "limit: 1000", "oldest_first: true", "index: 1"] {
        assert!(asked.contains(part), "{part}: {asked}");
    }
    for wrong in [
        "set-aside?code=MR0000",
        "set-aside?since=yesterday",
        "set-aside?order=any",
        "set-aside?cursor=7",
        "set-aside?pipeline=Not+A+Name",
        "set-aside?limit=x",
        "set-aside?what=x",
        "set-aside/7",
        "trace?pipeline=dev",
        "trace?pipeline=dev&message_id=",
        "trace?pipeline=dev&message_id=a&body=yes",
    ] {
        let (status, shown) = ask(Method::GET, &format!("/api/v1/{wrong}"), "").await;
        assert_eq!((status, &shown["error"]["code"]), (400, &json!("MR5004")), "{wrong}");
    }
    let (status, shown) = ask(Method::GET, "/api/v1/set-aside/7:0", "").await;
    assert_eq!((status, &shown["error"]["code"]), (404, &json!("MR4008")));
    let (status, shown) =
        ask(Method::GET, "/api/v1/trace?pipeline=dev&message_id=a&body=1", "").await;
    assert!(status == 200 && shown["asked"].as_str().unwrap().contains("body: true"), "{shown}");
    assert_eq!(ask(Method::GET, "/api/v1/ledger/verify", "").await.0, 200);

    let refeed = "/api/v1/set-aside/refeed";
    for (order, parts) in [
        (json!({"positions": ["7:0", "8:1"]}), ["Positions", "dry_run: false"]),
        (
            json!({"filter": {"code": "MR1101"}, "dry_run": true}),
            ["oldest_first: true", "dry_run: true"],
        ),
        (json!({"positions": ["7:0"], "body": "{}"}), ["b\"{}\"", "dry_run: false"]),
        (json!({"positions": ["7:0"], "body_base64": "e30="}), ["b\"{}\"", "Positions"]),
    ] {
        let (status, shown) = ask(Method::POST, refeed, &order.to_string()).await;
        assert_eq!(status, 200, "{order}");
        let ordered = shown["ordered"].as_str().unwrap();
        assert!(parts.iter().all(|part| ordered.contains(part)), "{order}: {ordered}");
    }
    for wrong in [
        json!({}),
        json!({"positions": []}),
        json!({"positions": ["x"]}),
        json!({"positions": vec!["1:0"; 1001]}),
        json!({"positions": ["7:0"], "filter": {}}),
        json!({"filter": {}, "body": "{}"}),
        json!({"positions": ["7:0", "7:1"], "body": "{}"}),
        json!({"positions": ["7:0"], "body": "{}", "body_base64": "e30="}),
        json!({"positions": ["7:0"], "body_base64": "!"}),
        json!({"positions": ["7:0"], "dryrun": true}),
        json!([]),
    ] {
        let (status, shown) = ask(Method::POST, refeed, &wrong.to_string()).await;
        assert_eq!((status, &shown["error"]["code"]), (400, &json!("MR5004")), "{wrong}");
    }
    let answered = send(&router, asking(Method::POST, refeed, "Bearer no", "{}")).await;
    assert_eq!(answered.status.as_u16(), 401);
}

#[tokio::test]
async fn views_are_shown_to_whoever_has_the_token() {
    let router = management(Secret::new("t0ken"), Arc::new(FixedOverview));
    let show = async |path: &str| {
        let answered = send(&router, request(Method::GET, path, "Bearer t0ken")).await;
        assert_eq!(answered.status.as_u16(), 200, "{path}");
        assert_eq!(answered.header("cache-control"), Some("no-store"));
        serde_json::from_str::<Value>(&answered.body).unwrap()
    };
    let ledger = show("/api/v1/ledger").await;
    assert_eq!(ledger["ledger"][0]["pipeline"], "dev");
    assert_eq!(ledger["ledger"][0]["integration"], "mixpanel");
    assert_eq!(ledger["ledger"][0]["unaccounted"], 1);
    assert_eq!(ledger["ledger"][0]["sums"]["delivered"]["rows"], 4);
    assert_eq!(ledger["ledger"][1]["integration"], Value::Null);
    assert_eq!(show("/api/v1/integrations").await["integrations"][0]["id"], "mixpanel");
    assert_eq!(show("/api/v1/dispositions").await["dispositions"], 100);
    assert_eq!(show("/api/v1/dispositions?limit=7").await["dispositions"], 7);
    assert_eq!(show("/api/v1/dispositions?limit=999999").await["dispositions"], 1_000);
}

#[tokio::test]
async fn metrics_are_shown_as_text() {
    let router = management(Secret::new("t0ken"), Arc::new(FixedOverview));
    let answered = send(&router, request(Method::GET, "/metrics", "Bearer t0ken")).await;
    assert_eq!(answered.status.as_u16(), 200);
    assert_eq!(answered.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert_eq!(answered.body, "millrace_sending 1\n");
}

#[tokio::test]
async fn errors_have_code_message_and_page() {
    let router = management(Secret::new("t0ken"), Arc::new(FixedOverview));
    let table = [
        (Method::GET, "/api/v1/ledger", "", 401, "MR1014"),
        (Method::GET, "/api/v1/ledger", "Bearer wrong", 401, "MR1014"),
        (Method::GET, "/metrics", "", 401, "MR1014"),
        (Method::POST, "/metrics", "Bearer t0ken", 405, "MR1010"),
        (Method::GET, "/api/v1/set-aside", "Bearer t0ken2", 401, "MR1014"),
        (Method::GET, "/api/v1/integrations", "Basic t0ken", 401, "MR1014"),
        (Method::GET, "/api/v1/dispositions?limit=x", "Bearer t0ken", 400, "MR5004"),
        (Method::POST, "/api/v1/set-aside/refeed", "", 401, "MR1014"),
        (Method::GET, "/api/v1/trace?pipeline=dev&message_id=a", "", 401, "MR1014"),
        (Method::POST, "/api/v1/ledger", "Bearer t0ken", 405, "MR1010"),
        (Method::GET, "/api/v1/nothing", "Bearer t0ken", 404, "MR1009"),
    ];
    for (method, path, authorization, status, code) in table {
        let answered = send(&router, request(method, path, authorization)).await;
        assert_eq!(answered.status.as_u16(), status, "{path} {authorization}");
        let body: Value = serde_json::from_str(&answered.body).unwrap();
        assert_eq!(body["error"]["code"], code, "{path}");
        assert!(body["error"]["message"].is_string());
        assert!(body["error"]["docs"].as_str().unwrap().ends_with(&format!("{code}.md")));
        assert!(!answered.body.contains("t0ken"));
    }
}

#[tokio::test]
async fn an_empty_admin_token_lets_nobody_in() {
    let router = management(Secret::new(""), Arc::new(FixedOverview));
    for authorization in ["", "Bearer ", "Bearer"] {
        let answered = send(&router, request(Method::GET, "/api/v1/ledger", authorization)).await;
        assert_eq!(answered.status.as_u16(), 401);
    }
}

#[tokio::test]
async fn both_routers_go_on_one_address() {
    let collector = crate::recording::TestCollector::new();
    let shown = management(Secret::new("t0ken"), Arc::new(FixedOverview));
    let router = collector.router.clone().merge(shown);
    for (method, path, status) in [
        (Method::GET, "/healthz", 200),
        (Method::GET, "/api/v1/ledger", 200),
        (Method::GET, "/api/v1/nothing", 404),
        (Method::PUT, "/api/v1/ledger", 405),
        (Method::GET, "/v1/track", 405),
        (Method::GET, "/nothing", 404),
    ] {
        let answered = send(&router, request(method, path, "Bearer t0ken")).await;
        assert_eq!(answered.status.as_u16(), status, "{path}");
        assert!(serde_json::from_str::<Value>(&answered.body).is_ok(), "{path}");
    }
}
