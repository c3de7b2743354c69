//! The surroundings of an engine in tests: a source and a sink in memory, a mapper that does what
//! the event says, and a transport that answers by a script.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use millrace_blueprint::EventView;
use millrace_delivery::engine::seams::{FlushFuture, NextFuture};
use millrace_delivery::engine::{
    Engine, EngineHandle, EngineOptions, EngineParts, EventSink, EventSource, MapEvent, MapEvents,
};
use millrace_delivery::journal::{Closed, KnownConsents, OpenBatch, ReadError};
use millrace_delivery::mixpanel::{
    MixpanelOptions, Region, RequestParts, Response, Transport, TransportError, TransportErrorKind,
    TransportFuture,
};
use millrace_model::code::Code;
use millrace_model::disposition::{Disposition, FilterReason};
use millrace_model::entropy::SeededEntropy;
use millrace_model::event::{Batch, DedupeKey, Event, EventKind, Facts, Item, TimeSource};
use millrace_model::id::{InsertId, Position, Seq};
use millrace_model::intake::AdmitError;
use millrace_model::row::{Endpoint, LaneKey, Lanes, Mapped, ProjectKey, Row, RowRole, Rows};
use millrace_model::secret::Secret;
use millrace_model::time::{ManualClock, UnixMillis};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::Instant;

/// The token of all tests. It must never turn up in anything that is shown.
pub(crate) const TOKEN: &str = "tok-31415926";

/// A lock that a panicking test leaves usable for the others' messages.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An event whose rows stand in its body; see [`ScriptMapper`].
pub(crate) fn event(rows: &[Value]) -> Item {
    let body = Bytes::from(json!({ "rows": rows }).to_string());
    item(body)
}

pub(crate) fn item(body: Bytes) -> Item {
    let facts = Facts {
        message_id: "m".to_owned(),
        time: UnixMillis(0),
        time_source: TimeSource::Client,
        client_ip: None,
    };
    let dedupe_key = DedupeKey(0);
    Item::Event(Event {
        kind: EventKind::Track,
        facts,
        dedupe_key,
        passage: millrace_model::passage::Passage::default(),
        body_hash: 0,
        body,
    })
}

/// A row for `/import` in the lane of a user.
pub(crate) fn import(user: &str, name: &str) -> Value {
    json!({"to": "import", "lanes": [user], "body": {"event": name, "user": user}})
}

/// A row for `/engage` in the lane of a user.
pub(crate) fn engage(user: &str, name: &str) -> Value {
    json!({"to": "engage", "lanes": [user], "body": {"$set": {"name": name}}})
}

/// Does what the event says: `{"rows":[{"to","lanes","body","joins","once"}]}`, `{"panic":1}`,
/// `{"filter":1}` or `{"aside":1}`.
#[derive(Debug)]
pub(crate) struct ScriptMapper;

impl MapEvents for ScriptMapper {
    fn mapper(&self) -> Box<dyn MapEvent> {
        Box::new(ScriptMapper)
    }
}

impl MapEvent for ScriptMapper {
    fn map(&mut self, event: &EventView<'_>, out: &mut Rows) -> Mapped {
        out.clear();
        let script: Value = serde_json::from_slice(event.body).unwrap();
        assert!(script.get("panic").is_none(), "a bug in the mapper");
        if script.get("filter").is_some() {
            return Mapped::Filtered { reason: FilterReason::DropRule, rule: Some("r".into()) };
        }
        if script.get("aside").is_some() {
            return Mapped::SetAside { code: Code::BadDistinctId, message: "no id".into() };
        }
        for row in script["rows"].as_array().unwrap() {
            let start = out.bytes.len();
            out.bytes.extend_from_slice(row["body"].to_string().as_bytes());
            let mut lanes = Lanes::default();
            for lane in row["lanes"].as_array().unwrap() {
                lanes.add(LaneKey::person(lane.as_str().unwrap()));
            }
            out.rows.push(Row {
                endpoint: match row["to"].as_str().unwrap() {
                    "import" => Endpoint::Import,
                    "engage" => Endpoint::Engage,
                    _ => Endpoint::Groups,
                },
                role: if row["joins"] == true { RowRole::Joins } else { RowRole::Plain },
                repeatable: row["once"] != true,
                lanes,
                insert_id: row["body"]["event"].as_str().and_then(InsertId::exact),
                project: row["token"].as_str().map(ProjectKey::of),
                alone: row["alone"] == true,
                body: start..out.bytes.len(),
            });
        }
        Mapped::Send
    }
}

