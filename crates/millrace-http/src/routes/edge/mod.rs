//! The Edge Network API of Adobe: what the Web SDK and servers send, by `interact` and `collect`.
//!
//! The path may begin with a base path of the customer's choice and have a regional hint in it, so
//! it is not one that a router could list; requests come here from the collector's fallback. The
//! datastream in the query says whose events they are. The answer gives the visitor an id and the
//! cookie to keep it in; the collector keeps nothing of that.

mod reply;
mod target;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{self, HeaderMap};
use axum::http::request::Parts;
use axum::http::{Method, Response, StatusCode};
use tokio::sync::oneshot;

use millrace_model::code::Code;
use millrace_model::event::Batch;
use millrace_protocol::edge::{
    Admission, Envelope, Form, Visitor, cookies, ecid_of_cookie, identity_cookie,
    is_identity_cookie, new_ecid,
};

use crate::answer::Refusal;
use crate::doors::Doors;
use crate::taking::{Collector, Decoded, Received, Taken};
use reply::Told;
use target::{Asked, Call};

/// True for the path of a call.
pub(crate) fn is_call(doors: &Doors, path: &str) -> bool {
    doors.datastreams.below_base(path).and_then(Call::of).is_some()
}

/// Answers a request whose path is below a base path; gives back any other.
pub(crate) async fn answer(
    collector: Arc<Collector>,
    request: Request,
) -> Result<Response<Body>, Request> {
    let doors = collector.doors.get();
    let Some(below) = doors.datastreams.below_base(request.uri().path()) else {
        return Err(request);
    };
    let call = Call::of(below);
    let asked = Asked::of(request.uri(), request.headers());
    Ok(match (request.method(), call) {
        (&Method::OPTIONS, _) => {
            // It holds no more than its address: see `preflighted`.
            let stream = doors.datastreams.find(asked.datastream.as_deref()).ok();
            match stream.map_or(Ok(()), |stream| stream.entrance.judge_origin(request.headers())) {
                Ok(()) => reply::preflight(request.headers()),
                Err(refusal) => {
                    let id = asked.answer_id(collector.entropy.as_ref());
                    reply::problem(&refusal, None, &id, request.headers())
                }
            }
        }
        (_, None) => {
            let message = "there is no such call: interact, collect, identity/acquire and \
                           privacy/set-consent are answered";
            refuse(&collector, StatusCode::NOT_FOUND, Code::UnknownPath, message, &asked, &request)
        }
        (&Method::POST, Some(Call::Media)) => {
            let id = asked.answer_id(collector.entropy.as_ref());
            reply::nothing(&id, request.headers())
        }
        (&Method::POST, Some(call)) => take(collector, request, call, asked).await,
        (_, Some(_)) => {
            let message = "this path does not take this method: calls are posted";
            let status = StatusCode::METHOD_NOT_ALLOWED;
            refuse(&collector, status, Code::MethodNotAllowed, message, &asked, &request)
        }
    })
}

fn refuse(
    collector: &Collector,
    status: StatusCode,
    code: Code,
    message: &'static str,
    asked: &Asked,
    request: &Request,
) -> Response<Body> {
    let id = asked.answer_id(collector.entropy.as_ref());
    reply::problem(&Refusal::new(status, code, message), None, &id, request.headers())
}

async fn take(
    collector: Arc<Collector>,
    request: Request,
    call: Call,
    asked: Asked,
) -> Response<Body> {
    let entropy = Arc::clone(&collector.entropy);
    let doors = collector.doors.get();
    let (tell, mut told) = oneshot::channel();
    let (early, late) = (asked.clone(), asked.clone());
    let (head, taken) = collector
        .take(
            request,
            move |doors, head| check_head(doors, head, &early),
            move |collector, received| {
                let (decoded, told) = decode(collector, received, call, &late)?;
                // Nobody listens when the client has gone; its events are stored all the same.
                let _ = tell.send(told);
                Ok(decoded)
            },
        )
        .await;
    let id = asked.answer_id(entropy.as_ref());
    match taken {
        Ok(taken) => {
            let told = told.try_recv().unwrap_or_default();
            taken_answer(call, &asked, &taken, &told, &id, &head.headers)
        }
        Err(refusal) => {
            let stream = doors.datastreams.find(asked.datastream.as_deref()).ok();
            let organisation = stream.and_then(|stream| stream.organisation(&head.headers));
            reply::problem(&refusal, organisation, &id, &head.headers)
        }
    }
}

fn taken_answer(
    call: Call,
    asked: &Asked,
    taken: &Taken,
    told: &Told,
    id: &str,
    request: &HeaderMap,
) -> Response<Body> {
    match call {
        Call::Interact { .. } | Call::Acquire | Call::SetConsent => {
            reply::handles(told, &taken.set_aside, id, request)
        }
        Call::Collect { several: true } if !asked.silent => {
            reply::accepted(&taken.set_aside, id, request)
        }
        Call::Collect { .. } | Call::Media => reply::nothing(id, request),
    }
}

/// Refuses ahead of the body what the body cannot change.
fn check_head(doors: &Doors, head: &Parts, asked: &Asked) -> Result<(), Refusal> {
    let stream = doors.datastreams.find(asked.datastream.as_deref())?;
    stream.check_token(&head.headers)?;
    check_media_type(&head.headers)
}

