//! Queries of pixels, in the forms of all three systems. The first byte chooses the call.

use millrace_model::event::EventKind;
use millrace_protocol::Limits;
use millrace_protocol::pixel;
use millrace_protocol::segment::{Call, Envelope};

/// One input.
pub fn pixel(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else { return };
    let Some(kind) = EventKind::SPEC.get(usize::from(first % 6)) else { return };
    let query = String::from_utf8_lossy(rest);
    let limits = Limits::default();
    let _ = pixel::write_key(&query);
    assert!(pixel::kept(&query).len() <= query.len() * 16 + 16);
    let Ok(read) = pixel::read(*kind, &query, &limits) else { return };
    // What is made of members must be good JSON; `data` is the sender's own.
    if !query.contains("data")
        && let Err(error) = Envelope::read(Call::Single(*kind), read.message.clone(), &limits)
    {
        panic!("{error}: {}", String::from_utf8_lossy(&read.message));
    }
}