/// What the journal would keep.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    queue: Mutex<VecDeque<OpenBatch>>,
    more: Notify,
    pub(crate) closed: Mutex<Vec<Closed>>,
    pub(crate) sending: Mutex<Vec<Position>>,
    pub(crate) flushes: Mutex<u32>,
    admitted: Mutex<u64>,
    poisoned: AtomicBool,
}

impl Memory {
    /// Admits events; the indexes of `perhaps_sent` count as sent before a crash.
    pub(crate) fn admit(&self, items: Vec<Item>, perhaps_sent: &[u32]) {
        let mut admitted = lock(&self.admitted);
        let count = u32::try_from(items.len()).unwrap();
        let seq = Seq(*admitted + 1);
        *admitted += u64::from(count);
        let pipeline = "dev".parse().unwrap();
        let batch = Batch { pipeline, received_at: UnixMillis(0), items };
        let open = (0..count).collect();
        let perhaps_sent = perhaps_sent.to_vec();
        lock(&self.queue).push_back(OpenBatch { seq, batch, open, perhaps_sent });
        self.more.notify_one();
    }

    /// From now on nothing can be read or made durable.
    pub(crate) fn poison(&self) {
        self.poisoned.store(true, Ordering::SeqCst);
        self.more.notify_one();
    }

    fn is_poisoned(&self) -> bool {
        self.poisoned.load(Ordering::SeqCst)
    }

    /// The final states so far, in the order of the events.
    pub(crate) fn states(&self) -> Vec<Disposition> {
        let mut closed = lock(&self.closed).clone();
        closed.sort_by_key(|closed| closed.position);
        closed.into_iter().map(|closed| closed.state).collect()
    }
}

struct MemorySource(Arc<Memory>);

impl EventSource for MemorySource {
    fn next(&mut self, _max_bytes: usize) -> NextFuture<'_> {
        Box::pin(async {
            loop {
                let batches: Vec<OpenBatch> = lock(&self.0.queue).drain(..).collect();
                if !batches.is_empty() {
                    return Ok::<_, ReadError>(batches);
                }
                if self.0.is_poisoned() {
                    return Err(ReadError::Stopped);
                }
                self.0.more.notified().await;
            }
        })
    }
}

struct MemorySink(Arc<Memory>);

impl EventSink for MemorySink {
    fn sending(&self, events: &[Position]) {
        lock(&self.0.sending).extend_from_slice(events);
    }

    fn close(&self, closed: Vec<Closed>) {
        lock(&self.0.closed).extend(closed);
    }

    fn flush(&self) -> FlushFuture<'_> {
        *lock(&self.0.flushes) += 1;
        let poisoned = self.0.is_poisoned();
        Box::pin(async move { if poisoned { Err(AdmitError::Poisoned) } else { Ok(()) } })
    }

    fn is_drained(&self) -> bool {
        lock(&self.0.closed).len() as u64 == *lock(&self.0.admitted)
    }
}

/// A request as the transport saw it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) path: String,
    pub(crate) rows: Vec<Value>,
    pub(crate) body: Bytes,
    pub(crate) authorization: Option<String>,
    pub(crate) at: Instant,
}

impl Seen {
    /// True for the nameless record.
    pub(crate) fn is_probe(&self) -> bool {
        self.path == "/import" && self.rows.len() == 1 && self.rows[0]["event"] == ""
    }

    /// The names of its rows: of events, or of what is set.
    pub(crate) fn names(&self) -> Vec<String> {
        let name = |row: &Value| {
            let name = row["event"].as_str().or_else(|| row["$set"]["name"].as_str());
            name.unwrap_or("?").to_owned()
        };
        self.rows.iter().map(name).collect()
    }
}

/// What a script says to a request.
pub(crate) struct Reply {
    pub(crate) after: Duration,
    pub(crate) answer: Result<Response, TransportError>,
}

type Script = Box<dyn FnMut(&Seen) -> Reply + Send>;

/// Answers by a script, and keeps what it saw.
pub(crate) struct ScriptTransport {
    script: Mutex<Script>,
    pub(crate) seen: Mutex<Vec<Seen>>,
}

impl fmt::Debug for ScriptTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ScriptTransport")
    }
}

