//! The body forms of reference/mixpanel-api.md 2.2: what each SDK puts on the wire.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::client::{Client, basic, event};

const FORM: &str = "application/x-www-form-urlencoded";

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

fn escaped(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// Who sends it, query, content type, body, more headers, events in it.
type Case<'a> = (&'a str, &'a str, &'a str, Vec<u8>, &'a [(&'a str, &'a str)], u64);

#[test]
fn every_body_form_of_the_sdks_is_read() {
    // The text makes the base64 contain `+` and `/`, which forms without escaping spoil.
    let one = json!({"event":"E","properties":{"token":"T","distinct_id":"u","p":"~~~???>>>ÿ"}});
    let list = json!([one, one]).to_string();
    let single = one.to_string();
    let base = STANDARD.encode(&list);
    assert!(base.contains('+') && base.contains('/'));
    let json_type = "application/json";
    let text_type = "text/plain;charset=UTF-8";
    let zipped = [("content-encoding", "gzip")];
    let cases: Vec<Case<'_>> = vec![
        (
            "browser, json in a form",
            "?verbose=1&ip=1&_=17",
            FORM,
            format!("data={}", escaped(&list)).into(),
            &[],
            2,
        ),
        (
            "browser, base64 in a form",
            "?verbose=1&ip=1",
            FORM,
            format!("data={}", escaped(&base)).into(),
            &[],
            2,
        ),
        ("beacon", "?ip=1", text_type, format!("data={}", escaped(&base)).into(), &[], 2),
        ("node batch, base64 unescaped", "", FORM, format!("data={base}").into(), &[], 2),
        ("python", "", FORM, format!("data={}&verbose=1&ip=0", escaped(&single)).into(), &[], 1),
        ("ruby", "", FORM, format!("data={}&verbose=1", STANDARD.encode(&single)).into(), &[], 1),
        (
            "url-safe without padding",
            "",
            FORM,
            format!("data={}", URL_SAFE_NO_PAD.encode(&list)).into(),
            &[],
            2,
        ),
        (
            "java, whole form gzipped",
            "",
            FORM,
            gzip(format!("data={}", escaped(&base)).as_bytes()),
            &zipped,
            2,
        ),
        ("swift, gzip", "?ip=0", json_type, gzip(list.as_bytes()), &zipped, 2),
        ("gzip nobody announced", "", json_type, gzip(list.as_bytes()), &[], 2),
        ("go", "?verbose=1", json_type, list.clone().into(), &[], 2),
        ("a single object", "", json_type, single.into(), &[], 1),
        ("json called a form", "", FORM, list.clone().into(), &[], 2),
        ("json as text", "", "text/plain", format!(" \n{list}\n").into(), &[], 2),
        ("form called json", "", json_type, format!("data={}", escaped(&list)).into(), &[], 2),
    ];
    for (name, query, content_type, body, more, events) in cases {
        for path in ["/track", "/track/"] {
            let client = Client::new();
            let mut headers = vec![("content-type", content_type)];
            headers.extend_from_slice(more);
            let answer = client.send("POST", &format!("{path}{query}"), &headers, body.clone());
            let verbose = query.contains("verbose=1") || name == "python" || name == "ruby";
            let expected = if verbose { "{\"error\":null,\"status\":1}" } else { "1" };
            assert_eq!((answer.status.as_u16(), answer.text()), (200, expected), "{name}");
            assert_eq!(client.view("summary")["copies"], events, "{name}");
            assert_eq!(client.export("")[0]["properties"]["p"], "~~~???>>>ÿ", "{name}");
        }
    }
}

