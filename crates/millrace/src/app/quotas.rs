//! What keys with a quota have sent today, kept in a small file of the data folder: hashes of keys
//! and counts. Written every ten seconds and at the end, so a crash forgets ten seconds at most.

use std::io::Write as _;
use std::path::Path;
use std::{fs, io};

use millrace_http::{DayUsage, MeterId};
use serde_json::{Map, Value, json};

/// The name of the file.
pub(super) const FILE: &str = "quotas.json";
/// More than this was not written here.
const MAX_BYTES: u64 = 16 << 20;

/// What the file says. None when there is none, or it cannot be read: counting then begins anew.
pub(super) fn load(path: &Path) -> Option<DayUsage> {
    if fs::metadata(path).ok()?.len() > MAX_BYTES {
        return None;
    }
    let value: Value = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    let day = value.get("day")?.as_i64()?;
    let events = value.get("events")?.as_object()?.iter().filter_map(|(id, count)| {
        Some((MeterId(u128::from_str_radix(id, 16).ok()?), count.as_u64()?))
    });
    Some(DayUsage { day, events: events.collect() })
}

/// Puts a new file in the place of the old. Without counts and without a file there is none to put.
pub(super) fn save(path: &Path, usage: &DayUsage) -> io::Result<()> {
    if usage.events.is_empty() && !path.exists() {
        return Ok(());
    }
    let events: Map<String, Value> =
        usage.events.iter().map(|(id, count)| (format!("{:032x}", id.0), json!(count))).collect();
    let text = json!({ "day": usage.day, "events": events }).to_string();
    let new = path.with_extension("json.new");
    let mut file = fs::File::create(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_is_loaded_and_what_is_broken_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        let nothing = DayUsage { day: 5, events: Vec::new() };
        save(&path, &nothing).unwrap();
        assert!(!path.exists() && load(&path).is_none());
        let usage =
            DayUsage { day: 20_000, events: vec![(MeterId(7), 3), (MeterId(u128::MAX), 9)] };
        save(&path, &usage).unwrap();
        assert_eq!(load(&path), Some(usage));
        save(&path, &nothing).unwrap();
        assert_eq!(load(&path), Some(nothing));
        for broken in ["", "{}", "[1]", "{\"day\":1}", "{\"day\":1,\"events\":[]}"] {
            fs::write(&path, broken).unwrap();
            assert_eq!(load(&path), None, "{broken}");
        }
    }
}
