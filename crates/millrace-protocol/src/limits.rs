//! The limits of a collector. It does not enforce them: the decoder and the HTTP layer do.

/// Sizes, counts and depth that the collector takes.
///
/// The defaults let through what every known SDK sends (`reference/sdk-wire-formats.md` sections 2
/// to 5) and keep what one request can cost in memory small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a body as it came, before decompression. Default 10 MiB: the largest batch of an
    /// SDK is 4 MB (rudder-sdk-python, uncompressed). Over it: 413 for the request.
    pub body_bytes: usize,
    /// Bytes of a body after decompression. Default 32 MiB; decompression stops there, so a bomb
    /// costs no more. Over it: 413 for the request.
    pub inflated_bytes: usize,
    /// Bytes of one event. Default 1 MiB, what Mixpanel takes for one event; SDKs stop at or warn
    /// above 32 KB. Over it: the event is set aside.
    pub event_bytes: usize,
    /// Items of one batch. Default 5,000; SDKs send 100 or fewer. It bounds the memory that a body
    /// of tiny items takes. Over it: 413 for the request, with nothing stored.
    pub batch_events: usize,
    /// How deep the JSON of one event may be nested, itself included. Default 64. Over it: the
    /// event is set aside.
    pub depth: usize,
    /// Bytes that are kept of an item that is set aside. Default 32 KiB.
    pub kept_bytes: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            body_bytes: 10 << 20,
            inflated_bytes: 32 << 20,
            event_bytes: 1 << 20,
            batch_events: 5_000,
            depth: 64,
            kept_bytes: 32 << 10,
        }
    }
}
