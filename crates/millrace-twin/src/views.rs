//! JSON views of what the twin holds, under `/twin/v1/`, for people, tests and scripts.
//!
//! They are no part of Mixpanel's API and ask for no credentials; [`crate::ViewAccess`] says who
//! may read them. They never show a token or a secret.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;
use axum::routing::get;
use serde_json::{Value, json};

use crate::body::Params;
use crate::identity::Symbol;
use crate::intake::peer;
use crate::json;
use crate::lookup_tables;
use crate::print;
use crate::project::{Data, Project};
use crate::reply::{json_reply, respond};
use crate::summary::Summary;
use crate::table::Row;
use crate::twin::Inner;

const DEFAULT_LIMIT: usize = 50;
const MOST: usize = 1_000;

type Shared = State<Arc<Inner>>;

/// The routes of the views.
pub(crate) fn routes(inner: Arc<Inner>) -> Router<Arc<Inner>> {
    Router::new()
        .route("/twin/v1/projects", get(projects))
        .route("/twin/v1/projects/{id}/summary", get(summary))
        .route("/twin/v1/projects/{id}/events", get(events))
        .route("/twin/v1/projects/{id}/users/{user}", get(user))
        .route("/twin/v1/projects/{id}/groups/{key}/{group}", get(group))
        .route("/twin/v1/projects/{id}/refusals", get(refusals))
        .route("/twin/v1/projects/{id}/requests", get(requests))
        .route(
            "/twin/v1/projects/{id}/lookup-tables",
            get(lookup_tables::shown).post(lookup_tables::make),
        )
        .route("/twin/v1/projects/{id}/lookup-tables/{table}", get(lookup_tables::content))
        .layer(axum::middleware::from_fn_with_state(inner, guard))
}

async fn guard(State(inner): Shared, request: Request, next: Next) -> Response {
    if inner.views.admits(peer(request.extensions())) {
        return next.run(request).await;
    }
    let text = "the views are open to this machine only, see the twin's options";
    json_reply(StatusCode::FORBIDDEN, &json!({ "error": text }))
}

async fn projects(State(inner): Shared) -> Response {
    let list: Vec<Value> = inner
        .projects
        .iter()
        .map(|Project { options, .. }| {
            json!({
                "id": options.id, "name": options.name, "timezone": options.timezone,
                "identity": "simplified", "group_keys": options.group_keys,
                "created_at": options.created_at
            })
        })
        .collect();
    json_reply(StatusCode::OK, &json!({ "projects": list }))
}

/// Runs a view over a project's data on a blocking thread.
async fn over_data(
    inner: Arc<Inner>,
    id: String,
    view: impl FnOnce(&Data) -> Result<Vec<u8>, Unknown> + Send + 'static,
) -> Response {
    let work = tokio::task::spawn_blocking(move || {
        let project = id.parse().ok().and_then(|number| inner.projects.by_id(number));
        view(&project.ok_or_else(|| no_project(&id))?.data())
    });
    match work.await {
        Ok(Ok(body)) => respond(StatusCode::OK, "application/json", body),
        Ok(Err(unknown)) => not_found(&unknown),
        Err(_) => json_reply(StatusCode::INTERNAL_SERVER_ERROR, &json!({ "error": "view failed" })),
    }
}

/// What was asked for and is not there.
struct Unknown(String);

fn no_project(id: &str) -> Unknown {
    Unknown(format!("there is no project {id:?}: /twin/v1/projects lists them"))
}

fn not_found(Unknown(text): &Unknown) -> Response {
    json_reply(StatusCode::NOT_FOUND, &json!({ "error": text }))
}

async fn summary(State(inner): Shared, Path(id): Path<String>) -> Response {
    over_data(inner, id, |data| {
        let mut out = Vec::new();
        json::write(&mut out, &Summary::of(data));
        Ok(out)
    })
    .await
}

/// How many rows are asked for; the answer 400 when that is no number.
fn limit(params: &Params) -> Result<usize, Box<Response>> {
    match params.get("limit").map(str::parse) {
        None => Ok(DEFAULT_LIMIT),
        Some(Ok(limit)) => Ok(MOST.min(limit)),
        Some(Err(_)) => {
            let text = format!("limit must be a whole number, {MOST} at most");
            Err(Box::new(json_reply(StatusCode::BAD_REQUEST, &json!({ "error": text }))))
        }
    }
}

fn params(request: &Request) -> Params {
    Params::parse(request.uri().query().unwrap_or_default().as_bytes())
}

