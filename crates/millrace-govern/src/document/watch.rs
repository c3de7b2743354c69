//! Many paths as one automaton, and the one pass over an event that finds what they name.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use foldhash::fast::FixedState;
use millrace_protocol::json::{Fault, Scanner, Span, name, text};

use super::path::{Path, Step};

/// A path of a [`Watch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathId(u32);

/// What a path finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The value at its place, whatever it is.
    Whole,
    /// The value at its place if it is no object or list; else every such value inside.
    Leaves,
}

/// A value that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The path that names it.
    pub path: PathId,
    /// The place of the value.
    pub value: Span,
    /// True when a later copy of a key on the way to it takes its place for every reader.
    pub shadowed: bool,
    /// Where its member (the key) or item begins.
    pub(super) start: u32,
    pub(super) comma_before: Option<u32>,
    pub(super) comma_after: Option<u32>,
    /// The place of the bracket that it stands in.
    pub(super) container: u32,
    /// Its number in there.
    pub(super) ordinal: u32,
}

/// Everything that was found in one event, in the order of the bytes.
#[derive(Debug, Default)]
pub struct Finds {
    found: Vec<Found>,
    whole: Span,
}

impl Finds {
    /// The place of the whole event, without blanks around it.
    #[must_use]
    pub fn whole(&self) -> Span {
        self.whole
    }

    /// Everything, in the order of the bytes; an object comes before what stands in it.
    pub fn iter(&self) -> impl Iterator<Item = &Found> {
        self.found.iter()
    }

    /// All copies at a path.
    pub fn all(&self, path: PathId) -> impl Iterator<Item = &Found> {
        self.found.iter().filter(move |found| found.path == path)
    }

    /// The one that counts: of the copies of a key the last.
    #[must_use]
    pub fn last(&self, path: PathId) -> Option<&Found> {
        self.found.iter().rev().find(|found| found.path == path && !found.shadowed)
    }

    /// The text that counts at a path, if it is text and has any Unicode meaning.
    #[must_use]
    pub fn text<'a>(&self, path: PathId, bytes: &'a [u8]) -> Option<Cow<'a, str>> {
        text(self.last(path)?.value.of(bytes))
    }

    /// The id that counts at a path: a text that is not empty, or a number as it is written.
    #[must_use]
    pub fn id<'a>(&self, path: PathId, bytes: &'a [u8]) -> Option<Cow<'a, str>> {
        let raw = self.last(path)?.value.of(bytes);
        match raw.first() {
            Some(b'"') => text(raw).filter(|id| !id.is_empty()),
            Some(b'-' | b'0'..=b'9') => Some(String::from_utf8_lossy(raw)),
            _ => None,
        }
    }
}

#[derive(Debug, Default)]
struct Node {
    members: HashMap<Box<[u8]>, u32, FixedState>,
    /// Tells most names that are not among the members without a look at them.
    sieve: Sieve,
    every_member: Option<u32>,
    items: Vec<(u32, u32)>,
    every_item: Option<u32>,
    /// The node that stands for any number of further steps.
    deep: Option<u32>,
    /// Stays active in everything inside.
    stays: bool,
    ends: Vec<PathId>,
    /// Paths that end here at values that are no object or list.
    leaves: Vec<PathId>,
}

/// A set of names that may hold more than was put in.
#[derive(Debug, Default)]
pub(crate) struct Sieve([u64; 4]);

impl Sieve {
    /// The place of a name, of its length and two of its letters.
    pub(crate) fn place(name: &[u8]) -> (usize, u64) {
        let letter = |at: usize| usize::from(name.get(at).copied().unwrap_or_default());
        let mixed = name.len() * 37 + letter(0) * 5 + letter(name.len() / 2) * 11;
        (mixed / 64 % 4, 1 << (mixed % 64))
    }

    pub(crate) fn put(&mut self, name: &[u8]) {
        let (part, bit) = Sieve::place(name);
        if let Some(part) = self.0.get_mut(part) {
            *part |= bit;
        }
    }

    pub(crate) fn may_hold(&self, (part, bit): (usize, u64)) -> bool {
        self.0.get(part).is_some_and(|part| part & bit != 0)
    }
}

impl Node {
    fn leads_on(&self) -> bool {
        self.stays
            || self.deep.is_some()
            || self.every_member.is_some()
            || self.every_item.is_some()
            || !self.items.is_empty()
            || !self.members.is_empty()
    }
}

/// The paths of a pipeline.
#[derive(Debug)]
pub struct Watch {
    nodes: Vec<Node>,
    count: u32,
}

impl Default for Watch {
    fn default() -> Watch {
        Watch { nodes: vec![Node::default()], count: 0 }
    }
}

impl PathId {
    /// The number of paths that were added before it.
    pub(crate) const fn number(self) -> usize {
        self.0 as usize
    }
}

