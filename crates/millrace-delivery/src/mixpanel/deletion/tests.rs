//! Requests and answers of deletions.

use super::*;
use crate::mixpanel::transport::TransportErrorKind;

fn options(region: Region) -> MixpanelOptions {
    MixpanelOptions::new(region, Secret::new("tok")).unwrap()
}

fn task() -> DeletionApi {
    DeletionApi::from_settings(Some("task"), Some(Secret::new("g1"))).unwrap()
}

fn body(request: &DeletionRequest) -> Value {
    serde_json::from_slice(&request.parts.body).unwrap()
}

#[test]
fn profiles_go_by_engage_in_chunks() {
    let ids: Vec<String> = (0..1_001).map(|n| format!("u{n}")).collect();
    let requests = deletion_requests(&ids, &DeletionApi::Engage, &options(Region::Eu));
    let users: Vec<usize> = requests.iter().map(|request| request.users).collect();
    assert_eq!(users, [1_000, 1]);
    let last = &requests[1].parts;
    assert_eq!(last.url, "https://api-eu.mixpanel.com/engage");
    assert_eq!(last.headers, [("content-type", "application/json".to_owned())]);
    let update =
        json!([{"$token": "tok", "$distinct_id": "u1000", "$delete": null, "$ignore_alias": true}]);
    assert_eq!(body(&requests[1]), update);
}

#[test]
fn tasks_go_to_the_region_under_its_law() {
    let ids: Vec<String> = (0..2_000).map(|n| format!("u{n}")).collect();
    for (region, host, law) in [
        (Region::Us, "https://mixpanel.com", "CCPA"),
        (Region::Eu, "https://eu.mixpanel.com", "GDPR"),
        (Region::In, "https://in.mixpanel.com", "CCPA"),
    ] {
        let requests = deletion_requests(&ids, &task(), &options(region));
        let users: Vec<usize> = requests.iter().map(|request| request.users).collect();
        assert_eq!(users, [1_999, 1]);
        let last = &requests[1];
        assert_eq!(last.parts.url, format!("{host}/api/app/data-deletions/v3.0/"));
        assert_eq!(last.parts.params, [("token", "tok".to_owned())]);
        assert!(last.parts.headers.contains(&("authorization", "Bearer g1".to_owned())));
        assert_eq!(body(last), json!({"distinct_ids": ["u1999"], "compliance_type": law}));
    }
}

#[test]
fn blank_ids_are_left_out_and_no_ids_make_no_request() {
    let ids = ["", " ", "u1"].map(str::to_owned);
    let requests = deletion_requests(&ids, &task(), &options(Region::Us));
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].users, 1);
    assert!(deletion_requests(&[], &task(), &options(Region::Us)).is_empty());
}

#[test]
fn settings() {
    let read = |name, token: Option<&str>| {
        DeletionApi::from_settings(name, token.map(Secret::new)).map(|api| api.as_str())
    };
    assert_eq!(read(None, None), Ok("engage"));
    assert_eq!(read(Some("engage"), None), Ok("engage"));
    assert_eq!(read(Some("task"), Some("g")), Ok("task"));
    assert_eq!(read(Some("task"), None), Err(DeletionSettingsError::NoToken));
    assert_eq!(read(Some("task"), Some("")), Err(DeletionSettingsError::NoToken));
    assert_eq!(read(Some("task"), Some("a b")), Err(DeletionSettingsError::Token));
    assert_eq!(read(Some("all"), None), Err(DeletionSettingsError::Api("all".to_owned())));
}

#[test]
fn no_secret_is_shown() {
    let requests = deletion_requests(&["u1".to_owned()], &task(), &options(Region::Us));
    let shown = format!("{requests:?} {:?}", task());
    assert!(
        !shown.contains("=tok") && !shown.contains("\"tok") && !shown.contains("g1"),
        "{shown}"
    );
}

#[test]
fn answers() {
    let taken = || DeletionAnswer::Taken { task: None };
    let refused = |words: &str| DeletionAnswer::Refused { words: words.to_owned() };
    let known = |id: &str| DeletionAnswer::Taken { task: Some(id.to_owned()) };
    for (status, body, wanted) in [
        (200, "1", taken()),
        (200, "{}", taken()),
        (200, r#"{"error":null,"status":1}"#, taken()),
        (201, r#"{"status":"ok","results":{"task_id":"t-1"}}"#, known("t-1")),
        (200, r#"{"status":"ok","results":[{"status":"PENDING","tracking_id":"7"}]}"#, known("7")),
        (200, "0", refused("Mixpanel answered 0: not taken")),
        (200, r#"{"error":"no","status":0}"#, refused("no")),
        (200, r#"{"status":"error"}"#, refused("the answer says no more")),
        (200, r#"{"code":500}"#, refused("the answer says no more")),
        (400, r#"{"error":"too many ids"}"#, refused("too many ids")),
    ] {
        let response = Response { status, retry_after: None, body: Bytes::from(body), cut: false };
        assert_eq!(read_deletion_answer(&Ok(response), UnixMillis(0)), wanted, "{status} {body}");
    }
    for (status, again) in [
        (401, false),
        (403, false),
        (404, false),
        (413, false),
        (429, true),
        (500, true),
        (503, true),
    ] {
        let response = Response {
            status,
            retry_after: Some("7".to_owned()),
            body: Bytes::from(r#"{"error":"x"}"#),
            cut: false,
        };
        match read_deletion_answer(&Ok(response), UnixMillis(0)) {
            DeletionAnswer::Later { after, .. } => {
                assert!(again, "{status}");
                assert_eq!(after, Some(Duration::from_secs(7)));
            }
            other => assert!(!again && matches!(other, DeletionAnswer::Refused { .. }), "{status}"),
        }
    }
    let error = |kind| TransportError { kind, message: "x".to_owned() };
    let broken = read_deletion_answer(&Err(error(TransportErrorKind::Reset)), UnixMillis(0));
    assert!(matches!(broken, DeletionAnswer::Later { .. }));
    let offline = read_deletion_answer(&Err(error(TransportErrorKind::Dns)), UnixMillis(0));
    assert!(matches!(offline, DeletionAnswer::Later { .. }));
    let wrong = read_deletion_answer(&Err(error(TransportErrorKind::Tls)), UnixMillis(0));
    assert!(matches!(wrong, DeletionAnswer::Refused { .. }));
}
