//! Functions that give members other names, and the browsers of user agents.

use std::collections::{HashMap, HashSet};

use super::Run;
use super::object::{Gathering, Layout, Members};
use super::value::Value;
use crate::agent::{self, segment::Components};
use crate::json::text;
use crate::plan::keys;
use crate::plan::node::{Call, Object};

/// How many user agents are remembered before all are forgotten.
const AGENTS_LIMIT: usize = 1024;

/// Longer user agents are read each time: they are rare, and memory is bounded.
const AGENT_LENGTH_LIMIT: usize = 1024;

/// How many parameters of a query are read.
const QUERY_LIMIT: usize = 100;

/// The browser of a user agent, as JSON texts; empty for none.
#[derive(Debug, Default)]
pub(super) struct Browser {
    pub(super) name: Vec<u8>,
    pub(super) version: Vec<u8>,
    /// What Segment's destination reads; the name is there, if empty.
    pub(super) segment_name: Vec<u8>,
    pub(super) segment_version: Vec<u8>,
    /// What Syft's destination reads.
    pub(super) syft_version: Vec<u8>,
}

/// The browsers of the user agents seen last, by their JSON text. What a user agent gives depends
/// on nothing else, so that remembering it changes no answer.
#[derive(Debug, Default)]
pub(super) struct Agents {
    known: HashMap<Box<[u8]>, Browser>,
}

fn read(agent: &str) -> Browser {
    let mut browser = Browser::default();
    if let Some((name, version)) = agent::browser(agent) {
        text::write(name, &mut browser.name);
        if let Some(version) = version {
            text::write(version, &mut browser.version);
        }
    }
    text::write(agent::segment::browser(agent), &mut browser.segment_name);
    if let Some(version) = agent::segment::version(agent, Components::All) {
        text::write(version, &mut browser.segment_version);
    }
    if let Some(version) = agent::segment::version(agent, Components::Two) {
        text::write(version, &mut browser.syft_version);
    }
    browser
}

impl<'a> Run<'a> {
    /// A part of the browser that a user agent names.
    pub(super) fn browser(&mut self, value: Value, part: fn(&Browser) -> &Vec<u8>) -> Value {
        let mut fresh = None;
        let made = self.make(|run, out| {
            if let Some(known) = run.scratch.agents.known.get(run.json(value)) {
                out.extend_from_slice(part(known));
            } else if let Some(agent) = run.text(value, &mut String::new()) {
                let browser = read(agent);
                out.extend_from_slice(part(&browser));
                fresh = Some(browser);
            }
            !out.is_empty()
        });
        if let Some(browser) = fresh
            && self.json(value).len() <= AGENT_LENGTH_LIMIT
        {
            let key: Box<[u8]> = self.json(value).into();
            let known = &mut self.scratch.agents.known;
            if known.len() >= AGENTS_LIMIT {
                known.clear();
            }
            known.insert(key, browser);
        }
        made
    }

    /// A list as it is; another value as the only item of a list.
    pub(super) fn list_of(&mut self, value: Value, level: u8) -> Value {
        if self.json(value).first() == Some(&b'[') {
            return value;
        }
        self.make(|run, out| {
            out.push(b'[');
            run.copy(run.deeper(value), level.saturating_add(1), out);
            out.push(b']');
            run.close(1, level, out)
        })
    }

    /// The parameters in the query of a URL, as texts. Of two of a name the first counts, those
    /// without a value do not, nor those behind the first [`QUERY_LIMIT`].
    pub(super) fn query(&mut self, value: Value) -> Value {
        let mut spare = String::new();
        let mut found: Vec<(String, String)> = Vec::new();
        if let Some((_, query)) = self.text(value, &mut spare).and_then(|url| url.split_once('?')) {
            let query = query.split('#').next().unwrap_or_default();
            for (name, value) in form_urlencoded::parse(query.as_bytes()).take(QUERY_LIMIT) {
                if !value.is_empty() && found.iter().all(|(other, _)| *other != name) {
                    found.push((name.into_owned(), value.into_owned()));
                }
            }
        }
        self.make(|_, out| {
            let mut before = b'{';
            for (name, value) in &found {
                out.push(std::mem::replace(&mut before, b','));
                text::write(name, out);
                out.push(b':');
                text::write(value, out);
            }
            out.push(b'}');
            !found.is_empty()
        })
    }

