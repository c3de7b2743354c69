//! Our own browser collector (`collector-js`) in Chromium, through the real binary to the twin.
//!
//! The journeys are in `tests/browser/scenarios/collector.mjs`. A gate in front of the collector
//! answers for it where a test needs trouble, and says what was sent.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "helper functions of tests")]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::browser::Visit;
use crate::packages::{npm_packages_of, run};
use crate::server::{DevServer, tally};

/// Runs a journey; gives its report, the ledger and the twin's counts by name of event.
///
/// Whatever was sent twice, each call was delivered once.
fn journey(name: &str) -> (Value, Value, Value) {
    let server = DevServer::start();
    let visit = Visit::run("collector", &server, json!({ "journey": name }));
    let report = visit.report.clone();
    let calls = report["calls"].as_u64().expect("a number of calls");
    visit.leave();
    let ledger = server.drain(calls);
    let (delivered, duplicates) = (tally(&ledger, "delivered"), tally(&ledger, "duplicates"));
    assert_eq!(delivered, calls, "{ledger:#}");
    assert_eq!(tally(&ledger, "received"), calls + duplicates, "{ledger:#}");
    let summary = server.twin_get("/twin/v1/projects/1/summary");
    assert_eq!(summary["events"], summary["copies"], "{summary:#}");
    (report, ledger, summary["by_event"].clone())
}

#[test]
fn a_page_that_navigates_by_itself_is_reported_page_by_page() {
    let (report, _, twin) = journey("navigation");
    assert_eq!(twin, json!({ "Page Viewed": 5 }));
    let events = report["events"].as_array().expect("events");
    let pages: Vec<(&Value, &Value)> =
        events.iter().map(|event| (&event["context"]["page"]["path"], &event["name"])).collect();
    let none = &Value::Null;
    let named = &json!("Cups");
    let [shop, mugs, cups] = ["/shop.html", "/mugs", "/cups"].map(|path| json!(path));
    let expected = [(&shop, none), (&mugs, none), (&mugs, none), (&cups, named), (&mugs, none)];
    assert_eq!(pages, expected);
    assert_eq!(events[1]["context"]["page"]["title"], "Mugs", "the title that was set just after");
    assert_eq!(events[1]["properties"]["referrer"], events[0]["properties"]["url"]);
    assert_eq!(events[3]["properties"]["shelf"], 3);
    for event in events {
        assert_eq!(event["context"]["campaign"], json!({ "source": "mail", "name": "autumn" }));
        assert_eq!(event["context"]["clickIds"], json!({ "gclid": "g-1" }));
        assert_eq!(event["anonymousId"], events[0]["anonymousId"]);
    }
}

#[test]
fn a_closed_tab_loses_nothing_that_was_queued() {
    let (_, _, twin) = journey("leaving");
    assert_eq!(twin, json!({ "Page Viewed": 1, "Last Look": 5 }));
}

#[test]
fn without_consent_nothing_is_stored_or_sent() {
    let (report, _, twin) = journey("refused");
    assert_eq!(report["undecided"], json!([[], ""]), "{report:#}");
    for moment in ["refused", "later", "withdrawn"] {
        assert_eq!(report[moment][0], json!([]), "{moment}: {report:#}");
    }
    assert_eq!(report["asked"], 0, "{report:#}");
    assert_eq!(twin, json!({ "Seen With Consent": 1 }));
    let consent = &report["events"][0]["context"]["consent"];
    let canonical =
        json!({ "essential": true, "functional": false, "analytics": true, "marketing": false });
    assert_eq!(consent["canonical"], canonical);
    assert_eq!(consent["categories"]["statistics"], true);
}

#[test]
fn what_happens_offline_is_sent_when_the_browser_is_back() {
    let (report, ledger, twin) = journey("offline");
    assert_eq!(report["before"], 1, "{report:#}");
    assert_eq!(twin, json!({ "Page Viewed": 1, "Read Offline": 12 }));
    assert_eq!(tally(&ledger, "duplicates"), 0, "{ledger:#}");
}

#[test]
fn trouble_is_waited_out_and_a_refusal_is_not_repeated() {
    let (report, _, twin) = journey("trouble");
    assert_eq!(twin, json!({ "Page Viewed": 1, "Asked To Wait": 2, "After That": 1 }));
    let asked: Vec<(u64, &Value)> = report["asked"]
        .as_array()
        .expect("requests")
        .iter()
        .map(|one| (one[0].as_u64().expect("a status"), &one[1]))
        .collect();
    let statuses: Vec<u64> = asked.iter().map(|(status, _)| *status).collect();
    assert_eq!(statuses, [200, 503, 200, 429, 200, 400, 200]);
    // The same ids come again after trouble, other ones after a refusal.
    assert_eq!((asked[1].1, asked[3].1), (asked[2].1, asked[4].1));
    assert_ne!(asked[5].1, asked[6].1);
}

#[test]
fn people_sign_in_belong_to_companies_and_sign_out() {
    let (report, _, twin) = journey("people");
    let expected = json!({
        "Page Viewed": 1, "Product Viewed": 2, "Identity Linked": 2, "Order Completed": 1,
    });
    assert_eq!(twin, expected);
    let events = report["events"].as_array().expect("events");
    assert_eq!(events[3]["traits"], json!({ "email": "ada@mail.example", "plan": "pro" }));
    let devices: BTreeSet<&str> =
        events.iter().filter_map(|event| event["anonymousId"].as_str()).collect();
    assert_eq!(devices.len(), 2, "{report:#}");
    assert_eq!(events[6]["userId"], Value::Null);
    assert_eq!(
        (&events[5]["userId"], &events[5]["context"]["groupId"]),
        (&json!("ada"), &json!("moss"))
    );
}

