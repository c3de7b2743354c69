//! Delivery: what happens to an accepted event between the log and Mixpanel's answer.
//!
//! | module | owns |
//! | --- | --- |
//! | [`journal`] | the log's owner: admission, duplicates, positions, closes, the ledger |
//! | [`mixpanel`] | the client: how rows become requests, and the transport that carries them |
//! | [`receipt`] | reading an answer of Mixpanel: a verdict for each row or for the whole request |
//! | [`scheduler`] | which rows may leave next, in which request, and what an answer does to them |
//! | [`engine`] | the task of one integration that joins all of these |
//! | [`rehearsal`] | the same decisions against a script and a virtual clock, for dry runs and tests |
//!
//! Nothing here serves HTTP, and nothing here decides what a row says: that is the blueprint's.

pub mod engine;
pub mod journal;
pub mod mixpanel;
pub mod receipt;
pub mod rehearsal;
pub mod scheduler;
