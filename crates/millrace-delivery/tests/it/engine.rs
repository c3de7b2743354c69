//! The engine against scripted answers, in paused time.

mod projects;

use std::time::Duration;

use bytes::Bytes;
use millrace_delivery::engine::IntegrationState;
use millrace_delivery::mixpanel::{MixpanelOptions, Projects, TransportErrorKind};
use millrace_delivery::scheduler::PerEndpoint;
use millrace_model::code::Code;
use millrace_model::disposition::Disposition;
use millrace_model::entropy::SeededEntropy;
use millrace_model::secret::Secret;
use serde_json::json;

use crate::far_end::FarEnd;
use crate::world::{
    Reply, Seen, World, broken, engage, event, good, import, item, lock, mixpanel_options, reply,
    unauthorised,
};

const DAY: Duration = Duration::from_hours(24);

#[tokio::test(start_paused = true)]
async fn rows_that_mixpanel_refuses_cost_only_their_events() {
    let world = World::start(|seen| {
        let refused = json!([{"index": 1, "insert_id": "b", "message": "time is odd"}]);
        reply(400, &json!({"num_records_imported": seen.rows.len() - 1, "failed_records": refused}))
    });
    let items = ["a", "b", "c"].map(|name| event(&[import(name, name)]));
    world.memory.admit(items.to_vec(), &[]);
    world.engine.drained().await;
    let states = [Disposition::Delivered, Disposition::Rejected, Disposition::Delivered];
    assert_eq!(world.memory.states(), states);
    let closed = lock(&world.memory.closed).clone();
    let refused = closed.iter().find(|closed| closed.state == Disposition::Rejected).unwrap();
    assert_eq!(refused.code.as_deref(), Some("MR3001"));
    assert_eq!(refused.detail.as_deref(), Some("time is odd"));
    let status = world.engine.status();
    assert_eq!((status.delivered_rows, status.failed_rows), (2, 1));
    assert_eq!(world.transport.requests().len(), 1);
    assert_eq!(lock(&world.memory.sending).len(), 3, "nothing is sent unmarked");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_too_large_is_split() {
    let world = World::start(|seen| match seen.rows.len() {
        0..=2 => good(seen),
        _ => reply(413, &json!({"code": 413, "error": "request exceeds max limit"})),
    });
    let items = (0..9).map(|n| event(&[import(&n.to_string(), &n.to_string())])).collect();
    world.memory.admit(items, &[]);
    world.engine.drained().await;
    assert_eq!(world.memory.states(), vec![Disposition::Delivered; 9]);
    assert!(lock(&world.memory.closed).iter().all(|closed| !closed.resent));
}

#[tokio::test(start_paused = true)]
async fn bad_credentials_pause_and_burn_nothing() {
    let mut refusals = 9;
    let world = World::start(move |seen| {
        if refusals > 0 {
            refusals -= 1;
            return unauthorised();
        }
        good(seen)
    });
    let items = (0..6).map(|n| event(&[import("u", &n.to_string())])).collect();
    world.memory.admit(items, &[]);
    let mut status = world.engine.watch();
    let paused = status
        .wait_for(|status| matches!(status.state, IntegrationState::Paused { .. }))
        .await
        .unwrap()
        .clone();
    let IntegrationState::Paused { code, reason, .. } = &paused.state else { unreachable!() };
    assert_eq!(*code, Some(Code::CredentialsRefused));
    assert_eq!(reason, "Mixpanel refuses the credentials (status 401): Invalid credentials ****");
    assert_eq!(paused.pending_rows, 6);
    world.engine.drained().await;
    assert_eq!(world.engine.status().state, IntegrationState::Running);
    assert_eq!(world.memory.states(), vec![Disposition::Delivered; 6]);
    // One request was refused; from then on only probes left until one was answered well.
    let requests = world.transport.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[1].names(), ["0", "1", "2", "3", "4", "5"]);
    assert_eq!(world.transport.probes(), 9);
}

#[tokio::test(start_paused = true)]
async fn no_profile_leaves_before_the_token_is_proven() {
    let mut refusals = 3;
    let world = World::start(move |seen| {
        if refusals > 0 {
            refusals -= 1;
            return unauthorised();
        }
        good(seen)
    });
    world.memory.admit(vec![event(&[engage("u", "a")])], &[]);
    world.engine.drained().await;
    let seen = lock(&world.transport.seen).clone();
    assert_eq!(seen.len(), 5);
    assert!(seen[..4].iter().all(Seen::is_probe));
    assert_eq!(seen[4].rows[0]["$token"], crate::world::TOKEN);
    assert_eq!(world.memory.states(), [Disposition::Delivered]);
}

