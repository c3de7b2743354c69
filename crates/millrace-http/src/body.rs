//! Reading bodies within bounds: of one body's size and time, and of all bodies' memory.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use axum::http::header::{self, HeaderMap};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use tokio::sync::Notify;

use millrace_model::code::Code;

use crate::answer::Refusal;

/// Memory is asked for ahead of the bytes only up to here: a client's word costs it nothing.
const ROOM_AHEAD: usize = 256 << 10;

/// A body that has been arriving for longer may be asked to give its bytes back.
const PATIENCE: Duration = Duration::from_secs(2);

/// The bytes of all bodies that are being read, decoded or made durable. When it is full, requests
/// are answered 429; nobody waits. Each of these makes the slow body that holds the most give way,
/// so that a few clients that stop in the middle of large bodies do not keep everybody out.
#[derive(Debug)]
pub(crate) struct Budget {
    used: AtomicUsize,
    limit: usize,
    slow: Mutex<SlowBodies>,
}

/// The bodies that have been arriving for longer than the patience lasts.
#[derive(Debug, Default)]
struct SlowBodies {
    next: u64,
    by_number: BTreeMap<u64, (Arc<AtomicUsize>, Arc<Notify>)>,
}

/// One of them, until it is dropped.
#[derive(Debug)]
struct SlowBody {
    budget: Arc<Budget>,
    number: u64,
}

impl Drop for SlowBody {
    fn drop(&mut self) {
        let mut slow = self.budget.slow.lock().unwrap_or_else(PoisonError::into_inner);
        slow.by_number.remove(&self.number);
    }
}

impl Budget {
    pub(crate) fn new(limit: usize) -> Arc<Budget> {
        Arc::new(Budget { used: AtomicUsize::new(0), limit, slow: Mutex::default() })
    }

    /// A part of the budget, empty at first, that is given back when it is dropped.
    pub(crate) fn reserve(self: &Arc<Budget>) -> Reservation {
        Reservation { budget: Arc::clone(self), bytes: Arc::default() }
    }

    /// Makes the slow body that holds the most give way.
    fn reclaim(&self) {
        let mut slow = self.slow.lock().unwrap_or_else(PoisonError::into_inner);
        let held = |bytes: &AtomicUsize| bytes.load(Ordering::Relaxed);
        let most = slow.by_number.iter().max_by_key(|(_, (bytes, _))| held(bytes));
        if let Some(number) = most.map(|(number, _)| *number)
            && let Some((_, gives_way)) = slow.by_number.remove(&number)
        {
            gives_way.notify_one();
        }
    }
}

/// A part of a [`Budget`].
#[derive(Debug)]
pub(crate) struct Reservation {
    budget: Arc<Budget>,
    bytes: Arc<AtomicUsize>,
}

impl Reservation {
    /// Takes that much more.
    pub(crate) fn grow(&mut self, by: usize) -> Result<(), Refusal> {
        let limit = self.budget.limit;
        self.budget
            .used
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |used| {
                used.checked_add(by).filter(|used| *used <= limit)
            })
            .map_err(|_| {
                self.budget.reclaim();
                Refusal::overloaded("too many bytes are being taken in at the moment")
            })?;
        self.bytes.fetch_add(by, Ordering::Relaxed);
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes.load(Ordering::Relaxed), Ordering::AcqRel);
    }
}

/// Reads a body to its end.
///
/// A body in one piece is not copied. Memory is reserved as bytes arrive, so that a client cannot
/// hold more of the budget than it has really sent.
pub(crate) async fn read_body(
    body: &mut Body,
    headers: &HeaderMap,
    limit: usize,
    timeout: Duration,
    reservation: &mut Reservation,
) -> Result<Bytes, Refusal> {
    let declared = declared_length(headers);
    if declared.is_some_and(|length| length > limit) {
        return Err(too_large(limit));
    }
    let (budget, held) = (Arc::clone(&reservation.budget), Arc::clone(&reservation.bytes));
    let reading = collect(body, declared.unwrap_or_default(), limit, reservation);
    tokio::select! {
        // First, so that nobody waits for a body that is there.
        biased;
        read = tokio::time::timeout(timeout, reading) => read.unwrap_or_else(|_| {
            let message = "the body did not arrive in time";
            Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, Code::BodyIncomplete, message))
        }),
        () = asked_to_give_way(budget, held) => {
            let message = "the body arrives too slowly for how much is being taken in";
            Err(Refusal::overloaded(message))
        }
    }
}

/// Resolves when the body that holds these bytes is slow and they are wanted.
async fn asked_to_give_way(budget: Arc<Budget>, held: Arc<AtomicUsize>) {
    tokio::time::sleep(PATIENCE).await;
    let gives_way = Arc::new(Notify::new());
    let number = {
        let mut slow = budget.slow.lock().unwrap_or_else(PoisonError::into_inner);
        slow.next += 1;
        let number = slow.next;
        slow.by_number.insert(number, (held, Arc::clone(&gives_way)));
        number
    };
    let _slow = SlowBody { budget, number };
    gives_way.notified().await;
}

async fn collect(
    body: &mut Body,
    declared: usize,
    limit: usize,
    reservation: &mut Reservation,
) -> Result<Bytes, Refusal> {
    let mut first = Bytes::new();
    let mut joined = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| {
            let message = "the body broke off";
            Refusal::new(StatusCode::BAD_REQUEST, Code::BodyIncomplete, message)
        })?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        let read = first.len().max(joined.len());
        if data.len() > limit.saturating_sub(read) {
            return Err(too_large(limit));
        }
        reservation.grow(data.len())?;
        if read == 0 {
            first = data;
            continue;
        }
        if joined.is_empty() {
            joined.reserve(declared.min(ROOM_AHEAD).max(first.len() + data.len()));
            joined.extend_from_slice(&first);
        }
        joined.extend_from_slice(&data);
    }
    Ok(if joined.is_empty() { first } else { joined.freeze() })
}

/// Reads what is left of a refused body and throws it away, up to a bound. A client that is still
/// sending when its connection is closed would see a broken connection instead of the answer.
pub(crate) async fn discard(body: &mut Body, headers: &HeaderMap, most: usize, timeout: Duration) {
    // Such a client waits for a word before it sends anything, and the answer is that word.
    if headers.contains_key(header::EXPECT) || declared_length(headers) > Some(most) {
        return;
    }
    let discarding = async {
        let mut read = 0_usize;
        while let Some(Ok(frame)) = body.frame().await {
            read = read.saturating_add(frame.data_ref().map_or(0, Bytes::len));
            if read > most {
                break;
            }
        }
    };
    // Out of time or not, the answer is the same.
    let _ = tokio::time::timeout(timeout, discarding).await;
}

fn declared_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn too_large(limit: usize) -> Refusal {
    let message = format!("the body has more than {limit} bytes: send smaller batches");
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, Code::BodyTooLarge, message)
}
