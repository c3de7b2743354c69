//! Objects: entries in the order of the text, spreads, and who wins for a name.
//!
//! All members are gathered first, then the winners are written. So a later member of a name
//! replaces an earlier one, one that has nothing replaces none, and no name is written twice.

use millrace_model::code::Code;
use millrace_model::correction::Correction;

use super::Run;
use super::value::Value;
use crate::json::cursor::{Cursor, DEPTH_LIMIT};
use crate::json::name::{self, NAME_LIMIT};
use crate::json::text;
use crate::plan::keys;
use crate::plan::node::{BLOCKED, EntryKind, FORBIDDEN, Filter, KNOWN, Object};
use crate::reserved;
use crate::syntax::ast::IdleRows;

/// Objects with more members are not built: no row may have as many
/// (reference/mixpanel-api.md 3.2, 2000 properties a profile).
pub(super) const GATHER_LIMIT: usize = 2000;

/// Up to so many members a name that comes again is looked for at once, one by one; with more of
/// them at the end, by sorting, so that the time does not grow with the square of their number.
const SEARCH_LIMIT: usize = 64;

/// A member that may be written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pending {
    /// The entry of the object that brought it.
    pub(super) entry: u32,
    /// Its name, for members of spreads; explicit ones have it in their entry.
    pub(super) name: Value,
    pub(super) value: Value,
    /// The number of an explicit name; none for others.
    number: Option<u16>,
    pub(super) hash: u64,
    pub(super) alive: bool,
    /// True when it starts with `$` and is not known.
    pub(super) unknown: bool,
}

/// The name of a member of a spread, and its hash.
#[derive(Clone, Copy, Debug)]
struct Named {
    name: Value,
    hash: u64,
}

/// The members of an object that is being gathered.
#[derive(Debug)]
pub(super) struct Gathering {
    /// Where they begin among all that are pending.
    base: usize,
    /// For the names of spread members, a bit each, by hash: a name whose bit is not there is new.
    names: u128,
}

impl Gathering {
    /// Of the members from this place on, of which none is there yet.
    pub(super) fn from(base: usize) -> Gathering {
        Gathering { base, names: 0 }
    }

    /// True when a name with this hash may have been there before. It has been from now on.
    fn may_hold(&mut self, hash: u64) -> bool {
        let bit = 1_u128 << (hash % 128);
        let before = self.names & bit != 0;
        self.names |= bit;
        before
    }
}

/// How the members of an object are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Members {
    /// As they are.
    Any,
    /// Numbers but 0, which adds nothing; other values are left out (`$add`).
    Numbers,
    /// Values that are no list become a list of one, and null is left out (`$union`).
    Lists,
    /// Null is left out (`$append`).
    Values,
}

/// How an object is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    pub(super) members: Members,
    /// The level of the members' values (1: the value of a property).
    pub(super) level: u8,
    /// False when members were written before.
    pub(super) first: bool,
}

impl<'a> Run<'a> {
    /// Builds an object that is a value itself.
    pub(super) fn nested_object(
        &mut self,
        object: &'a Object,
        level: u8,
        out: &mut Vec<u8>,
    ) -> bool {
        let level_below = level.saturating_add(1);
        let base = self.gather(object, level_below);
        out.push(b'{');
        let layout = Layout { members: Members::Any, level: level_below, first: true };
        let count = self.write_members(object, base, layout, out);
        out.push(b'}');
        self.close(count, level, out) || object.exact
    }

    /// Gathers the members of an object, whose values stand at `level`. Gives where they begin.
    pub(super) fn gather(&mut self, object: &'a Object, level: u8) -> usize {
        let base = self.scratch.pending.len();
        let mut gathering = Gathering::from(base);
        for (entry, place) in object.entries.iter().zip(0_u32..) {
            let before = self.scratch.pending.len();
            match &entry.what {
                EntryKind::Member { key, number, value, unknown } => {
                    let value = self.value(value, level);
                    if level == 1 {
                        self.corrected.name(key);
                    }
                    if !value.is_nothing() {
                        let pending = Pending {
                            entry: place,
                            name: Value::Nothing,
                            value,
                            number: Some(*number),
                            hash: 0,
                            alive: true,
                            unknown: *unknown,
                        };
                        self.scratch.pending.push(pending);
                    }
                }
                EntryKind::Spread { value, filter } => {
                    // Only its members stay: they stand at this level, the object one above.
                    let value = self.value(value, level.saturating_sub(1));
                    self.spread(object, &mut gathering, place, value, filter.as_ref());
                }
            }
            if self.noting {
                self.note_brought(before);
            }
        }
        base
    }