impl ScriptTransport {
    /// The requests so far, without probes.
    pub(crate) fn requests(&self) -> Vec<Seen> {
        lock(&self.seen).iter().filter(|seen| !seen.is_probe()).cloned().collect()
    }

    /// The number of probes so far.
    pub(crate) fn probes(&self) -> usize {
        lock(&self.seen).iter().filter(|seen| seen.is_probe()).count()
    }
}

impl Transport for ScriptTransport {
    fn send(&self, request: RequestParts) -> TransportFuture<'_> {
        Box::pin(async move {
            let rows = serde_json::from_slice(&request.body).unwrap();
            let path = request.url.strip_prefix("http://127.0.0.1:1").unwrap().to_owned();
            let mut headers = request.headers.into_iter();
            let authorization = headers.find(|(name, _)| *name == "authorization");
            let seen = Seen {
                path,
                rows,
                body: request.body,
                authorization: authorization.map(|(_, value)| value),
                at: Instant::now(),
            };
            lock(&self.seen).push(seen.clone());
            let reply = (lock(&self.script))(&seen);
            tokio::time::sleep(reply.after).await;
            reply.answer
        })
    }
}

/// An answer with this status and body, at once.
pub(crate) fn reply(status: u16, body: &Value) -> Reply {
    let body = Bytes::from(body.to_string());
    let answer = Ok(Response { status, retry_after: None, body, cut: false });
    Reply { after: Duration::ZERO, answer }
}

/// What Mixpanel says to a good request, and to a probe.
pub(crate) fn good(seen: &Seen) -> Reply {
    if seen.is_probe() {
        let failed = json!([{"index": 0, "field": "event", "message": "must not be blank"}]);
        return reply(400, &json!({"num_records_imported": 0, "failed_records": failed}));
    }
    let count = seen.rows.len();
    match seen.path.as_str() {
        "/import" => {
            reply(200, &json!({"code": 200, "num_records_imported": count, "status": "OK"}))
        }
        _ => reply(200, &json!({"num_good_events": count, "error": null, "status": 1})),
    }
}

/// What Mixpanel says to bad credentials, with an echo of what it was sent.
pub(crate) fn unauthorised() -> Reply {
    let error = format!("Invalid credentials {TOKEN}");
    reply(401, &json!({"code": 401, "error": error, "status": "Unauthorized"}))
}

/// No answer.
pub(crate) fn broken(kind: TransportErrorKind) -> Reply {
    let message = "scripted".to_owned();
    Reply { after: Duration::ZERO, answer: Err(TransportError { kind, message }) }
}

/// An engine and its surroundings.
pub(crate) struct World {
    pub(crate) memory: Arc<Memory>,
    pub(crate) transport: Arc<ScriptTransport>,
    pub(crate) engine: EngineHandle,
}

impl World {
    pub(crate) fn start(script: impl FnMut(&Seen) -> Reply + Send + 'static) -> World {
        World::start_with(script, |_| {})
    }

    pub(crate) fn start_with(
        script: impl FnMut(&Seen) -> Reply + Send + 'static,
        change: impl FnOnce(&mut EngineOptions),
    ) -> World {
        let memory = Arc::new(Memory::default());
        let transport = transport(script);
        let mut options = options();
        change(&mut options);
        let parts = EngineParts {
            source: Box::new(MemorySource(Arc::clone(&memory))),
            sink: Arc::new(MemorySink(Arc::clone(&memory))),
            consents: KnownConsents::default(),
            mapping: Arc::new(ScriptMapper),
            transport: Arc::clone(&transport) as Arc<dyn Transport>,
            clock: Arc::new(ManualClock::at(UnixMillis(1_763_633_472_000))),
            entropy: Arc::new(SeededEntropy::new(7)),
        };
        World { memory, transport, engine: Engine::start_with(options, parts) }
    }
}

pub(crate) fn transport(
    script: impl FnMut(&Seen) -> Reply + Send + 'static,
) -> Arc<ScriptTransport> {
    let script: Script = Box::new(script);
    Arc::new(ScriptTransport { script: Mutex::new(script), seen: Mutex::default() })
}

pub(crate) fn options() -> EngineOptions {
    EngineOptions::new("mixpanel".parse().unwrap(), mixpanel_options())
}

pub(crate) fn mixpanel_options() -> MixpanelOptions {
    let region = Region::parse("http://127.0.0.1:1", false).unwrap();
    MixpanelOptions::new(region, Secret::new(TOKEN)).unwrap().with_gzip(false)
}
