//! Places for connections: a bounded number, and at the bound a new client takes the place of the one
//! that has kept the server waiting longest.
//!
//! A connection waits while nothing can be done for it: it is idle, sends its TLS handshake, its
//! request head or its body. It stops waiting when a whole request is there, and begins again, as
//! the youngest, when that was answered. So neither thousands of idle connections nor as many that
//! send a byte a second keep others out, and no request that is there whole is ever cut off for
//! another.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// All places.
#[derive(Debug)]
pub(crate) struct Slots {
    free: Arc<Semaphore>,
    waiting: Mutex<Waiting>,
}

/// The connections that wait for their clients, the longest first.
#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    by_age: BTreeMap<u64, Arc<Notify>>,
}

impl Slots {
    pub(crate) fn new(count: usize) -> Arc<Slots> {
        let free = Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS)));
        Arc::new(Slots { free, waiting: Mutex::default() })
    }

    /// A place for a connection that is there. At the bound the connection that waits longest loses
    /// its own; when none waits, this does.
    pub(crate) async fn take(self: Arc<Self>) -> Option<Arc<Slot>> {
        let permit = match Arc::clone(&self.free).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => {
                self.cut_longest();
                Arc::clone(&self.free).acquire_owned().await.ok()?
            }
        };
        let cut = Arc::new(Notify::new());
        let slot = Slot { slots: self, cut, place: Mutex::new(None), _permit: permit };
        slot.waits();
        Some(Arc::new(slot))
    }

    /// Cuts the connection off that waits longest. False when none does.
    pub(crate) fn cut_longest(&self) -> bool {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((_, cut)) = waiting.by_age.pop_first() else {
            return false;
        };
        cut.notify_one();
        true
    }
}

/// The place of one connection; free again when it is dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    slots: Arc<Slots>,
    cut: Arc<Notify>,
    /// Where it stands among those that wait.
    place: Mutex<Option<u64>>,
    _permit: OwnedSemaphorePermit,
}

impl Slot {
    /// From now on it waits for its client, as the youngest that does.
    pub(crate) fn waits(&self) {
        let mut place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        let mut waiting = self.slots.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(former) = place.take()
            && waiting.by_age.remove(&former).is_none()
        {
            // It is being cut off already.
            return;
        }
        let number = waiting.next;
        waiting.next += 1;
        waiting.by_age.insert(number, Arc::clone(&self.cut));
        *place = Some(number);
    }

    /// A whole request is there, and nobody may cut it off any more.
    pub(crate) fn works(&self) {
        let place = self.place.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(place) = place {
            let mut waiting = self.slots.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.by_age.remove(&place);
        }
    }

    /// Resolves when the place is wanted for another.
    pub(crate) async fn cut(&self) {
        self.cut.notified().await;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.works();
    }
}

/// The body of a request, which tells the connection's place when all of it is there.
pub(crate) struct Arriving {
    body: Incoming,
    slot: Arc<Slot>,
}

impl Arriving {
    pub(crate) fn new(body: Incoming, slot: Arc<Slot>) -> Arriving {
        slot.waits();
        if body.is_end_stream() {
            slot.works();
        }
        Arriving { body, slot }
    }
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if self.body.is_end_stream() || frame.is_none() {
            self.slot.works();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn the_longest_waiting_gives_way_and_a_working_one_does_not() {
        let slots = Slots::new(3);
        let take = || Arc::clone(&slots).take();
        let (first, second, third) =
            (take().await.unwrap(), take().await.unwrap(), take().await.unwrap());
        first.works();
        second.waits();
        // Now the third waits longest.
        let mut fourth = Box::pin(take());
        assert!(fourth.as_mut().now_or_never().is_none());
        assert!(third.cut().now_or_never().is_some());
        assert!(second.cut().now_or_never().is_none() && first.cut().now_or_never().is_none());
        // One that is being cut off is no longer among those that wait, whatever it does.
        third.waits();
        drop(third);
        let fourth = fourth.await.unwrap();
        fourth.works();
        second.works();
        assert!(!slots.cut_longest(), "none waits");
        first.waits();
        assert!(slots.cut_longest());
        assert!(first.cut().now_or_never().is_some());
    }
}
