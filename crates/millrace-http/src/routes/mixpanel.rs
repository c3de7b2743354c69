//! Mixpanel's own SDKs, with the collector as their tracking proxy: `/track`, `/engage`, `/groups`
//! and `/import`, and what the SDKs ask beside them.
//!
//! A record's pipeline is that of its project token; on `/import` Basic authorization has the first
//! say. A call none of whose tokens is known gets 401. In a call with known ones a record of an
//! unknown token is set aside, because a 4xx would cost the good ones
//! (`reference/mixpanel-api.md` 9).

mod reply;

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::http::{Response, StatusCode};
use axum::routing::{MethodRouter, get, post};

use millrace_model::code::Code;
use millrace_model::event::{Batch, Item};
use millrace_model::secret::Secret;
use millrace_protocol::mixpanel::{Admission, Endpoint, Envelope, Unpacked};

use self::reply::{Told, reply};
use super::preflighted;
use crate::answer::{Refusal, allow_origin};
use crate::body::discard;
use crate::doors::Entrance;
use crate::mixpanel_keys::basic_pair;
use crate::taking::{Collector, Decoded, Received};

const PATHS: [(&str, Endpoint); 4] = [
    ("/track", Endpoint::Track),
    ("/import", Endpoint::Import),
    ("/engage", Endpoint::Engage),
    ("/groups", Endpoint::Groups),
];

/// What SDKs ask for and what they hear: no settings but their own, no flags, no notifications. In
/// these forms each of them goes on as if nobody had set anything (`reference/sdk-wire-formats.md` 7).
const QUESTIONS: [(&str, &str); 4] = [
    ("/settings", "{}"),
    ("/flags", "{\"flags\":{}}"),
    ("/flags/definitions", "{\"flags\":[]}"),
    ("/decide", "{\"notifications\":[],\"config\":{}}"),
];

/// Recordings of sessions are taken from the client, who would send them again otherwise, and
/// dropped: there is nothing to deliver them to.
const RECORDED: &str = "{\"code\":200,\"status\":\"OK\"}";
/// The largest recording that is read to its end.
const RECORDING_BYTES: usize = 16 << 20;

/// The routes.
pub(crate) fn routes() -> Router<Arc<Collector>> {
    let mut router = Router::new();
    let mut add = |path: &str, route: MethodRouter<Arc<Collector>>| {
        let route = preflighted(route);
        router = std::mem::take(&mut router)
            .route(path, route.clone())
            .route(&format!("{path}/"), route);
    };
    for (path, endpoint) in PATHS {
        add(path, call_route(endpoint));
    }
    for (path, answer) in QUESTIONS {
        let known = async move |headers: HeaderMap| show(answer, &headers);
        add(path, get(known).post(known));
    }
    add("/record", post(record));
    router
}

fn call_route(endpoint: Endpoint) -> MethodRouter<Arc<Collector>> {
    let take = async move |State(collector): State<Arc<Collector>>, request: Request| {
        let pair = basic_pair(request.headers());
        let told: Arc<OnceLock<Told>> = Arc::default();
        let tell = Arc::clone(&told);
        let (head, taken) = collector
            .take_several(
                request,
                |_, _| Ok(()),
                move |collector, received| {
                    decode(collector, received, endpoint, pair.as_ref(), &tell)
                },
            )
            .await;
        reply(endpoint, told.get(), taken.map(|_| ()), &head)
    };
    get(take).post(take)
}

fn decode(
    collector: &Collector,
    received: &mut Received,
    endpoint: Endpoint,
    pair: Option<&Secret>,
    tell: &OnceLock<Told>,
) -> Result<Vec<Decoded>, Refusal> {
    let body = received.plain_body(&collector.limits)?;
    let head = Arc::clone(&received.head);
    let query = head.uri.query().unwrap_or_default();
    // The field of a form, and what its base64 holds.
    let wrapped = body.len().saturating_add(query.len()).saturating_mul(2);
    received.reserve(wrapped)?;
    let unpacked = Unpacked::new(query, body, &collector.limits);
    let inside = unpacked.json.as_ref().map_or(0, |json| json.len());
    received.reserve(inside.saturating_sub(wrapped))?;
    let mut told = Told::new(unpacked.options, unpacked.is_form);
    let sorted = unpacked
        .json
        .and_then(|json| Envelope::read(endpoint, json, &collector.limits))
        .map_err(Refusal::from)
        .and_then(|envelope| {
            received.reserve(envelope.admission_bytes())?;
            let sorting = Sorting { collector, received, endpoint, envelope: &envelope };
            sorting.run(pair, &mut told)
        });
    // Nobody else sets it.
    let _ = tell.set(told);
    sorted
}

/// The records of one call on their way to the pipelines of their tokens.
struct Sorting<'a> {
    collector: &'a Collector,
    received: &'a Received,
    endpoint: Endpoint,
    envelope: &'a Envelope,
}

