//! From an HTTP request to records in the journal: what all ingestion endpoints share.
//!
//! The body is read on the asynchronous side, within a budget of memory and time. Everything that
//! costs CPU (inflating, parsing, checking) happens on a blocking thread, which also hands the
//! records to the writer; then the asynchronous side waits for the writer and answers.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use millrace_model::secret::Secret;
use millrace_model::time::UnixMillis;
use tokio::sync::oneshot;

use crate::body::{BodyError, Params};
use crate::error::TwinError;
use crate::limits;
use crate::record::{self, Kind, Record};
use crate::refusal::{Fate, Note};
use crate::reply::{self, Failure};
use crate::twin::{Counts, Inner};
use crate::writer::Written;

/// How long the body of a request may take to arrive.
const BODY_TIME: Duration = Duration::from_secs(60);

/// The words for more records than a request may have.
pub(crate) const TOO_MANY: &str = "request has more than 2000 records";

/// Bytes at which a record is closed and the next one begun.
const RECORD_BYTES: usize = 1024 * 1024;

/// A request as it came over the wire.
#[derive(Debug)]
pub(crate) struct Wire {
    query: String,
    gzip: bool,
    pub(crate) ndjson: bool,
    pub(crate) authorization: Option<Secret>,
    /// The host that the client called, without its port.
    pub(crate) host: String,
    /// The client's address, as proxies or the connection tell it.
    pub(crate) client: Option<IpAddr>,
    body: Vec<u8>,
}

impl Wire {
    fn new(request_head: &axum::http::request::Parts, body: Vec<u8>) -> Wire {
        let headers = &request_head.headers;
        let says = |name, word: &str| text(headers, name).is_some_and(|value| value.contains(word));
        let host = text(headers, header::HOST).unwrap_or_default();
        let host = host.rsplit_once(':').map_or(host, |(name, _port)| name);
        Wire {
            query: request_head.uri.query().unwrap_or_default().to_owned(),
            gzip: says(header::CONTENT_ENCODING, "gzip"),
            ndjson: says(header::CONTENT_TYPE, "ndjson"),
            authorization: text(headers, header::AUTHORIZATION).map(Secret::new),
            host: crate::json::cut_chars(host, limits::TEXT).to_owned(),
            client: client_address(request_head),
            body,
        }
    }

    /// The parameters of the query string.
    pub(crate) fn params(&self) -> Params {
        Params::parse(self.query.as_bytes())
    }

    /// Takes the JSON out of the body and the form's fields into the parameters.
    pub(crate) fn open(&mut self, params: &mut Params) -> Result<Vec<u8>, BodyError> {
        crate::body::open(params, self.gzip, std::mem::take(&mut self.body))
    }
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// The address of the peer of the connection, when there is a connection.
pub(crate) fn peer(extensions: &axum::http::Extensions) -> Option<IpAddr> {
    extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(address)| address.ip())
}

fn client_address(head: &axum::http::request::Parts) -> Option<IpAddr> {
    let said = |name: &str| {
        let value = head.headers.get(name)?.to_str().ok()?;
        value.split(',').next()?.trim().parse().ok()
    };
    said("x-forwarded-for").or_else(|| said("x-real-ip")).or_else(|| peer(&head.extensions))
}

/// The answer of an endpoint, valid once its records are written.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) reply: Response,
    pub(crate) records: Vec<Record>,
}

impl From<Response> for Prepared {
    fn from(reply: Response) -> Prepared {
        Prepared { reply, records: Vec::new() }
    }
}

/// Serves one request of an ingestion endpoint.
pub(crate) async fn serve(
    inner: Arc<Inner>,
    request: Request,
    endpoint: fn(&Inner, Wire) -> Prepared,
) -> Response {
    let (head, body) = request.into_parts();
    let announced = text(&head.headers, header::CONTENT_LENGTH).and_then(|n| n.parse().ok());
    let most = announced.unwrap_or(limits::WIRE_BYTES);
    if most > limits::WIRE_BYTES {
        return too_large();
    }
    let share = u32::try_from(most / 1024 + 1).unwrap_or(u32::MAX);
    let budget = Arc::clone(&inner.body_budget);
    let Ok(_share) = budget.acquire_many_owned(share).await else {
        return unavailable(&inner, &TwinError::Closed);
    };
    let body = match read(body).await {
        Ok(body) => body,
        Err(response) => return *response,
    };
    let wire = Wire::new(&head, body);
    let worker = Arc::clone(&inner);
    let work = tokio::task::spawn_blocking(move || {
        let prepared = endpoint(&worker, wire);
        hand_in(&worker, prepared.records).map(|waiting| (prepared.reply, waiting))
    });
    match work.await {
        Ok(Ok((reply, None))) => reply,
        Ok(Ok((reply, Some(waiting)))) => match waiting.await {
            Ok(Ok(())) => reply,
            Ok(Err(error)) => unavailable(&inner, &error),
            Err(_) => unavailable(&inner, &TwinError::Closed),
        },
        Ok(Err(error)) => unavailable(&inner, &error),
        Err(_) => unavailable(&inner, &TwinError::Closed),
    }
}

type Waiting = Option<oneshot::Receiver<Written>>;

fn hand_in(inner: &Inner, records: Vec<Record>) -> Result<Waiting, TwinError> {
    if records.is_empty() {
        return Ok(None);
    }
    inner.writer.submit(records).map(Some)
}

