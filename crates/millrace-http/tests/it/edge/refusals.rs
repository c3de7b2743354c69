//! What is refused, in which words, and what is taken all the same.

use super::*;

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
        // What tools say when nobody has told them.
        (Some("application/x-www-form-urlencoded"), 200, ""),
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
