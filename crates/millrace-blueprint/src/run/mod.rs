//! A plan over an event: one scan of its bytes, then the rules from the top.
//!
//! Every value is JSON text that lies somewhere: in the event, in the plan's constants, or in the
//! scratch of the [`Mapper`], which is used again for each event. Nothing is decoded unless a
//! function or a comparison needs it.

mod alone;
mod call;
mod checks;
mod each;
mod explain;
#[cfg(test)]
mod growth;
mod joins;
mod names;
mod need;
mod object;
mod profiles;
mod reshape;
mod rows;
mod scan;
mod test;
mod told;
mod value;

use std::cell::Cell;
use std::collections::HashSet;

use millrace_model::code::Code;
use millrace_model::disposition::FilterReason;
use millrace_model::event::{EventKind, Facts};
use millrace_model::id::InsertId;
use millrace_model::row::{LaneKey, Lanes, Mapped, ProjectKey, Rows};
use millrace_model::time::UnixMillis;

use crate::Plan;
use crate::explanation::Explanation;
use crate::plan::node::{Outcome, Rule};
use crate::syntax::ast::{Checks, TimeAhead};
use checks::Corrected;
use explain::Trace;
use object::Pending;
use scan::{Seen, Slot};
use value::Value;

/// An event as a mapper sees it.
#[derive(Clone, Copy, Debug)]
pub struct EventView<'a> {
    /// The call.
    pub kind: EventKind,
    /// What admission knows about it. Facts win over the members of the same name in the body.
    pub facts: &'a Facts,
    /// When it was received.
    pub received_at: UnixMillis,
    /// Its bytes: one JSON object.
    pub body: &'a [u8],
}

/// The first moment that Mixpanel takes, 1971-01-01 (reference/mixpanel-api.md 2.3).
const FIRST_TIME: UnixMillis = UnixMillis(31_536_000_000);

/// How far ahead of its receipt an event's time may lie. Mixpanel would set a later one to the
/// time of its own receipt, and a retry would not repeat that; we set it to ours
/// (reference/mixpanel-api.md 2.4).
const AHEAD_LIMIT: i64 = 3_600_000;

/// The time, or that of the receipt when it lies too far ahead of it and must not.
fn not_ahead(checks: Checks, time: UnixMillis, received_at: UnixMillis) -> UnixMillis {
    let ahead = time.0.saturating_sub(received_at.0) > AHEAD_LIMIT;
    if ahead && checks.time_ahead == TimeAhead::Receipt { received_at } else { time }
}

/// What may be made of one event before it is given up, in bytes: far above what rows can hold.
const ARENA_LIMIT: usize = 16 << 20;

/// Runs plans over events. One for each thread; its memory is used again.
#[derive(Debug, Default)]
pub struct Mapper {
    scratch: Scratch,
}

/// The memory of a mapper.
#[derive(Debug, Default)]
struct Scratch {
    slots: Vec<Slot>,
    /// The slots of the items around, the innermost last.
    items: Vec<Slot>,
    /// The members of the event's objects that are wanted as a whole.
    seen: Seen,
    /// For each node of a trie, the scan that has last seen it.
    stamps: Vec<u32>,
    stamp: u32,
    /// Values that were made for this event.
    arena: Vec<u8>,
    /// Members of the objects that are being built, the innermost last.
    pending: Vec<Pending>,
    /// For each explicit name of those objects, the member that wins.
    winners: Vec<u32>,
    buffers: Vec<Vec<u8>>,
    /// The insert ids of the event rows, once there are two.
    insert_ids: HashSet<InsertId>,
    agents: names::Agents,
    /// Only while an event is explained.
    trace: Option<Box<Trace>>,
}

impl Mapper {
    /// A mapper. It takes its memory with the first event.
    #[must_use]
    pub fn new() -> Mapper {
        Mapper::default()
    }

    /// Maps an event. The rows replace what is in `out`; there are some only with
    /// [`Mapped::Send`].
    pub fn map(&mut self, plan: &Plan, event: &EventView<'_>, out: &mut Rows) -> Mapped {
        out.clear();
        let mapped = match Run::start(plan, event, &mut self.scratch) {
            Ok(mut run) => {
                let mapped = run.rules(out);
                run.corrected.put(out);
                mapped
            }
            Err(stop) => stop.into_mapped(),
        };
        if mapped != Mapped::Send {
            out.clear();
        }
        mapped
    }

    /// Maps an event and tells how: the rules that were tried, and for each field of each row the
    /// line of the blueprint that wrote it and what went into it. From the same run as
    /// [`Mapper::map`], which notes what it does; there is no second evaluator.
    pub fn explain(&mut self, plan: &Plan, event: &EventView<'_>) -> Explanation {
        self.scratch.trace = Some(Box::new(Trace::of(plan)));
        let mut rows = Rows::default();
        let outcome = self.map(plan, event, &mut rows);
        let trace = self.scratch.trace.take().unwrap_or_default();
        Explanation {
            rules: trace.rules,
            rows: trace.rows,
            outcome,
            corrections: rows.corrections,
            cut_off: trace.cut_off,
        }
    }
}

/// The lane of an id. One that names a device is the same person as that anonymous id.
fn person_lane(id: &str) -> LaneKey {
    LaneKey::person(id.strip_prefix("$device:").unwrap_or(id))
}