    /// An object with a text in front of each name.
    pub(super) fn prefixed(&mut self, value: Value, call: &'a Call, level: u8) -> Value {
        let prefix = self.value(&call.second, 1);
        let object = Object::default();
        let base = self.scratch.pending.len();
        self.spread(&object, &mut Gathering::from(base), 0, value, None);
        for at in base..self.scratch.pending.len() {
            let Some(name) = self.scratch.pending.get(at).map(|one| one.name) else { continue };
            let inner = self.json(prefix);
            let inner = inner.get(1..inner.len().saturating_sub(1)).unwrap_or_default();
            let longer = [inner, self.json(name)].concat();
            let longer = self.keep(&longer);
            // A prefix may come from the event, too.
            if self.overflow.get().is_some() {
                break;
            }
            if let Some(one) = self.scratch.pending.get_mut(at) {
                one.name = longer;
            }
        }
        self.close_object(&object, base, level)
    }

    /// An object with some of its members under other names. Where two come to the same name, the
    /// earlier pair wins, and any pair wins over a member that has the name by itself.
    pub(super) fn renamed(&mut self, value: Value, call: &'a Call, level: u8) -> Value {
        let object = Object::default();
        let base = self.scratch.pending.len();
        self.spread(&object, &mut Gathering::from(base), 0, value, None);
        self.bury_repeated(base);
        // For each pair that was met, the place of its member.
        let mut met: Vec<(u16, usize)> = Vec::new();
        // The new names, by hash, and the places of members that get one.
        let (mut news, mut own) = (Vec::new(), HashSet::new());
        for at in base..self.scratch.pending.len() {
            let Some(one) = self.scratch.pending.get(at).copied() else { continue };
            let pair = call.names.find(self.json(one.name), one.hash);
            let new = pair.and_then(|pair| call.renames.get(usize::from(pair)).copied());
            if let (Some(pair), Some(new), true) = (pair, new, one.alive) {
                met.push((pair, at));
                own.insert(at);
                news.push((keys::hash(self.json(Value::Constant(new))), new));
            }
        }
        met.sort_unstable();
        news.sort_unstable();
        news.dedup();
        for at in (base..self.scratch.pending.len()).filter(|at| !own.contains(at)) {
            let Some(one) = self.scratch.pending.get(at) else { continue };
            let first = news.partition_point(|(hash, _)| *hash < one.hash);
            let mut same = news.iter().skip(first).take_while(|(hash, _)| *hash == one.hash);
            let taken =
                same.any(|(_, new)| self.json(Value::Constant(*new)) == self.json(one.name));
            if taken && let Some(one) = self.scratch.pending.get_mut(at) {
                one.alive = false;
            }
        }
        // Equal constants are one constant.
        let mut taken = HashSet::new();
        for (pair, at) in met {
            let Some(new) = call.renames.get(usize::from(pair)).copied() else { continue };
            let hash = keys::hash(self.json(Value::Constant(new)));
            if let Some(one) = self.scratch.pending.get_mut(at) {
                one.name = Value::Constant(new);
                one.hash = hash;
                one.alive = taken.insert(new);
            }
        }
        self.close_object(&object, base, level)
    }

    /// Writes the gathered members as an object that is a value.
    pub(super) fn close_object(&mut self, object: &Object, base: usize, level: u8) -> Value {
        self.make(|run, out| {
            out.push(b'{');
            let below = level.saturating_add(1);
            let layout = Layout { members: Members::Any, level: below, first: true };
            let count = run.write_members(object, base, layout, out);
            out.push(b'}');
            run.close(count, level, out)
        })
    }
}
