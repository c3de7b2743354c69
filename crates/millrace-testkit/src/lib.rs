//! Tools for tests: a simulated disk.
