//! Lookup tables: the list of a project's tables, and replacing one (reference/mixpanel-api.md 3.3).
//!
//! Mixpanel makes tables in its own pages only; here a view does that. Replacing a table is all or
//! nothing. The calls of the last 24 hours are counted in memory, so a twin that is opened again
//! starts a new day.
//!
//! | module | owns |
//! | --- | --- |
//! | `store` | the tables, in memory or as files beside the journal |
//! | `sheet` | what is wrong with the rows of a CSV |

mod sheet;
mod store;

use std::io::Read as _;
use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::response::Response;
use serde_json::{Value, json};

use crate::auth::{Credentials, Denied};
use crate::body::Params;
use crate::limits;
use crate::reply::{self, json_reply, respond};
use crate::twin::{Counts, Inner};

pub(crate) use store::LookupTables;

type Shared = State<Arc<Inner>>;

/// The endpoint's name in the counters.
const ENDPOINT: &str = "/lookup-tables";

/// The bytes of a name or another small body of a view.
const SMALL_BODY: usize = 64 * 1024;

/// The project that a request opens, and its counters' answer when it opens none.
fn project(inner: &Inner, request: &Request) -> Result<u64, Box<Response>> {
    let params = Params::parse(request.uri().query().unwrap_or_default().as_bytes());
    let text = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let opened = text.and_then(Credentials::read).ok_or(Denied::Invalid).and_then(|credentials| {
        credentials.opens_lookup_tables(inner.projects.options(), params.get("project_id"))
    });
    let counts = Counts { requests: 1, ..Counts::default() };
    inner.traffic.add(opened.ok(), ENDPOINT, counts);
    opened.map_err(|denied| Box::new(reply::error(StatusCode::UNAUTHORIZED, denied.text())))
}

/// `GET /lookup-tables?project_id=`.
pub(crate) async fn list(State(inner): Shared, request: Request) -> Response {
    let project = match project(&inner, &request) {
        Ok(project) => project,
        Err(answer) => return *answer,
    };
    let tables = inner.lookup_tables.of(project);
    let results: Vec<Value> =
        tables.iter().map(|(id, table)| json!({ "id": id, "name": table.name })).collect();
    json_reply(StatusCode::OK, &json!({ "code": 200, "status": "OK", "results": results }))
}

/// `PUT /lookup-tables/{id}?project_id=`: replaces a table.
pub(crate) async fn put(
    State(inner): Shared,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    let project = match project(&inner, &request) {
        Ok(project) => project,
        Err(answer) => return *answer,
    };
    if !inner.lookup_tables.has(project, &id) {
        let text = format!("lookup table {id:?} not found");
        return reply::error(StatusCode::NOT_FOUND, &text);
    }
    if !inner.lookup_tables.may_call(project, inner.clock.now()) {
        let text = "more than 100 calls in 24 hours";
        return reply::error(StatusCode::TOO_MANY_REQUESTS, text);
    }
    let zipped = request
        .headers()
        .get(header::CONTENT_ENCODING)
        .is_some_and(|value| value.to_str().is_ok_and(|value| value.eq_ignore_ascii_case("gzip")));
    let share = u32::try_from(limits::LOOKUP_TABLE_BYTES / 1024 * 2).unwrap_or(u32::MAX);
    let budget = Arc::clone(&inner.body_budget);
    let Ok(_share) = budget.acquire_many_owned(share).await else {
        return reply::error(StatusCode::SERVICE_UNAVAILABLE, "the twin is stopping");
    };
    // Gzip makes incompressible bytes a little larger.
    let most = limits::LOOKUP_TABLE_BYTES + limits::LOOKUP_TABLE_BYTES / 100;
    let Ok(body) = axum::body::to_bytes(request.into_body(), most).await else {
        return too_large();
    };
    let work = tokio::task::spawn_blocking(move || {
        let csv = match inflated(zipped, &body, limits::LOOKUP_TABLE_BYTES) {
            Ok(csv) => csv,
            Err(answer) => return *answer,
        };
        replace(&inner, project, &id, csv)
    });
    let failed = |_| reply::error(StatusCode::INTERNAL_SERVER_ERROR, "the table was not read");
    work.await.unwrap_or_else(failed)
}

fn replace(inner: &Inner, project: u64, id: &str, csv: Vec<u8>) -> Response {
    let sheet = match sheet::read(&csv) {
        Ok(sheet) => sheet,
        Err(failures) => {
            let rows: Vec<Value> = failures
                .iter()
                .map(|failure| json!({ "index": failure.index, "message": failure.message }))
                .collect();
            let text = "some data points in the request failed validation";
            return json_reply(
                StatusCode::BAD_REQUEST,
                &json!({
                    "code": 400, "error": text, "status": "Bad Request", "failed_records": rows
                }),
            );
        }
    };
    match inner.lookup_tables.replace(project, id, sheet, csv, inner.clock.now()) {
        Ok(()) => json_reply(StatusCode::OK, &json!({ "code": 200, "status": "OK" })),
        Err(error) => {
            let text = format!("the twin cannot keep the table: {error}");
            reply::error(StatusCode::SERVICE_UNAVAILABLE, &text)
        }
    }
}

