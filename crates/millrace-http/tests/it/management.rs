//! The management routes: who may ask, and what is shown.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Method, Request};
use millrace_http::{Overview, management};
use millrace_model::id::{IntegrationId, PipelineId};
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

    fn set_aside(&self, limit: usize) -> Value {
        json!(limit)
    }
}

fn request(method: Method, path: &str, authorization: &str) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(path)
        .header("authorization", authorization)
        .body(Body::empty())
        .unwrap()
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
    assert_eq!(show("/api/v1/set-aside").await["set_aside"], 100);
    assert_eq!(show("/api/v1/set-aside?limit=7").await["set_aside"], 7);
    assert_eq!(show("/api/v1/set-aside?limit=999999").await["set_aside"], 1_000);
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
        (Method::GET, "/api/v1/set-aside?limit=x", "Bearer t0ken", 400, "MR5004"),
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