impl Watch {
    /// Adds a path. Each call gives an id of its own.
    pub fn add(&mut self, path: &Path, reach: Reach) -> PathId {
        let id = PathId(self.count);
        self.count += 1;
        let mut at = 0;
        for step in path.steps() {
            at = self.follow(at, step);
        }
        if reach == Reach::Leaves {
            at = self.follow(at, &Step::AnyDepth);
        }
        if let Some(node) = self.nodes.get_mut(at as usize) {
            match reach {
                Reach::Whole => node.ends.push(id),
                Reach::Leaves => node.leaves.push(id),
            }
        }
        id
    }

    /// Adds a path that this program itself looks at. One that is no path finds nothing.
    pub(crate) fn look_at(&mut self, path: &str) -> PathId {
        match Path::parse(path) {
            Ok(path) => self.add(&path, Reach::Whole),
            Err(_) => {
                self.count += 1;
                PathId(self.count - 1)
            }
        }
    }

    /// True when there is nothing to look for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The node after a step, made if it is not there yet.
    fn follow(&mut self, at: u32, step: &Step) -> u32 {
        let new = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        let Some(node) = self.nodes.get_mut(at as usize) else { return at };
        let next = match step {
            Step::Member(name) => {
                node.sieve.put(name.as_bytes());
                *node.members.entry(name.as_bytes().into()).or_insert(new)
            }
            Step::EveryMember => *node.every_member.get_or_insert(new),
            Step::Item(number) => match node.items.iter().find(|(item, _)| item == number) {
                Some((_, next)) => *next,
                None => {
                    node.items.push((*number, new));
                    new
                }
            },
            Step::EveryItem => *node.every_item.get_or_insert(new),
            Step::AnyDepth if node.stays => at,
            Step::AnyDepth => *node.deep.get_or_insert(new),
        };
        if next == new {
            self.nodes.push(Node { stays: *step == Step::AnyDepth, ..Node::default() });
        }
        next
    }

    /// Finds everything in one JSON value, which may have blanks around it.
    ///
    /// # Errors
    /// When the bytes are not JSON, or nested past the bound of the scanner.
    pub fn find(&self, bytes: &[u8]) -> Result<Finds, Fault> {
        let mut walk = Walk {
            watch: self,
            bytes,
            scanner: Scanner::new(bytes),
            // Room for an event as they are, so that none of these grows step by step.
            found: Vec::with_capacity(32),
            whole: Span::default(),
            states: Vec::with_capacity(32),
            frames: Vec::with_capacity(8),
            visits: Vec::with_capacity(32),
        };
        walk.run()?;
        Ok(Finds { found: walk.found, whole: walk.whole })
    }
}

/// An object or list that the walk is in.
struct Frame {
    is_object: bool,
    first: bool,
    /// The place of its bracket.
    bracket: u32,
    /// Its states are from here to `states_end`; those of its values come after.
    states: usize,
    states_end: usize,
    /// The visits that led into it, and where those inside begin.
    led: Range<usize>,
    /// The number of its current value.
    ordinal: u32,
    comma_before: Option<u32>,
    /// What was found at the container itself, whose end is not known yet.
    own: Range<usize>,
}

/// A node that a key of an open object has led to, and what was found from there on.
struct Visit {
    node: u32,
    found: Range<usize>,
}

struct Walk<'a> {
    watch: &'a Watch,
    bytes: &'a [u8],
    scanner: Scanner<'a>,
    found: Vec<Found>,
    whole: Span,
    /// The active nodes, a stack: those of an open container stay until it ends.
    states: Vec<u32>,
    frames: Vec<Frame>,
    /// The visits of the open objects, a stack as well.
    visits: Vec<Visit>,
}

impl<'a> Walk<'a> {
    fn run(&mut self) -> Result<(), Fault> {
        self.activate(0, 0);
        self.scanner.peek();
        self.value(0, 0, self.scanner.place())?;
        while let Some(frame) = self.frames.last_mut() {
            if frame.is_object {
                match self.scanner.next_key(&mut frame.first)? {
                    Some(key) => self.member(key)?,
                    None => self.leave(),
                }
            } else if self.scanner.next_item(&mut frame.first)? {
                self.item()?;
            } else {
                self.leave();
            }
        }
        self.scanner.end()
    }

    /// Adds a node, and what it stands for without a further step, to the states above `from`.
    fn activate(&mut self, from: usize, node: u32) {
        if self.states.get(from..).is_some_and(|above| above.contains(&node)) {
            return;
        }
        self.states.push(node);
        // The node behind has no such node itself, so this ends.
        if let Some(deep) = self.node(node).and_then(|node| node.deep) {
            self.activate(from, deep);
        }
    }

