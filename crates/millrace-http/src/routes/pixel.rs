//! Image requests of Segment, RudderStack and Datafly.
//!
//! The answer is the image, always and at once fit for a mail or a page: a browser could do nothing
//! with an error. What cannot be taken is logged; what cannot be read of a known pipeline is set
//! aside.

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Response, StatusCode};
use axum::routing::get;
use bytes::Bytes;

use millrace_model::code::Code;
use millrace_model::event::{Batch, EventKind};
use millrace_model::passage::Origin;
use millrace_protocol::pixel;
use millrace_protocol::segment::{Admission, Call, Envelope};

use super::{preflighted, set_aside_whole, signed, user_agent_context};
use crate::answer::{Refusal, allow_origin};
use crate::cookie;
use crate::keys::Credentials;
use crate::taking::{Collector, Decoded, Received};

/// One transparent pixel.
const GIF: [u8; 43] = [
    0x47, 0x49, 0x46, 0x38, 0x39, 0x61, 0x01, 0x00, 0x01, 0x00, 0x80, 0x00, 0x00, 0x00, 0x00, 0x00,
    0xff, 0xff, 0xff, 0x21, 0xf9, 0x04, 0x01, 0x00, 0x00, 0x00, 0x00, 0x2c, 0x00, 0x00, 0x00, 0x00,
    0x01, 0x00, 0x01, 0x00, 0x00, 0x02, 0x02, 0x44, 0x01, 0x00, 0x3b,
];

/// So that every showing is a request (`reference/datafly-adobe.md` 1.2).
const HEADERS: [(HeaderName, &str); 4] = [
    (header::CONTENT_TYPE, "image/gif"),
    (header::CACHE_CONTROL, "no-store, no-cache, must-revalidate"),
    (header::PRAGMA, "no-cache"),
    (header::EXPIRES, "0"),
];

/// The routes.
pub(crate) fn routes() -> Router<Arc<Collector>> {
    Router::new()
        .route("/v1/pixel/{kind}", preflighted(get(take)))
        .route("/pixel/v1/{kind}", preflighted(get(take)))
}

async fn take(
    State(collector): State<Arc<Collector>>,
    kind: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response<Body> {
    let kind = kind.map_or_else(|_| String::new(), |Path(kind)| kind);
    let named = kind.strip_suffix(".gif").unwrap_or(&kind);
    let kind = EventKind::SPEC.into_iter().find(|kind| kind.as_str() == named);
    let cookies = Arc::new(OnceLock::new());
    let set = Arc::clone(&cookies);
    let (head, taken) = collector
        .take(
            request,
            move |_, _| kind.map(|_| ()).ok_or_else(unknown_call),
            move |collector, received| match kind {
                Some(kind) => decode(collector, received, kind, &set),
                None => Err(unknown_call()),
            },
        )
        .await;
    if let Err(refusal) = &taken {
        tracing::info!(code = refusal.code.as_str(), reason = %refusal.message, "pixel refused");
    }
    let cookies = cookies.get().filter(|_| taken.is_ok()).map_or(&[][..], Vec::as_slice);
    image(&head.headers, cookies)
}

fn unknown_call() -> Refusal {
    let message = "there is no such pixel: use track, page, identify, group, alias or screen";
    Refusal::new(StatusCode::NOT_FOUND, Code::UnknownPath, message)
}

fn image(request: &HeaderMap, cookies: &[HeaderValue]) -> Response<Body> {
    let mut response = Response::new(Body::from(Bytes::from_static(&GIF)));
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    for cookie in cookies {
        response.headers_mut().append(header::SET_COOKIE, cookie.clone());
    }
    allow_origin(response.headers_mut(), request);
    response
}

fn decode(
    collector: &Collector,
    received: &mut Received,
    kind: EventKind,
    cookies: &OnceLock<Vec<HeaderValue>>,
) -> Result<Decoded, Refusal> {
    let query = received.head.uri.query().unwrap_or_default().to_owned();
    received.reserve(query.len().saturating_mul(4))?;
    let credentials = Credentials::in_query(pixel::write_key(&query));
    let read = pixel::read(kind, &query, &collector.limits)
        .map_err(|error| (error.code(), error.to_string()))
        .and_then(|pixel| {
            Envelope::read(Call::Single(kind), pixel.message, &collector.limits)
                .map_err(|error| (Code::BadPixel, error.to_string()))
        });
    let in_message = read.as_ref().ok().and_then(Envelope::write_key);
    let door = received.doors.keys.owner(&credentials, in_message)?;
    if door.datafly.require_signature {
        return Err(signed::unsigned());
    }
    let mut envelope = match read {
        Ok(envelope) => envelope,
        Err((code, reason)) => {
            let kept = Bytes::from(pixel::kept(&query));
            let limits = &collector.limits;
            let item = set_aside_whole(Origin::Pixel, Some(kind), code, reason, &kept, limits);
            let batch =
                Batch { pipeline: door.id.clone(), received_at: received.at, items: vec![item] };
            return Ok(Decoded { door, batch });
        }
    };
    envelope.give_context(&user_agent_context(received));
    if let Some(options) = &door.cookie {
        let entropy = collector.entropy.as_ref();
        let set = cookie::give(options, &received.head.headers, entropy, &mut envelope);
        // Nobody else sets it.
        let _ = cookies.set(set);
    }
    let batch = envelope.admit(&Admission {
        pipeline: &door.id,
        origin: Origin::Pixel,
        received_at: received.at,
        client_ip: received.client_ip,
        // Whoever shows an image is a person's device, or a proxy of their mail that stands for it.
        from_device: true,
        limits: &collector.limits,
        entropy: collector.entropy.as_ref(),
    });
    Ok(Decoded { door, batch })
}
