//! Adobe's Edge Network API against the real binary, over TLS, through to the twin.

use std::sync::Arc;

use millrace_model::time::{Clock as _, SystemClock};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::browser::Visit;
use crate::server::{DevServer, tally};

/// A page's connection, which trusts what the server says is to be trusted.
async fn connect(server: &DevServer, name: &str) -> TlsStream<TcpStream> {
    let (url, authority) = server.tls();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(url.strip_prefix("https://").unwrap()).await.unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
}

/// Posts as the Web SDK does, on a connection of its own. Gives status and body.
async fn post(server: &DevServer, call: &str, cookie: &str, body: &Value) -> (u16, String) {
    let mut stream = connect(server, "edge.test").await;
    let body = body.to_string();
    let request = format!(
        "POST /ee/irl1/v1/{call}?configId=dev&requestId=r-{} HTTP/1.1\r\nHost: edge.test\r\n\
         Origin: https://www.shop.test\r\nContent-Type: text/plain; charset=UTF-8\r\n\
         Cookie: {cookie}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len(),
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A peer that closes the connection without a word of TLS about it has still said everything.
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap(), body.to_owned())
}

fn handle(body: &str, kind: &str) -> Value {
    let body: Value = serde_json::from_str(body).unwrap();
    let handles = body.get("handle").and_then(Value::as_array).unwrap();
    let found = handles.iter().find(|handle| handle.get("type").is_some_and(|of| of == kind));
    let payload = found.and_then(|handle| handle.pointer("/payload/0"));
    payload.unwrap_or_else(|| panic!("{body:#}")).clone()
}

#[test]
fn a_visit_over_tls_arrives_in_the_twin_under_one_visitor() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let server = DevServer::start_with_tls();
    let now = SystemClock::default().now().to_string();
    let view = json!({"events": [{"xdm": {
        "eventType": "web.webpagedetails.pageViews", "timestamp": now,
        "web": {"webPageDetails": {"URL": "https://www.shop.test/", "name": "Home"}},
    }}]});
    let (status, body) = runtime.block_on(post(&server, "interact", "", &view));
    assert_eq!(status, 200, "{body}");
    let ecid = handle(&body, "identity:result")["id"].clone();
    let stored = handle(&body, "state:store");
    assert_eq!(stored["key"], "kndctr_dev_AdobeOrg_identity");
    let cookie =
        format!("{}={}", stored["key"].as_str().unwrap(), stored["value"].as_str().unwrap());

    let purchase = json!({"events": [{"xdm": {
        "eventType": "commerce.purchases", "timestamp": now,
        "identityMap": {"CRMID": [{"id": "ada", "authenticatedState": "authenticated", "primary": true}]},
        "commerce": {"order": {"purchaseID": "o-1", "priceTotal": 42.5, "currencyCode": "USD"}},
    }}]});
    let (status, body) = runtime.block_on(post(&server, "interact", &cookie, &purchase));
    assert_eq!((status, handle(&body, "identity:result")["id"].clone()), (200, ecid));

    let link = json!({"events": [
        {"xdm": {"eventType": "web.webinteraction.linkClicks", "timestamp": now}},
        {"xdm": {"eventType": "decisioning.propositionDisplay", "timestamp": now}},
    ]});
    let (status, body) = runtime.block_on(post(&server, "collect", &cookie, &link));
    assert_eq!((status, body.as_str()), (204, ""));

    let ledger = server.drain(4);
    assert_eq!((tally(&ledger, "received"), tally(&ledger, "delivered")), (4, 3), "{ledger:#}");
    let summary = server.twin_get("/twin/v1/projects/1/summary");
    let expected = json!({
        "Page Viewed": 1, "commerce.purchases": 1, "web.webinteraction.linkClicks": 1,
    });
    assert_eq!(summary["by_event"], expected, "{summary:#}");
    let ada = server.twin_get("/twin/v1/projects/1/users/ada");
    let activity = ada["activity"].as_array().unwrap();
    assert_eq!(activity.len(), 3, "one visitor before and after the sign-in: {ada:#}");
}