#[test]
fn get_takes_the_data_from_the_query() {
    let client = Client::new();
    let event = json!({"event":"E","properties":{"token":"T"}}).to_string();
    let update = json!({"$token":"T","$distinct_id":"u","$set":{"a":1}}).to_string();
    for (path, data) in [
        ("/track", escaped(&STANDARD.encode(&event))),
        ("/track/", escaped(&event)),
        ("/engage", escaped(&STANDARD.encode(&update))),
    ] {
        assert_eq!(client.get(&format!("{path}?ip=0&verbose=0&data={data}")).text(), "1", "{path}");
    }
    assert_eq!(client.counts(), (2, 2));
    assert_eq!(client.profile("u")["a"], 1);
    // Node's single import is a GET too.
    let event = event_text();
    let target = format!("/import?verbose=0&data={}", escaped(&STANDARD.encode(event)));
    assert_eq!(client.send("GET", &target, &[("authorization", &basic("S", ""))], "").text(), "1");
    assert_eq!(client.counts(), (3, 3));
}

fn event_text() -> String {
    event("E", &json!({})).to_string()
}

#[test]
fn import_takes_forms_and_ndjson() {
    let client = Client::new();
    let auth = basic("T", "");
    let send = |content_type: &str, query: &str, body: String| {
        let headers = [("authorization", auth.as_str()), ("content-type", content_type)];
        client.send("POST", &format!("/import{query}"), &headers, body)
    };
    let first = event("A", &json!({}));
    let second = event("B", &json!({}));
    let form = format!("data={}&api_key=k&verbose=1", escaped(&json!([first]).to_string()));
    assert_eq!(send(FORM, "", form).json()["status"], 1);
    let lines = format!("{first}\n\n{second}\r\n");
    let answer = send("application/x-ndjson", "?strict=1", lines);
    assert_eq!(answer.json()["num_records_imported"], 2);
    let broken = format!("{second}\n{{oops\n[1]\n");
    assert_eq!(send("application/x-ndjson", "?strict=1", broken).status, 400);
    let broken = format!("{second}\n{{oops");
    let answer = send("application/x-ndjson", "?strict=1", broken);
    assert_eq!(answer.json()["failed_records"][0]["index"], 1);
    assert_eq!(answer.json()["num_records_imported"], 1);
}

#[test]
fn what_is_too_much_is_413() {
    let client = Client::new();
    let many: Vec<Value> = vec![event("E", &json!({})); 2_001];
    let answer = client.import(&json!(many));
    assert_eq!(answer.status, 413);
    assert_eq!(answer.json()["status"], "Request Entity Too Large");
    assert_eq!(client.import(&json!(many[1..])).status, 200);
    for path in ["/track", "/engage", "/groups"] {
        assert_eq!(client.post(path, &json!(many)).status, 413, "{path}");
    }
    let large = vec![b' '; 10 * 1024 * 1024];
    let large = [&b"["[..], &large, b"]"].concat();
    for (body, more) in [(large.clone(), ("x", "y")), (gzip(&large), ("content-encoding", "gzip"))]
    {
        let headers = [("authorization", basic("T", "")), (more.0, more.1.to_owned())];
        let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let answer = client.send("POST", "/import?strict=1", &headers, body.clone());
        assert_eq!(answer.status, 413);
        assert_eq!(
            answer.json(),
            json!({
                "code": 413, "error": "request exceeds max limit of 10485760 bytes",
                "status": "Request Entity Too Large"
            })
        );
        assert_eq!(client.send("POST", "/track", &headers, body).status, 413);
    }
    let announced = [("content-length", "99999999999")];
    assert_eq!(client.send("POST", "/track", &announced, "").status, 413);
}

#[test]
fn a_broken_body_is_answered_not_dropped() {
    let client = Client::new();
    for body in [&b"["[..], b"data=", b"data=!!", b"\xff\xfe", b"{\"event\"", b"", b"data=%FF"] {
        for path in ["/track", "/engage", "/groups"] {
            let answer = client.send("POST", path, &[], body.to_vec());
            assert_eq!((answer.status.as_u16(), answer.text()), (200, "0"), "{path} {body:?}");
        }
        let auth = basic("T", "");
        let strict =
            client.send("POST", "/import?strict=1", &[("authorization", &auth)], body.to_vec());
        assert_eq!(strict.status, 400, "{body:?}");
        assert!(strict.json()["failed_records"].is_null());
    }
}
