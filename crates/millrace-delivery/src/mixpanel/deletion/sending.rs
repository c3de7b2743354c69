//! Sending deletions: one request after the other, in the order of the list, each until Mixpanel
//! has taken it.
//!
//! The first request that cannot be brought to an end ends the whole: what refuses one refuses the
//! next as well, and what comes after it has not been sent. Nothing is kept between two runs.

use std::time::Duration;

use millrace_model::code::Code;
use millrace_model::time::Clock;

use super::{DeletionAnswer, DeletionApi, DeletionRequest, read_deletion_answer};
use crate::mixpanel::{MixpanelOptions, Transport};

/// How often a request is sent before it is given up.
const ATTEMPTS: u32 = 6;

/// The first wait between two attempts; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_secs(2);

/// What has come of a request, for whoever looks on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeletionStep {
    /// Mixpanel has taken it.
    Taken {
        /// How many users it is about.
        users: usize,
        /// The task that Mixpanel has made.
        task: Option<String>,
    },
    /// It will be sent again.
    Waiting {
        /// How long.
        span: Duration,
        /// Why, in words.
        words: String,
    },
}

/// Why the rest was not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeletionError {
    /// Mixpanel refuses.
    #[error("Mixpanel refuses the deletion: {words}")]
    Refused {
        /// Why, in words.
        words: String,
    },
    /// Mixpanel is away or busy for longer than is waited.
    #[error("Mixpanel has not taken the deletion: {words}; run the command again later")]
    Away {
        /// Why, in words.
        words: String,
    },
}

impl DeletionError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            DeletionError::Refused { .. } => Code::DeletionRefused,
            DeletionError::Away { .. } => Code::DestinationBusy,
        }
    }
}

/// Sends the requests at the pace of their API; `told` hears of every step.
///
/// # Errors
/// When a request was refused, or not taken within its attempts. The requests before it have been
/// taken, those behind it were not sent.
///
/// # Cancel safety
/// A dropped future may leave one request with an answer that nobody has read. Sending it again
/// does no harm.
pub async fn send_deletions(
    requests: Vec<DeletionRequest>,
    api: &DeletionApi,
    options: &MixpanelOptions,
    transport: &dyn Transport,
    clock: &dyn Clock,
    mut told: impl FnMut(DeletionStep),
) -> Result<(), DeletionError> {
    // The answer may repeat what was sent (promise 8).
    let blot = |words: &str| api.redact(options.redact(words));
    for (place, request) in requests.into_iter().enumerate() {
        if place > 0 {
            tokio::time::sleep(api.pace()).await;
        }
        let mut wait = FIRST_WAIT;
        for attempt in 1.. {
            let answer = transport.send(request.parts.clone()).await;
            match read_deletion_answer(&answer, clock.now()) {
                DeletionAnswer::Taken { task } => {
                    told(DeletionStep::Taken { users: request.users, task });
                    break;
                }
                DeletionAnswer::Refused { words } => {
                    return Err(DeletionError::Refused { words: blot(&words) });
                }
                DeletionAnswer::Later { words, .. } if attempt == ATTEMPTS => {
                    return Err(DeletionError::Away { words: blot(&words) });
                }
                DeletionAnswer::Later { after, words } => {
                    let span = after.unwrap_or_default().max(wait);
                    told(DeletionStep::Waiting { span, words: blot(&words) });
                    tokio::time::sleep(span).await;
                    wait *= 2;
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Mutex;

    use bytes::Bytes;
    use millrace_model::secret::Secret;
    use millrace_model::time::{ManualClock, UnixMillis};

    use super::*;
    use crate::mixpanel::deletion::deletion_requests;
    use crate::mixpanel::{Region, RequestParts, Response, TransportFuture};

    /// Answers with the statuses of a list, then with success.
    #[derive(Debug, Default)]
    struct Script {
        statuses: Mutex<VecDeque<u16>>,
        sent: Mutex<usize>,
    }

    impl Transport for Script {
        fn send(&self, _request: RequestParts) -> TransportFuture<'_> {
            *self.sent.lock().unwrap() += 1;
            let status = self.statuses.lock().unwrap().pop_front().unwrap_or(200);
            let body = match status {
                200 => "1",
                _ => r#"{"error":"no, tok, Bearer g1, Basic dG9rOg=="}"#,
            };
            let body = Bytes::from(body);
            let response = Response { status, retry_after: None, body, cut: false };
            Box::pin(std::future::ready(Ok(response)))
        }
    }

    fn run(statuses: &[u16]) -> (Result<(), DeletionError>, Vec<DeletionStep>, usize) {
        run_with(&DeletionApi::Engage, statuses)
    }

    fn run_with(
        api: &DeletionApi,
        statuses: &[u16],
    ) -> (Result<(), DeletionError>, Vec<DeletionStep>, usize) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let options = MixpanelOptions::new(Region::Us, Secret::new("tok")).unwrap();
        let ids: Vec<String> = (0..2_500).map(|n| format!("u{n}")).collect();
        let requests = deletion_requests(&ids, api, &options);
        let script = Script { statuses: Mutex::new(statuses.to_vec().into()), ..Script::default() };
        let clock = ManualClock::at(UnixMillis(0));
        let mut steps = Vec::new();
        let sending = send_deletions(requests, api, &options, &script, &clock, |step| {
            steps.push(step);
        });
        let result = runtime.block_on(sending);
        (result, steps, *script.sent.lock().unwrap())
    }

    fn taken(steps: &[DeletionStep]) -> Vec<usize> {
        let users = |step: &DeletionStep| match step {
            DeletionStep::Taken { users, .. } => Some(*users),
            DeletionStep::Waiting { .. } => None,
        };
        steps.iter().filter_map(users).collect()
    }

    #[test]
    fn all_requests_go_out_in_order() {
        let (result, steps, sent) = run(&[]);
        assert_eq!((result, taken(&steps), sent), (Ok(()), vec![1_000, 1_000, 500], 3));
    }

    #[test]
    fn a_busy_mixpanel_is_waited_for() {
        let (result, steps, sent) = run(&[200, 429, 503]);
        assert_eq!((result, taken(&steps), sent), (Ok(()), vec![1_000, 1_000, 500], 5));
        let waits: Vec<u64> = steps
            .iter()
            .filter_map(|step| match step {
                DeletionStep::Waiting { span, .. } => Some(span.as_secs()),
                DeletionStep::Taken { .. } => None,
            })
            .collect();
        assert_eq!(waits, [2, 4]);
    }

    #[test]
    fn what_is_refused_ends_it_without_showing_the_token() {
        let task = DeletionApi::Task { gdpr_token: Secret::new("g1") };
        for (api, first) in [(&DeletionApi::Engage, 1_000), (&task, 1_999)] {
            let (result, steps, sent) = run_with(api, &[200, 401]);
            assert_eq!((taken(&steps), sent), (vec![first], 2));
            let error = result.unwrap_err();
            assert!(matches!(error, DeletionError::Refused { .. }));
            let told = error.to_string();
            assert!(!told.contains("tok") && !told.contains("dG9r"), "{error}");
            assert!(matches!(api, DeletionApi::Engage) || !told.contains("g1"), "{error}");
        }
    }

    #[test]
    fn what_stays_away_is_given_up() {
        let (result, steps, sent) = run(&[500; 20]);
        assert!(matches!(result, Err(DeletionError::Away { .. })));
        assert_eq!((taken(&steps), sent), (vec![], 6));
    }
}
