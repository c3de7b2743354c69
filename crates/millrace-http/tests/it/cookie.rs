//! The anonymous id cookie, through the whole door.

use axum::body::Body;
use axum::http::Request;
use millrace_http::{CollectorOptions, CookieOptions, PipelineOptions, WriteKey};
use serde_json::Value;

use crate::recording::{KEY, TestCollector, posting};

fn collector(cookie: Option<CookieOptions>) -> TestCollector {
    let pipeline = PipelineOptions {
        write_keys: vec![WriteKey::active(KEY)],
        cookie,
        ..PipelineOptions::new("dev".parse().unwrap())
    };
    TestCollector::of(CollectorOptions { pipelines: vec![pipeline], ..CollectorOptions::default() })
}

fn call(body: &str, headers: &[(&str, &str)]) -> Request<Body> {
    let mut request = posting("/v1/t")
        .header("authorization", format!("Bearer {KEY}"))
        .header("host", "collect.shop.example");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::from(body.to_owned())).unwrap()
}

type Headers = &'static [(&'static str, &'static str)];

const ORIGIN: (&str, &str) = ("origin", "https://www.shop.example");

#[tokio::test]
async fn the_first_call_sets_it_and_the_next_one_uses_it() {
    let collector = collector(Some(CookieOptions::default()));
    let answered = collector.send(call(r#"{"event":"e"}"#, &[ORIGIN])).await;
    let line = answered.header("set-cookie").unwrap();
    let (pair, rest) = line.split_once("; ").unwrap();
    assert_eq!(rest, "Path=/; Max-Age=34560000; HttpOnly; SameSite=Lax; Secure");
    assert_eq!(answered.header("access-control-allow-credentials"), Some("true"));
    let id = pair.strip_prefix("_dfid=").unwrap();
    let stored: Value = serde_json::from_slice(&collector.stored_event().body).unwrap();
    assert_eq!(stored["anonymousId"], id);

    let answered = collector
        .send(call(r#"{"event":"e","anonymousId":null}"#, &[ORIGIN, ("cookie", pair)]))
        .await;
    assert_eq!(answered.header("set-cookie"), None);
    let stored: Value = serde_json::from_slice(&collector.stored_event().body).unwrap();
    assert_eq!(stored["anonymousId"], id);
}

#[tokio::test]
async fn the_id_of_an_event_wins_and_servers_get_none() {
    let own = r#"{"event":"e","anonymousId":"own"}"#;
    let plain = r#"{"event":"e"}"#;
    let on = || Some(CookieOptions::default());
    let table: [(Option<CookieOptions>, &str, Headers); 6] = [
        (on(), own, &[ORIGIN]),
        (on(), own, &[ORIGIN, ("cookie", "_dfid=other")]),
        (on(), plain, &[]),
        (on(), plain, &[("cookie", "_dfid=other")]),
        (None, plain, &[ORIGIN]),
        (None, plain, &[ORIGIN, ("cookie", "_dfid=other")]),
    ];
    for (cookie, body, headers) in table {
        let collector = collector(cookie);
        let answered = collector.send(call(body, headers)).await;
        assert_eq!(answered.header("set-cookie"), None, "{body} {headers:?}");
        assert_eq!(&collector.stored_event().body[..], body.as_bytes(), "{headers:?}");
    }
}

#[tokio::test]
async fn a_device_has_a_second_one_where_it_is_wanted() {
    let options =
        CookieOptions { device_name: Some("_dfdid".to_owned()), ..CookieOptions::default() };
    let collector = collector(Some(options));
    let answered = collector.send(call(r#"{"event":"e"}"#, &[ORIGIN])).await;
    let lines: Vec<&str> =
        answered.headers.get_all("set-cookie").iter().map(|line| line.to_str().unwrap()).collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    let device = lines[1].strip_prefix("_dfdid=").unwrap().split(';').next().unwrap();
    let stored: Value = serde_json::from_slice(&collector.stored_event().body).unwrap();
    assert_eq!(stored["context"]["deviceId"], device);
}

#[tokio::test]
async fn a_pixel_sets_and_reads_it_too() {
    let collector = collector(Some(CookieOptions::default()));
    let pixel = |cookie: &str| {
        Request::get(format!("/v1/pixel/track?wk={KEY}&e=Opened"))
            .header("cookie", cookie.to_owned())
            .body(Body::empty())
            .unwrap()
    };
    let answered = collector.send_bytes(pixel("a=b")).await;
    let line = answered.0.get("set-cookie").unwrap().to_str().unwrap().to_owned();
    let pair = line.split(';').next().unwrap();
    collector.stored();
    let answered = collector.send_bytes(pixel(pair)).await;
    assert_eq!(answered.0.get("set-cookie"), None);
    let stored: Value = serde_json::from_slice(&collector.stored_event().body).unwrap();
    assert_eq!(format!("_dfid={}", stored["anonymousId"].as_str().unwrap()), pair);
}

#[tokio::test]
async fn a_refused_call_sets_nothing() {
    let collector = collector(Some(CookieOptions::default()));
    let answered = collector.send(call("{", &[ORIGIN])).await;
    assert_eq!((answered.status.as_u16(), answered.header("set-cookie")), (400, None));
}
