//! Load: prepared requests over plain sockets, and a destination that only answers.

pub(crate) mod generator;
pub(crate) mod http;
pub(crate) mod sink;
pub(crate) mod template;
