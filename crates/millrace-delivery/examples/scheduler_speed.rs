//! How many rows a second the scheduler handles, when many identities send and when few do.
//!
//! The window is kept full, every request is answered well, and nothing is sent: what is measured
//! is the choice of rows alone. Run with `cargo run --release --example scheduler_speed`.

#![expect(clippy::print_stdout, reason = "its output is its purpose")]

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use millrace_delivery::receipt::Receipt;
use millrace_delivery::scheduler::{
    Limits, MappedEvent, ProjectKeys, ProjectNumber, RequestId, Scheduler,
};
use millrace_model::entropy::SeededEntropy;
use millrace_model::id::{Position, Seq};
use millrace_model::row::{Endpoint, LaneKey, Lanes, Row, RowRole};
use millrace_model::time::{Clock as _, SystemClock};

const ROWS: u64 = 1_000_000;
/// How long an answer takes.
const ANSWER: Duration = Duration::from_millis(20);

fn main() {
    // Rows that come at a time, and the simulated time between: a backlog, and a stream of single
    // events.
    for (portion, step) in [(200, 100), (1, 30), (20, 1_000)] {
        for identities in [1, 20, 200, 2_000, 20_000, 1_000_000] {
            let clock = SystemClock::default();
            let requests = run(identities, portion, Duration::from_micros(step));
            let seconds = clock.elapsed().as_secs_f64();
            println!(
                "{portion:>4} rows in {step:>4} us of {identities:>8} identities: {:>9.0} events/s, {requests} requests",
                ROWS as f64 / seconds
            );
        }
    }
}

/// Sends all rows; the number of requests.
fn run(identities: u64, portion: u64, step: Duration) -> u64 {
    let mut scheduler =
        Scheduler::new(Limits::default(), ProjectKeys::default(), Arc::new(SeededEntropy::new(1)));
    scheduler.token_is_proven(ProjectNumber::OWN);
    let bytes = Bytes::from_static(&[b'x'; 200]);
    let (mut pushed, mut ended, mut now) = (0, 0, Duration::from_secs(1));
    let mut flights: VecDeque<(RequestId, Duration)> = VecDeque::new();
    while ended < ROWS {
        now += step;
        if scheduler.has_room() && pushed < ROWS {
            for number in pushed..pushed + portion {
                push(&mut scheduler, now, number, identities, &bytes);
            }
            pushed += portion;
        }
        while let Some(outgoing) = scheduler.next_request(now) {
            flights.push_back((outgoing.id, now + ANSWER));
        }
        while let Some((id, _)) = flights.pop_front_if(|(_, due)| *due <= now) {
            scheduler.answer(now, id, Receipt::Delivered);
        }
        ended += scheduler.take_closed().len() as u64;
    }
    scheduler.totals().requests
}

fn push(scheduler: &mut Scheduler, now: Duration, number: u64, identities: u64, bytes: &Bytes) {
    let mut lanes = Lanes::default();
    // Spread without a pattern: the golden ratio as a fraction of 2^64.
    let identity = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % identities;
    lanes.add(LaneKey(identity));
    lanes.add(LaneKey(identity + (1 << 40)));
    let row = |endpoint, role| Row {
        endpoint,
        role,
        repeatable: true,
        lanes,
        insert_id: None,
        project: None,
        alone: false,
        body: 0..bytes.len(),
    };
    // Every tenth event is an identify: a link, for which the user's later rows wait everywhere,
    // and a profile update.
    let rows = match number % 10 {
        0 => vec![row(Endpoint::Import, RowRole::Joins), row(Endpoint::Engage, RowRole::Plain)],
        _ => vec![row(Endpoint::Import, RowRole::Plain)],
    };
    let position = Position { seq: Seq(number), index: 0 };
    let event = MappedEvent { position, perhaps_sent: false, bytes: bytes.clone(), rows: &rows };
    scheduler.push(now, &event);
}
