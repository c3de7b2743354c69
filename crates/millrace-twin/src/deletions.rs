//! `/api/app/data-deletions/v3.0`: the events and profiles of persons (reference/mixpanel-api.md 8).
//!
//! A task is done when it is answered, where Mixpanel takes up to 30 days: its state is `SUCCESS` at
//! once, and it cannot be revoked. Mixpanel's bearer token belongs to a person; the twin has no
//! persons and takes the project's API secret instead.
//!
//! What is deleted is shown nowhere any more and counts nowhere. Its bytes stay in the journal, like
//! all that the twin was told.

use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::Response;
use millrace_model::secret::Secret;
use serde_json::{Value, json};

use crate::auth;
use crate::body::Params;
use crate::intake::{Account, Batch, Prepared, Wire};
use crate::project::Project;
use crate::record::{self, Kind};
use crate::reply::json_reply;
use crate::twin::Inner;

const ENDPOINT: &str = "/api/app/data-deletions/v3.0";

/// Persons in one task.
const MOST: usize = 1_999;

/// The laws by which a task can be asked for.
const LAWS: [&str; 2] = ["GDPR", "CCPA"];

/// Makes a task, which is done with the answer.
pub(crate) fn ask(inner: &Inner, mut wire: Wire) -> Prepared {
    let now = inner.clock.now();
    let mut account = Account::new(inner, ENDPOINT, now);
    let mut params = wire.params();
    let header = wire.authorization.take();
    let project = match opened(inner, &params, header.as_ref().map(Secret::expose)) {
        Ok(project) => project.options.id,
        Err(text) => {
            account.refused_whole(None, text);
            return refused(StatusCode::UNAUTHORIZED, text).into();
        }
    };
    let body = wire.open(&mut params).unwrap_or_default();
    let asked = match ids(&body) {
        Ok(ids) => ids,
        Err(text) => {
            account.refused_whole(Some(project), text);
            return refused(StatusCode::BAD_REQUEST, text).into();
        }
    };
    let id = inner.entropy.uuid().to_string();
    let task = json!({ "id": id, "distinct_ids": asked }).to_string();
    let mut batch = Batch::new(Kind::Deletions, record::updates(project, now));
    batch.put(|bytes| record::put_update(bytes, &task));
    account.stored(project);
    let answer = json!({ "status": "ok", "results": { "task_id": id } });
    Prepared { reply: json_reply(StatusCode::CREATED, &answer), records: batch.finish() }
}

/// The state of a task.
pub(crate) fn state(inner: &Inner, task: &str, request: &Request) -> Response {
    let params = Params::parse(request.uri().query().unwrap_or_default().as_bytes());
    let header = request.headers().get(header::AUTHORIZATION).and_then(|text| text.to_str().ok());
    let project = match opened(inner, &params, header) {
        Ok(project) => project,
        Err(text) => return refused(StatusCode::UNAUTHORIZED, text),
    };
    let results = match project.data().deletions.get(task) {
        Some(ids) => json!({ "status": "SUCCESS", "result": "", "distinct_ids": ids }),
        None => json!({ "status": "NOT_FOUND", "result": "", "distinct_ids": [] }),
    };
    json_reply(StatusCode::OK, &json!({ "status": "ok", "results": results }))
}

/// The project of the token, when the bearer token opens it.
fn opened<'a>(
    inner: &'a Inner,
    params: &Params,
    header: Option<&str>,
) -> Result<&'a Project, &'static str> {
    let bearer = header.and_then(auth::bearer).ok_or("a bearer token is needed")?;
    let token = params.get("token").ok_or("token, missing or empty")?;
    let project = inner.projects.by_token(token);
    let project = project.filter(|project| auth::same(&bearer, &project.options.api_secret));
    project.ok_or("Invalid credentials")
}

/// The ids that a body asks to delete.
fn ids(body: &[u8]) -> Result<Vec<String>, &'static str> {
    let Ok(Value::Object(body)) = serde_json::from_slice(body) else {
        return Err("the body must be a JSON object");
    };
    let law = body.get("compliance_type").and_then(Value::as_str);
    if !law.is_some_and(|law| LAWS.contains(&law)) {
        return Err("compliance_type must be GDPR or CCPA");
    }
    let ids = body.get("distinct_ids").and_then(Value::as_array).filter(|ids| !ids.is_empty());
    let ids = ids.ok_or("distinct_ids must be a list of texts")?;
    if ids.len() > MOST {
        return Err("distinct_ids has more than 1999 ids");
    }
    let texts: Option<Vec<String>> = ids.iter().map(|id| id.as_str().map(str::to_owned)).collect();
    texts.ok_or("distinct_ids must be a list of texts")
}

/// An error in the form of the app API.
fn refused(status: StatusCode, text: &str) -> Response {
    json_reply(status, &json!({ "status": "error", "error": text }))
}
