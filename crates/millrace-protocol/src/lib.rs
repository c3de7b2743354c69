//! Decoding of what SDKs put on the wire, without I/O, clock or async.
//!
//! The caller brings the bytes of a request and gets items for the log. The steps are apart,
//! because the write key may stand in the body and decides which pipeline the items are for:
//!
//! ```text
//! bytes ── inflate ──> JSON ── Envelope::read ──> write key ── Envelope::admit ──> Batch
//! ```
//!
//! Invariants: no input panics or recurses; everything is bounded by [`Limits`]; what is refused as
//! a whole is only what cannot be read as a whole, because every SDK throws a refused batch away
//! (`reference/sdk-wire-formats.md` section 6). Anything else costs the one item that is wrong.
//!
//! | module | owns |
//! | --- | --- |
//! | [`limits`] | [`Limits`]: sizes, counts and depth |
//! | [`error`] | [`DecodeError`]: why a whole body is refused |
//! | [`inflate`] | gzip, byte order mark and UTF-8 repair |
//! | [`json`] | a JSON scanner that validates in one pass and never recurses |
//! | [`segment`] | the Segment and RudderStack calls |
//! | [`pixel`] | image requests of Segment, RudderStack and Datafly |
//! | [`webhook`] | payloads of other systems, by a declared mapping |
//! | [`syft`] | Syft's upload form |
//! | [`mixpanel`] | the calls of Mixpanel's own SDKs |
//! | [`edge`] | the events of Adobe's Edge Network, and the cookies beside them |

pub mod edge;
pub mod error;
pub mod inflate;
pub mod json;
pub mod limits;
pub mod mixpanel;
pub mod pixel;
pub mod segment;
pub mod syft;
pub mod webhook;

pub use error::DecodeError;
pub use limits::Limits;