    pub(super) fn spread(
        &mut self,
        object: &Object,
        gathering: &mut Gathering,
        entry: u32,
        source: Value,
        filter: Option<&Filter>,
    ) {
        // Made objects lie in the arena, which may grow below: their members have to be found by
        // place, not by reference.
        let start = match source {
            Value::Event(slot) | Value::Piece(slot) => slot.start,
            Value::Made { start, .. } => start,
            Value::Nothing | Value::Constant(_) => return,
        };
        if self.json(source).first() != Some(&b'{') {
            return;
        }
        if let Value::Event(slot) = source
            && let Some(places) = self.scratch.seen.object(slot.start)
        {
            for place in places {
                let Some(seen) = self.scratch.seen.member(place) else { return };
                let mut name = Named { name: Value::Event(seen.name), hash: seen.hash };
                if seen.escaped {
                    name = self.plain_name(name.name);
                }
                self.spread_member(
                    object,
                    gathering,
                    entry,
                    name,
                    Value::Event(seen.value),
                    filter,
                );
                if self.overflow.get().is_some() {
                    return;
                }
            }
            return;
        }
        let mut cursor = Cursor::new(self.json(source));
        let mut more = cursor.open(b'}');
        let mut at = cursor.at;
        while more {
            let mut cursor = Cursor { bytes: self.json(source), at };
            let Ok((key, escaped)) = cursor.key() else { return };
            let from = cursor.at;
            let Ok(shape) = cursor.skip(DEPTH_LIMIT) else { return };
            let to = cursor.at;
            let Ok(next) = cursor.more(b'}') else { return };
            more = next;
            at = cursor.at;
            let part = |from: usize, to: usize| {
                let offset = |n: usize| u32::try_from(n).unwrap_or_default().saturating_add(start);
                let (start, end) = (offset(from), offset(to));
                let slot = super::scan::Slot { start, end, shape, null: false };
                match source {
                    Value::Made { .. } => Value::Made { start, end },
                    Value::Piece(_) => Value::Piece(slot),
                    _ => Value::Event(slot),
                }
            };
            let name = part(key.start, key.end);
            let name = if escaped { self.plain_name(name) } else { self.named(name) };
            self.spread_member(object, gathering, entry, name, part(from, to), filter);
            if self.overflow.get().is_some() {
                return;
            }
        }
    }

    fn named(&self, name: Value) -> Named {
        Named { name, hash: keys::hash(self.json(name)) }
    }

    /// A name with escapes in the one form in which names are compared and written.
    fn plain_name(&mut self, name: Value) -> Named {
        let mut decoded = String::new();
        text::decode(self.json(name), &mut decoded);
        let mut json = Vec::new();
        text::write_inner(&decoded, &mut json);
        if text::has_half(self.json(name)) {
            self.corrected.add_for(Correction::BrokenUnicode, &json);
        }
        let kept = self.keep(&json);
        self.named(kept)
    }

    fn spread_member(
        &mut self,
        object: &Object,
        gathering: &mut Gathering,
        entry: u32,
        named: Named,
        value: Value,
        filter: Option<&Filter>,
    ) {
        let Named { mut name, mut hash } = named;
        let bytes = self.json(name);
        if let Some(filter) = filter
            && filter.names.find(bytes, hash).is_some() != filter.keep
        {
            return;
        }
        if bytes.len() > NAME_LIMIT && !self.free {
            name = self.short_name(name);
            hash = keys::hash(self.json(name));
        }
        let mut number = object.keys.find(self.json(name), hash);
        if number == Some(FORBIDDEN) {
            name = self.other_name(name);
            hash = keys::hash(self.json(name));
            number = object.keys.find(self.json(name), hash);
        }
        let mut unknown = false;
        match number {
            Some(BLOCKED) => return,
            Some(KNOWN | FORBIDDEN) => number = None,
            None => unknown = self.is_unknown(object, name),
            Some(_) => {}
        }
        let base = gathering.base;
        let may_be_there = number.is_none() && gathering.may_hold(hash);
        if may_be_there && self.scratch.pending.len() - base <= SEARCH_LIMIT {
            let bytes = self.json(name);
            // The same name again, in this object or in an earlier spread: the last one wins.
            let same =
                self.scratch.pending.get(base..).unwrap_or_default().iter().position(|one| {
                    one.number.is_none()
                        && one.alive
                        && one.hash == hash
                        && self.json(one.name) == bytes
                });
            if let Some(earlier) = same.and_then(|at| self.scratch.pending.get_mut(base + at)) {
                earlier.alive = false;
            }
        }
        self.scratch.pending.push(Pending {
            entry,
            name,
            value,
            number,
            hash,
            alive: true,
            unknown,
        });
        if self.scratch.pending.len() - base > GATHER_LIMIT * 2 {
            self.overflow.set(Some(Code::TooManyProperties));
        }
    }

    /// True for the name of a property that starts with `$` and is not known.
    fn is_unknown(&self, object: &Object, name: Value) -> bool {
        let Some(home) = object.home else { return false };
        let name = self.json(name);
        name.first() == Some(&b'$')
            && !std::str::from_utf8(name).is_ok_and(|name| home.is_of_family(name))
    }

