//! Routes that SDKs use beside their events, and that have nothing to keep: what SDKs report about
//! themselves is answered and dropped. `/v1/merge` of RudderStack has something to keep and no use
//! here: it is set aside.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::Response;
use axum::routing::post;

use millrace_model::code::Code;
use millrace_model::event::{EventKind, Item, SetAside};
use millrace_model::passage::Origin;
use millrace_protocol::segment::{Admission, Call, Envelope};

use super::preflighted;
use crate::answer::{Refusal, answer};
use crate::body::discard;
use crate::keys::Credentials;
use crate::taking::{Collector, Decoded, Received};

/// Segment's metrics and RudderStack's, which their SDKs post when told to.
const REPORTS: [&str; 4] = ["/v1/m", "/v1/m/", "/rsaMetrics", "/rsaMetrics/"];
/// Reports are small; more is read no further.
const REPORT_BYTES: usize = 1 << 20;

/// The routes.
pub(crate) fn routes() -> Router<Arc<Collector>> {
    let mut router = Router::new();
    for path in REPORTS {
        router = router.route(path, preflighted(post(report)));
    }
    for path in ["/v1/merge", "/v1/merge/"] {
        router = router.route(path, preflighted(post(merge)));
    }
    router
}

async fn report(State(collector): State<Arc<Collector>>, request: Request) -> Response<Body> {
    let (head, mut body) = request.into_parts();
    discard(&mut body, &head.headers, REPORT_BYTES, collector.request_timeout).await;
    answer(Ok(()), &head.headers)
}

async fn merge(State(collector): State<Arc<Collector>>, request: Request) -> Response<Body> {
    let credentials = Credentials::of(request.headers(), request.uri());
    let decode = move |collector: &Collector, received: &mut Received| {
        decode(collector, received, &credentials)
    };
    let (head, taken) = collector.take(request, |_, _| Ok(()), decode).await;
    answer(taken.map(|_| ()), &head.headers)
}

fn decode(
    collector: &Collector,
    received: &mut Received,
    credentials: &Credentials,
) -> Result<Decoded, Refusal> {
    let body = received.plain_body(&collector.limits)?;
    // Read as the call that asks for least, so that its write key is cut out.
    let envelope = Envelope::read(Call::Single(EventKind::Page), body, &collector.limits)?;
    let door = received.doors.keys.owner(credentials, envelope.write_key())?;
    received.reserve(envelope.admission_bytes())?;
    let mut batch = envelope.admit(&Admission {
        pipeline: &door.id,
        origin: Origin::Spec,
        received_at: received.at,
        client_ip: None,
        from_device: false,
        limits: &collector.limits,
        entropy: collector.entropy.as_ref(),
    });
    for item in &mut batch.items {
        if let Item::Event(event) = item {
            let mut body = std::mem::take(&mut event.body);
            let full_length = body.len() as u64;
            body.truncate(collector.limits.kept_bytes);
            *item = Item::SetAside(SetAside {
                origin: Origin::Spec,
                kind: None,
                code: Code::UnknownType,
                reason: "a merge call has no use here: identify and alias join ids".to_owned(),
                body,
                full_length,
            });
        }
    }
    Ok(Decoded { door, batch })
}