impl Sorting<'_> {
    fn run(&self, pair: Option<&Secret>, told: &mut Told) -> Result<Vec<Decoded>, Refusal> {
        let of_pair = self.of_pair(pair)?;
        let entrances: Vec<Option<Entrance>> = (0..self.envelope.len())
            .map(|place| of_pair.clone().or_else(|| self.of_token(place)))
            .collect();
        let Some(first) = entrances.iter().flatten().next() else {
            return self.nobodys(told);
        };
        let mut parts: Vec<Decoded> = Vec::with_capacity(1);
        for (place, entrance) in entrances.iter().enumerate() {
            let judged = match entrance {
                Some(entrance) => self.envelope.admit(place, &self.admission(entrance, told)),
                None => self.refused(place).map(|(item, failure)| (item, Some(failure))),
            };
            let Some((item, failure)) = judged else { continue };
            told.good += usize::from(matches!(item, Item::Event(_)));
            told.failures.extend(failure);
            self.add(entrance.as_ref().unwrap_or(first), item, &mut parts);
        }
        Ok(parts)
    }

    /// Where the credentials lead to. On other paths they mean nothing: mixpanel-python shows its
    /// API secret everywhere once it has it (`reference/sdk-wire-formats.md` 7).
    fn of_pair(&self, pair: Option<&Secret>) -> Result<Option<Entrance>, Refusal> {
        match (self.endpoint, pair) {
            (Endpoint::Import, Some(pair)) => {
                let found = self.received.doors.mixpanel.of_pair(pair);
                found.map(Some).ok_or_else(invalid_credentials)
            }
            _ => Ok(None),
        }
    }

    fn of_token(&self, place: usize) -> Option<Entrance> {
        self.received.doors.mixpanel.of_token(&self.envelope.token(place)?)
    }

    fn admission<'b>(&'b self, entrance: &'b Entrance, told: &'b Told) -> Admission<'b> {
        Admission {
            pipeline: &entrance.id,
            options: &told.options,
            received_at: self.received.at,
            client_ip: self.received.client_ip,
            limits: &self.collector.limits,
            entropy: self.collector.entropy.as_ref(),
        }
    }

    /// A record whose token is not known, beside others that are.
    fn refused(&self, place: usize) -> Option<(Item, millrace_protocol::mixpanel::Failure)> {
        let (code, reason) = match self.envelope.token(place) {
            Some(_) => (Code::UnknownToken, UNKNOWN_TOKEN),
            None => (Code::MissingWriteKey, self.missing_token()),
        };
        self.envelope.refuse(place, code, reason, &self.collector.limits)
    }

    const fn missing_token(&self) -> &'static str {
        if self.endpoint.takes_events() {
            "token, missing or empty"
        } else {
            "$token, missing or empty"
        }
    }

    /// A call none of whose records is for anybody here. One that names no token at all is a broken
    /// call rather than a wrong key: it is told so under 200, as by Mixpanel, since some SDKs send
    /// what gets a 4xx for ever (`reference/mixpanel-api.md` 9).
    fn nobodys(&self, told: &mut Told) -> Result<Vec<Decoded>, Refusal> {
        if self.envelope.is_empty() {
            return Ok(Vec::new());
        }
        if (0..self.envelope.len()).any(|place| self.envelope.token(place).is_some()) {
            let refusal =
                Refusal::new(StatusCode::UNAUTHORIZED, Code::UnknownWriteKey, UNKNOWN_TOKEN);
            return Err(refusal);
        }
        if self.endpoint == Endpoint::Import && !told.is_form {
            return Err(invalid_credentials());
        }
        let places = 0..self.envelope.len();
        told.failures.extend(places.filter_map(|place| Some(self.refused(place)?.1)));
        Ok(Vec::new())
    }

    /// Adds an item to the batch of its pipeline; those of a revoked token have one of their own.
    fn add(&self, entrance: &Entrance, item: Item, parts: &mut Vec<Decoded>) {
        let at = self.received.at;
        let same = |part: &&mut Decoded| {
            part.door.id == entrance.id && part.door.is_revoked_at(at) == entrance.is_revoked_at(at)
        };
        match parts.iter_mut().find(same) {
            Some(part) => part.batch.items.push(item),
            None => parts.push(Decoded {
                door: entrance.clone(),
                batch: Batch { pipeline: entrance.id.clone(), received_at: at, items: vec![item] },
            }),
        }
    }
}

const UNKNOWN_TOKEN: &str =
    "the project token is not known: check it against the pipelines of the collector";

fn invalid_credentials() -> Refusal {
    // Mixpanel's words.
    Refusal::new(StatusCode::UNAUTHORIZED, Code::UnknownWriteKey, "Invalid credentials")
}

async fn record(State(collector): State<Arc<Collector>>, request: Request) -> Response<Body> {
    let (head, mut body) = request.into_parts();
    discard(&mut body, &head.headers, RECORDING_BYTES, collector.request_timeout).await;
    show(RECORDED, &head.headers)
}

fn show(json: &'static str, request: &HeaderMap) -> Response<Body> {
    let mut response = Response::new(Body::from(json));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    allow_origin(headers, request);
    response
}
