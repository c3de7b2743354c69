//! What was set aside, its way back in, and the trace of an event: questions, their bounds, and what
//! is answered when they are wrong.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, Request, State};
use axum::http::header::HeaderMap;
use axum::http::{Response, StatusCode};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use millrace_model::code::Code;
use millrace_model::id::{PipelineId, Position};
use millrace_model::time::UnixMillis;

use super::{LIST_DEFAULT, LIST_MOST, Management, Overview, failure, respond};

/// An order to feed items in again may be so long: its positions, or one body.
const ORDER_BYTES: usize = 16 << 20;

/// Which of the items that were set aside are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAsideQuestion {
    /// Only those of this pipeline.
    pub pipeline: Option<PipelineId>,
    /// Only those with this code.
    pub code: Option<Code>,
    /// Only those that were received at this time or later.
    pub since: Option<UnixMillis>,
    /// The oldest first; else the newest.
    pub oldest_first: bool,
    /// Go on behind this one.
    pub cursor: Option<Position>,
    /// At most this many: 1 to 1000.
    pub limit: usize,
}

/// What to feed in again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefeedOrder {
    /// Which items.
    pub items: Refed,
    /// Say what would become of them and change nothing.
    pub dry_run: bool,
    /// Other bytes in place of the kept ones; only for one position.
    pub body: Option<Bytes>,
}

/// Which items are fed in again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refed {
    /// These.
    Positions(Vec<Position>),
    /// All that a question is about, the oldest first, as many as its limit says.
    All(SetAsideQuestion),
}

/// Whose trace is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceQuestion {
    /// The pipeline.
    pub pipeline: PipelineId,
    /// The message id.
    pub message_id: String,
    /// Show the event itself, too.
    pub body: bool,
}

/// Why something is not shown or done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unshown {
    /// The status of the answer.
    pub status: StatusCode,
    /// The stable code.
    pub code: Code,
    /// Why, in words.
    pub message: String,
}

impl Unshown {
    fn bad(message: impl Into<String>) -> Unshown {
        let (status, code) = (StatusCode::BAD_REQUEST, Code::BadValue);
        Unshown { status, code, message: message.into() }
    }

    fn respond(&self) -> Response<Body> {
        failure(self.status, self.code, &self.message)
    }
}

type Shown = Result<Value, Unshown>;