    /// A name that Mixpanel keeps whole, in place of one that it may cut.
    #[cold]
    fn short_name(&mut self, name: Value) -> Value {
        let mut decoded = String::new();
        text::decode(self.json(name), &mut decoded);
        let Some(short) = name::shortened(&decoded) else { return name };
        self.corrected.add(Correction::LongName, 1);
        let mut json = Vec::new();
        text::write_inner(&short, &mut json);
        self.corrected.name(&json);
        self.keep(&json)
    }

    /// The name under which a property is sent that cannot have its own.
    #[cold]
    fn other_name(&mut self, name: Value) -> Value {
        let other = std::str::from_utf8(self.json(name)).ok().and_then(reserved::permitted);
        let Some(other) = other else { return name };
        self.corrected.add_for(Correction::ForbiddenName, self.json(name));
        self.keep(other.as_bytes())
    }

    /// Buries each member of a spread whose name comes again behind it. With few members each was
    /// looked for when it came.
    pub(super) fn bury_repeated(&mut self, base: usize) {
        let gathered = self.scratch.pending.get(base..).unwrap_or_default();
        if gathered.len() <= SEARCH_LIMIT {
            return;
        }
        let spread = gathered.iter().zip(base..).filter(|(one, _)| one.number.is_none());
        let mut order: Vec<(u64, usize)> = spread.map(|(one, at)| (one.hash, at)).collect();
        let name = |at: usize| self.scratch.pending.get(at).map(|one| self.json(one.name));
        // By hash, and by name only where hashes meet, which somebody may bring about on purpose.
        order.sort_unstable_by(|(hash, at), (other_hash, other)| {
            let by_name = || name(*at).cmp(&name(*other)).then(at.cmp(other));
            hash.cmp(other_hash).then_with(by_name)
        });
        let repeated = order.windows(2).filter_map(|two| match two {
            [(hash, at), (next_hash, next)] if hash == next_hash && name(*at) == name(*next) => {
                Some(*at)
            }
            _ => None,
        });
        let buried: Vec<usize> = repeated.collect();
        for at in buried {
            if let Some(one) = self.scratch.pending.get_mut(at) {
                one.alive = false;
            }
        }
    }

    /// Writes the winners among the gathered members and forgets them all. Gives their number.
    pub(super) fn write_members(
        &mut self,
        object: &Object,
        base: usize,
        layout: Layout,
        out: &mut Vec<u8>,
    ) -> usize {
        let Layout { members, level, mut first } = layout;
        self.bury_repeated(base);
        let mut trace = if self.noting { self.scratch.trace.take() } else { None };
        let below = self.scratch.winners.len();
        self.scratch.winners.resize(below + object.names, 0);
        let gathered = self.scratch.pending.get(base..).unwrap_or_default();
        for (pending, place) in gathered.iter().zip(0_u32..) {
            if let Some(number) = pending.number
                && let Some(winner) = self.scratch.winners.get_mut(below + usize::from(number))
            {
                *winner = place;
            }
        }
        let idle = self.plan.checks.idle_rows == IdleRows::Send;
        let mut count = 0;
        for (pending, place) in gathered.iter().zip(0_u32..) {
            let wins = match pending.number {
                None => pending.alive,
                Some(number) => {
                    self.scratch.winners.get(below + usize::from(number)) == Some(&place)
                }
            };
            let json = self.json(pending.value);
            let taken = match members {
                Members::Any => true,
                Members::Numbers => adds(json, idle),
                Members::Lists | Members::Values => json != b"null",
            };
            if !wins || !taken {
                continue;
            }
            let entry = usize::try_from(pending.entry).ok().and_then(|at| object.entries.get(at));
            let name = match (pending.name, entry.map(|entry| &entry.what)) {
                (Value::Nothing, Some(EntryKind::Member { key, .. })) => key,
                (name, _) => self.json(name),
            };
            if let (Some(trace), Some(entry)) = (&mut trace, entry) {
                trace.member(
                    base.saturating_add(usize::try_from(place).unwrap_or_default()),
                    name,
                    entry,
                );
            }
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
            out.push(b'"');
            out.extend_from_slice(name);
            out.extend_from_slice(b"\":");
            let start = out.len();
            if members == Members::Lists && json.first() != Some(&b'[') {
                out.push(b'[');
                self.copy(self.deeper(pending.value), level.saturating_add(1), out);
                out.push(b']');
            } else {
                self.copy(pending.value, level, out);
            }
            if let Some(home) = object.home {
                self.notice(home, pending, name, out.get(start..).unwrap_or_default());
            }
            count += 1;
        }
        self.scratch.pending.truncate(base);
        self.scratch.winners.truncate(below);
        if let Some(mut trace) = trace {
            trace.forget(base);
            self.scratch.trace = Some(trace);
        }
        count
    }
}

/// True for what `$add` can add; a 0 changes nothing.
fn adds(json: &[u8], idle: bool) -> bool {
    let zero = || crate::json::number::parse(json) == Some(0.0);
    crate::json::careful::is_number(json) && (idle || !zero())
}
