//! A Mixpanel in bad mood, which checks the order of what it gets.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use millrace_delivery::mixpanel::TransportErrorKind;
use millrace_model::entropy::{Entropy, SeededEntropy};
use serde_json::json;

use crate::world::{Reply, Seen, broken, good, reply};

/// What the far end has taken so far, per user: the numbers with a clear answer.
#[derive(Default)]
pub(crate) struct FarEnd {
    clear: BTreeMap<String, BTreeSet<usize>>,
}

impl FarEnd {
    /// Checks that each row comes after all earlier ones of its user, then answers by chance.
    pub(crate) fn answer(&mut self, seen: &Seen, chance: &SeededEntropy) -> Reply {
        if seen.is_probe() {
            return good(seen);
        }
        let rows: Vec<(String, usize)> = seen
            .rows
            .iter()
            .map(|row| {
                let name = row["event"].as_str().unwrap().parse().unwrap();
                (row["user"].as_str().unwrap().to_owned(), name)
            })
            .collect();
        for (place, (user, number)) in rows.iter().enumerate() {
            let clear = self.clear.entry(user.clone()).or_default();
            assert!(!clear.contains(number), "{user} {number} was sent after a clear answer");
            for earlier in 0..*number {
                let before = rows[..place].contains(&(user.clone(), earlier));
                assert!(before || clear.contains(&earlier), "{user}: {number} before {earlier}");
            }
        }
        let mut answer = match chance.below(7) {
            0 => broken(TransportErrorKind::Reset),
            1 => broken(TransportErrorKind::Connect),
            2 => reply(503, &json!({})),
            3 if rows.len() > 1 => reply(413, &json!({"error": "too large"})),
            4 if rows.len() > 1 => {
                let failed = json!([{"index": rows.len() - 1, "message": "odd"}]);
                let taken = rows.len() - 1;
                let body = json!({"num_records_imported": taken, "failed_records": failed});
                reply(400, &body)
            }
            _ => good(seen),
        };
        if answer.answer.as_ref().is_ok_and(|response| matches!(response.status, 200 | 400)) {
            for (user, number) in rows {
                self.clear.entry(user).or_default().insert(number);
            }
        }
        answer.after = Duration::from_millis(chance.below(200));
        answer
    }
}