/// The table before compression, of at most so many bytes.
fn inflated(zipped: bool, body: &[u8], most: usize) -> Result<Vec<u8>, Box<Response>> {
    let mut csv = Vec::new();
    let cut = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    let read = if zipped {
        flate2::read::MultiGzDecoder::new(body).take(cut).read_to_end(&mut csv)
    } else {
        body.take(cut).read_to_end(&mut csv)
    };
    match read {
        Ok(_) if csv.len() > most => Err(Box::new(too_large())),
        Ok(_) => Ok(csv),
        Err(_) => {
            let text = "request body is not valid gzip";
            Err(Box::new(reply::error(StatusCode::BAD_REQUEST, text)))
        }
    }
}

fn too_large() -> Response {
    let text = "the lookup table has more than 100 MB before compression";
    reply::error(StatusCode::PAYLOAD_TOO_LARGE, text)
}

/// The view: the tables of a project and what they hold.
pub(crate) async fn shown(State(inner): Shared, Path(project): Path<String>) -> Response {
    let Some(project) = known(&inner, &project) else { return no_project(&project) };
    let tables: Vec<Value> = inner
        .lookup_tables
        .of(project)
        .iter()
        .map(|(id, table)| {
            json!({
                "id": id, "name": table.name, "columns": table.sheet.columns,
                "rows": table.sheet.rows, "updated_at": table.updated_at
            })
        })
        .collect();
    json_reply(StatusCode::OK, &json!({ "lookup_tables": tables }))
}

/// The view of one table: its CSV as it was sent.
pub(crate) async fn content(
    State(inner): Shared,
    Path((project, id)): Path<(String, String)>,
) -> Response {
    let Some(project) = known(&inner, &project) else { return no_project(&project) };
    let work = tokio::task::spawn_blocking(move || inner.lookup_tables.content(project, &id));
    match work.await {
        Ok(Ok(Some(csv))) => respond(StatusCode::OK, "text/csv", csv),
        Ok(Ok(None)) => missing("there is no such lookup table"),
        _ => reply::error(StatusCode::INTERNAL_SERVER_ERROR, "the table cannot be read"),
    }
}

/// Makes an empty table, as one does in Mixpanel by hand: `{"name": ".."}`.
pub(crate) async fn make(
    State(inner): Shared,
    Path(project): Path<String>,
    request: Request,
) -> Response {
    let Some(project) = known(&inner, &project) else { return no_project(&project) };
    let body = axum::body::to_bytes(request.into_body(), SMALL_BODY).await.unwrap_or_default();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let name = body.get("name").and_then(Value::as_str).map(str::trim).unwrap_or_default();
    if name.is_empty() || name.len() > limits::TEXT {
        let text = "send {\"name\": \"...\"} with a name of at most 255 bytes";
        return json_reply(StatusCode::BAD_REQUEST, &json!({ "error": text }));
    }
    let (id, name) = (inner.entropy.uuid().to_string(), name.to_owned());
    let shown = json!({ "id": id, "name": name });
    let work = tokio::task::spawn_blocking(move || inner.lookup_tables.make(project, &id, name));
    match work.await {
        Ok(Ok(())) => json_reply(StatusCode::CREATED, &shown),
        Ok(Err(error)) => {
            let text = format!("the twin cannot keep the table: {error}");
            json_reply(StatusCode::SERVICE_UNAVAILABLE, &json!({ "error": text }))
        }
        Err(_) => missing("the table was not made"),
    }
}

fn known(inner: &Inner, project: &str) -> Option<u64> {
    let id = project.parse().ok()?;
    inner.projects.by_id(id).map(|project| project.options.id)
}

fn no_project(id: &str) -> Response {
    missing(&format!("there is no project {id:?}: /twin/v1/projects lists them"))
}

fn missing(text: &str) -> Response {
    json_reply(StatusCode::NOT_FOUND, &json!({ "error": text }))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_table_is_measured_before_compression() {
        let zip = |bytes: &[u8]| {
            let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            out.write_all(bytes).unwrap();
            out.finish().unwrap()
        };
        for (bytes, fits) in [(vec![b'x'; 1_000], true), (vec![b'x'; 1_001], false)] {
            for (zipped, body) in [(true, zip(&bytes)), (false, bytes.clone())] {
                match inflated(zipped, &body, 1_000) {
                    Ok(csv) => assert!(fits && csv == bytes),
                    Err(answer) => assert!(!fits && answer.status() == 413),
                }
            }
        }
    }
}