#[test]
fn a_tab_takes_over_what_another_left() {
    let (report, _, twin) = journey("tabs");
    assert_eq!(twin, json!({ "Page Viewed": 2, "Seen In A Tab": 20 }));
    assert_eq!(report["taken"], 22, "no two tabs sent the same: {report:#}");
}

#[test]
fn a_queue_beyond_what_a_browser_takes_on_leaving_is_sent_by_the_next_page() {
    let (report, _, twin) = journey("heavy");
    assert_eq!(twin, json!({ "Page Viewed": 2, "Long Story": 60 }));
    assert!(report["largest"].as_u64() < Some(260_000), "{report:#}");
}

#[test]
fn calls_before_the_script_are_made_up_for_in_their_order() {
    let (report, _, twin) = journey("early");
    let names = ["identify", "Front", "Offer Seen", "By The Chosen Name", "By The Other Name"];
    assert_eq!(report["names"], json!(names));
    assert_eq!(twin["Page Viewed"], 1, "{twin:#}");
}

#[test]
fn whatever_a_page_hands_over_becomes_plain_data() {
    let (report, _, _) = journey("odd");
    let events = report["events"].as_array().expect("events");
    let of = |name: &str| events.iter().find(|event| event["event"] == name).expect("an event");
    let odd = json!({
        "big": "12345678901234567890", "when": "1970-01-01T00:00:00.000Z", "never": null,
        "loop": { "size": "l" }, "twins": [{ "color": "red" }, { "color": "red" }],
        "text": "</script>\u{2028}",
    });
    assert_eq!(of("Odd")["properties"], odd);
    for name in ["Too Long", "Not To Be Read", "Symbol"] {
        assert_eq!(of(name)["properties"], json!({}), "{name}");
    }
    assert_eq!(of("Last")["context"]["size"], "l");
    assert_eq!(of("Last")["userId"], "ada");
}

/// A strict policy of content, storage without room, a frozen history, a `_df` of the page's own;
/// and a sandbox, which has neither storage nor cookies.
#[test]
fn a_page_that_is_closed_to_scripts_is_reported_all_the_same() {
    let (report, _, twin) = journey("closed");
    let expected = json!({ "Page Viewed": 2, "Seen Without Room": 1, "Seen In A Sandbox": 1 });
    assert_eq!(twin, expected);
    assert_eq!(report["mine"], true, "the page's own variable stays");
    let kept = report["id"].as_str().expect("a cookie");
    let id = report["events"][0]["anonymousId"].as_str().expect("an id");
    assert!(kept.contains(id), "{kept}");
}

/// Elements in the page's text cannot send events elsewhere by taking the script's place.
#[test]
fn an_element_that_is_called_like_the_script_has_no_say() {
    let (report, ..) = journey("clobbered");
    let asked = report["asked"].as_array().expect("requests");
    let host = report["host"].as_str().expect("an address");
    assert!(!asked.is_empty());
    for url in asked {
        assert!(url.as_str().is_some_and(|url| url.starts_with(host)), "{report:#}");
    }
}

#[test]
fn a_second_script_joins_the_first_and_no_page_floods() {
    let (_, _, twin) = journey("again");
    let expected = json!({
        "Page Viewed": 61, "Held By A Second Stub": 1, "After The Second Script": 1, "Last": 1,
    });
    assert_eq!(twin, expected);
}

#[test]
fn the_signals_of_a_tcf_platform_and_of_the_browser_are_followed() {
    let (report, _, twin) = journey("signals");
    assert_eq!(twin, json!({ "Page Viewed": 1, "Held": 1, "Granted Again": 1 }));
    assert_eq!(report["before"], json!([0, 0]), "{report:#}");
    assert_ne!(report["waiting"], 0, "{report:#}");
    assert_eq!(report["withdrawn"], 0, "{report:#}");
    let consent = &report["events"][0]["context"]["consent"];
    assert_eq!((&consent["gpc"], &consent["categories"]["tcf_8"]), (&json!(true), &json!(true)));
    let canonical = json!({
        "functional": true, "analytics": true, "marketing": false, "personalization": false,
    });
    assert_eq!(consent["canonical"], canonical);
}

/// The page of `docs/browser-collector.md`, as it stands.
#[test]
fn the_page_of_the_documentation_works() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = std::fs::read_to_string(root.join("docs/browser-collector.md")).expect("the page");
    let page = text.split("```html\n").nth(1).and_then(|rest| rest.split("```").next());
    let server = DevServer::start();
    let job = json!({ "html": page.expect("a page"), "flags": [] });
    let visit = Visit::run("documented", &server, job);
    let ledger = server.drain(4);
    visit.leave();
    assert_eq!(tally(&ledger, "delivered"), 4, "{ledger:#}");
    let summary = server.twin_get("/twin/v1/projects/1/summary");
    let expected =
        json!({ "Page Viewed": 1, "Offer Seen": 1, "Product Added": 1, "Identity Linked": 1 });
    assert_eq!(summary["by_event"], expected, "{summary:#}");
}

/// Types and the parsers of consent, by the package's own scripts.
#[test]
fn the_source_of_the_script_passes_its_own_checks() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../collector-js");
    let folder = npm_packages_of(&folder, "collector-js");
    for script in ["check", "test"] {
        let mut npm = Command::new("npm");
        npm.args(["run", "--silent", script]).current_dir(&folder);
        run(npm, "npm, which comes with Node 20 or newer");
    }
}
