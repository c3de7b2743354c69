//! Several projects behind one engine.

use super::*;

/// The engine's own project and another one.
fn two_projects(options: &mut millrace_delivery::engine::EngineOptions) {
    let mut projects = Projects::from(mixpanel_options());
    let region = mixpanel_options().region().clone();
    let other = MixpanelOptions::new(region, Secret::new("other")).unwrap().with_gzip(false);
    projects.declare("web-eu", other).unwrap();
    options.projects = projects;
}

fn to_project(mut row: serde_json::Value, token: &str) -> serde_json::Value {
    row["token"] = json!(token);
    row
}

#[tokio::test(start_paused = true)]
async fn each_project_gets_its_own_requests_and_its_own_proof() {
    let world = World::start_with(good, two_projects);
    let other = to_project(engage("u", "b"), "other");
    let stranger = to_project(import("u", "c"), "stranger");
    world.memory.admit(vec![event(&[engage("u", "a"), other]), event(&[stranger])], &[]);
    world.engine.drained().await;
    assert_eq!(world.memory.states(), [Disposition::Delivered, Disposition::SetAside]);
    let closed = lock(&world.memory.closed).clone();
    let aside = closed.iter().find(|closed| closed.state == Disposition::SetAside).unwrap();
    assert_eq!(aside.code.as_deref(), Some("MR2012"));
    assert!(!aside.detail.as_deref().unwrap().contains("stranger"));
    let requests = world.transport.requests();
    let tokens: Vec<_> = requests.iter().map(|seen| seen.rows[0]["$token"].clone()).collect();
    assert_eq!((tokens.len(), world.transport.probes()), (2, 2));
    assert!(tokens.contains(&json!(crate::world::TOKEN)) && tokens.contains(&json!("other")));
}

#[tokio::test(start_paused = true)]
async fn a_bad_token_of_one_project_pauses_and_says_whose_it_is() {
    let mut refusals = 3;
    // "other:" in Basic credentials.
    let world = World::start_with(
        move |seen| {
            let other = seen.authorization.as_deref() == Some("Basic b3RoZXI6");
            if other && refusals > 0 {
                refusals -= 1;
                return unauthorised();
            }
            good(seen)
        },
        two_projects,
    );
    world.memory.admit(vec![event(&[to_project(import("u", "b"), "other")])], &[]);
    let mut status = world.engine.watch();
    let paused = status
        .wait_for(|status| matches!(status.state, IntegrationState::Paused { .. }))
        .await
        .unwrap()
        .clone();
    let IntegrationState::Paused { code, reason, .. } = &paused.state else { unreachable!() };
    assert_eq!(*code, Some(Code::CredentialsRefused));
    assert!(reason.starts_with("project web-eu: Mixpanel refuses the credentials"), "{reason}");
    world.memory.admit(vec![event(&[import("u", "a")])], &[]);
    world.engine.drained().await;
    assert_eq!(world.memory.states(), vec![Disposition::Delivered; 2]);
    // Only the project that is in doubt is probed.
    let seen = lock(&world.transport.seen).clone();
    let probes: Vec<_> = seen.iter().filter(|seen| seen.is_probe()).collect();
    assert_eq!(probes.len(), 3);
    assert!(probes.iter().all(|seen| seen.authorization.as_deref() == Some("Basic b3RoZXI6")));
}

#[tokio::test(start_paused = true)]
async fn two_projects_that_are_refused_at_once_both_come_back() {
    let mut asked = std::collections::HashMap::<Option<String>, u32>::new();
    let world = World::start_with(
        move |seen| {
            let times = asked.entry(seen.authorization.clone()).or_default();
            *times += 1;
            if *times <= 3 { unauthorised() } else { good(seen) }
        },
        two_projects,
    );
    let both = event(&[import("u", "a"), to_project(import("u", "b"), "other")]);
    world.memory.admit(vec![both, event(&[import("v", "c")])], &[]);
    world.engine.drained().await;
    assert_eq!(world.memory.states(), vec![Disposition::Delivered; 2]);
    let probes = world.transport.probes();
    assert!((2..=12).contains(&probes), "{probes} probes");
}
