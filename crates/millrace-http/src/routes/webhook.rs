//! Webhooks of other systems: who sent one, and what its mapping makes of it.
//!
//! Invariants: nothing of a payload is read before its signature holds; a payload whose signature
//! holds is kept, as events or set aside, since its sender would otherwise repeat it for days and
//! then switch the webhook off.

use std::collections::VecDeque;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::header::HeaderName;
use axum::http::{Response, StatusCode, Uri};
use axum::routing::post;
use bytes::Bytes;

use millrace_model::code::Code;
use millrace_model::event::{Batch, Item};
use millrace_model::passage::Origin;
use millrace_model::time::UnixMillis;
use millrace_protocol::DecodeError;
use millrace_protocol::json::{text, write_text};
use millrace_protocol::segment::{Admission, Call, Envelope};
use millrace_protocol::webhook::{self, Presets};

use super::{preflighted, set_aside_whole, signed};
use crate::answer::{Refusal, answer};
use crate::doors::{Doors, Entrance, Webhook};
use crate::options::WebhookProof;
use crate::signature::{
    Fault, HubSpotRequest, check_hmac, check_hubspot, check_shopify, check_stripe,
};
use crate::taking::{Collector, Decoded, Received};

/// What a payload takes beside its bytes while it is mapped: its place, its message, its event.
const MESSAGE_BYTES: usize = 1024;

/// The routes: the id of the webhook stands in the query or in the path.
pub(crate) fn routes() -> Router<Arc<Collector>> {
    Router::new()
        .route("/v1/webhook", preflighted(post(by_query)))
        .route("/v1/webhook/{source}", preflighted(post(by_path)))
}

async fn by_query(State(collector): State<Arc<Collector>>, request: Request) -> Response<Body> {
    let query = request.uri().query().unwrap_or_default().as_bytes();
    let source = form_urlencoded::parse(query).find(|(name, _)| name == "source");
    let source = source.map(|(_, id)| id.into_owned()).unwrap_or_default();
    take(collector, source, request).await
}

async fn by_path(
    State(collector): State<Arc<Collector>>,
    source: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response<Body> {
    let source = source.map_or_else(|_| String::new(), |Path(source)| source);
    take(collector, source, request).await
}

async fn take(collector: Arc<Collector>, source: String, request: Request) -> Response<Body> {
    let early = source.clone();
    let (head, taken) = collector
        .take(
            request,
            move |doors, _| find(doors, &early).map(|_| ()),
            move |collector, received| {
                let webhook = find(&received.doors, &source)?.clone();
                decode(collector, received, webhook)
            },
        )
        .await;
    answer(taken.map(|_| ()), &head.headers)
}

fn find<'d>(doors: &'d Doors, source: &str) -> Result<&'d Webhook, Refusal> {
    doors.webhooks.get(source).ok_or_else(|| {
        let message = "there is no such webhook: check its id against the configuration";
        Refusal::new(StatusCode::NOT_FOUND, Code::UnknownWebhook, message)
    })
}

fn decode(
    collector: &Collector,
    received: &mut Received,
    webhook: Webhook,
) -> Result<Decoded, Refusal> {
    check(&webhook.options.proof, received).map_err(signed::refused)?;
    let body = received.plain_body(&collector.limits)?;
    // The messages, and the batch that they are read from.
    received.reserve(body.len().saturating_mul(2))?;
    let items = match webhook::items(&body, &collector.limits) {
        Ok(payloads) => {
            // The places of every message, and what it becomes.
            received.reserve(payloads.len().saturating_mul(MESSAGE_BYTES))?;
            let header = |name: &'static str| received.header(HeaderName::from_static(name));
            map_payloads(collector, &webhook, &payloads, received.at, &header)?
        }
        Err(error @ (DecodeError::TooLarge { .. } | DecodeError::TooManyEvents { .. })) => {
            return Err(error.into());
        }
        Err(error) => {
            let (code, reason) = (error.code(), error.to_string());
            vec![set_aside_whole(Origin::Webhook, None, code, reason, &body, &collector.limits)]
        }
    };
    let batch = Batch { pipeline: webhook.door.id.clone(), received_at: received.at, items };
    Ok(Decoded { door: Entrance::from(webhook.door), batch })
}

fn check(proof: &WebhookProof, received: &Received) -> Result<(), Fault> {
    let header = |name: &'static str| received.header(HeaderName::from_static(name));
    let custom = |name: &str| received.head.headers.get(name)?.to_str().ok();
    let (body, now) = (&received.body, received.at);
    match proof {
        WebhookProof::Stripe(secret) => check_stripe(header("stripe-signature"), body, secret, now),
        WebhookProof::Shopify(secret) => {
            check_shopify(header("x-shopify-hmac-sha256"), body, secret)
        }
        WebhookProof::HubSpot { secret, public_url } => {
            let address = format!("{public_url}{}", target(&received.head.uri));
            let request = HubSpotRequest {
                method: received.head.method.as_str(),
                address: &address,
                signature: header("x-hubspot-signature-v3"),
                timestamp: header("x-hubspot-request-timestamp"),
            };
            check_hubspot(request, body, secret, now)
        }
        WebhookProof::Hmac { header, secret } => check_hmac(custom(header), body, secret),
        WebhookProof::SharedSecret { header, secret } => {
            let given = custom(header).ok_or(Fault::Missing)?;
            if crate::keys::same_secret(secret, given) { Ok(()) } else { Err(Fault::Wrong) }
        }
        WebhookProof::Nothing => Ok(()),
    }
}

