//! `/api/2.0/export` (reference/mixpanel-api.md 6).

use std::io::Read;

use serde_json::{Value, json};

use crate::client::{Answer, Client, NOW, basic, event};

const DAY: i64 = 86_400_000;
/// 2026-11-22T00:00:00Z.
const TODAY: i64 = NOW - DAY / 2;

fn filled() -> Client {
    let client = Client::new();
    let events: Vec<Value> = [
        ("A", TODAY - 2 * DAY),
        ("B", TODAY - DAY - 1),
        ("A", TODAY - DAY),
        ("B", TODAY - 1),
        ("A", TODAY),
    ]
    .iter()
    .enumerate()
    .map(|(n, (name, time))| {
        event(name, &json!({"time":time,"$insert_id":format!("i-{n}"),"p":"x".repeat(200)}))
    })
    .collect();
    assert_eq!(client.import(&json!(events)).status, 200);
    client
}

fn get(client: &Client, query: &str, auth: &str) -> Answer {
    let target = format!("/api/2.0/export{query}");
    client.send("GET", &target, &[("authorization", auth)], "")
}

fn ids(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer
        .text()
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|line| line["properties"]["$insert_id"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn days_are_inclusive_and_in_utc() {
    let client = filled();
    let secret = basic("S", "");
    for (query, expected) in [
        ("?from_date=2026-11-20&to_date=2026-11-20", vec!["i-0", "i-1"]),
        ("?from_date=2026-11-21&to_date=2026-11-21", vec!["i-2", "i-3"]),
        ("/?from_date=2026-11-21&to_date=2026-11-22", vec!["i-2", "i-3", "i-4"]),
        ("?from_date=2026-11-01&to_date=2026-11-22&event=%5B%22B%22%5D", vec!["i-1", "i-3"]),
        ("?from_date=2026-11-01&to_date=2026-11-22&event=%5B%5D", vec![]),
        ("?from_date=2026-11-01&to_date=2026-11-22&limit=2", vec!["i-0", "i-1"]),
        ("?from_date=2020-01-01&to_date=2020-01-02", vec![]),
    ] {
        assert_eq!(ids(&get(&client, query, &secret)), expected, "{query}");
    }
    let account = basic("dev.sa", "sa-secret");
    let query = "?from_date=2026-11-22&to_date=2026-11-22&project_id=1";
    assert_eq!(ids(&get(&client, query, &account)), ["i-4"]);
}

#[test]
fn time_is_seconds_or_milliseconds() {
    let client = Client::new();
    client.import(&json!([event("E", &json!({"time":NOW - 1}))]));
    assert_eq!(client.export("")[0]["properties"]["time"], NOW / 1000 - 1);
    assert_eq!(client.export("&time_in_ms=true")[0]["properties"]["time"], NOW - 1);
}

#[test]
fn wrong_questions_are_answered_clearly() {
    let client = filled();
    let secret = basic("S", "");
    let days = "?from_date=2026-11-20&to_date=2026-11-22";
    for (query, auth, status, error) in [
        (
            "?from_date=2026-11-20&to_date=2026-11-23".to_owned(),
            &secret,
            400,
            "to_date cannot be later than today",
        ),
        (
            "?from_date=2026-11-22&to_date=2026-11-20".to_owned(),
            &secret,
            400,
            "from_date cannot be later than to_date",
        ),
        ("?to_date=2026-11-20".to_owned(), &secret, 400, "from_date, missing or empty"),
        (
            "?from_date=1999-01-01&to_date=2026-11-20".to_owned(),
            &secret,
            400,
            "Error in from_date: invalid date, bad year",
        ),
        (
            "?from_date=2026-11-31&to_date=2026-11-20".to_owned(),
            &secret,
            400,
            "Error in from_date: invalid date, must be yyyy-mm-dd",
        ),
        (format!("{days}&limit=100001"), &secret, 400, "limit must be between 1 and 100000"),
        (format!("{days}&event=A"), &secret, 400, "event must be a JSON array of event names"),
        (format!("{days}&where=true"), &secret, 400, "where is not supported yet, leave it out"),
        (
            format!("{days}&project_id=1"),
            &secret,
            400,
            "project_id must not be sent together with a project secret",
        ),
        (days.to_owned(), &basic("T", ""), 401, "Invalid credentials"),
        (days.to_owned(), &basic("dev.sa", "sa-secret"), 401, "Invalid credentials"),
        (
            format!("{days}&project_id=1"),
            &basic("x", "y"),
            401,
            "Not a valid service account username",
        ),
    ] {
        let answer = get(&client, &query, auth);
        assert_eq!(
            (answer.status.as_u16(), &answer.json()["error"]),
            (status, &json!(error)),
            "{query}"
        );
    }
    assert_eq!(client.get(&format!("/api/2.0/export{days}")).status, 401);
}

#[test]
fn long_bodies_are_gzipped_for_clients_that_take_it() {
    let client = filled();
    let unzip = |answer: &Answer| {
        let mut text = String::new();
        flate2::read::GzDecoder::new(&answer.body[..]).read_to_string(&mut text).unwrap();
        text
    };
    let ask = |accept: &str, to: &str| {
        let headers = [("authorization", basic("S", "")), ("accept-encoding", accept.to_owned())];
        let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
        client.send(
            "GET",
            &format!("/api/2.0/export?from_date=2026-11-20&to_date={to}"),
            &headers,
            "",
        )
    };
    let plain = ask("identity", "2026-11-22");
    assert!(plain.body.len() > 1_400 && !plain.headers.contains_key("content-encoding"));
    let zipped = ask("gzip, deflate", "2026-11-22");
    assert_eq!(zipped.headers["content-encoding"], "gzip");
    assert_eq!(unzip(&zipped), plain.text());
    let short = ask("gzip", "2026-11-20");
    assert!(!short.headers.contains_key("content-encoding"));
    assert_eq!(short.text().lines().count(), 2);
}

#[test]
fn an_export_of_many_blocks_is_whole() {
    let client = Client::new();
    for batch in 0..5 {
        let events: Vec<Value> = (0..2_000)
            .map(|n| {
                event("E", &json!({"$insert_id":format!("i-{batch}-{n}"),"p":"x".repeat(100)}))
            })
            .collect();
        assert_eq!(client.import(&json!(events)).status, 200);
    }
    assert_eq!(client.export("").len(), 10_000);
    assert_eq!(client.export("&limit=9999").len(), 9_999);
}
