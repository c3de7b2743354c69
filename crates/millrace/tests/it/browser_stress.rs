//! Unmodified browser SDKs in Chromium, with the retries that they come with, against a collector
//! in trouble.
//!
//! The page's clock goes faster, a quarter of an hour in a few seconds, so that every retry that an
//! SDK would make is made: what is not there at the end is lost, and what loops shows.

#![expect(clippy::expect_used, clippy::panic, reason = "helper functions of tests")]

use std::collections::BTreeMap;

use axum::http::Method;
use millrace_model::intake::AdmitError;
use serde_json::{Map, json};

use crate::browser::Visit;
use crate::stressed_collector::{Asked, EVENT_BYTES, KEY, StressedCollector, trouble};

/// Enough for several batches of ten.
const EVENTS: u64 = 40;
/// The one that is too large when the page has one.
const LARGE: u64 = EVENTS / 2;
const EDGE: &str = "edge.millrace.test";

/// The SDKs, each with the most requests in which it sends its events when all is well. Those of
/// Segment and RudderStack send one by one unless they are told to batch.
const SDKS: [(&str, usize); 6] = [
    ("segment", 40),
    ("segment-batched", 4),
    ("rudder", 40),
    ("rudder-batched", 4),
    ("mixpanel", 2),
    ("alloy", 40),
];

/// What the pages meet.
#[derive(Default)]
struct Storm {
    /// What the intake answers first, the last of it first.
    refusals: Vec<AdmitError>,
    /// The pages have the key of nobody.
    wrong_key: bool,
    /// The bytes of the large event, if there is to be one.
    large: usize,
    /// The largest body that the collector takes.
    body_bytes: Option<usize>,
    /// How many requests with events find nobody there.
    unreachable: usize,
}

/// What came of one page.
struct Outcome {
    sdk: &'static str,
    /// The most requests that it needs.
    requests: usize,
    /// The events by number, with how often each is stored.
    stored: BTreeMap<u64, usize>,
    set_aside: usize,
    /// The requests for settings, and those with events.
    asked: Vec<Asked>,
}

impl Storm {
    /// Lets all SDKs through it side by side, each against a collector of its own.
    fn pass(self, check: impl Fn(&Outcome)) {
        let collectors = SDKS.map(|_| StressedCollector::start(&self.refusals, self.body_bytes));
        let key = if self.wrong_key { "another-key" } else { KEY };
        let storms = SDKS.iter().zip(&collectors).map(|((sdk, _), collector)| {
            ((*sdk).to_owned(), json!({ "collector": collector.url(), "key": key }))
        });
        let [.., edge] = &collectors;
        let job = json!({
            "storms": storms.collect::<Map<_, _>>(),
            "events": EVENTS, "large": self.large, "unreachable": self.unreachable, "edge": EDGE,
            "flags": [
                format!("--host-resolver-rules=MAP {EDGE}:443 {}", edge.tls()),
                "--ignore-certificate-errors",
            ],
        });
        Visit::run_with("stress", job).leave();
        for ((sdk, requests), collector) in SDKS.into_iter().zip(&collectors) {
            let (events, set_aside) = collector.stored();
            let mut stored = BTreeMap::new();
            for event in &events {
                *stored.entry(number(&String::from_utf8_lossy(&event.body))).or_default() += 1;
            }
            check(&Outcome { sdk, requests, stored, set_aside, asked: collector.asked() });
        }
    }
}

/// The number of an event of the pages, all of which are called `step-NUMBER`.
fn number(body: &str) -> u64 {
    let (_, rest) = body.split_once("step-").unwrap_or_else(|| panic!("no step: {body}"));
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().expect("a number")
}

impl Outcome {
    fn lost(&self) -> Vec<u64> {
        (0..EVENTS).filter(|number| !self.stored.contains_key(number)).collect()
    }