/// Path and query, as they were sent.
fn target(uri: &Uri) -> &str {
    uri.path_and_query().map_or("", |target| target.as_str())
}

/// A header of the request, by its name.
type Headers<'a> = &'a dyn Fn(&'static str) -> Option<&'a str>;

/// Every payload as an event or set aside, in their order.
pub(crate) fn map_payloads(
    collector: &Collector,
    webhook: &Webhook,
    payloads: &[Bytes],
    received_at: UnixMillis,
    header: Headers<'_>,
) -> Result<Vec<Item>, Refusal> {
    let mapping = &webhook.options.mapping;
    let mut messages = vec![b'['];
    let mut unmapped = Vec::with_capacity(payloads.len());
    for payload in payloads {
        let presets = presets(&webhook.options.proof, header, payload);
        match mapping.apply(payload, &presets) {
            Ok(message) => {
                if messages.len() > 1 {
                    messages.push(b',');
                }
                messages.extend_from_slice(&message);
                unmapped.push(None);
            }
            Err(reason) => unmapped.push(Some(reason.to_string())),
        }
        if messages.len() > collector.limits.inflated_bytes {
            return Err(DecodeError::TooLarge { limit: collector.limits.inflated_bytes }.into());
        }
    }
    messages.push(b']');
    let envelope = Envelope::read(Call::Batch, Bytes::from(messages), &collector.limits)?;
    let mut admitted: VecDeque<Item> = envelope
        .admit(&Admission {
            pipeline: &webhook.door.id,
            origin: Origin::Webhook,
            received_at,
            client_ip: None,
            from_device: false,
            limits: &collector.limits,
            entropy: collector.entropy.as_ref(),
        })
        .items
        .into();
    let aside = |code, reason, payload: &Bytes| {
        set_aside_whole(Origin::Webhook, None, code, reason, payload, &collector.limits)
    };
    let items = payloads.iter().zip(unmapped).filter_map(|(payload, unmapped)| match unmapped {
        Some(reason) => Some(aside(Code::UnmappedPayload, reason, payload)),
        None => match admitted.pop_front()? {
            // The payload tells more than what was made of it.
            Item::SetAside(made) => Some(aside(made.code, made.reason, payload)),
            item @ (Item::Event(_) | Item::Duplicate(_) | Item::Filtered(_)) => Some(item),
        },
    });
    Ok(items.collect())
}

/// What each kind of webhook says about a payload, where its mapping does not.
fn presets(proof: &WebhookProof, header: Headers<'_>, payload: &[u8]) -> Presets {
    let at = |path: &str| {
        let path = webhook::Path::parse(path).ok()?;
        path.find(payload).map(<[u8]>::to_vec)
    };
    let header = |name: &'static str| {
        let mut json = Vec::new();
        write_text(header(name)?, &mut json);
        Some(json)
    };
    match proof {
        WebhookProof::Stripe(_) => {
            Presets { event: at("$.type"), message_id: at("$.id"), timestamp: at("$.created") }
        }
        // A resend has the same id. The headers are not part of what is signed.
        WebhookProof::Shopify(_) => Presets {
            event: header("x-shopify-topic"),
            message_id: header("x-shopify-webhook-id"),
            timestamp: header("x-shopify-triggered-at"),
        },
        // Numbers of events are not unique by themselves; an attempt does not count.
        WebhookProof::HubSpot { .. } => Presets {
            event: at("$.subscriptionType"),
            message_id: joined_id(&[at("$.subscriptionId"), at("$.eventId"), at("$.occurredAt")]),
            timestamp: at("$.occurredAt"),
        },
        WebhookProof::Hmac { .. } | WebhookProof::SharedSecret { .. } | WebhookProof::Nothing => {
            Presets::default()
        }
    }
}

/// One id of several numbers or texts; none when one of them is missing.
fn joined_id(parts: &[Option<Vec<u8>>]) -> Option<Vec<u8>> {
    let mut id = String::from("hubspot");
    for part in parts {
        let part = part.as_deref()?;
        id.push('-');
        match part.first()? {
            b'"' => id.push_str(&text(part)?),
            b'-' | b'0'..=b'9' => id.push_str(&String::from_utf8_lossy(part)),
            _ => return None,
        }
    }
    let mut json = Vec::new();
    write_text(&id, &mut json);
    Some(json)
}
