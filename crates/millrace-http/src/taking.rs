//! The way of a request from its head to stable storage, the same for every protocol: read the
//! body, decode it, apply the rules of the pipeline, make it durable.
//!
//! One request is one batch of the log. Once its body is there it is carried to its end even when
//! the client has gone: a browser that leaves its page cuts the request and still counts on it
//! (`reference/sdk-wire-formats.md` section 3). What is answered is for the protocol to say.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{self, HeaderMap, HeaderName};
use axum::http::request::Parts;
use bytes::Bytes;
use ipnet::IpNet;
use tokio::sync::{Semaphore, SemaphorePermit};

use millrace_govern::Circumstances;
use millrace_model::code::Code;
use millrace_model::entropy::Entropy;
use millrace_model::event::{Batch, Item, SetAside};
use millrace_model::intake::{Admitted, Intake};
use millrace_model::passage::Origin;
use millrace_model::time::{Clock, UnixMillis};
use millrace_protocol::Limits;
use millrace_protocol::inflate::{decode_body_within, is_compressed};
use millrace_protocol::mixpanel::offer;
use millrace_protocol::segment::standing_alone;

use crate::answer::Refusal;
use crate::body::{Budget, Reservation, discard, read_body};
use crate::counts::{Counters, Marks};
use crate::doors::{CurrentDoors, Door, Doors, Entrance};
use crate::options::CollectorOptions;
use crate::peer::client_ip;
use crate::rate::{MeterId, Meters, Moment};

/// How much of a refused body is read and thrown away so that its sender hears why. It costs time on
/// the wire only, and that is bounded as well.
const DISCARD_BYTES: usize = 256 << 20;

/// Bodies above this are decoded off the async threads: about half a millisecond of work.
const HEAVY_BYTES: usize = 256 << 10;
/// The same for compressed bodies, which can hold a thousand times their size.
const HEAVY_COMPRESSED_BYTES: usize = 2 << 10;
/// How many heavy bodies are decoded at once: each may take up to the limit of decompressed bytes
/// before the budget hears of it.
const HEAVY_AT_ONCE: usize = 4;

/// What all routes share.
pub(crate) struct Collector {
    pub(crate) doors: CurrentDoors,
    pub(crate) limits: Limits,
    pub(crate) request_timeout: Duration,
    pub(crate) trusted_proxies: Vec<IpNet>,
    pub(crate) segment_script: Option<Bytes>,
    pub(crate) intake: Arc<dyn Intake>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) counters: Counters,
    pub(crate) meters: Meters,
    budget: Arc<Budget>,
    heavy: Semaphore,
}

/// A request whose body is there.
pub(crate) struct Received {
    /// The head.
    pub(crate) head: Arc<Parts>,
    /// The body, as it came.
    pub(crate) body: Bytes,
    pub(crate) client_ip: Option<IpAddr>,
    /// True when it came from a browser for certain.
    pub(crate) from_device: bool,
    pub(crate) at: UnixMillis,
    /// The pipelines at the time of its receipt.
    pub(crate) doors: Arc<Doors>,
    /// Held until the batch is durable.
    reservation: Reservation,
}

/// What a protocol has made of a body.
pub(crate) struct Decoded {
    /// Where it goes in, as a lookup of the doors gave it.
    pub(crate) door: Entrance,
    pub(crate) batch: Batch,
}

/// What became of a request: everything in it is durable.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// What the log says; none when there was nothing to store.
    pub(crate) admitted: Option<Admitted>,
    /// The items that were set aside for what they are: place in the body, code, reason. Empty when
    /// everything was set aside because the key was revoked: that is answered as if it were taken.
    pub(crate) set_aside: Vec<(usize, Code, String)>,
    /// The number of items.
    pub(crate) items: usize,
}

impl Received {
    fn is_heavy(&self) -> bool {
        let limit = if is_compressed(&self.body) { HEAVY_COMPRESSED_BYTES } else { HEAVY_BYTES };
        self.body.len() > limit
    }

