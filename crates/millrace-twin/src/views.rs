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
    view: impl FnOnce(&Data) -> Option<Vec<u8>> + Send + 'static,
) -> Response {
    let work = tokio::task::spawn_blocking(move || {
        let project = inner.projects.by_id(id.parse().ok()?)?;
        view(&project.data())
    });
    match work.await {
        Ok(Some(body)) => respond(StatusCode::OK, "application/json", body),
        Ok(None) => not_found(),
        Err(_) => json_reply(StatusCode::INTERNAL_SERVER_ERROR, &json!({ "error": "view failed" })),
    }
}

fn not_found() -> Response {
    json_reply(StatusCode::NOT_FOUND, &json!({ "error": "the twin holds nothing of that name" }))
}

async fn summary(State(inner): Shared, Path(id): Path<String>) -> Response {
    over_data(inner, id, |data| serde_json::to_vec(&Summary::of(data)).ok()).await
}

fn limit(params: &Params) -> usize {
    params.get("limit").and_then(|text| text.parse().ok()).unwrap_or(DEFAULT_LIMIT).min(MOST)
}

fn params(request: &Request) -> Params {
    Params::parse(request.uri().query().unwrap_or_default().as_bytes())
}

async fn events(State(inner): Shared, Path(id): Path<String>, request: Request) -> Response {
    let params = params(&request);
    over_data(inner, id, move |data| {
        let name = params.get("event").map(|name| data.events.find_name(name));
        let user = params.get("distinct_id").map(|id| data.user(id));
        let wanted = |row: &&Row| {
            name.is_none_or(|name| name == Some(row.name))
                && user.is_none_or(|user| user == Some(data.links.resolve(row.distinct)))
        };
        let rows: Vec<&Row> =
            data.events.rows().iter().rev().filter(wanted).take(limit(&params)).collect();
        let mut out = b"{\"events\":".to_vec();
        list(&mut out, data, &rows);
        out.push(b'}');
        Some(out)
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
    let most = limit(&params(&request));
    over_data(inner, id, move |data| {
        let canonical = data.user(&user)?;
        let ids: Vec<&str> = std::iter::once(canonical)
            .chain(data.links.devices(canonical).iter().copied())
            .map(|id| data.ids.text(id))
            .collect();
        let mine = |row: &&Row| data.links.resolve(row.distinct) == canonical;
        let copies: Vec<&Row> = data.events.rows().iter().filter(mine).collect();
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
        Some(out)
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
        let profile = data.groups.get(&(key.clone(), group.clone()))?;
        let shown = json!({ "group_key": key, "group_id": group, "profile": profile.shown() });
        serde_json::to_vec(&shown).ok()
    })
    .await
}

async fn refusals(State(inner): Shared, Path(id): Path<String>, request: Request) -> Response {
    let Some(id) = known(&inner, &id) else { return not_found() };
    let notes = inner.notes.newest(id, limit(&params(&request)));
    json_reply(StatusCode::OK, &json!({ "refusals": notes }))
}

async fn requests(State(inner): Shared, Path(id): Path<String>) -> Response {
    let Some(id) = known(&inner, &id) else { return not_found() };
    let (own, homeless) = (inner.traffic.of(Some(id)), inner.traffic.of(None));
    json_reply(StatusCode::OK, &json!({ "endpoints": own, "without_project": homeless }))
}

fn known(inner: &Inner, id: &str) -> Option<u64> {
    let id = id.parse().ok()?;
    inner.projects.by_id(id).map(|project| project.options.id)
}