#[test]
fn adobes_web_sdk_in_a_browser_arrives_whole_and_keeps_its_visitor() {
    let server = DevServer::start_with_tls();
    let address = server.tls().0.strip_prefix("https://").unwrap();
    // The SDK talks to port 443 of a name and to nothing else.
    let name = "edge.millrace.test";
    let job = json!({
        "page": "alloy",
        "edge": name,
        "flags": [
            format!("--host-resolver-rules=MAP {name}:443 {address}"),
            "--ignore-certificate-errors",
        ],
    });
    let visit = Visit::run("twice", &server, job);
    let (first, second) = (&visit.report["visits"][0], &visit.report["visits"][1]);
    assert_eq!((&first["calls"], &second["calls"]), (&json!(3), &json!(3)), "{}", visit.report);
    assert_eq!(first["ecid"].as_str().map(str::len), Some(38), "{}", visit.report);
    assert_eq!(first["ecid"], second["ecid"], "{}", visit.report);
    let requests = visit.report["requests"].as_array().unwrap();
    let beacons = requests.iter().filter(|path| **path == json!("/ee/v1/collect")).count();
    assert_eq!(beacons, 2, "{}", visit.report);
    server.drain(6);
    visit.leave();
    let ledger = server.drain(6);
    assert_eq!((tally(&ledger, "received"), tally(&ledger, "delivered")), (6, 6), "{ledger:#}");
    let summary = server.twin_get("/twin/v1/projects/1/summary");
    let expected = json!({
        "Page Viewed": 2, "commerce.purchases": 2, "web.webinteraction.linkClicks": 2,
    });
    assert_eq!(summary["by_event"], expected, "{summary:#}");
    let ada = server.twin_get("/twin/v1/projects/1/users/ada");
    assert_eq!(ada["activity"].as_array().map(Vec::len), Some(6), "{ada:#}");
}

#[test]
fn adobes_web_sdk_waits_for_consent_and_comes_again_after_503() {
    let server = DevServer::start_with_tls();
    let address = server.tls().0.strip_prefix("https://").unwrap();
    let name = "edge.millrace.test";
    let job = json!({
        "page": "alloy-consent",
        "edge": name,
        "path": "/ee/v1/interact",
        "refusals": 2,
        "flags": [
            format!("--host-resolver-rules=MAP {name}:443 {address}"),
            "--ignore-certificate-errors",
        ],
    });
    let visit = Visit::run("overloaded", &server, job);
    let report = visit.report.clone();
    assert_eq!(report.get("error"), None, "{report}");
    let calls: Vec<(&str, u64)> = report["calls"]
        .as_array()
        .unwrap()
        .iter()
        .map(|call| (call[0].as_str().unwrap(), call[1].as_u64().unwrap()))
        .collect();
    let consent = ("/ee/v1/privacy/set-consent", 200);
    assert_eq!((calls.first(), calls.last()), (Some(&consent), Some(&consent)), "{report}");
    let interacts =
        |status| calls.iter().filter(|call| **call == ("/ee/v1/interact", status)).count();
    assert_eq!((interacts(503), interacts(200)), (2, 2), "each once in the end: {report}");
    let cookies = report["cookies"].as_str().unwrap();
    assert!(cookies.contains("kndctr_dev_AdobeOrg_consent=general=out"), "{report}");
    // Two events and two decisions, for which the blueprint has no row.
    let ledger = server.drain(4);
    visit.leave();
    assert_eq!((tally(&ledger, "received"), tally(&ledger, "delivered")), (4, 2), "{ledger:#}");
    let summary = server.twin_get("/twin/v1/projects/1/summary");
    assert_eq!(summary["by_event"], json!({"Page Viewed": 2}), "{summary:#}");
}
