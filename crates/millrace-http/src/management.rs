//! The routes of the operators: views of what the pipeline has done, and feeding in again what was
//! set aside.
//!
//! Every request needs the admin token. Errors have the form `{"error":{"code","message","docs"}}`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse as _;
use axum::routing::{any, get};
use axum::{Json, Router};
use serde_json::{Value, json};

use millrace_model::code::Code;
use millrace_model::id::{IntegrationId, PipelineId, Position};
use millrace_model::ledger::LedgerSums;
use millrace_model::secret::Secret;

use crate::keys::same_secret;

mod inspection;

pub use inspection::{Refed, RefeedOrder, SetAsideQuestion, TraceQuestion, Unshown, bytes_as_json};

/// Where the page of a code is.
const DOCS: &str = "https://github.com/millrace/millrace/blob/main/docs/errors";
/// How many items are shown when the request does not say, and at most.
const LIST_DEFAULT: usize = 100;
const LIST_MOST: usize = 1_000;

/// What the management API shows. Called off the async threads, so it may read files.
pub trait Overview: Send + Sync {
    /// The sums of each integration, and of each pipeline that has none.
    fn ledger(&self) -> Vec<(PipelineId, Option<IntegrationId>, LedgerSums)>;

    /// The integrations and how each is doing. Holds no secret.
    fn integrations(&self) -> Value;

    /// The pipelines with their keys, of which no more than the end is shown, and how the
    /// configuration file stands to what holds: an object.
    fn pipelines(&self) -> Value;

    /// The same numbers in the text form of Prometheus.
    fn metrics(&self) -> String;

    /// The latest events that did not end as delivered, at most `limit`.
    fn dispositions(&self, limit: usize) -> Value;

    /// Items that were set aside at the door.
    ///
    /// # Errors
    /// They cannot be read.
    fn set_aside(&self, question: &SetAsideQuestion) -> Result<Value, Unshown>;

    /// One of them with its bytes.
    ///
    /// # Errors
    /// It is not held, or cannot be read.
    fn set_aside_item(&self, position: Position) -> Result<Value, Unshown>;

    /// Feeds some of them in again.
    ///
    /// # Errors
    /// The order cannot be carried out as a whole. What becomes of each item is in the answer.
    fn refeed(&self, order: RefeedOrder) -> Result<Value, Unshown>;

    /// Everything that is known under a message id.
    ///
    /// # Errors
    /// Nothing is known, or the log cannot be read.
    fn trace(&self, question: &TraceQuestion) -> Result<Value, Unshown>;

    /// Counts the ledger a second time from the log.
    ///
    /// # Errors
    /// The log cannot be read.
    fn verify(&self) -> Result<Value, Unshown>;
}

/// The management router: `GET /api/v1/ledger`, `/api/v1/ledger/verify`, `/api/v1/integrations`,
/// `/api/v1/pipelines`, `/api/v1/dispositions`, `/api/v1/set-aside`, `/api/v1/trace`, `/metrics`,
/// and `POST /api/v1/set-aside/refeed`.
///
/// An empty admin token lets nobody in. Everything else is below `/api/v1`, and there is no answer to
/// other paths, so that the router can be merged with the collector's: `/api/syft` is one of its.
pub fn management(admin_token: Secret, overview: Arc<dyn Overview>) -> Router {
    let state = Arc::new(Management { admin_token, overview });
    Router::new()
        .route("/api/v1/ledger", get(ledger))
        .route("/api/v1/integrations", get(integrations))
        .route("/api/v1/pipelines", get(pipelines))
        .route("/api/v1/dispositions", get(dispositions))
        .merge(inspection::routes())
        .route("/metrics", get(metrics))
        .route(
            "/api/v1/{*path}",
            any(async || {
                failure(StatusCode::NOT_FOUND, Code::UnknownPath, "there is no such path here")
            }),
        )
        .method_not_allowed_fallback(async || {
            let message = "this path does not take this method: see docs/operations.md";
            failure(StatusCode::METHOD_NOT_ALLOWED, Code::MethodNotAllowed, message)
        })
        .with_state(state)
}

