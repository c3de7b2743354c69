//! `/api/2.0/export`: all stored copies of a span of days, one JSON object a line
//! (reference/mixpanel-api.md 6).
//!
//! The lines are made block by block on a blocking thread while the client reads, so an export of
//! any size costs a few blocks of memory. Ids are resolved when a line is made. Events that arrive
//! while an export runs are not in it.

use std::collections::HashSet;
use std::io::Write;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::Response;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::stream;
use millrace_model::time::UnixMillis;
use tokio::sync::mpsc;

use crate::auth::{Credentials, Denied};
use crate::body::Params;
use crate::limits;
use crate::print;
use crate::reply;
use crate::twin::{Counts, Inner};

/// Rows looked at, and bytes made, before a block is handed on and the lock is given back.
const BLOCK_ROWS: usize = 50_000;
const BLOCK_BYTES: usize = 256 * 1024;

/// Blocks that wait for a slow client; when they are there, the export waits.
const BLOCKS_WAITING: usize = 4;

/// Bodies up to this size are not compressed.
const PLAIN_BYTES: usize = 1_400;

const DAY: i64 = 86_400_000;

/// What an export is asked for.
#[derive(Debug)]
struct Query {
    project: u64,
    /// The first millisecond, and the one after the last.
    span: std::ops::Range<i64>,
    events: Option<HashSet<String>>,
    limit: u64,
    time_in_ms: bool,
    gzip: bool,
}

/// Serves an export.
pub(crate) async fn export(
    State(inner): State<Arc<Inner>>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let params = Params::parse(uri.query().unwrap_or_default().as_bytes());
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let credentials = text(header::AUTHORIZATION).and_then(Credentials::read);
    let gzip = text(header::ACCEPT_ENCODING).is_some_and(|value| value.contains("gzip"));
    let opened = credentials.ok_or(Denied::Invalid).and_then(|credentials| {
        credentials.opens_export(inner.projects.options(), params.get("project_id"))
    });
    let project = match opened {
        Ok(project) => project,
        Err(denied @ Denied::SecretWithProject) => return refuse(denied.text()),
        Err(denied) => return reply::error(StatusCode::UNAUTHORIZED, denied.text()),
    };
    let query = match Query::read(project, &params, inner.clock.now(), gzip) {
        Ok(query) => query,
        Err(text) => return refuse(&text),
    };
    let counts = Counts { requests: 1, ..Counts::default() };
    inner.traffic.add(Some(project), "/api/2.0/export", counts);
    stream_lines(inner, query).await
}

fn refuse(text: &str) -> Response {
    reply::json_reply(StatusCode::BAD_REQUEST, &serde_json::json!({ "error": text }))
}

impl Query {
    fn read(project: u64, params: &Params, now: UnixMillis, gzip: bool) -> Result<Query, String> {
        let (from, to) = (day(params, "from_date")?, day(params, "to_date")?);
        if to > now.0 {
            return Err("to_date cannot be later than today".to_owned());
        }
        if from > to {
            return Err("from_date cannot be later than to_date".to_owned());
        }
        if params.get("where").is_some_and(|text| !text.trim().is_empty()) {
            return Err("where is not supported yet, leave it out".to_owned());
        }
        let events = match params.get("event").filter(|text| !text.is_empty()) {
            None => None,
            Some(text) => Some(
                serde_json::from_str::<HashSet<String>>(text)
                    .map_err(|_| "event must be a JSON array of event names".to_owned())?,
            ),
        };
        let limit = match params.get("limit").filter(|text| !text.is_empty()) {
            None => u64::MAX,
            Some(text) => text
                .parse()
                .ok()
                .filter(|limit| (1..=limits::EXPORT_LINES).contains(limit))
                .ok_or_else(|| format!("limit must be between 1 and {}", limits::EXPORT_LINES))?,
        };
        let time_in_ms = params.on("time_in_ms");
        let span = from..to.saturating_add(DAY);
        Ok(Query { project, span, events, limit, time_in_ms, gzip })
    }
}