/// The routes.
pub(super) fn routes() -> Router<Arc<Management>> {
    Router::new()
        .route("/api/v1/set-aside", get(set_aside))
        .route("/api/v1/set-aside/refeed", post(refeed))
        .route("/api/v1/set-aside/{position}", get(set_aside_item))
        .route("/api/v1/trace", get(trace))
        .route("/api/v1/ledger/verify", get(verify))
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct SetAsideQuery {
    pipeline: Option<String>,
    code: Option<String>,
    since: Option<String>,
    order: Option<String>,
    cursor: Option<String>,
    limit: Option<usize>,
}

impl SetAsideQuery {
    fn read(self) -> Result<SetAsideQuestion, Unshown> {
        let pipeline = self.pipeline.map(|text| pipeline(&text)).transpose()?;
        let code = self.code.map(|text| {
            let message = format!("code is none that there is: {text}");
            Code::parse(&text).ok_or_else(|| Unshown::bad(message))
        });
        let since = self.since.map(|text| {
            let message = "since must be a time such as 2026-11-22T12:00:00Z";
            UnixMillis::parse(&text).ok_or_else(|| Unshown::bad(message))
        });
        let oldest_first = match self.order.as_deref() {
            None | Some("newest") => false,
            Some("oldest") => true,
            Some(_) => return Err(Unshown::bad("order must be newest or oldest")),
        };
        Ok(SetAsideQuestion {
            pipeline,
            code: code.transpose()?,
            since: since.transpose()?,
            oldest_first,
            cursor: self.cursor.map(|text| position(&text)).transpose()?,
            limit: self.limit.unwrap_or(LIST_DEFAULT).clamp(1, LIST_MOST),
        })
    }
}

fn pipeline(text: &str) -> Result<PipelineId, Unshown> {
    text.parse().map_err(|error| Unshown::bad(format!("pipeline {error}")))
}

fn position(text: &str) -> Result<Position, Unshown> {
    text.parse().map_err(|error| Unshown::bad(format!("a position {error}")))
}

fn query<T>(read: Result<Query<T>, QueryRejection>) -> Result<T, Unshown> {
    read.map(|Query(query)| query).map_err(|error| Unshown::bad(error.body_text()))
}

async fn set_aside(
    State(state): State<Arc<Management>>,
    asked: Result<Query<SetAsideQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Response<Body> {
    let question = query(asked).and_then(SetAsideQuery::read);
    state.try_show(&headers, move |overview| overview.set_aside(&question?)).await
}

async fn set_aside_item(
    State(state): State<Arc<Management>>,
    Path(place): Path<String>,
    headers: HeaderMap,
) -> Response<Body> {
    let place = position(&place);
    state.try_show(&headers, move |overview| overview.set_aside_item(place?)).await
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TraceQuery {
    pipeline: String,
    message_id: String,
    body: Option<String>,
}

async fn trace(
    State(state): State<Arc<Management>>,
    asked: Result<Query<TraceQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Response<Body> {
    let question = query(asked).and_then(|query| {
        if query.message_id.is_empty() {
            return Err(Unshown::bad("message_id must not be empty"));
        }
        let body = match query.body.as_deref() {
            None | Some("0") => false,
            Some("1") => true,
            Some(_) => return Err(Unshown::bad("body must be 0 or 1")),
        };
        Ok(TraceQuestion {
            pipeline: pipeline(&query.pipeline)?,
            message_id: query.message_id,
            body,
        })
    });
    state.try_show(&headers, move |overview| overview.trace(&question?)).await
}

async fn verify(State(state): State<Arc<Management>>, headers: HeaderMap) -> Response<Body> {
    state.try_show(&headers, |overview| overview.verify()).await
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RefeedBody {
    positions: Option<Vec<String>>,
    filter: Option<SetAsideQuery>,
    #[serde(default)]
    dry_run: bool,
    body: Option<String>,
    body_base64: Option<String>,
}

impl RefeedBody {
    fn read(bytes: &[u8]) -> Result<RefeedOrder, Unshown> {
        let asked: RefeedBody = serde_json::from_slice(bytes)
            .map_err(|error| Unshown::bad(format!("the order cannot be read: {error}")))?;
        let body = match (asked.body, asked.body_base64) {
            (None, None) => None,
            (Some(text), None) => Some(Bytes::from(text)),
            (None, Some(text)) => {
                let bytes = BASE64.decode(text);
                Some(Bytes::from(bytes.map_err(|_| Unshown::bad("body_base64 is no base64"))?))
            }
            (Some(_), Some(_)) => return Err(Unshown::bad("give body or body_base64, not both")),
        };
        let items = match (asked.positions, asked.filter) {
            (Some(texts), None) if !texts.is_empty() && texts.len() <= LIST_MOST => {
                let positions: Result<Vec<_>, _> =
                    texts.iter().map(|text| position(text)).collect();
                Refed::Positions(positions?)
            }
            (None, Some(filter)) => {
                let question = filter.read()?;
                Refed::All(SetAsideQuestion { oldest_first: true, ..question })
            }
            _ => {
                let message = format!("give 1 to {LIST_MOST} positions, or a filter");
                return Err(Unshown::bad(message));
            }
        };
        let one = matches!(&items, Refed::Positions(positions) if positions.len() == 1);
        if body.is_some() && !one {
            return Err(Unshown::bad("a body of your own goes with exactly one position"));
        }
        Ok(RefeedOrder { items, dry_run: asked.dry_run, body })
    }
}

async fn refeed(
    State(state): State<Arc<Management>>,
    headers: HeaderMap,
    request: Request,
) -> Response<Body> {
    // Nothing is read into memory for whoever has no token.
    let order = if state.admits(&headers) {
        let body = axum::body::to_bytes(request.into_body(), ORDER_BYTES).await;
        body.map_err(|_| Unshown::bad("the order is too long or broke off"))
            .and_then(|bytes| RefeedBody::read(&bytes))
    } else {
        Err(Unshown::bad("no token"))
    };
    state.try_show(&headers, move |overview| overview.refeed(order?)).await
}

impl Management {
    /// Shows what could be read, or why it could not. Whoever has no token hears nothing else.
    async fn try_show(
        self: Arc<Management>,
        headers: &HeaderMap,
        view: impl FnOnce(&dyn Overview) -> Shown + Send + 'static,
    ) -> Response<Body> {
        let respond = |shown: Shown| match shown {
            Ok(value) => respond(StatusCode::OK, value),
            Err(unshown) => unshown.respond(),
        };
        self.answer(headers, view, respond).await
    }
}

/// The bytes of an item as JSON: as text where they are text.
#[must_use]
pub fn bytes_as_json(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => json!({ "text": text }),
        Err(_) => json!({ "base64": BASE64.encode(bytes) }),
    }
}