    fn node(&self, node: u32) -> Option<&'a Node> {
        self.watch.nodes.get(node as usize)
    }

    /// The active node at a place of the stack.
    fn state(&self, at: usize) -> Option<(u32, &'a Node)> {
        let state = self.states.get(at).copied()?;
        Some((state, self.node(state)?))
    }

    fn member(&mut self, key: Span) -> Result<(), Fault> {
        let Some(frame) = self.frames.last() else { return Ok(()) };
        let (active, siblings) = (frame.states..frame.states_end, frame.led.end);
        let (from, led) = (self.states.len(), self.visits.len());
        let bytes = self.bytes;
        let name = name(key.of(bytes));
        let place = Sieve::place(&name);
        for at in active {
            let Some((state, node)) = self.state(at) else { continue };
            if node.stays {
                self.activate(from, state);
            }
            if let Some(every) = node.every_member {
                self.activate(from, every);
            }
            if !node.sieve.may_hold(place) {
                continue;
            }
            if let Some(named) = node.members.get(name.as_ref()).copied() {
                self.shadow(siblings..led, named);
                self.activate(from, named);
                let found = self.found.len()..self.found.len();
                self.visits.push(Visit { node: named, found });
            }
        }
        self.value(from, led, key.range().start)
    }

    /// What was found behind an earlier copy of a key counts no more.
    fn shadow(&mut self, siblings: Range<usize>, node: u32) {
        for visit in self.visits.get(siblings).unwrap_or_default() {
            if visit.node == node {
                for found in self.found.get_mut(visit.found.clone()).unwrap_or_default() {
                    found.shadowed = true;
                }
            }
        }
    }

    fn item(&mut self) -> Result<(), Fault> {
        let Some(frame) = self.frames.last() else { return Ok(()) };
        let (active, number) = (frame.states..frame.states_end, frame.ordinal);
        let from = self.states.len();
        for at in active {
            let Some((state, node)) = self.state(at) else { continue };
            if node.stays {
                self.activate(from, state);
            }
            if let Some(every) = node.every_item {
                self.activate(from, every);
            }
            if let Some((_, next)) = node.items.iter().find(|(item, _)| *item == number) {
                self.activate(from, *next);
            }
        }
        self.scanner.peek();
        self.value(from, self.visits.len(), self.scanner.place())
    }

    /// Takes the value that comes next: its states are those above `from`, its visits those above
    /// `led`, and `start` is where its member or item begins.
    fn value(&mut self, from: usize, led: usize, start: usize) -> Result<(), Fault> {
        let is_object = match self.scanner.peek() {
            Some(b'{') => Some(true),
            Some(b'[') => Some(false),
            _ => None,
        };
        let begin = self.scanner.place();
        let own = self.found.len();
        let leads_on = self.emit(from, is_object.is_none(), begin, start);
        let own = own..self.found.len();
        if let Some(is_object) = is_object.filter(|_| leads_on) {
            self.scanner.enter()?;
            self.frames.push(Frame {
                is_object,
                first: true,
                bracket: position(begin),
                states: from,
                states_end: self.states.len(),
                led: led..self.visits.len(),
                ordinal: 0,
                comma_before: None,
                own,
            });
            return Ok(());
        }
        self.scanner.value()?;
        self.ended(begin, own, led..self.visits.len());
        self.states.truncate(from);
        Ok(())
    }

    /// Notes what the active nodes above `from` name here. True when they lead further in.
    fn emit(&mut self, from: usize, is_leaf: bool, begin: usize, start: usize) -> bool {
        let (container, ordinal, comma_before) = match self.frames.last() {
            Some(frame) => (frame.bracket, frame.ordinal, frame.comma_before),
            None => (0, 0, None),
        };
        let mut leads_on = false;
        for at in from..self.states.len() {
            let Some((_, node)) = self.state(at) else { continue };
            leads_on |= node.leads_on();
            let leaves = if is_leaf { node.leaves.as_slice() } else { &[] };
            self.found.extend(node.ends.iter().chain(leaves).map(|path| Found {
                path: *path,
                value: self.scanner.span_from(begin),
                shadowed: false,
                start: position(start),
                comma_before,
                comma_after: None,
                container,
                ordinal,
            }));
        }
        leads_on
    }

    /// The innermost container has ended.
    fn leave(&mut self) {
        let Some(frame) = self.frames.pop() else { return };
        self.states.truncate(frame.states);
        self.visits.truncate(frame.led.end);
        self.ended(frame.bracket as usize, frame.own, frame.led);
    }

    /// A value has ended: its place is now known, and what comes after it.
    fn ended(&mut self, begin: usize, own: Range<usize>, led: Range<usize>) {
        let value = self.scanner.span_from(begin);
        let more = self.scanner.peek() == Some(b',');
        let comma = more.then(|| position(self.scanner.place()));
        for found in self.found.get_mut(own).unwrap_or_default() {
            found.value = value;
            found.comma_after = comma;
        }
        let end = self.found.len();
        for visit in self.visits.get_mut(led).unwrap_or_default() {
            visit.found.end = end;
        }
        match self.frames.last_mut() {
            Some(frame) => {
                frame.ordinal += 1;
                frame.comma_before = comma;
            }
            None => self.whole = value,
        }
    }
}

/// Bodies are below 4 GiB, or the scanner's own places would not hold.
fn position(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
