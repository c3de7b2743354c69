//! Stored events as JSON: the line of an export and the entry of a view.
//!
//! The properties are copied as the bytes they were stored as. What ingestion adds
//! (reference/mixpanel-api.md 2.5) and what identity adds (4.1) is written around them.

use crate::json;
use crate::project::Data;
use crate::record::{EventsHead, StoredEvent};
use crate::table::Row;

/// The reason on an event whose device belongs to another user (S6).
const DEVICE_TAKEN: &str = "errAnonDistinctIdAssignedAlready";

/// Appends the export line of a row, without the line end.
pub(crate) fn export_line(out: &mut Vec<u8>, data: &Data, row: &Row, time_in_ms: bool) {
    let Some((event, head)) = data.events.event(row) else { return };
    out.extend_from_slice(b"{\"event\":");
    json::write(out, event.name);
    out.extend_from_slice(b",\"properties\":{\"time\":");
    json::write(out, &if time_in_ms { event.time } else { event.time.div_euclid(1_000) });
    let canonical = data.ids.text(data.links.resolve(row.distinct));
    member(out, "distinct_id", canonical);
    member(out, "$insert_id", event.insert_id);
    own_members(out, &event);
    added_members(out, &event, head);
    if row.link_failed() {
        member(out, "$identity_failure_reason", DEVICE_TAKEN);
    }
    let before = data.ids.text(row.distinct);
    if before != canonical {
        member(out, "$distinct_id_before_identity", before);
        member(out, "$is_reshuffled", &true);
        member(out, "$preshuffle_distinct_id", before);
    }
    out.extend_from_slice(b"}}");
}

/// Appends the entry of a row in a view.
pub(crate) fn view_entry(out: &mut Vec<u8>, data: &Data, row: &Row) {
    let Some((event, head)) = data.events.event(row) else { return };
    out.extend_from_slice(b"{\"event\":");
    json::write(out, event.name);
    member(out, "time", &event.time);
    member(out, "distinct_id", data.ids.text(data.links.resolve(row.distinct)));
    member(out, "original_distinct_id", data.ids.text(row.distinct));
    member(out, "insert_id", event.insert_id);
    member(out, "received_at", &head.received);
    member(out, "imported", &head.imported);
    member(out, "hidden", &row.hidden());
    member(out, "superseded", &row.superseded());
    if row.link_failed() {
        member(out, "identity_failure", DEVICE_TAKEN);
    }
    out.extend_from_slice(b",\"properties\":{");
    let start = out.len();
    own_members(out, &event);
    // The members are written with a comma in front, which the first must not have.
    if out.get(start) == Some(&b',') {
        out.remove(start);
    }
    out.extend_from_slice(b"}}");
}

/// `$user_id` and `$device_id`, filled in where the distinct id gave them (S7, S8), and the sent
/// properties.
fn own_members(out: &mut Vec<u8>, event: &StoredEvent<'_>) {
    if !event.user.is_empty() {
        member(out, "$user_id", event.user);
    }
    if !event.device.is_empty() {
        member(out, "$device_id", event.device);
    }
    if !event.properties.is_empty() {
        out.push(b',');
        out.extend_from_slice(event.properties);
    }
}

fn added_members(out: &mut Vec<u8>, event: &StoredEvent<'_>, head: &EventsHead) {
    member(out, "$mp_api_endpoint", &head.endpoint);
    member(out, "$mp_api_timestamp_ms", &head.received);
    member(out, "mp_processing_time_ms", &head.received);
    member(out, "$mp_event_size", &event.size);
    if head.imported {
        member(out, "$import", &true);
    }
}

fn member<T: serde::Serialize + ?Sized>(out: &mut Vec<u8>, name: &str, value: &T) {
    out.push(b',');
    json::write(out, name);
    out.push(b':');
    json::write(out, value);
}
