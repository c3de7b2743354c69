//! Write keys in all their places, and the address of the client.

use std::time::Duration;

use axum::http::HeaderName;
use millrace_http::{CollectorOptions, WriteKey};
use millrace_model::code::Code;
use millrace_model::event::{EventKind, Item};
use millrace_model::passage::Origin;
use millrace_model::time::UnixMillis;

use crate::recording::{KEY, NOW, OTHER_KEY, TestCollector, basic, posting, track};

#[tokio::test]
async fn the_key_is_looked_for_in_order() {
    let collector = TestCollector::new();
    let with_colon = basic(&format!("{KEY}:"));
    let without_colon = basic(KEY);
    let with_password = basic(&format!("{KEY}:secret"));
    let unpadded = with_password.trim_end_matches('=').to_owned();
    let lower_scheme = with_colon.replace("Basic", "basic");
    let (wrong, nobody) = (basic("wrong:"), basic(":"));
    let known_bearer = format!("Bearer {KEY}");
    let token = "Bearer eyJhbGciOi".to_owned();
    let missing = Err(Code::MissingWriteKey);
    let unknown = Err(Code::UnknownWriteKey);
    // authorization, key in the body, query, whose event it is
    let table: &[(&str, &str, &str, Result<&str, Code>)] = &[
        (&with_colon, "", "", Ok("dev")),
        (&without_colon, "", "", Ok("dev")),
        (&with_password, "", "", Ok("dev")),
        (&unpadded, "", "", Ok("dev")),
        (&lower_scheme, "", "", Ok("dev")),
        (&with_colon, OTHER_KEY, "", Ok("dev")),
        (&with_colon, "wrong", "", Ok("dev")),
        (&wrong, KEY, "", unknown),
        (&nobody, OTHER_KEY, "", Ok("other")),
        ("Basic !!!", OTHER_KEY, "", Ok("other")),
        ("Digest x", OTHER_KEY, "", Ok("other")),
        ("Basic", OTHER_KEY, "", Ok("other")),
        ("", OTHER_KEY, "", Ok("other")),
        ("", "wrong", "", unknown),
        ("", "wrong", "?writeKey=other-key", unknown),
        ("", "", "?writeKey=other-key", Ok("other")),
        ("", "", "?a=b&writeKey=other%2Dkey", Ok("other")),
        ("", "", "?writeKey=wrong", unknown),
        ("", "", "?writeKey=", missing),
        (&token, OTHER_KEY, "", Ok("other")),
        (&known_bearer, OTHER_KEY, "", Ok("other")),
        (&known_bearer, "", "", Ok("dev")),
        (&token, "", "", unknown),
        ("", "", "", missing),
    ];
    for (authorization, in_body, query, wanted) in table {
        let mut request = posting(&format!("/v1/track{query}"));
        if !authorization.is_empty() {
            request = request.header("authorization", *authorization);
        }
        let body = track(&format!(r#","writeKey":"{in_body}""#));
        let answered = collector.send(request.body(body.into()).unwrap()).await;
        let row = format!("{authorization} {in_body} {query}");
        let stored = collector.intake.take();
        match wanted {
            Ok(pipeline) => {
                assert_eq!(answered.status.as_u16(), 200, "{row}");
                assert_eq!(stored[0].pipeline.as_str(), *pipeline, "{row}");
            }
            Err(code) => {
                assert_eq!(
                    (answered.status.as_u16(), answered.code()),
                    (401, Some(*code)),
                    "{row}"
                );
                assert!(stored.is_empty(), "{row}");
            }
        }
        assert!(!answered.body.contains(KEY) && !answered.body.contains("wrong"), "{row}");
    }
}

#[tokio::test]
async fn only_a_trusted_proxy_is_believed_about_the_client() {
    let open = TestCollector::new();
    let behind = TestCollector::with(CollectorOptions {
        trusted_proxies: vec!["203.0.113.9/32".parse().unwrap(), "10.0.0.0/8".parse().unwrap()],
        ..CollectorOptions::default()
    });
    // The connection comes from 203.0.113.9.
    let table: &[(&TestCollector, &[&str], Option<&str>)] = &[
        (&open, &["198.51.100.1"], Some("203.0.113.9")),
        (&behind, &[], Some("203.0.113.9")),
        (&behind, &["198.51.100.1"], Some("198.51.100.1")),
        (&behind, &["1.1.1.1, 198.51.100.1, 10.0.0.1"], Some("198.51.100.1")),
        (&behind, &["1.1.1.1", "198.51.100.1", "10.0.0.1"], Some("198.51.100.1")),
        (&behind, &["nonsense"], Some("203.0.113.9")),
        (&behind, &["127.0.0.1"], None),
    ];
    for (collector, forwarded, wanted) in table {
        let mut request = posting("/v1/track").header("origin", "https://shop.example");
        request = request.header("authorization", basic(KEY));
        for line in *forwarded {
            request = request.header(HeaderName::from_static("x-forwarded-for"), *line);
        }
        collector.send(request.body(track("").into()).unwrap()).await;
        let facts = collector.stored_event().facts;
        assert_eq!(facts.client_ip.as_deref(), *wanted, "{forwarded:?}");
    }
}

#[tokio::test]
async fn a_server_is_never_taken_for_a_device() {
    let collector = TestCollector::new();
    collector.post("/v1/track", track("")).await;
    assert_eq!(collector.stored_event().facts.client_ip, None);
    collector.post("/v1/track", track(r#","channel":"web""#)).await;
    assert_eq!(collector.stored_event().facts.client_ip.as_deref(), Some("203.0.113.9"));
}

#[tokio::test]
async fn what_comes_with_a_revoked_key_is_set_aside_under_200() {
    let end = UnixMillis(NOW.0 + 60_000);
    let collector = TestCollector::with_keys(vec![
        WriteKey::active("new-key"),
        WriteKey::active("old-key").until(end),
        WriteKey::active("gone-key").revoked(),
    ]);
    let body = r#"{"batch":[{"type":"track","userId":"u","event":"e","messageId":"m"},7]}"#;
    let table = [
        ("new-key", 0, [None, Some(Code::NotAnObject)]),
        ("old-key", 59, [None, Some(Code::NotAnObject)]),
        ("gone-key", 0, [Some(Code::RevokedWriteKey), Some(Code::NotAnObject)]),
        ("old-key", 1, [Some(Code::RevokedWriteKey), Some(Code::NotAnObject)]),
    ];
    for (key, seconds, wanted) in table {
        collector.clock.advance(Duration::from_secs(seconds));
        let request = posting("/v1/batch").header("authorization", basic(key));
        let answered = collector.send(request.body(body.into()).unwrap()).await;
        assert_eq!(answered.status.as_u16(), 200, "{key}: {}", answered.body);
        assert_eq!(answered.body, r#"{"success":true}"#);
        let stored = collector.stored();
        let codes: Vec<Option<Code>> = stored
            .iter()
            .map(|item| match item {
                Item::SetAside(aside) => Some(aside.code),
                _ => None,
            })
            .collect();
        assert_eq!(codes, wanted, "{key}");
        if let Some(Item::SetAside(aside)) = stored.first() {
            // Whole, and with what it takes to read it again.
            assert_eq!(aside.body, body.as_bytes()[10..body.len() - 4]);
            assert_eq!(aside.full_length, aside.body.len() as u64);
            assert_eq!((aside.origin, aside.kind), (Origin::Spec, Some(EventKind::Track)));
            assert!(!aside.reason.contains(key));
        }
    }
}
