//! Who the visitor of a request is, and what was said about consent.

use super::*;

#[test]
fn the_visitor_of_a_request_is_found_in_a_fixed_order() {
    let map = |namespace: &str, id: &str| json!({namespace: [{"id": id}]});
    let state = json!({"state": {"entries": [{
        "key": "kndctr_X_identity",
        "value": millrace_protocol::edge::cookie_of_ecid(ECID),
    }]}});
    let of_f = millrace_protocol::edge::ecid_of_fpid("f");
    for (body, cookie, wanted) in [
        (json!({"events": []}), None, None),
        (
            json!({"events": [{"xdm": {"identityMap": map("FPID", "f")}}]}),
            None,
            Some(of_f.as_str()),
        ),
        (json!({"xdm": {"identityMap": map("FPID", "f")}}), None, Some(of_f.as_str())),
        (json!({"identityMap": map("FPID", "f"), "meta": state}), None, Some(ECID)),
        (json!({"identityMap": map("FPID", "f"), "meta": state}), Some("7"), Some("7")),
        (json!({"identityMap": map("ECID", "8"), "meta": state}), Some("7"), Some("8")),
        (
            json!({"events": [{"xdm": {"identityMap": 7}}, {"xdm": {"identityMap": map("ECID", "9")}}]}),
            Some("7"),
            Some("9"),
        ),
    ] {
        let text = Bytes::from(body.to_string());
        let form = if body.get("events").is_some() { Form::Request } else { Form::Question };
        let envelope = Envelope::read(form, text, &Limits::default()).unwrap();
        assert_eq!(envelope.known_ecid(cookie).as_deref(), wanted, "{body}");
    }
}

#[test]
fn a_fleeting_id_is_for_events_without_a_user() {
    let user = json!({"CRMID": [{"id": "u", "authenticatedState": "authenticated"}]});
    let body = json!({"events": [{"xdm": {"identityMap": user}}, {"xdm": {}}]}).to_string();
    for (ecid_is_fleeting, devices) in [(true, [None, Some("7")]), (false, [Some("7"), Some("7")])]
    {
        let visitor = Visitor { ecid: Some("7"), ecid_is_fleeting, ..Visitor::default() };
        let batch = admitted(Form::Request, body.as_bytes(), visitor).unwrap();
        for (item, device) in batch.items.iter().zip(devices) {
            let Item::Event(event) = item else { panic!("{item:?}") };
            let body: Value = serde_json::from_slice(&event.body).unwrap();
            assert_eq!(body.get("anonymousId").and_then(Value::as_str), device);
        }
    }
}

#[test]
fn what_was_said_about_consent_becomes_an_event_that_names_its_person() {
    let limits = Limits::default();
    let body = json!({
        "identityMap": {"CRMID": [{"id": "u", "authenticatedState": "authenticated"}]},
        "consent": [{"standard": "Adobe", "version": "1.0", "value": {"general": "out"}}],
    });
    let envelope = Envelope::read(Form::Question, Bytes::from(body.to_string()), &limits).unwrap();
    let said = envelope.consent().unwrap();
    let item = envelope.admit_consent(
        &said,
        &Admission {
            pipeline: &"web".parse().unwrap(),
            received_at: RECEIVED,
            request_id: Some("r"),
            visitor: Visitor { ecid: Some(ECID), ..Visitor::default() },
            keep_decisioning: false,
            limits: &limits,
            entropy: &SystemEntropy,
        },
    );
    let Some(Item::Event(event)) = item else { panic!("{item:?}") };
    let event: Value = serde_json::from_slice(&event.body).unwrap();
    let wanted = json!({
        "xdm": {
            "eventType": "privacy.set-consent",
            "consents": {"collect": {"val": "n"}},
            "consent": body["consent"],
            "identityMap": body["identityMap"],
        },
        "type": "track", "event": "privacy.set-consent", "anonymousId": ECID, "userId": "u",
    });
    assert_eq!(event, wanted);
}

#[test]
fn a_domain_is_told_only_when_it_can_stand_in_a_cookie() {
    for (state, wanted) in [
        (json!({"domain": "shop.example", "cookiesEnabled": true}), Some("shop.example")),
        (json!({"domain": "shop.example", "cookiesEnabled": false}), None),
        (json!({"domain": "shop.example"}), None),
        (json!({"domain": "", "cookiesEnabled": true}), None),
        (json!({"domain": "localhost", "cookiesEnabled": true}), None),
        (json!({"domain": "a.b; Secure", "cookiesEnabled": true}), None),
        (json!({"domain": "a.b\r\nx: y", "cookiesEnabled": true}), None),
        (json!({"domain": "x.".repeat(200) + "y", "cookiesEnabled": true}), None),
    ] {
        let body = Bytes::from(json!({"meta": {"state": state}}).to_string());
        let envelope = Envelope::read(Form::Question, body, &Limits::default()).unwrap();
        assert_eq!(envelope.cookie_domain(), wanted, "{state}");
    }
}