struct Management {
    admin_token: Secret,
    overview: Arc<dyn Overview>,
}

#[derive(serde::Deserialize)]
struct LimitQuery {
    limit: Option<usize>,
}

async fn ledger(State(state): State<Arc<Management>>, headers: HeaderMap) -> Response<Body> {
    state.show(&headers, |overview| json!({ "ledger": ledger_lines(overview) })).await
}

async fn integrations(State(state): State<Arc<Management>>, headers: HeaderMap) -> Response<Body> {
    state.show(&headers, |overview| json!({ "integrations": overview.integrations() })).await
}

async fn pipelines(State(state): State<Arc<Management>>, headers: HeaderMap) -> Response<Body> {
    state.show(&headers, |overview| overview.pipelines()).await
}

async fn metrics(State(state): State<Arc<Management>>, headers: HeaderMap) -> Response<Body> {
    state.answer(&headers, |overview| overview.metrics(), respond_text).await
}

async fn dispositions(
    State(state): State<Arc<Management>>,
    query: Result<Query<LimitQuery>, axum::extract::rejection::QueryRejection>,
    headers: HeaderMap,
) -> Response<Body> {
    let limit = match query {
        Ok(Query(query)) => query.limit.unwrap_or(LIST_DEFAULT).min(LIST_MOST),
        Err(_) => {
            let message = "limit must be a whole number";
            return failure(StatusCode::BAD_REQUEST, Code::BadValue, message);
        }
    };
    state
        .show(&headers, move |overview| json!({ "dispositions": overview.dispositions(limit) }))
        .await
}

fn ledger_lines(overview: &dyn Overview) -> Vec<Value> {
    overview
        .ledger()
        .into_iter()
        .map(|(pipeline, integration, sums)| {
            json!({
                "pipeline": pipeline,
                "integration": integration,
                "unaccounted": sums.unaccounted(),
                "sums": sums,
            })
        })
        .collect()
}

impl Management {
    async fn show(
        self: Arc<Management>,
        headers: &HeaderMap,
        view: impl FnOnce(&dyn Overview) -> Value + Send + 'static,
    ) -> Response<Body> {
        self.answer(headers, view, |value| respond(StatusCode::OK, value)).await
    }

    async fn answer<T: Send + 'static>(
        self: Arc<Management>,
        headers: &HeaderMap,
        view: impl FnOnce(&dyn Overview) -> T + Send + 'static,
        respond: impl FnOnce(T) -> Response<Body>,
    ) -> Response<Body> {
        if !self.admits(headers) {
            let message = "send the admin token as bearer authorization";
            let mut refused = failure(StatusCode::UNAUTHORIZED, Code::AdminTokenRefused, message);
            let scheme = HeaderValue::from_static("Bearer");
            refused.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
            return refused;
        }
        let shown = tokio::task::spawn_blocking(move || view(self.overview.as_ref())).await;
        match shown {
            Ok(shown) => respond(shown),
            Err(_) => {
                let message = "the process is stopping";
                failure(StatusCode::SERVICE_UNAVAILABLE, Code::ShuttingDown, message)
            }
        }
    }

    fn admits(&self, headers: &HeaderMap) -> bool {
        headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            .is_some_and(|(scheme, token)| {
                scheme.eq_ignore_ascii_case("bearer")
                    && same_secret(&self.admin_token, token.trim())
            })
    }
}

fn failure(status: StatusCode, code: Code, message: &str) -> Response<Body> {
    let docs = format!("{DOCS}/{code}.md");
    let body = json!({ "error": { "code": code.as_str(), "message": message, "docs": docs } });
    respond(status, body)
}

/// The text form of Prometheus, version 0.0.4.
fn respond_text(text: String) -> Response<Body> {
    let form = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    not_kept((form, text).into_response())
}

fn respond(status: StatusCode, body: Value) -> Response<Body> {
    not_kept((status, Json(body)).into_response())
}

fn not_kept(mut response: Response<Body>) -> Response<Body> {
    // What a ledger says is true for a moment only.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