    /// The answers to requests with events.
    fn answers(&self) -> Vec<u16> {
        let sent = self.asked.iter().filter(|(method, _, _)| method == Method::POST);
        sent.map(|(_, _, status)| *status).collect()
    }

    /// What was stored is stored once, all but these events; and so many requests are enough.
    fn has_lost_only(&self, lost: &[u64], most_requests: usize) {
        let Outcome { sdk, stored, .. } = self;
        assert_eq!(self.lost(), lost, "{sdk}: {:?}", self.asked);
        assert!(stored.values().all(|copies| *copies == 1), "{sdk}: {stored:?}");
        let answers = self.answers();
        assert!(answers.len() <= most_requests, "{sdk}: {answers:?}");
    }
}

#[test]
fn no_browser_sdk_loses_anything_under_overload_or_with_a_full_disk() {
    let refusals = trouble().to_vec();
    Storm { refusals, ..Storm::default() }.pass(|outcome| {
        outcome.has_lost_only(&[], outcome.requests + 3);
        let refused = outcome.answers().iter().filter(|status| **status != 200).count();
        assert_eq!(refused, 3, "{}: {:?}", outcome.sdk, outcome.asked);
    });
}

/// The operator's mistake: nothing is taken, and nobody asks for ever.
#[test]
fn a_wrong_key_is_given_up_by_every_browser_sdk() {
    Storm { wrong_key: true, ..Storm::default() }.pass(|outcome| {
        let Outcome { sdk, requests, stored, set_aside, asked } = outcome;
        assert_eq!((stored.len(), *set_aside), (0, 0), "{sdk}");
        assert!(
            asked.iter().all(|(_, _, status)| *status >= 400 || *sdk == "mixpanel"),
            "{asked:?}"
        );
        assert!(outcome.answers().len() <= *requests, "{sdk}: {asked:?}");
        assert!(asked.len() <= requests + 4, "{sdk}: {asked:?}");
    });
}

/// One large event costs itself: its batch is answered 200 and nothing is sent again.
#[test]
fn a_bad_event_costs_itself_with_every_browser_sdk() {
    Storm { large: EVENT_BYTES + 4096, ..Storm::default() }.pass(|outcome| {
        outcome.has_lost_only(&[LARGE], outcome.requests);
        assert_eq!(outcome.set_aside, 1, "{}", outcome.sdk);
        assert!(outcome.answers().iter().all(|status| *status == 200), "{:?}", outcome.asked);
    });
}

/// Mixpanel's SDK halves its batch until only the event is lost that is too large by itself; the
/// others give up the request that is too large, with everything in it (`docs/collector.md`).
#[test]
fn a_request_that_is_too_large_is_halved_by_mixpanels_sdk_and_given_up_by_the_others() {
    let storm = Storm { body_bytes: Some(12 << 10), large: 14 << 10, ..Storm::default() };
    storm.pass(|outcome| match outcome.sdk {
        "mixpanel" => outcome.has_lost_only(&[LARGE], 20),
        "segment-batched" | "rudder-batched" => {
            assert!(outcome.lost().contains(&LARGE), "{}", outcome.sdk);
            assert!(outcome.answers().len() <= outcome.requests, "{:?}", outcome.asked);
        }
        _ => outcome.has_lost_only(&[LARGE], outcome.requests),
    });
}

/// Nobody answers at all while the browser thinks that it is online. Nothing can be done about it
/// here: what each SDK gives up then stands in `docs/collector.md`.
#[test]
fn without_a_connection_mixpanels_and_adobes_browser_sdks_give_up_at_once() {
    Storm { unreachable: 3, ..Storm::default() }.pass(|outcome| {
        let lost: Vec<u64> = match outcome.sdk {
            "mixpanel" => (0..EVENTS).collect(),
            "alloy" => (0..3).collect(),
            _ => Vec::new(),
        };
        outcome.has_lost_only(&lost, outcome.requests);
    });
}
