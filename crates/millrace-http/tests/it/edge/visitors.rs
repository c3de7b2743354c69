//! Who the visitor is, and what they allow.

use super::*;

#[tokio::test]
async fn a_visitor_keeps_the_id_of_the_first_answer() {
    let collector = edge();
    let first = post(&collector, INTERACT, &one_event()).await;
    let given = ecid(&first).unwrap();
    assert_eq!(body_of(&events(&collector)[0])["anonymousId"], json!(given));
    let value = handle(&first, "state:store").unwrap()[0]["value"].as_str().unwrap().to_owned();

    // In a header, as on a host of the page's own domain.
    let cookie = format!("a=b; {COOKIE}={value}; kndctr_OTHER_AdobeOrg_identity=CiY");
    let request = posting(INTERACT).header("cookie", cookie);
    let second = collector.send(request.body(Body::from(one_event().to_string())).unwrap()).await;
    assert_eq!(ecid(&second).as_ref(), Some(&given));
    assert_eq!(body_of(&events(&collector)[0])["anonymousId"], json!(given));

    // In the body, as from a page of another site; by a beacon, too.
    let mut body = one_event();
    body["meta"] = json!({"state": {"entries": [{"key": COOKIE, "value": value}]}});
    let third = post(&collector, INTERACT, &body).await;
    assert_eq!(ecid(&third).as_ref(), Some(&given));
    let _ = events(&collector);
    let beacon = post(&collector, &INTERACT.replace("interact", "collect"), &body).await;
    assert_eq!(beacon.status, StatusCode::NO_CONTENT);
    assert_eq!(body_of(&events(&collector)[0])["anonymousId"], json!(given));

    let other = post(&collector, INTERACT, &one_event()).await;
    assert_ne!(ecid(&other), Some(given), "another visitor has another id");
}

#[tokio::test]
async fn a_host_within_the_domain_of_the_page_sets_the_cookie_itself() {
    let collector = edge();
    for (host, domain, sets) in [
        ("collect.shop.example", "shop.example", true),
        ("collect.shop.example:8443", "Shop.Example", true),
        ("shop.example", "shop.example", true),
        ("collect.example", "shop.example", false),
        ("myshop.example", "shop.example", false),
        ("collect.shop.example", "", false),
    ] {
        let mut body = one_event();
        body["meta"] = json!({"state": {"domain": domain, "cookiesEnabled": true}});
        let request = posting(INTERACT).header("host", host);
        let answered = collector.send(request.body(Body::from(body.to_string())).unwrap()).await;
        let cookie = answered.header("set-cookie");
        assert_eq!(cookie.is_some(), sets, "{host} {domain}");
        let value = cookie_of_ecid(&ecid(&answered).unwrap());
        let wanted = format!(
            "{COOKIE}={value}; Path=/; Domain=shop.example; Max-Age=34128000; SameSite=Lax"
        );
        assert!(cookie.is_none_or(|cookie| cookie == wanted), "{cookie:?}");
        let _ = collector.stored();
    }
}

#[tokio::test]
async fn a_mixpanel_cookie_of_the_page_is_offered() {
    let mut pipeline = pipeline("web", web());
    pipeline.mixpanel.tokens = vec![WriteKey::active("0123")];
    let collector = with(vec![pipeline]);
    let cookie = "mp_9_mixpanel=%7B%22distinct_id%22%3A%22other%22%7D; mp_0123_mixpanel=%7B%22distinct_id%22%3A%22%24device%3Ad%22%2C%22%24device_id%22%3A%22d%22%7D";
    let request = posting(INTERACT).header("cookie", cookie);
    collector.send(request.body(Body::from(one_event().to_string())).unwrap()).await;
    let body = body_of(&events(&collector)[0]);
    assert_eq!(body["context"]["mixpanel"], json!({"distinct_id": "$device:d", "device_id": "d"}));
}

#[tokio::test]
async fn consent_is_answered_with_the_cookie_and_handed_on() {
    let path = "/ee/v1/privacy/set-consent?configId=fake-datastream-0001";
    let adobe = |general: &str| json!({"consent": [{"standard": "Adobe", "version": "1.0", "value": {"general": general}}]});
    let user = json!({"CRMID": [{"id": "u", "authenticatedState": "authenticated"}]});

    // Who refuses is given no id, and without an id there is nobody to remember.
    let collector = edge();
    let answered = post(&collector, path, &adobe("out")).await;
    let cookie = json!([{
        "key": "kndctr_FAKEORG0001_AdobeOrg_consent", "value": "general=out", "maxAge": 15_552_000,
        "attrs": {"SameSite": "Lax"},
    }]);
    assert_eq!(handle(&answered, "state:store"), Some(cookie));
    assert_eq!(ecid(&answered), None);
    assert!(collector.stored().is_empty());

    let mut body = adobe("out");
    body["identityMap"] = user;
    post(&collector, path, &body).await;
    let event = body_of(&events(&collector)[0]);
    assert_eq!(event["event"], "privacy.set-consent");
    assert_eq!(event["xdm"]["consents"], json!({"collect": {"val": "n"}}));
    assert_eq!((&event["userId"], event.get("anonymousId")), (&json!("u"), None));

    let answered = post(&collector, path, &adobe("in")).await;
    let given = ecid(&answered).unwrap();
    assert_eq!(handle(&answered, "state:store").unwrap()[1]["value"], "general=in");
    assert_eq!(body_of(&events(&collector)[0])["anonymousId"], json!(given));
}

#[tokio::test]
async fn an_id_that_a_server_may_not_keep_is_not_put_on_a_user() {
    let collector = edge();
    let user = json!({"CRMID": [{"id": "u", "authenticatedState": "authenticated"}]});
    let body = json!({"event": {"xdm": {"identityMap": user}}}).to_string();
    for from_page in [true, false] {
        let mut request = posting("/ee/v2/interact?datastreamId=fake-datastream-0001");
        if from_page {
            request = request.header("origin", PAGE);
        }
        let answered = collector.send(request.body(Body::from(body.clone())).unwrap()).await;
        let device = body_of(&events(&collector)[0]).get("anonymousId").cloned();
        assert_eq!(device, ecid(&answered).filter(|_| from_page).map(Value::from));
    }
}
