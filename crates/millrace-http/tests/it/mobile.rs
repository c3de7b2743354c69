//! The forms of the mobile SDKs, which cannot be driven here: requests rebuilt by hand from their
//! public sources, each of which says from which files. A recording would be better proof.

use axum::body::Body;
use axum::http::Request;
use millrace_http::PeerAddress;
use millrace_model::event::Item;
use millrace_model::time::UnixMillis;
use serde_json::Value;

use crate::recording::{TestCollector, gzip};

const REBUILT: [(&str, &str); 9] = [
    ("segment-android-settings", include_str!("mobile/segment-android-settings.json")),
    ("segment-android-batch-late", include_str!("mobile/segment-android-batch-late.json")),
    ("segment-android-clock-ahead", include_str!("mobile/segment-android-clock-ahead.json")),
    ("segment-ios-batch-late", include_str!("mobile/segment-ios-batch-late.json")),
    ("segment-react-native-batch", include_str!("mobile/segment-react-native-batch.json")),
    ("segment-flutter-batch", include_str!("mobile/segment-flutter-batch.json")),
    ("rudder-android-source-config", include_str!("mobile/rudder-android-source-config.json")),
    ("rudder-android-batch", include_str!("mobile/rudder-android-batch.json")),
    ("rudder-ios-batch", include_str!("mobile/rudder-ios-batch.json")),
];

fn request_of(recorded: &Value) -> Request<Body> {
    let peer = PeerAddress("203.0.113.9".parse().unwrap());
    let mut request = Request::builder()
        .method(recorded["method"].as_str().unwrap())
        .uri(recorded["target"].as_str().unwrap())
        .extension(peer);
    for header in recorded["headers"].as_array().unwrap() {
        request = request.header(header[0].as_str().unwrap(), header[1].as_str().unwrap());
    }
    let body = match &recorded["body"] {
        Value::Null => Vec::new(),
        body if recorded["gzip"] == true => gzip(body.to_string().as_bytes()),
        body => body.to_string().into_bytes(),
    };
    request.body(Body::from(body)).unwrap()
}

#[tokio::test]
async fn rebuilt_requests_of_mobile_sdks_get_their_answers_and_keep_their_times() {
    for (name, text) in REBUILT {
        let collector = TestCollector::new();
        let file: Value = serde_json::from_str(text).unwrap();
        let answered = collector.send(request_of(&file["request"])).await;
        assert_eq!(answered.status, 200, "{name}: {}", answered.body);
        let answer: Value = serde_json::from_str(&answered.body).unwrap();
        let wanted = &file["wanted"];
        for member in wanted["json"].as_array().into_iter().flatten() {
            assert!(answer[member.as_str().unwrap()].is_object(), "{name}: {member}");
        }
        let stored = collector.stored();
        let events = wanted["events"].as_array().cloned().unwrap_or_default();
        assert_eq!(stored.len(), events.len(), "{name}");
        for (item, wanted_event) in stored.iter().zip(&events) {
            let Item::Event(event) = item else { panic!("{name}: {item:?}") };
            assert_eq!(event.kind.as_str(), wanted_event[0], "{name}");
            let time = UnixMillis::parse(wanted_event[1].as_str().unwrap());
            assert_eq!(Some(event.facts.time), time, "{name}: {}", event.facts.time);
            let ip = wanted["ip"].as_bool().unwrap_or_default();
            assert_eq!(event.facts.client_ip.is_some(), ip, "{name}");
        }
    }
}

/// RudderStack's mobile SDKs look for these words, and stop asking for their settings.
#[tokio::test]
async fn an_unknown_key_says_so_in_the_words_that_mobile_sdks_look_for() {
    let request = Request::builder().uri("/sourceConfig?p=android&v=1").body(Body::empty());
    let request = request.map(|mut request| {
        let unknown = crate::recording::basic("nobody:").parse().unwrap();
        request.headers_mut().insert("authorization", unknown);
        request
    });
    let answered = TestCollector::new().send(request.unwrap()).await;
    assert_eq!(answered.status, 401);
    assert!(answered.body.to_lowercase().contains("invalid write key"), "{}", answered.body);
}
