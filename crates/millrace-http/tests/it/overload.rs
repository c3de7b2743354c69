//! When the collector cannot take more: nothing is lost that was answered 200, and every other
//! answer says when to come back.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{Method, Request};
use http_body_util::StreamBody;
use hyper::body::Frame;
use millrace_http::CollectorOptions;
use millrace_model::code::Code;
use millrace_model::intake::AdmitError;

use crate::recording::{TestCollector, keyed, track};

fn get(path: &str) -> Request<Body> {
    Request::builder().method(Method::GET).uri(path).body(Body::empty()).unwrap()
}

#[tokio::test]
async fn what_the_log_refuses_may_be_sent_again() {
    let retry_after = Duration::from_millis(1_500);
    let table = [
        (AdmitError::Overloaded { retry_after }, 429, Code::Overloaded, "2"),
        (AdmitError::DiskFull { retry_after }, 503, Code::DiskFull, "2"),
        (AdmitError::Poisoned, 503, Code::LogPoisoned, "30"),
        (AdmitError::ShuttingDown, 503, Code::ShuttingDown, "5"),
    ];
    for (error, status, code, wait) in table {
        let collector = TestCollector::new();
        assert_eq!(collector.send(get("/readyz")).await.status.as_u16(), 200);
        collector.intake.refuse(error);
        for request in [keyed("/v1/track").body(track("").into()).unwrap(), get("/readyz")] {
            let answered = collector.send(request).await;
            assert_eq!((answered.status.as_u16(), answered.code()), (status, Some(code)));
            assert_eq!(answered.header("retry-after"), Some(wait), "{code}");
        }
        assert_eq!(collector.send(get("/healthz")).await.status.as_u16(), 200);
        assert!(collector.intake.take().is_empty());
    }
}

#[tokio::test]
async fn bodies_together_are_bounded() {
    let collector = TestCollector::with(CollectorOptions {
        max_in_flight_bytes: 1_600,
        ..CollectorOptions::default()
    });
    let large = track(&format!(r#","a":"{}""#, "x".repeat(1_600)));
    for _ in 0..3 {
        let answered = collector.post("/v1/track", large.clone()).await;
        assert_eq!((answered.status.as_u16(), answered.code()), (429, Some(Code::Overloaded)));
        assert_eq!(answered.header("retry-after"), Some("1"));
    }
    // What was refused has given its bytes back.
    let fits = track(&format!(r#","a":"{}""#, "x".repeat(900)));
    for _ in 0..3 {
        assert_eq!(collector.post("/v1/track", fits.clone()).await.status.as_u16(), 200);
    }
    let compressed = crate::recording::gzip(large.as_bytes());
    assert!(compressed.len() < 1_000);
    let answered = collector.post("/v1/track", compressed).await;
    assert_eq!(answered.code(), Some(Code::Overloaded));
    // Items count beside their bytes.
    let many = format!(r#"{{"batch":[{}]}}"#, vec!["1"; 50].join(","));
    let answered = collector.post("/v1/batch", many).await;
    assert_eq!(answered.code(), Some(Code::Overloaded));
    assert!(collector.intake.take().len() == 3);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_arrive_is_given_up() {
    let collector = TestCollector::new();
    let endless =
        StreamBody::new(futures_util::stream::pending::<Result<Frame<Bytes>, std::io::Error>>());
    let answered = collector.post("/v1/track", Body::new(endless)).await;
    assert_eq!((answered.status.as_u16(), answered.code()), (408, Some(Code::BodyIncomplete)));

    let frames = [Ok(Frame::data(Bytes::from_static(b"{"))), Err(std::io::Error::other("cut"))];
    let broken = StreamBody::new(futures_util::stream::iter(frames));
    let answered = collector.post("/v1/track", Body::new(broken)).await;
    assert_eq!(answered.code(), Some(Code::BodyIncomplete));
    assert!(collector.intake.take().is_empty());
}

#[tokio::test]
async fn a_body_in_pieces_is_put_together_and_measured() {
    let pieces = |body: &str| {
        let frames: Vec<Result<Frame<Bytes>, std::io::Error>> = body
            .as_bytes()
            .chunks(7)
            .map(|piece| Ok(Frame::data(Bytes::copy_from_slice(piece))))
            .collect();
        Body::new(StreamBody::new(futures_util::stream::iter(frames)))
    };
    let mut options = CollectorOptions::default();
    options.limits.body_bytes = 200;
    let collector = TestCollector::with(options);
    let body = track(r#","properties":{"a":[1,2,3]}"#);
    assert_eq!(collector.post("/v1/track", pieces(&body)).await.status.as_u16(), 200);
    assert_eq!(collector.stored_event().body, body);
    let large = track(&format!(r#","a":"{}""#, "x".repeat(200)));
    let answered = collector.post("/v1/track", pieces(&large)).await;
    assert_eq!((answered.status.as_u16(), answered.code()), (413, Some(Code::BodyTooLarge)));
    let lied = keyed("/v1/track").header("content-length", "999999999");
    let answered = collector.send(lied.body(pieces(&body)).unwrap()).await;
    assert_eq!(answered.code(), Some(Code::BodyTooLarge));
}

#[tokio::test(start_paused = true)]
async fn a_large_body_that_has_stopped_gives_way_to_others() {
    let collector = TestCollector::with(CollectorOptions {
        max_in_flight_bytes: 8_000,
        ..CollectorOptions::default()
    });
    let (small, large) = (vec![b' '; 500], vec![b' '; 6_000]);
    let stopped = |start: Vec<u8>| {
        use futures_util::StreamExt as _;
        let start = Ok::<_, std::io::Error>(Frame::data(Bytes::from(start)));
        let pieces = futures_util::stream::iter([start]).chain(futures_util::stream::pending());
        let router = collector.router.clone();
        let request = keyed("/v1/track").header("expect", "100-continue");
        let request = request.body(Body::new(StreamBody::new(pieces))).unwrap();
        tokio::spawn(async move { crate::recording::send(&router, request).await })
    };
    let (small, large) = (stopped(small), stopped(large));
    // Longer than a body may be slow, and shorter than it may take.
    tokio::time::advance(Duration::from_millis(1)).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let event = track(&format!(r#","a":"{}""#, "x".repeat(1_500)));
    let first = collector.post("/v1/track", event.clone()).await;
    assert_eq!((first.status.as_u16(), first.header("retry-after")), (429, Some("1")));
    let gone = large.await.unwrap();
    assert_eq!((gone.status.as_u16(), gone.header("retry-after")), (429, Some("1")));
    assert_eq!(collector.post("/v1/track", event).await.status.as_u16(), 200);
    assert!(!small.is_finished(), "it holds little");
    small.abort();
}