async fn read(body: Body) -> Result<Vec<u8>, Box<Response>> {
    let whole = axum::body::to_bytes(body, limits::WIRE_BYTES);
    match tokio::time::timeout(BODY_TIME, whole).await {
        Ok(Ok(bytes)) => Ok(bytes.into()),
        // The other cause, a connection that broke off, has nobody left to read the answer.
        Ok(Err(_)) => Err(Box::new(too_large())),
        Err(_) => Err(Box::new(reply::error(
            StatusCode::REQUEST_TIMEOUT,
            "the request body did not arrive in time",
        ))),
    }
}

/// The answer to a body above the limit.
pub(crate) fn too_large() -> Response {
    reply::error(StatusCode::PAYLOAD_TOO_LARGE, BodyError::TooLarge.text())
}

/// The answer to more records than a request may have.
pub(crate) fn too_many() -> Response {
    reply::error(StatusCode::PAYLOAD_TOO_LARGE, TOO_MANY)
}

/// The answer when nothing could be stored, with a note that says why.
fn unavailable(inner: &Inner, error: &TwinError) -> Response {
    let mut account = Account::new(inner, "journal", inner.clock.now());
    account.refused_whole(None, &error.to_string());
    let text = "the twin's journal takes no data at the moment, retry later";
    let mut response = reply::error(StatusCode::SERVICE_UNAVAILABLE, text);
    response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
    response
}

/// Records of one project and request, cut into pieces of about [`RECORD_BYTES`].
#[derive(Debug)]
pub(crate) struct Batch {
    kind: Kind,
    head: Vec<u8>,
    open: Option<Vec<u8>>,
    done: Vec<Record>,
}

impl Batch {
    /// An empty batch whose records all begin with this head.
    pub(crate) fn new(kind: Kind, head: Vec<u8>) -> Batch {
        Batch { kind, head, open: None, done: Vec::new() }
    }

    /// Adds one item by writing it.
    pub(crate) fn put(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = self.open.take().unwrap_or_else(|| self.head.clone());
        write(&mut bytes);
        if bytes.len() < RECORD_BYTES {
            self.open = Some(bytes);
        } else {
            self.done.push(Record { kind: self.kind, bytes });
        }
    }

    /// The finished records.
    pub(crate) fn finish(mut self) -> Vec<Record> {
        let kind = self.kind;
        self.done.extend(self.open.map(|bytes| Record { kind, bytes }));
        self.done
    }
}

/// Starts a batch of events.
pub(crate) fn event_batch(project: u64, now: UnixMillis, imported: bool, host: &str) -> Batch {
    Batch::new(Kind::Events, record::events(project, now, imported, host))
}

/// What happened to the records of one request, for the notes and the counters.
#[derive(Debug)]
pub(crate) struct Account<'a> {
    inner: &'a Inner,
    endpoint: &'static str,
    now: UnixMillis,
    notes: Vec<Note>,
    counts: std::collections::BTreeMap<Option<u64>, Counts>,
}

impl<'a> Account<'a> {
    /// An empty account.
    pub(crate) fn new(inner: &'a Inner, endpoint: &'static str, now: UnixMillis) -> Account<'a> {
        Account { inner, endpoint, now, notes: Vec::new(), counts: Default::default() }
    }

    fn counts(&mut self, project: Option<u64>) -> &mut Counts {
        self.counts.entry(project).or_insert(Counts { requests: 1, ..Counts::default() })
    }

    /// A record is stored.
    pub(crate) fn stored(&mut self, project: u64) {
        let counts = self.counts(Some(project));
        counts.rows += 1;
        counts.stored += 1;
    }

    /// A record is stored otherwise than it was sent.
    pub(crate) fn changed(&mut self, project: u64, index: usize, subject: &str, reason: String) {
        self.note(Some(project), Fate::Changed, reason, Some(index), Some(subject), None);
    }

    /// A record is valid and not stored.
    pub(crate) fn ignored(
        &mut self,
        project: Option<u64>,
        index: usize,
        subject: Option<&str>,
        reason: &str,
    ) {
        let counts = self.counts(project);
        counts.rows += 1;
        counts.ignored += 1;
        self.note(project, Fate::Ignored, reason.to_owned(), Some(index), subject, None);
    }

    /// A record is invalid.
    pub(crate) fn refused(&mut self, project: Option<u64>, failure: &Failure, name: Option<&str>) {
        let counts = self.counts(project);
        counts.rows += 1;
        counts.refused += 1;
        let id = (!failure.insert_id.is_empty()).then(|| failure.insert_id.clone());
        let reason = failure.message.clone();
        self.note(project, Fate::Refused, reason, Some(failure.index), name, id);
    }

    /// The whole request is refused.
    pub(crate) fn refused_whole(&mut self, project: Option<u64>, reason: &str) {
        self.counts(project);
        self.note(project, Fate::Refused, reason.to_owned(), None, None, None);
    }

    fn note(
        &mut self,
        project: Option<u64>,
        fate: Fate,
        reason: String,
        index: Option<usize>,
        subject: Option<&str>,
        insert_id: Option<String>,
    ) {
        let subject = subject.map(|text| crate::json::cut_chars(text, limits::TEXT).to_owned());
        let insert_id =
            insert_id.map(|text| crate::json::cut_chars(&text, limits::TEXT).to_owned());
        let (at, endpoint) = (self.now, self.endpoint);
        self.notes.push(Note { at, project, endpoint, fate, reason, index, subject, insert_id });
    }
}

impl Drop for Account<'_> {
    /// Books it, whichever way the request ended.
    fn drop(&mut self) {
        self.inner.notes.add(std::mem::take(&mut self.notes));
        for (project, counts) in &self.counts {
            self.inner.traffic.add(*project, self.endpoint, *counts);
        }
    }
}