/// The first millisecond of a day parameter.
fn day(params: &Params, name: &str) -> Result<i64, String> {
    let text = params.get(name).unwrap_or_default();
    if text.is_empty() {
        return Err(format!("{name}, missing or empty"));
    }
    let millis = UnixMillis::parse(text).filter(|_| text.len() == 10);
    match millis {
        None => Err(format!("Error in {name}: invalid date, must be yyyy-mm-dd")),
        Some(UnixMillis(millis)) if millis < 946_684_800_000 => {
            Err(format!("Error in {name}: invalid date, bad year"))
        }
        Some(UnixMillis(millis)) => Ok(millis),
    }
}

async fn stream_lines(inner: Arc<Inner>, query: Query) -> Response {
    let gzip = query.gzip;
    let (blocks, mut ready) = mpsc::channel::<Vec<u8>>(BLOCKS_WAITING);
    tokio::task::spawn_blocking(move || make_blocks(&inner, &query, &blocks));
    // A first block this small is nearly always the whole body.
    let first = ready.recv().await.unwrap_or_default();
    let small = first.len() <= PLAIN_BYTES;
    let mut response = if small || !gzip {
        let rest = stream::unfold((Some(first), ready), |(first, mut ready)| async {
            let block = match first {
                Some(block) => block,
                None => ready.recv().await?,
            };
            Some((Ok::<_, std::convert::Infallible>(Bytes::from(block)), (None, ready)))
        });
        Response::new(Body::from_stream(rest))
    } else {
        let mut response = Response::new(compressed(first, ready));
        let gzip = header::HeaderValue::from_static("gzip");
        response.headers_mut().insert(header::CONTENT_ENCODING, gzip);
        response
    };
    let plain = header::HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}

/// The blocks as one gzip stream, compressed on blocking threads as they come.
fn compressed(first: Vec<u8>, ready: mpsc::Receiver<Vec<u8>>) -> Body {
    let encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let state = Some((encoder, Some(first), ready));
    Body::from_stream(stream::try_unfold(state, |state| async {
        let Some((encoder, first, mut ready)) = state else {
            return Ok::<_, std::io::Error>(None);
        };
        let block = match first {
            Some(block) => Some(block),
            None => ready.recv().await,
        };
        let step = tokio::task::spawn_blocking(move || compress(encoder, block));
        let (bytes, encoder) = step.await.map_err(std::io::Error::other)??;
        Ok(Some((bytes, encoder.map(|encoder| (encoder, None, ready)))))
    }))
}

type Encoder = GzEncoder<Vec<u8>>;

fn compress(
    mut encoder: Encoder,
    block: Option<Vec<u8>>,
) -> std::io::Result<(Bytes, Option<Encoder>)> {
    match block {
        None => Ok((encoder.finish()?.into(), None)),
        Some(block) => {
            encoder.write_all(&block)?;
            Ok((std::mem::take(encoder.get_mut()).into(), Some(encoder)))
        }
    }
}

/// Makes the lines; ends early when the client has gone.
fn make_blocks(inner: &Inner, query: &Query, blocks: &mpsc::Sender<Vec<u8>>) {
    let Some(project) = inner.projects.by_id(query.project) else { return };
    let end = project.data().events.all_rows().len();
    let (mut next, mut left) = (0_usize, query.limit);
    while next < end && left > 0 {
        let mut block = Vec::with_capacity(BLOCK_BYTES + 4 * 1024);
        let data = project.data();
        let stop = end.min(next.saturating_add(BLOCK_ROWS));
        for row in data.events.all_rows().get(next..stop).unwrap_or_default() {
            next += 1;
            let wanted = !row.deleted()
                && query.span.contains(&row.time)
                && query
                    .events
                    .as_ref()
                    .is_none_or(|names| names.contains(data.events.name(row.name)));
            if wanted {
                print::export_line(&mut block, &data, row, query.time_in_ms);
                block.push(b'\n');
                left -= 1;
            }
            if left == 0 || block.len() >= BLOCK_BYTES {
                break;
            }
        }
        drop(data);
        if !block.is_empty() && blocks.blocking_send(block).is_err() {
            return;
        }
    }
}
