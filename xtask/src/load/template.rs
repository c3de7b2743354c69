//! Requests prepared once and sent many times, each time with message ids of its own.

use anyhow::{Context as _, bail};
use base64::Engine as _;

/// How many characters of a message id a sender overwrites: the last group of a UUID.
const COUNTER_DIGITS: usize = 12;

/// A whole HTTP request whose message ids can be renumbered in place.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    /// The request, header and body.
    pub(crate) bytes: Vec<u8>,
    /// Where the counters of the message ids stand.
    counters: Vec<usize>,
}

impl Template {
    /// A `POST /v1/batch` of these events (JSON lines in Segment form with UUIDs as message ids).
    pub(crate) fn batch(events: &[&str], host: &str, write_key: &str) -> anyhow::Result<Template> {
        let mut body = String::from("{\"batch\":[");
        for (at, event) in events.iter().enumerate() {
            if at > 0 {
                body.push(',');
            }
            body.push_str(event);
        }
        body.push_str("]}");
        let key = base64::engine::general_purpose::STANDARD.encode(format!("{write_key}:"));
        let head = format!(
            "POST /v1/batch HTTP/1.1\r\nhost: {host}\r\nauthorization: Basic {key}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let bytes = [head.into_bytes(), body.into_bytes()].concat();
        let marker = b"\"messageId\":\"";
        let counters: Vec<usize> = memchr::memmem::find_iter(&bytes, marker)
            .map(|at| at + marker.len() + 36 - COUNTER_DIGITS)
            .collect();
        if counters.len() != events.len() {
            bail!("{} message ids in {} events", counters.len(), events.len());
        }
        Ok(Template { bytes, counters })
    }

    /// How many events the request has.
    pub(crate) fn events(&self) -> u64 {
        self.counters.len() as u64
    }

    /// Gives every event a message id that no other request has: `first`, `first + 1`, ...
    pub(crate) fn renumber(&mut self, first: u64) -> anyhow::Result<()> {
        for (at, number) in self.counters.iter().zip(first..) {
            let digits = format!("{:012x}", number & 0xffff_ffff_ffff);
            let place = self.bytes.get_mut(*at..*at + COUNTER_DIGITS).context("message id")?;
            place.copy_from_slice(digits.as_bytes());
        }
        Ok(())
    }
}
