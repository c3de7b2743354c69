//! `millrace delete-users`: takes users out of the Mixpanel project of an integration.
//!
//! It needs no running server and touches nothing of its data: what Millrace itself keeps of events
//! goes with its retention. Deleting again does no harm, so there is nothing to remember between
//! two runs.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use millrace_delivery::mixpanel::MixpanelOptions;
use millrace_delivery::mixpanel::deletion::sending::{DeletionError, DeletionStep, send_deletions};
use millrace_delivery::mixpanel::deletion::{DeletionApi, DeletionRequest, deletion_requests};
use millrace_delivery::mixpanel::http::{HttpTimeouts, HttpTransport};
use millrace_model::time::SystemClock;
use serde_json::{Value, json};

use super::check;
use crate::app;
use crate::cli::DeleteUsersArguments;
use crate::config::{Config, DEFAULT_FILE, Integration};
use crate::exit::{Failure, Outcome};

/// The longest id that Mixpanel takes, in bytes (`reference/mixpanel-api.md` 2.4).
const LONGEST_ID: usize = 255;

/// The most ids of one run; they are held in memory.
const MOST_IDS: usize = 1_000_000;

/// Sends what deletes the users of a file, and tells what was sent.
pub(super) fn run(arguments: &DeleteUsersArguments) -> Result<Outcome, Failure> {
    let path = arguments.config.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_FILE));
    let (config, _plans) = check::read_or_explain(&path)?;
    let integration = find(&config, &arguments.integration)?;
    let api = api(integration, arguments.api.as_deref())?;
    let twin = config.twin.as_ref().map(|twin| twin.listen);
    let options = app::mixpanel_options(integration, twin)?;
    let ids = read_ids(&arguments.file)?;
    let requests = deletion_requests(&ids, &api, &options);
    let mut told = Told { api: &api, json: arguments.json, users: 0, tasks: Vec::new() };
    if arguments.dry_run {
        return told.would_send(&requests);
    }
    let result = send(requests, &options, &mut told)?;
    told.end(ids.len(), result)
}

fn find<'c>(config: &'c Config, id: &str) -> Result<&'c Integration, Failure> {
    let found = config.integrations.iter().find(|integration| integration.id.as_str() == id);
    found.ok_or_else(|| {
        let known: Vec<&str> = config.integrations.iter().map(|one| one.id.as_str()).collect();
        super::unknown_integration(id, &known)
    })
}

/// The API that the command line names, else that of RudderStack's settings, else engage.
fn api(integration: &Integration, named: Option<&str>) -> Result<DeletionApi, Failure> {
    let settings = &integration.mapping.settings;
    let text = |name: &str| settings.get(name).and_then(|setting| setting.value.as_str());
    let token = integration.gdpr_api_token.clone();
    DeletionApi::from_settings(named.or_else(|| text("userDeletionApi")), token)
        .map_err(Failure::usage)
}

/// The ids of a file, one a line; blank lines are passed over, and so is an id that stands there
/// already: it would count as two users.
fn read_ids(path: &Path) -> Result<Vec<String>, Failure> {
    let shown = path.display();
    let file = File::open(path).with_context(|| super::unreadable(path)).map_err(Failure::usage)?;
    let mut file = BufReader::new(file);
    let mut ids = Vec::new();
    let mut seen = HashSet::new();
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        // Enough to see that a line is too long, so that memory does not grow with it.
        let most = LONGEST_ID as u64 + 3;
        let read = io::Read::take(&mut file, most).read_until(b'\n', &mut line);
        if read.with_context(|| super::unreadable(path)).map_err(Failure::usage)? == 0 {
            break;
        }
        let wrong = |what: &str| Failure::usage(anyhow!("{shown}:{number}: {what}"));
        let id = line.trim_ascii();
        if id.len() > LONGEST_ID || (line.len() > LONGEST_ID + 2 && !line.ends_with(b"\n")) {
            return Err(wrong(
                "the line is longer than the 255 bytes that Mixpanel takes as an id",
            ));
        }
        if id.is_empty() {
            continue;
        }
        let id = std::str::from_utf8(id).map_err(|_| wrong("the id is not UTF-8 text"))?;
        if seen.contains(id) {
            continue;
        }
        if ids.len() == MOST_IDS {
            return Err(wrong("a run takes a million ids; split the file"));
        }
        seen.insert(id.to_owned());
        ids.push(id.to_owned());
    }
    if ids.is_empty() {
        return Err(Failure::usage(anyhow!("{shown} holds no id")));
    }
    Ok(ids)
}

fn send(
    requests: Vec<DeletionRequest>,
    options: &MixpanelOptions,
    told: &mut Told<'_>,
) -> Result<Result<(), DeletionError>, Failure> {
    let transport = HttpTransport::new(options.region(), HttpTimeouts::default())
        .map_err(Failure::unavailable)?;
    let clock = SystemClock::default();
    let api = told.api;
    let sending =
        send_deletions(requests, api, options, &transport, &clock, |step| told.step(step));
    Ok(super::runtime()?.block_on(sending))
}

/// What the user is told.
struct Told<'a> {
    api: &'a DeletionApi,
    json: bool,
    /// Users that Mixpanel has taken.
    users: usize,
    tasks: Vec<String>,
}

impl Told<'_> {
    fn would_send(&self, requests: &[DeletionRequest]) -> Result<Outcome, Failure> {
        if self.json {
            let shown: Vec<Value> = requests
                .iter()
                .map(|request| json!({ "url": request.parts.url, "users": request.users }))
                .collect();
            let line = json!({ "api": self.api.as_str(), "dry_run": true, "requests": shown });
            super::print_line(&line.to_string())?;
            return Ok(Outcome::Fine);
        }
        for request in requests {
            let line = format!("would send {} users to {}", request.users, request.parts.url);
            if !super::print_line(&line)? {
                break;
            }
        }
        Ok(Outcome::Fine)
    }

    fn step(&mut self, step: DeletionStep) {
        let line = match step {
            DeletionStep::Taken { users, task } => {
                self.users += users;
                let shown = task.as_deref().map(|task| format!(", task {task}"));
                let line = format!("{users} users taken{}", shown.unwrap_or_default());
                self.tasks.extend(task);
                line
            }
            DeletionStep::Waiting { span, words } => {
                format!("waiting {} s: {words}", span.as_secs())
            }
        };
        // What has been sent cannot be taken back, so that nobody reads this is no reason to stop.
        let _ = writeln!(io::stderr(), "{line}");
    }

    fn end(&self, asked: usize, result: Result<(), DeletionError>) -> Result<Outcome, Failure> {
        let outcome = match &result {
            Ok(()) => Outcome::Fine,
            Err(DeletionError::Refused { .. }) => Outcome::Usage,
            Err(DeletionError::Away { .. }) => Outcome::Unavailable,
        };
        if self.json {
            let error = result.as_ref().err().map(
                |error| json!({ "code": error.code().as_str(), "message": error.to_string() }),
            );
            let line = json!({
                "api": self.api.as_str(), "users": self.users, "not_taken": asked - self.users,
                "tasks": self.tasks, "error": error
            });
            super::print_line(&line.to_string())?;
        } else {
            super::print_line(&format!("{} of {asked} users taken by Mixpanel", self.users))?;
        }
        match result {
            Ok(()) => Ok(outcome),
            Err(error) => {
                let error = anyhow!("{} {error}", error.code());
                Err(Failure { outcome, error })
            }
        }
    }
}
