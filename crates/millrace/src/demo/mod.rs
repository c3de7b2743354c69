//! The demo: a sample shop's traffic, the lines of an events file, and the
//! feeder that posts either through the collector.

pub mod feed;
pub mod lines;
pub mod traffic;