    /// The body without compression.
    pub(crate) fn plain_body(&mut self, limits: &Limits) -> Result<Bytes, Refusal> {
        let body = std::mem::take(&mut self.body);
        let encoding = content_encoding(&self.head.headers);
        let reservation = &mut self.reservation;
        let mut full = None;
        let body = decode_body_within(body, &encoding, limits.inflated_bytes, |more| {
            full = reservation.grow(more).err();
            full.is_none()
        });
        full.map_or_else(|| Ok(body?), Err)
    }

    /// Asks for memory that decoding will take beside the body.
    pub(crate) fn reserve(&mut self, bytes: usize) -> Result<(), Refusal> {
        self.reservation.grow(bytes)
    }

    /// A header as text.
    pub(crate) fn header(&self, name: impl Into<HeaderName>) -> Option<&str> {
        self.head.headers.get(name.into())?.to_str().ok()
    }

    /// Gives the events of other protocols the ids of the page's Mixpanel cookie, for blueprints to
    /// use. Before the rules: what they take out goes here, too.
    fn offer_mixpanel_cookie(&self, door: &Door, batch: &mut Batch) {
        let Some(cookie) = door.mixpanel_cookie(&self.head.headers) else { return };
        for item in &mut batch.items {
            if let Item::Event(event) = item
                && event.passage.origin != Origin::Mixpanel
            {
                event.body = offer(&event.body, &cookie);
            }
        }
    }

    fn circumstances(&self) -> Circumstances<'_> {
        Circumstances {
            received_at: self.at,
            client_ip: self.client_ip,
            from_device: self.from_device,
            user_agent: self.header(header::USER_AGENT),
            cookies: self.header(header::COOKIE),
            global_privacy_control: self.header(HeaderName::from_static("sec-gpc")) == Some("1"),
        }
    }
}

