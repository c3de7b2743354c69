//! Browsers: preflights, and CORS headers on every answer, errors too.

use axum::body::Body;
use axum::http::{Method, Request};

use crate::recording::{TestCollector, basic, posting, track};

const ORIGIN: &str = "https://shop.example";

#[tokio::test]
async fn preflights_allow_what_is_asked() {
    let collector = TestCollector::new();
    for path in ["/v1/track", "/v1/t", "/v1/batch/", "/beacon/v1/batch"] {
        let asked = "anonymousid,authorization,content-type,sentat,x-retry-count";
        let request = Request::builder()
            .method(Method::OPTIONS)
            .uri(path)
            .header("origin", ORIGIN)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", asked)
            .body(Body::empty())
            .unwrap();
        let answered = collector.send(request).await;
        assert_eq!(answered.status.as_u16(), 204, "{path}");
        for (name, value) in [
            ("access-control-allow-origin", ORIGIN),
            ("access-control-allow-credentials", "true"),
            ("access-control-allow-methods", "GET, POST, OPTIONS"),
            ("access-control-allow-headers", asked),
            ("access-control-max-age", "86400"),
            ("vary", "Origin, Access-Control-Request-Headers"),
        ] {
            assert_eq!(answered.header(name), Some(value), "{path}");
        }
    }
}

#[tokio::test]
async fn every_answer_to_a_page_can_be_read_by_it() {
    let collector = TestCollector::new();
    let table = [
        ("/v1/track", "dev-write-key:", track(""), 200),
        ("/v1/track", "dev-write-key:", "{".to_owned(), 400),
        ("/v1/track", "wrong:", track(""), 401),
        ("/v1/nothing", "dev-write-key:", track(""), 404),
        ("/readyz", "dev-write-key:", track(""), 405),
    ];
    for (path, key, body, status) in table {
        let request = posting(path).header("origin", ORIGIN).header("authorization", basic(key));
        let answered = collector.send(request.body(body.into()).unwrap()).await;
        assert_eq!(answered.status.as_u16(), status, "{path}");
        for (name, value) in [
            ("access-control-allow-origin", ORIGIN),
            ("access-control-allow-credentials", "true"),
            ("access-control-expose-headers", "Retry-After"),
            ("vary", "Origin"),
        ] {
            assert_eq!(answered.header(name), Some(value), "{path} {status}");
        }
    }
    let answered = collector.post("/v1/track", track("")).await;
    assert_eq!(answered.header("access-control-allow-origin"), None);
}
