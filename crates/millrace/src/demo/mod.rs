//! The demo: a sample shop's traffic, and the feeder that posts events through the collector.

pub mod feed;
pub mod traffic;