impl Collector {
    pub(crate) fn new(
        options: CollectorOptions,
        intake: Arc<dyn Intake>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Collector {
        Collector {
            doors: CurrentDoors::new(Doors::new(&options.pipelines, entropy.next_u64())),
            limits: options.limits,
            request_timeout: options.request_timeout,
            trusted_proxies: options.trusted_proxies,
            segment_script: options.segment_script,
            counters: Counters::default(),
            meters: Meters::default(),
            budget: Budget::new(options.max_in_flight_bytes),
            heavy: Semaphore::new(HEAVY_AT_ONCE),
            intake,
            clock,
            entropy,
        }
    }

    /// Takes a request to its end. `early` judges the head alone, before the body is read; `decode`
    /// makes a batch of the body and may run on a blocking thread. The head comes back for the
    /// answer.
    pub(crate) async fn take(
        self: Arc<Collector>,
        request: Request,
        early: impl FnOnce(&Doors, &Parts) -> Result<(), Refusal>,
        decode: impl FnOnce(&Collector, &mut Received) -> Result<Decoded, Refusal> + Send + 'static,
    ) -> (Arc<Parts>, Result<Taken, Refusal>) {
        let alone = |collector: &Collector, received: &mut Received| {
            decode(collector, received).map(|decoded| vec![decoded])
        };
        self.take_several(request, early, alone).await
    }

    /// The same for a protocol whose bodies can be for several pipelines, one batch each: what is
    /// taken is durable as a whole, and a resend after a failure finds its first part to be
    /// duplicates. `Taken::set_aside` then counts places in each batch.
    pub(crate) async fn take_several(
        self: Arc<Collector>,
        request: Request,
        early: impl FnOnce(&Doors, &Parts) -> Result<(), Refusal>,
        decode: impl FnOnce(&Collector, &mut Received) -> Result<Vec<Decoded>, Refusal> + Send + 'static,
    ) -> (Arc<Parts>, Result<Taken, Refusal>) {
        let (parts, mut body) = request.into_parts();
        let head = Arc::new(parts);
        let taken = match self.receive(&head, &mut body, early).await {
            Ok(received) => Arc::clone(&self).carry(received, decode).await,
            Err(refusal) => {
                if refusal.code != Code::BodyIncomplete {
                    discard(&mut body, &head.headers, DISCARD_BYTES, self.request_timeout).await;
                }
                Err(refusal)
            }
        };
        if let Err(refusal) = &taken {
            Marks::refused(&head, refusal.code);
        }
        (head, taken)
    }

    /// Reads a request whose head does not already say that it is refused.
    async fn receive(
        &self,
        head: &Arc<Parts>,
        body: &mut Body,
        early: impl FnOnce(&Doors, &Parts) -> Result<(), Refusal>,
    ) -> Result<Received, Refusal> {
        early(&self.doors.get(), head)?;
        let mut reservation = self.budget.reserve();
        let (limit, timeout) = (self.limits.body_bytes, self.request_timeout);
        let body = read_body(body, &head.headers, limit, timeout, &mut reservation).await?;
        Ok(Received {
            body,
            client_ip: client_ip(head, &self.trusted_proxies),
            from_device: head.headers.contains_key(header::ORIGIN),
            at: self.clock.now(),
            head: Arc::clone(head),
            // Those of now: a key may have been revoked while its body arrived.
            doors: self.doors.get(),
            reservation,
        })
    }

    /// Carries a request to its end in a task of its own, which goes on when the client has gone.
    async fn carry(
        self: Arc<Collector>,
        received: Received,
        decode: impl FnOnce(&Collector, &mut Received) -> Result<Vec<Decoded>, Refusal> + Send + 'static,
    ) -> Result<Taken, Refusal> {
        tokio::spawn(async move { self.store(received, decode).await })
            .await
            .unwrap_or_else(|_| Err(stopping()))
    }

    async fn store(
        self: Arc<Collector>,
        received: Received,
        decode: impl FnOnce(&Collector, &mut Received) -> Result<Vec<Decoded>, Refusal> + Send + 'static,
    ) -> Result<Taken, Refusal> {
        let (prepared, _reservation) = if received.is_heavy() {
            let slot = heavy_slot(&self.heavy, self.request_timeout).await?;
            let collector = Arc::clone(&self);
            let work = move || collector.prepare(received, decode);
            let prepared = tokio::task::spawn_blocking(work).await;
            drop(slot);
            prepared.map_err(|_| stopping())??
        } else {
            self.prepare(received, decode)?
        };
        let mut taken = Taken::default();
        let mut parts = prepared.into_iter();
        while let Some(part) = parts.next() {
            if let Err(refusal) = self.admit(part, &mut taken).await {
                // Nor will those behind it be stored.
                for part in parts {
                    self.meters.refund(part.meter, part.batch.items.len());
                }
                return Err(refusal);
            }
        }
        Ok(taken)
    }

    async fn admit(&self, part: Prepared, taken: &mut Taken) -> Result<(), Refusal> {
        let Prepared { batch, revoked, meter } = part;
        let items = batch.items.len();
        taken.items += items;
        if batch.items.is_empty() {
            return Ok(());
        }
        for (place, item) in batch.items.iter().enumerate() {
            if revoked {
                break;
            }
            if let Item::SetAside(aside) = item {
                taken.set_aside.push((place, aside.code, aside.reason.clone()));
            }
        }
        match tokio::time::timeout(self.request_timeout, self.intake.admit(batch)).await {
            Ok(Ok(admitted)) => {
                taken.admitted = Some(admitted);
                Ok(())
            }
            Ok(Err(error)) => {
                self.meters.refund(meter, items);
                Err(Refusal::from(error))
            }
            // It may be stored yet; the client's resend is then found to be a duplicate.
            Err(_) => Err(Refusal::overloaded("writing takes too long at the moment")),
        }
    }

    /// Decodes a body and applies the rules of its pipelines.
    fn prepare(
        &self,
        mut received: Received,
        decode: impl FnOnce(&Collector, &mut Received) -> Result<Vec<Decoded>, Refusal>,
    ) -> Result<(Vec<Prepared>, Reservation), Refusal> {
        let parts = decode(self, &mut received)?;
        let moment = Moment { now: received.at, elapsed: self.clock.elapsed() };
        for (place, Decoded { door, batch }) in parts.iter().enumerate() {
            Marks::pipeline(&received.head, &door.id);
            let entered = door.judge_origin(&received.head.headers).and_then(|()| {
                let charged =
                    self.meters.charge(door.meter(), &door.limits, batch.items.len(), moment);
                charged.map_err(|wait| Refusal::too_fast(wait, received.at))
            });
            if let Err(refusal) = entered {
                // All or nothing: what the others were charged is not taken, either.
                for Decoded { door, batch } in parts.iter().take(place) {
                    self.meters.refund(door.meter(), batch.items.len());
                }
                return Err(refusal);
            }
        }
        let mut prepared = Vec::with_capacity(parts.len());
        for Decoded { door, mut batch } in parts {
            received.offer_mixpanel_cookie(&door, &mut batch);
            door.rules.govern(&mut batch, &received.circumstances());
            let revoked = door.is_revoked_at(received.at);
            if revoked {
                // After the rules: what they take out must not be kept here, either.
                set_all_aside(&mut batch, &self.limits);
            }
            prepared.push(Prepared { batch, revoked, meter: door.meter() });
        }
        Ok((prepared, received.reservation))
    }
}

/// A batch that is ready to be stored.
struct Prepared {
    batch: Batch,
    /// True when it came with a revoked key.
    revoked: bool,
    /// What it was counted on.
    meter: MeterId,
}

/// Sets the events of a revoked key aside, whole, so that they can be fed in again. What is broken
/// and what a rule keeps from being sent stays what it is.
fn set_all_aside(batch: &mut Batch, limits: &Limits) {
    let received_at = batch.received_at;
    for item in &mut batch.items {
        let Item::Event(event) = item else {
            continue;
        };
        let body = standing_alone(event, received_at, limits);
        *item = Item::SetAside(SetAside {
            origin: event.passage.origin,
            kind: Some(event.kind),
            code: Code::RevokedWriteKey,
            reason: "it came with a write key that was revoked".to_owned(),
            full_length: body.len() as u64,
            body,
        });
    }
}

/// A place among the heavy bodies. Behind a row of gzip bombs one could wait longer than any SDK
/// does, so the wait ends and the client hears when to come back.
async fn heavy_slot(heavy: &Semaphore, wait: Duration) -> Result<SemaphorePermit<'_>, Refusal> {
    match tokio::time::timeout(wait, heavy.acquire()).await {
        Ok(slot) => slot.map_err(|_| stopping()),
        Err(_) => Err(Refusal::overloaded("too many large bodies are being decoded at the moment")),
    }
}

fn stopping() -> Refusal {
    Refusal::from(millrace_model::intake::AdmitError::ShuttingDown)
}

fn content_encoding(headers: &HeaderMap) -> String {
    match headers.get(header::CONTENT_ENCODING) {
        // What is no text is no encoding that is known here.
        Some(value) => value.to_str().unwrap_or("?").to_owned(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_wait_behind_heavy_bodies_ends_with_a_time_to_come_back() {
        let heavy = Semaphore::new(1);
        let wait = Duration::from_secs(30);
        let slot = heavy_slot(&heavy, wait).await;
        let Err(refusal) = heavy_slot(&heavy, wait).await else { panic!("there is one slot") };
        assert_eq!(refusal.status, StatusCode::TOO_MANY_REQUESTS);
        assert!(refusal.retry_after.is_some());
        drop(slot);
        assert!(heavy_slot(&heavy, wait).await.is_ok());
    }
}