async fn events(State(inner): Shared, Path(id): Path<String>, request: Request) -> Response {
    let params = params(&request);
    let most = match limit(&params) {
        Ok(most) => most,
        Err(answer) => return *answer,
    };
    over_data(inner, id, move |data| {
        let name = params.get("event").map(|name| data.events.find_name(name));
        let user = params.get("distinct_id").map(|id| data.user(id));
        let wanted = |row: &&Row| {
            name.is_none_or(|name| name == Some(row.name))
                && user.is_none_or(|user| user == Some(data.links.resolve(row.distinct)))
        };
        let rows: Vec<&Row> = data.events.rows().rev().filter(wanted).take(most).collect();
        let mut out = b"{\"events\":".to_vec();
        list(&mut out, data, &rows);
        out.push(b'}');
        Ok(out)
    })
    .await
}

fn list(out: &mut Vec<u8>, data: &Data, rows: &[&Row]) {
    out.push(b'[');
    for (place, row) in rows.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        print::view_entry(out, data, row);
    }
    out.push(b']');
}

async fn user(
    State(inner): Shared,
    Path((id, user)): Path<(String, String)>,
    request: Request,
) -> Response {
    let most = match limit(&params(&request)) {
        Ok(most) => most,
        Err(answer) => return *answer,
    };
    over_data(inner, id, move |data| {
        let nobody = || Unknown(format!("no event and no profile is of a user {user:?}"));
        let canonical = data.user(&user).ok_or_else(nobody)?;
        let ids: Vec<&str> = std::iter::once(canonical)
            .chain(data.links.devices(canonical).iter().copied())
            .map(|id| data.ids.text(id))
            .collect();
        let mine = |row: &&Row| data.links.resolve(row.distinct) == canonical;
        let copies: Vec<&Row> = data.events.rows().filter(mine).collect();
        // The id of a deleted profile without events is remembered, and is nobody.
        if copies.is_empty() && ids.len() == 1 && !data.users.contains_key(&canonical) {
            return Err(nobody());
        }
        let counts = json!({
            "events": copies.iter().filter(|row| !row.superseded() && !row.hidden()).count(),
            "copies": copies.len(),
            "duplicates": copies.iter().filter(|row| row.superseded()).count(),
            "hidden": copies.iter().filter(|row| row.hidden() && !row.superseded()).count()
        });
        let mut shown: Vec<&Row> = copies.into_iter().filter(|row| !row.superseded()).collect();
        shown.sort_by_key(|row| row.time);
        let newest = shown.get(shown.len().saturating_sub(most)..).unwrap_or_default();
        let mut out = b"{\"distinct_id\":".to_vec();
        json::write(&mut out, data.ids.text(canonical));
        out.extend_from_slice(b",\"ids\":");
        json::write(&mut out, &ids);
        out.extend_from_slice(b",\"profile\":");
        json::write(&mut out, &profile(data, canonical));
        out.extend_from_slice(b",\"counts\":");
        json::write(&mut out, &counts);
        out.extend_from_slice(b",\"activity\":");
        list(&mut out, data, newest);
        out.push(b'}');
        Ok(out)
    })
    .await
}

fn profile(data: &Data, user: Symbol) -> Value {
    data.users.get(&user).map_or(Value::Null, |profile| Value::Object(profile.shown()))
}

async fn group(
    State(inner): Shared,
    Path((id, key, group)): Path<(String, String, String)>,
) -> Response {
    over_data(inner, id, move |data| {
        let Some(profile) = data.groups.get(&(key.clone(), group.clone())) else {
            return Err(Unknown(format!("there is no group {group:?} of the key {key:?}")));
        };
        let mut out = Vec::new();
        let shown = json!({ "group_key": key, "group_id": group, "profile": profile.shown() });
        json::write(&mut out, &shown);
        Ok(out)
    })
    .await
}

async fn refusals(State(inner): Shared, Path(id): Path<String>, request: Request) -> Response {
    let Some(id) = known(&inner, &id) else { return not_found(&no_project(&id)) };
    let most = match limit(&params(&request)) {
        Ok(most) => most,
        Err(answer) => return *answer,
    };
    let notes = inner.notes.newest(id, most);
    json_reply(StatusCode::OK, &json!({ "refusals": notes }))
}

async fn requests(State(inner): Shared, Path(id): Path<String>) -> Response {
    let Some(id) = known(&inner, &id) else { return not_found(&no_project(&id)) };
    let (own, homeless) = (inner.traffic.of(Some(id)), inner.traffic.of(None));
    json_reply(StatusCode::OK, &json!({ "endpoints": own, "without_project": homeless }))
}

fn known(inner: &Inner, id: &str) -> Option<u64> {
    let id = id.parse().ok()?;
    inner.projects.by_id(id).map(|project| project.options.id)
}