/// Takes the media types that Adobe takes, and a body that says nothing about itself: the bytes then
/// have to speak. What `curl` and other tools say unless told otherwise says nothing, either. The
/// binary form of JSON called Smile is refused.
fn check_media_type(headers: &HeaderMap) -> Result<(), Refusal> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let text = value.to_str().unwrap_or("?");
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if essence.is_empty() {
        return Ok(());
    }
    let Some((kind, subtype)) = essence.split_once('/') else {
        let message = "the header Content-Type is no media type";
        return Err(Refusal::new(StatusCode::BAD_REQUEST, Code::MediaTypeRefused, message));
    };
    let known = matches!(
        (kind, subtype),
        ("application", "json" | "x-www-form-urlencoded") | ("text", "plain" | "javascript")
    );
    if known || subtype.ends_with("+json") {
        return Ok(());
    }
    let message = "the body must be JSON: send application/json or text/plain";
    Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, Code::MediaTypeRefused, message))
}

fn decode(
    collector: &Collector,
    received: &mut Received,
    call: Call,
    asked: &Asked,
) -> Result<(Decoded, Told), Refusal> {
    let body = received.plain_body(&collector.limits)?;
    let form = match call {
        Call::Interact { .. } | Call::Collect { .. } => Form::Request,
        Call::Acquire | Call::SetConsent | Call::Media => Form::Question,
    };
    let envelope = Envelope::read(form, body, &collector.limits)?;
    check_events(call, &envelope)?;
    received.reserve(envelope.admission_bytes())?;

    let stream = received.doors.datastreams.find(asked.datastream.as_deref())?.clone();
    let organisation = stream.organisation(&received.head.headers).map(str::to_owned);
    let sent = ecid_sent(&received.head.headers, organisation.as_deref());
    let mixpanel = stream.entrance.mixpanel_cookie(&received.head.headers);
    let said = match call {
        Call::SetConsent => Some(envelope.consent().ok_or_else(no_consent)?),
        Call::Interact { .. } | Call::Collect { .. } | Call::Acquire | Call::Media => None,
    };
    let refused = said.as_ref().and_then(|said| said.general) == Some(false);
    let known = envelope.known_ecid(sent.as_deref());
    let ecid = match call {
        // Several people may be in one body: each event is on its own.
        Call::Collect { .. } | Call::Media => sent,
        // Who wants nothing collected is not given an id.
        Call::SetConsent if refused => known.clone(),
        Call::Interact { .. } | Call::Acquire | Call::SetConsent => {
            known.clone().or_else(|| Some(new_ecid(collector.entropy.as_ref())))
        }
    };
    let admission = Admission {
        pipeline: &stream.entrance.id,
        received_at: received.at,
        request_id: asked.request_id.as_deref(),
        visitor: Visitor {
            ecid: ecid.as_deref(),
            ecid_is_fleeting: known.is_none() && !received.from_device,
            mixpanel: mixpanel.as_ref(),
            user_agent: received.header(header::USER_AGENT).filter(|_| received.from_device),
            ip: received.client_ip.filter(|_| received.from_device),
        },
        keep_decisioning: stream.options.keep_decisioning,
        limits: &collector.limits,
        entropy: collector.entropy.as_ref(),
    };
    let batch = match &said {
        // Without an id there is nobody whose consent it would be.
        Some(said) if ecid.is_some() || envelope.names_somebody() => Batch {
            pipeline: stream.entrance.id.clone(),
            received_at: received.at,
            items: envelope.admit_consent(said, &admission).into_iter().collect(),
        },
        Some(_) => Batch {
            pipeline: stream.entrance.id.clone(),
            received_at: received.at,
            items: Vec::new(),
        },
        None => envelope.admit(&admission),
    };
    let told = Told {
        ecid: ecid.clone().filter(|_| !refused),
        consent: said.and_then(|said| said.general),
        organisation,
        own_domain: own_domain(&received.head, &envelope),
    };
    Ok((Decoded { door: stream.entrance, batch }, told))
}

fn check_events(call: Call, envelope: &Envelope) -> Result<(), Refusal> {
    match (call, envelope.len()) {
        (Call::Interact { one: true }, 1) | (Call::Acquire | Call::SetConsent | Call::Media, _) => {
            Ok(())
        }
        (_, 0) => {
            let message = "the list events is empty: send at least one";
            Err(Refusal::new(StatusCode::BAD_REQUEST, Code::BadBody, message))
        }
        (Call::Interact { one: true }, _) => {
            let message = "v2/interact takes one event: send more by v2/collect";
            Err(Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, Code::BadBody, message))
        }
        (Call::Interact { one: false } | Call::Collect { .. }, _) => Ok(()),
    }
}

fn no_consent() -> Refusal {
    let message = "the body says nothing about consent that is known here: send a list consent \
                   with Adobe 1.0, Adobe 2.0 or IAB TCF 2 in it";
    Refusal::new(StatusCode::BAD_REQUEST, Code::BadBody, message)
}

/// The ECID in the identity cookie of the request.
fn ecid_sent(headers: &HeaderMap, organisation: Option<&str>) -> Option<String> {
    let own = organisation.map(identity_cookie);
    let is_identity = |name: &str| match &own {
        Some(own) => name == own,
        None => is_identity_cookie(name),
    };
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut values = lines.flat_map(cookies).filter(|(name, _)| is_identity(name));
    values.find_map(|(_, value)| ecid_of_cookie(value))
}

/// The domain of the page's cookies, when the host that was asked is within it.
fn own_domain(head: &Parts, envelope: &Envelope) -> Option<String> {
    let domain = envelope.cookie_domain()?;
    let host = head.headers.get(header::HOST)?.to_str().ok()?;
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host).to_ascii_lowercase();
    let wanted = domain.to_ascii_lowercase();
    let within =
        host.strip_suffix(&wanted).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    within.then_some(wanted)
}
