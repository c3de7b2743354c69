//! A twin without a socket and a client that calls its router.

use std::path::Path;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::response::Response;
use base64::Engine;
use millrace_model::entropy::SeededEntropy;
use millrace_model::secret::Secret;
use millrace_model::time::{ManualClock, UnixMillis};
use millrace_twin::{
    IdentityMode, ProjectOptions, ServiceAccount, Twin, TwinError, TwinOptions, ViewAccess,
};
use serde_json::{Value, json};
use tower::ServiceExt;

/// 2026-11-22T12:00:00Z.
pub(crate) const NOW: i64 = 1_795_348_800_000;

pub(crate) struct Client {
    runtime: tokio::runtime::Runtime,
    pub(crate) twin: Twin,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) content_type: String,
    pub(crate) headers: axum::http::HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }
}

pub(crate) fn options(folder: Option<&Path>) -> TwinOptions {
    let project = |id, token: &str, secret: &str| ProjectOptions {
        id,
        name: format!("project {id}"),
        token: Secret::new(token),
        api_secret: Secret::new(secret),
        service_accounts: vec![ServiceAccount {
            user: "dev.sa".to_owned(),
            secret: Secret::new("sa-secret"),
        }],
        timezone: "UTC".to_owned(),
        identity: IdentityMode::Simplified,
        group_keys: vec!["company_id".to_owned()],
        created_at: UnixMillis(NOW - 86_400_000),
    };
    TwinOptions {
        data_dir: folder.map(Path::to_owned),
        projects: vec![project(1, "T", "S"), project(2, "T2", "S2")],
        views: ViewAccess::Loopback,
    }
}

pub(crate) fn basic(user: &str, password: &str) -> String {
    let text = format!("{user}:{password}");
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(text))
}

impl Client {
    /// A twin in memory.
    pub(crate) fn new() -> Client {
        Client::open(options(None)).unwrap()
    }

    pub(crate) fn open(options: TwinOptions) -> Result<Client, TwinError> {
        Client::open_at(options, NOW)
    }

    /// A twin whose clock shows this moment.
    pub(crate) fn open_at(options: TwinOptions, now: i64) -> Result<Client, TwinError> {
        let clock = Arc::new(ManualClock::at(UnixMillis(now)));
        let entropy = Arc::new(SeededEntropy::new(1));
        let twin = Twin::open(options, clock, entropy)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Ok(Client { runtime, twin })
    }

    pub(crate) fn call(&self, request: Request<Body>) -> Answer {
        self.runtime.block_on(async {
            let response: Response = self.twin.router().oneshot(request).await.unwrap();
            let (head, body) = response.into_parts();
            let body = axum::body::to_bytes(body, usize::MAX).await.unwrap().to_vec();
            let content_type = head.headers.get("content-type");
            Answer {
                status: head.status,
                content_type: content_type.map_or("", |v| v.to_str().unwrap()).to_owned(),
                headers: head.headers,
                body,
            }
        })
    }

    /// A request with headers.
    pub(crate) fn send(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.call(request.body(body.into()).unwrap())
    }

    pub(crate) fn get(&self, target: &str) -> Answer {
        self.send("GET", target, &[], Body::empty())
    }

    pub(crate) fn post(&self, target: &str, body: &Value) -> Answer {
        self.send("POST", target, &[("content-type", "application/json")], body.to_string())
    }

    /// `/import?strict=1` of project 1 by token.
    pub(crate) fn import(&self, events: &Value) -> Answer {
        let headers = [("authorization", basic("T", "")), ("host", "twin.test:8081".to_owned())];
        let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
        self.send("POST", "/import?strict=1", &headers, events.to_string())
    }

    /// The export lines of the last 40 days of project 1.
    pub(crate) fn export(&self, more: &str) -> Vec<Value> {
        let target = format!("/api/2.0/export?from_date=2026-10-14&to_date=2026-11-22{more}");
        let answer = self.send("GET", &target, &[("authorization", &basic("S", ""))], "");
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub(crate) fn view(&self, rest: &str) -> Value {
        let answer = self.get(&format!("/twin/v1/projects/1/{rest}"));
        assert_eq!(answer.status, 200, "{rest}: {}", answer.text());
        answer.json()
    }

    /// The profile of a user, null when there is none.
    pub(crate) fn profile(&self, id: &str) -> Value {
        self.view(&format!("users/{id}"))["profile"].clone()
    }

    /// The events that count and the copies there are.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let summary = self.view("summary");
        (summary["events"].as_u64().unwrap(), summary["copies"].as_u64().unwrap())
    }
}

/// A valid event for `/import?strict=1`, with members of its properties changed; null removes one.
pub(crate) fn event(name: &str, changes: &Value) -> Value {
    let mut properties = json!({
        "time": NOW / 1000 - 60, "distinct_id": "u1", "$insert_id": "i-1"
    });
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            properties.as_object_mut().unwrap().remove(name);
        } else {
            properties[name] = value.clone();
        }
    }
    json!({ "event": name, "properties": properties })
}