/// The event as a whole cannot be sent.
#[derive(Debug)]
struct Stop {
    code: Code,
    message: String,
}

impl Stop {
    fn new(code: Code, message: impl Into<String>) -> Stop {
        Stop { code, message: message.into() }
    }

    fn into_mapped(self) -> Mapped {
        Mapped::SetAside { code: self.code, message: self.message }
    }
}

/// The slots of the innermost item.
#[derive(Clone, Copy, Debug, Default)]
struct Frame {
    /// Where they begin in `scratch.items`.
    start: usize,
    /// True when the item lies in the arena, false when it lies in the event's bytes.
    made: bool,
    /// The place of the item in its list.
    place: u32,
}

/// One run of a plan over an event.
struct Run<'a> {
    plan: &'a Plan,
    event: &'a EventView<'a>,
    /// The event's bytes, which are text: parts of it need not be checked again.
    body: &'a str,
    scratch: &'a mut Scratch,
    /// The event's time, or that of its receipt when it lies too far ahead of it.
    time: UnixMillis,
    frame: Frame,
    /// In how many `each` and `with` the run is.
    inside: u32,
    /// How many bytes of the event were read there.
    read_again: Cell<usize>,
    /// True while the run notes what it does.
    noting: bool,
    /// True while a value is made that stands nowhere itself: limits wait for its place.
    free: bool,
    /// What is made has passed a bound: the event is set aside with this code.
    overflow: Cell<Option<Code>>,
    /// What was changed or noticed.
    corrected: Corrected,
    /// The first value that was not of the kind that the blueprint needs.
    refused: Option<Stop>,
    /// The project of the action's rows, and whether they share their requests with no others.
    project: Option<ProjectKey>,
    alone: bool,
    lanes: Lanes,
    /// The insert id of the event's first row, once one is needed.
    insert_id: Option<InsertId>,
    /// The insert id of the first event row.
    first_id: Option<InsertId>,
    /// How many event rows there are, and how many link events.
    event_rows: u32,
    link_rows: u32,
}

impl<'a> Run<'a> {
    fn start(
        plan: &'a Plan,
        event: &'a EventView<'a>,
        scratch: &'a mut Scratch,
    ) -> Result<Run<'a>, Stop> {
        scratch.items.clear();
        scratch.arena.clear();
        scratch.pending.clear();
        scratch.winners.clear();
        scratch.insert_ids.clear();
        scratch.slots.clear();
        scratch.slots.resize(plan.trie.slots, Slot::default());
        let malformed = || Stop::new(Code::MappingFailed, "the event is not one JSON object");
        let body = std::str::from_utf8(event.body).map_err(|_| malformed())?;
        if u32::try_from(body.len()).is_err() {
            return Err(malformed());
        }
        scan::event(plan, event.body, scratch).map_err(|_| malformed())?;
        let time = not_ahead(plan.checks, event.facts.time, event.received_at);
        let noting = scratch.trace.is_some();
        let mut run = Run {
            plan,
            event,
            body,
            scratch,
            time,
            frame: Frame::default(),
            inside: 0,
            read_again: Cell::new(0),
            noting,
            free: false,
            overflow: Cell::new(None),
            corrected: Corrected::default(),
            refused: None,
            project: None,
            alone: false,
            lanes: Lanes::default(),
            insert_id: None,
            first_id: None,
            event_rows: 0,
            link_rows: 0,
        };
        run.lanes = run.person_lanes();
        Ok(run)
    }

    /// The lanes of the user, anonymous and previous id, as far as they are usable.
    fn person_lanes(&self) -> Lanes {
        let mut lanes = Lanes::default();
        for slot in self.plan.ids {
            let value = self.slot(slot);
            let mut spare = String::new();
            if let Some(text) = self.identifier_text(value, &mut spare) {
                lanes.add(person_lane(text));
            }
        }
        lanes
    }

    fn rules(&mut self, out: &mut Rows) -> Mapped {
        let plan = self.plan;
        let mut last: Option<&Rule> = None;
        for rule in &plan.rules {
            let matched = rule.kinds.has(self.event.kind) && self.holds(&rule.test);
            if let Some(trace) = &mut self.scratch.trace {
                trace.rule(rule, matched);
            }
            if let Some(stop) = self.refused.take() {
                return stop.into_mapped();
            }
            if !matched {
                continue;
            }
            last = Some(rule);
            match &rule.outcome {
                Outcome::Drop => {
                    let rule = Some(rule.name.clone());
                    return Mapped::Filtered { reason: FilterReason::DropRule, rule };
                }
                Outcome::SetAside { code, message } => {
                    return Stop::new(*code, message.clone()).into_mapped();
                }
                Outcome::Send(actions) => {
                    for action in actions {
                        if let Err(stop) = self.action(action, out) {
                            return stop.into_mapped();
                        }
                    }
                }
            }
            if !rule.go_on {
                break;
            }
        }
        if out.rows.is_empty() {
            let rule = last.map(|rule| rule.name.clone());
            return Mapped::Filtered { reason: FilterReason::NoRule, rule };
        }
        // A condition may have met a bound, and a row may be missing for it.
        self.within_bounds().map_or_else(Stop::into_mapped, |()| Mapped::Send)
    }

    fn slot(&self, slot: u16) -> Value {
        Value::of(self.scratch.slots.get(usize::from(slot)))
    }
}
