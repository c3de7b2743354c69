//! The rules of a pipeline on whole batches.

mod mmdb;
mod places;
mod privacy;
mod rules;
mod world;
