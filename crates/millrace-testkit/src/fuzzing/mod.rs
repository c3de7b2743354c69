//! What the fuzzers run: one function for each decoder, which takes any bytes and fails when an
//! invariant does. `fuzz/` gives them to libFuzzer; the ordinary tests replay the inputs that it kept.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a fuzzer looks for panics; these assert what must hold"
)]

mod edge;
mod govern;
mod mixpanel;
mod pixel;
mod record;
mod segment;
mod syft;
mod webhook;

pub use edge::edge;
pub use govern::govern;
pub use mixpanel::mixpanel;
pub use pixel::pixel;
pub use record::record;
pub use segment::segment;
pub use syft::syft;
pub use webhook::webhook;

/// A fuzzed decoder and its name, which is also that of its corpus.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 8] = [
    ("edge", edge),
    ("govern", govern),
    ("mixpanel", mixpanel),
    ("pixel", pixel),
    ("record", record),
    ("segment", segment),
    ("syft", syft),
    ("webhook", webhook),
];