#[tokio::test(start_paused = true)]
async fn an_accepted_import_proves_the_token() {
    let world = World::start(good);
    world.memory.admit(vec![event(&[import("u", "a")])], &[]);
    world.engine.drained().await;
    world.memory.admit(vec![event(&[engage("u", "b")])], &[]);
    world.engine.drained().await;
    assert_eq!(world.transport.probes(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_loose_import_proves_no_token() {
    let world = World::start_with(good, |options| {
        options.projects = mixpanel_options().with_strict(false).into();
    });
    world.memory.admit(vec![event(&[import("u", "a")])], &[]);
    world.engine.drained().await;
    world.memory.admit(vec![event(&[engage("u", "b")])], &[]);
    world.engine.drained().await;
    assert_eq!(world.transport.probes(), 1);
}

#[tokio::test(start_paused = true)]
async fn rows_that_are_to_go_alone_share_no_request() {
    let world = World::start(good);
    let alone = |name: &str| {
        let mut row = import("u", name);
        row["alone"] = json!(true);
        row
    };
    let rows = [import("u", "a"), alone("b"), alone("c"), import("u", "d"), import("u", "e")];
    world.memory.admit(vec![event(&rows)], &[]);
    world.engine.drained().await;
    let requests: Vec<_> =
        world.transport.requests().iter().map(|seen| seen.names().concat()).collect();
    assert_eq!(requests, ["a", "b", "c", "de"]);
}

#[tokio::test(start_paused = true)]
async fn a_service_account_and_the_token_are_proven_apart() {
    let world = World::start_with(good, |options| {
        let secret = Secret::new("s3cret");
        let account = mixpanel_options().with_service_account("sa.1", secret, "12");
        options.projects = account.unwrap().into();
    });
    world.memory.admit(vec![event(&[import("u", "a"), engage("u", "b")])], &[]);
    world.engine.drained().await;
    let seen = lock(&world.transport.seen).clone();
    let probes: Vec<_> = seen.iter().filter(|seen| seen.is_probe()).collect();
    // sa.1:s3cret, and the token with an empty password. The import proves only the account.
    let credentials = [Some("Basic c2EuMTpzM2NyZXQ="), Some("Basic dG9rLTMxNDE1OTI2Og==")];
    let got: Vec<_> = probes.iter().map(|probe| probe.authorization.as_deref()).collect();
    assert_eq!(got, credentials);
    let engage = seen.iter().find(|seen| seen.path == "/engage").unwrap();
    assert!(probes.iter().all(|probe| probe.at <= engage.at));
}

#[tokio::test(start_paused = true)]
async fn without_the_journal_nothing_more_is_sent() {
    let world = World::start(good);
    world.memory.admit(vec![event(&[import("u", "a")])], &[]);
    world.engine.drained().await;
    world.memory.poison();
    let mut status = world.engine.watch();
    let stopped =
        status.wait_for(|status| status.state == IntegrationState::Stopped).await.unwrap().clone();
    assert_eq!(stopped.last_error.unwrap().code, Code::LogPoisoned);
    world.engine.drained().await;
    world.engine.stop(DAY).await;
    assert_eq!(world.transport.requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_must_not_be_doubled_stays_when_its_intent_cannot_be_written() {
    let world = World::start(good);
    world.memory.poison();
    let mut add = engage("u", "a");
    add["once"] = json!(true);
    world.memory.admit(vec![event(&[import("v", "b"), add])], &[]);
    let mut status = world.engine.watch();
    status.wait_for(|status| status.state == IntegrationState::Stopped).await.unwrap();
    assert!(world.transport.requests().iter().all(|seen| seen.path == "/import"));
    assert!(world.memory.states().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_names_no_row_is_doubted_before_it_costs_any() {
    // The project is gone: everything is refused as a whole, the probe too.
    let mut refusals = 4;
    let world = World::start(move |seen| {
        if refusals > 0 {
            refusals -= 1;
            return reply(400, &json!({"code": 400, "error": "unknown project"}));
        }
        good(seen)
    });
    let items = (0..5).map(|n| event(&[import("u", &n.to_string())])).collect();
    world.memory.admit(items, &[]);
    world.engine.drained().await;
    assert_eq!(world.memory.states(), vec![Disposition::Delivered; 5]);

    // One row is bad: the probe is answered well, and the row is found.
    let world = World::start(move |seen| {
        if !seen.is_probe() && seen.names().iter().any(|name| name == "3") {
            return reply(400, &json!({"code": 400, "error": "bad row"}));
        }
        good(seen)
    });
    let items = (0..5).map(|n| event(&[import("u", &n.to_string())])).collect();
    world.memory.admit(items, &[]);
    world.engine.drained().await;
    let mut wanted = vec![Disposition::Delivered; 5];
    wanted[3] = Disposition::Rejected;
    assert_eq!(world.memory.states(), wanted);
}

#[tokio::test(start_paused = true)]
async fn refused_identity_events_pause_until_the_project_takes_them() {
    let mut refusals = 3;
    let world = World::start(move |seen| {
        if seen.is_probe() || refusals == 0 {
            return good(seen);
        }
        refusals -= 1;
        let words = "identity events are not allowed when project is using simplified identity";
        reply(400, &json!({"num_records_imported": 0, "failed_records": [words]}))
    });
    world.memory.admit(vec![event(&[import("u", "a")])], &[]);
    let mut status = world.engine.watch();
    let paused = status
        .wait_for(|status| matches!(status.state, IntegrationState::Paused { .. }))
        .await
        .unwrap()
        .clone();
    assert_eq!(paused.last_error.unwrap().code, Code::IdentityEventsRefused);
    world.engine.drained().await;
    // Each pause was longer than the one before, although every probe went well.
    let at: Vec<_> = world.transport.requests().iter().map(|seen| seen.at).collect();
    assert_eq!(at.len(), 4);
    assert!(at[3] - at[2] > Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_kept_and_nothing_counts_as_resent() {
    let mut first = true;
    let world = World::start(move |seen| {
        let mut answer = good(seen);
        if std::mem::take(&mut first) {
            answer = reply(429, &json!({"code": 429, "error": "over the limit"}));
            if let Ok(response) = &mut answer.answer {
                response.retry_after = Some("7".to_owned());
            }
        }
        answer
    });
    world.memory.admit(vec![event(&[import("u", "a")])], &[]);
    world.engine.drained().await;
    let requests = world.transport.requests();
    let waited = requests[1].at - requests[0].at;
    assert!(waited >= Duration::from_secs(7) && waited < Duration::from_secs(8), "{waited:?}");
    assert!(!lock(&world.memory.closed)[0].resent);
    assert_eq!(world.engine.status().last_error.unwrap().code, Code::DestinationBusy);
}

#[tokio::test(start_paused = true)]
async fn a_broken_connection_sends_the_same_bytes_again() {
    let mut first = true;
    let world = World::start(move |seen| {
        if std::mem::take(&mut first) { broken(TransportErrorKind::Reset) } else { good(seen) }
    });
    let items = (0..4).map(|n| event(&[import("u", &n.to_string())])).collect();
    world.memory.admit(items, &[]);
    world.engine.drained().await;
    let requests = world.transport.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0].body, requests[1].body);
    assert!(lock(&world.memory.closed).iter().all(|closed| closed.resent));
}

#[tokio::test(start_paused = true)]
async fn dns_and_tls_failures_pause() {
    for kind in [TransportErrorKind::Dns, TransportErrorKind::Tls] {
        let mut failures = 3;
        let world = World::start(move |seen| {
            if failures > 0 {
                failures -= 1;
                return broken(kind);
            }
            good(seen)
        });
        world.memory.admit(vec![event(&[import("u", "a")])], &[]);
        world.engine.drained().await;
        assert_eq!(world.transport.requests().len(), 2, "{kind:?}");
        assert_eq!(world.engine.status().last_error.unwrap().code, Code::Unreachable);
    }
}

#[tokio::test(start_paused = true)]
async fn every_request_leaves_only_after_its_intent_is_durable() {
    let world = World::start(good);
    let mut add = engage("u", "b");
    add["once"] = json!(true);
    world.memory.admit(vec![event(&[engage("u", "a"), add, engage("u", "c")])], &[]);
    world.engine.drained().await;
    let names: Vec<_> = world.transport.requests().iter().map(Seen::names).collect();
    assert_eq!(names, [["a"], ["b"], ["c"]], "what must not be doubled goes alone");
    assert_eq!(*lock(&world.memory.flushes), 3);
    assert_eq!(lock(&world.memory.closed)[0].rows, 3);
}

#[tokio::test(start_paused = true)]
async fn an_identify_reaches_mixpanel_before_what_follows_it() {
    let world = World::start(|seen| Reply { after: Duration::from_millis(50), ..good(seen) });
    world.memory.admit(vec![event(&[import("other", "first")])], &[]);
    world.engine.drained().await;
    let mut link = import("u", "link");
    link["joins"] = json!(true);
    link["lanes"] = json!(["u", "anon"]);
    let items = vec![event(&[link, engage("u", "profile")]), event(&[engage("x", "free")])];
    world.memory.admit(items, &[]);
    world.engine.drained().await;
    let requests = world.transport.requests();
    let at =
        |name: &str| requests.iter().find(|r| r.names().contains(&name.to_owned())).unwrap().at;
    assert!(at("profile") >= at("link") + Duration::from_millis(50));
    assert!(at("free") < at("link") + Duration::from_millis(50), "others do not wait");
}

#[tokio::test(start_paused = true)]
async fn one_event_that_cannot_be_mapped_costs_itself() {
    let world = World::start(good);
    let items = vec![
        event(&[import("u", "a")]),
        item(Bytes::from_static(br#"{"panic":1}"#)),
        item(Bytes::from_static(br#"{"filter":1}"#)),
        item(Bytes::from_static(br#"{"aside":1}"#)),
        event(&[]),
        event(&[import("u", "b")]),
    ];
    world.memory.admit(items, &[]);
    world.engine.drained().await;
    let states = [
        Disposition::Delivered,
        Disposition::SetAside,
        Disposition::Filtered,
        Disposition::SetAside,
        Disposition::Filtered,
        Disposition::Delivered,
    ];
    assert_eq!(world.memory.states(), states);
    let mut closed = lock(&world.memory.closed).clone();
    closed.sort_by_key(|closed| closed.position);
    let codes: Vec<_> = closed.iter().map(|closed| closed.code.as_deref()).collect();
    let wanted = [None, Some("MR2007"), Some("drop_rule"), Some("MR2002"), Some("no_rule"), None];
    assert_eq!(codes, wanted);
}

#[tokio::test(start_paused = true)]
async fn what_a_crash_left_open_is_sent_again_and_counted_so() {
    let world = World::start(good);
    let items = (0..3).map(|n| event(&[import("u", &n.to_string())])).collect();
    world.memory.admit(items, &[0, 2]);
    world.engine.drained().await;
    let mut closed = lock(&world.memory.closed).clone();
    closed.sort_by_key(|closed| closed.position);
    let resent: Vec<_> = closed.iter().map(|closed| closed.resent).collect();
    assert_eq!(resent, [true, false, true]);
}

#[tokio::test(start_paused = true)]
async fn a_pause_by_hand_ends_by_hand() {
    let world = World::start(good);
    world.engine.pause().await;
    world.memory.admit(vec![event(&[import("u", "a")])], &[]);
    let mut status = world.engine.watch();
    status.wait_for(|status| status.pending_rows == 1).await.unwrap();
    tokio::time::sleep(DAY).await;
    assert!(lock(&world.transport.seen).is_empty(), "nothing leaves, not even a probe");
    let state = world.engine.status().state;
    assert!(matches!(state, IntegrationState::Paused { code: None, .. }));
    world.engine.resume().await;
    world.engine.drained().await;
    assert_eq!(world.memory.states(), [Disposition::Delivered]);
}

#[tokio::test(start_paused = true)]
async fn stopping_lets_requests_in_flight_finish_and_sends_no_more() {
    let world = World::start_with(
        |seen| Reply { after: Duration::from_secs(5), ..good(seen) },
        |options| options.limits.request_rows = PerEndpoint { import: 1, engage: 1, groups: 1 },
    );
    let items = (0..3).map(|n| event(&[import("u", &n.to_string())])).collect();
    world.memory.admit(items, &[]);
    let mut status = world.engine.watch();
    status.wait_for(|status| status.in_flight_requests == 1).await.unwrap();
    world.engine.stop(Duration::from_secs(10)).await;
    assert_eq!(status.borrow().state, IntegrationState::Stopped);
    assert_eq!(world.memory.states(), [Disposition::Delivered]);
    assert_eq!(world.transport.requests().len(), 1);
    assert_eq!(*lock(&world.memory.flushes), 2, "before the request, and at the end");
}

#[tokio::test(start_paused = true)]
async fn stopping_does_not_wait_beyond_its_deadline() {
    let world = World::start(|seen| Reply { after: DAY, ..good(seen) });
    world.memory.admit(vec![event(&[import("u", "a")])], &[]);
    let mut status = world.engine.watch();
    status.wait_for(|status| status.in_flight_requests == 1).await.unwrap();
    let start = tokio::time::Instant::now();
    world.engine.stop(Duration::from_secs(10)).await;
    assert!(start.elapsed() < Duration::from_secs(11));
    assert!(world.memory.states().is_empty(), "what was in flight stays open");
}

#[tokio::test(start_paused = true)]
async fn fifty_users_keep_their_order_whatever_the_answers() {
    let (mut far_end, chance) = (FarEnd::default(), SeededEntropy::new(11));
    let world = World::start_with(
        move |seen| far_end.answer(seen, &chance),
        |options| {
            options.limits.request_rows = PerEndpoint { import: 37, engage: 37, groups: 37 };
            options.limits.window_rows = 300;
        },
    );
    for number in 0..40 {
        let items = (0..50)
            .map(|user| event(&[import(&format!("u{user}"), &number.to_string())]))
            .collect();
        world.memory.admit(items, &[]);
    }
    world.engine.drained().await;
    let states = world.memory.states();
    assert_eq!(states.len(), 2_000);
    let known = [Disposition::Delivered, Disposition::Rejected];
    assert!(states.iter().all(|state| known.contains(state)));
}
