//! The browser collector as pages load it, and Segment's script from a file.

use axum::body::Body;
use axum::http::Request;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use millrace_http::{CollectorOptions, PipelineOptions, ScriptOptions, WriteKey};
use millrace_model::code::Code;
use serde_json::Value;
use tower::ServiceExt as _;

use crate::recording::{Answered, TestCollector};

fn pipeline(id: &str, key: &str, script: ScriptOptions) -> PipelineOptions {
    let id = id.parse().unwrap();
    PipelineOptions { write_keys: vec![WriteKey::active(key)], script, ..PipelineOptions::new(id) }
}

fn of(pipelines: Vec<PipelineOptions>) -> TestCollector {
    TestCollector::of(CollectorOptions { pipelines, ..CollectorOptions::default() })
}

/// Two pipelines share a file, a third has one of its own and tells its key.
fn shops() -> TestCollector {
    let own = ScriptOptions {
        file: "shop.js".to_owned(),
        global: "shop".to_owned(),
        embed_key: true,
        consent_required: vec!["analytics".to_owned(), "</script>\u{2028}".to_owned()],
        ..ScriptOptions::default()
    };
    let with = |batch_size| ScriptOptions { batch_size, ..ScriptOptions::default() };
    of(vec![
        pipeline("a", "key-a", with(1)),
        pipeline("b", "key-b", with(2)),
        pipeline("c", "key-c", own),
    ])
}

async fn get(collector: &TestCollector, path: &str, headers: &[(&str, &str)]) -> Answered {
    let mut request = Request::builder().uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    collector.send(request.body(Body::empty()).unwrap()).await
}

/// The settings with which the function of the script is called.
fn settings(script: &Answered) -> Value {
    assert_eq!(script.status.as_u16(), 200, "{}", script.body);
    assert_eq!(script.header("content-type"), Some("text/javascript; charset=utf-8"));
    let (_, call) = script.body.rsplit_once("})(").unwrap();
    serde_json::from_str(call.trim_end().trim_end_matches(");")).unwrap()
}

#[tokio::test]
async fn a_shared_file_names_no_key_and_tells_settings_to_those_who_have_one() {
    let shops = shops();
    let plain = settings(&get(&shops, "/d.js", &[]).await);
    assert_eq!(plain, serde_json::json!({ "global": "_df" }));
    for (path, size) in [("/d.js?key=key-a", 1), ("/d.js?v=7&writeKey=key-b", 2)] {
        assert_eq!(settings(&get(&shops, path, &[]).await)["batchSize"], size, "{path}");
    }
    let asked = get(&shops, "/v1/script?writeKey=key-b", &[("origin", "https://a.example")]).await;
    assert_eq!(serde_json::from_str::<Value>(&asked.body).unwrap()["batchSize"], 2);
    assert_eq!(asked.header("access-control-allow-origin"), Some("https://a.example"));
    for path in ["/d.js?key=wrong", "/v1/script?writeKey=wrong"] {
        assert_eq!(get(&shops, path, &[]).await.code(), Some(Code::UnknownWriteKey), "{path}");
    }
}

#[tokio::test]
async fn a_pipeline_chooses_the_name_of_its_file_and_whether_it_tells_its_key() {
    let shops = shops();
    let own = get(&shops, "/shop.js", &[]).await;
    assert!(!own.body.contains("</script>") && !own.body.contains('\u{2028}'));
    let own = settings(&own);
    assert_eq!((&own["pipelineKey"], &own["global"]), (&"key-c".into(), &"shop".into()));
    assert_eq!(own["consentRequired"][1], "</script>\u{2028}");
    for path in ["/other.js", "/shop.js/", "/a/shop.js"] {
        assert_eq!(get(&shops, path, &[]).await.code(), Some(Code::UnknownPath), "{path}");
    }
}

#[tokio::test]
async fn a_server_key_is_told_to_nobody() {
    let collector = of(vec![pipeline("a", "key-of-servers", ScriptOptions::default())]);
    let script = get(&collector, "/d.js", &[]).await;
    assert_eq!(script.status.as_u16(), 200);
    assert!(!script.body.contains("key-of-servers"));
}

#[tokio::test]
async fn the_tag_changes_with_the_settings_and_saves_the_transfer() {
    let tag = async |batch_size| {
        let options = ScriptOptions { batch_size, ..ScriptOptions::default() };
        let collector = of(vec![pipeline("a", "k", options)]);
        let script = get(&collector, "/d.js?key=k", &[]).await;
        let tag = script.header("etag").unwrap().to_owned();
        assert_eq!(script.header("cache-control"), Some("public, max-age=300"));
        let again = get(&collector, "/d.js?key=k", &[("if-none-match", &tag)]).await;
        assert_eq!((again.status.as_u16(), again.body.as_str()), (304, ""));
        assert_eq!(again.header("etag"), Some(tag.as_str()));
        tag
    };
    assert_eq!(tag(10).await, tag(10).await);
    assert_ne!(tag(10).await, tag(11).await);
}

#[tokio::test]
async fn the_script_comes_compressed_to_those_who_take_it() {
    let request = Request::builder().uri("/d.js").header("accept-encoding", "gzip, br");
    let request = request.body(Body::empty()).unwrap();
    let response = shops().router.oneshot(request).await.unwrap();
    assert_eq!(response.headers()["content-encoding"], "gzip");
    assert!(response.headers()["vary"].to_str().unwrap().contains("Accept-Encoding"));
    let packed = response.into_body().collect().await.unwrap().to_bytes();
    let mut plain = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&*packed), &mut plain).unwrap();
    assert_eq!(plain, get(&shops(), "/d.js", &[]).await.body);
}

#[tokio::test]
async fn segments_script_comes_from_the_file_of_the_operator() {
    let path = "/analytics.js/v1/key-a/analytics.min.js";
    assert_eq!(get(&shops(), path, &[]).await.code(), Some(Code::NoSegmentScript));
    let segment_script = Some(Bytes::from_static(b"analytics"));
    let options = CollectorOptions { segment_script, ..CollectorOptions::default() };
    let script = get(&TestCollector::of(options), path, &[]).await;
    assert_eq!((script.status.as_u16(), script.body.as_str()), (200, "analytics"));
}

/// The same call of the collector and of another SDK.
#[tokio::test]
async fn events_of_the_collector_are_known_by_their_library() {
    use millrace_model::passage::Origin;
    for (name, origin) in [("millrace-collector", Origin::Browser), ("analytics.js", Origin::Spec)]
    {
        let collector = TestCollector::new();
        let body = format!(
            r#"{{"writeKey":"dev-write-key","batch":[{{"type":"track","event":"e","anonymousId":"a",
                "context":{{"library":{{"name":"{name}"}}}}}}]}}"#
        );
        let request = crate::recording::posting("/v1/batch").header("origin", "https://a.example");
        let answered = collector.send(request.body(Body::from(body)).unwrap()).await;
        assert_eq!(answered.status.as_u16(), 200);
        assert_eq!(collector.stored_event().passage.origin, origin, "{name}");
    }
}
