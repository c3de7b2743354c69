//! What of a person's data is stored: values hashed, masked or removed by their place (B-04).
//!
//! Invariants: every copy of a value at a place that a rule names is treated, and what stands beside the
//! event's bytes (its message id, address and hash) holds nothing of it. The same value gives the same
//! hash everywhere, so that events still join.
//!
//! Not here: keys of objects, values inside of encoded texts, and texts that merely mention a value.

mod copies;
mod presets;
mod query;
mod treatment;

use std::ops::Range;

use millrace_model::event::{DedupeKey, Event, SetAside};
use millrace_model::id::PipelineId;
use millrace_model::passage::{NoteKind, Origin};
use millrace_model::secret::Secret;
use millrace_protocol::json::{text, write_text};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::document::{Edits, Finds, Found, Path, PathError, PathId, Reach, Watch};

use copies::Copies;
pub use presets::{PRESETS, preset};
pub use query::Parameter;
use treatment::{Hasher, mask};

/// What is done to a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// It is replaced by its hash; in an object or list, every text and number is.
    Hash,
    /// It is replaced by what is useful of it; in an object or list, every text and number is.
    Mask,
    /// It is taken out.
    Remove,
}

impl Treatment {
    const fn note(self) -> NoteKind {
        match self {
            Treatment::Hash => NoteKind::Hashed,
            Treatment::Mask => NoteKind::Masked,
            Treatment::Remove => NoteKind::Removed,
        }
    }
}

/// A place that a rule names: a path, or parameters of the address at a path, as in
/// `$.context.page.url?email`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    path: Path,
    parameter: Option<Parameter>,
    text: String,
}

impl Place {
    /// The place as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Reads a place.
    ///
    /// # Errors
    /// When the text is none.
    pub fn parse(text: &str) -> Result<Place, PathError> {
        let after_brackets = text.rfind(']').unwrap_or(0);
        let (path, parameter) = match text.rfind('?').filter(|at| *at > after_brackets) {
            None => (text, None),
            Some(at) => {
                let (path, name) = text.split_at_checked(at).unwrap_or((text, ""));
                let parameter = match name.get(1..).unwrap_or_default() {
                    "" => return Err(PathError::NoName),
                    "*" => Parameter::Every,
                    name => Parameter::Named(name.to_owned()),
                };
                (path, Some(parameter))
            }
        };
        Ok(Place { path: Path::parse(path)?, parameter, text: text.to_owned() })
    }
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrivacyRule {
    /// Where.
    pub place: Place,
    /// What is done.
    pub treatment: Treatment,
}

/// All rules of privacy. Of two for the same value the first is applied; a removal of what
/// it stands in goes before both.
#[derive(Clone, Debug)]
pub struct PrivacyOptions {
    /// The rules.
    pub rules: Vec<PrivacyRule>,
    /// The key of the hashes. Without one, whoever guesses a value can check the guess.
    pub secret: Option<Secret>,
    /// How many characters a mask shows of what is neither an address nor an e-mail. Default 4.
    pub keep_last: usize,
    /// Whether 64 hexadecimal digits are hashed as any other text. Default false.
    pub hash_again: bool,
}

impl Default for PrivacyOptions {
    fn default() -> PrivacyOptions {
        PrivacyOptions { rules: Vec::new(), secret: None, keep_last: 4, hash_again: false }
    }
}

#[derive(Debug)]
pub(crate) struct Privacy {
    rules: Vec<PrivacyRule>,
    /// The paths of the rules, which are one after the other in the watch.
    ids: Range<usize>,
    sent_at: PathId,
    copies: Copies,
    hasher: Hasher,
    keep_last: usize,
    /// What is done to the address, and to the message id, that stand beside the event.
    client_ip: Option<(Treatment, String)>,
    message_id: Option<String>,
}

/// What became of the values of an event, before any of it is written.
#[derive(Debug, Default)]
pub(crate) struct Treated {
    /// A value as it was, and what it is now.
    pub(crate) values: Vec<(String, Option<String>)>,
    notes: Vec<(NoteKind, usize)>,
}

impl Privacy {
    pub(crate) fn new(options: PrivacyOptions, watch: &mut Watch) -> Privacy {
        let copies = Copies::new(watch);
        let sent_at = watch.look_at("$.sentAt");
        let first = sent_at.number() + 1;
        add(&options.rules, watch);
        let concerns = |sample: &str| {
            let mut own = Watch::default();
            add(&options.rules, &mut own);
            let finds = own.find(sample.as_bytes()).unwrap_or_default();
            let rule = finds.iter().find_map(|found| options.rules.get(found.path.number()));
            rule.filter(|rule| rule.place.parameter.is_none())
                .map(|rule| (rule.treatment, rule.place.text.clone()))
        };
        Privacy {
            ids: first..first + options.rules.len(),
            sent_at,
            copies,
            hasher: Hasher::new(options.secret.as_ref(), options.hash_again),
            keep_last: options.keep_last,
            client_ip: concerns(r#"{"context":{"ip":"192.0.2.1"}}"#),
            message_id: concerns(r#"{"messageId":"1"}"#).map(|(_, place)| place),
            rules: options.rules,
        }
    }

    /// True when a rule may concern something in this event.
    pub(crate) fn concerns(&self, finds: &Finds) -> bool {
        finds.iter().any(|found| self.ids.contains(&found.path.number()))
    }

    /// Says what becomes of every value that a rule names.
    pub(crate) fn treat(&self, finds: &Finds, bytes: &[u8], edits: &mut Edits) -> Treated {
        let mut treated = Treated::default();
        let mut found = finds.iter().filter(|found| self.ids.contains(&found.path.number()));
        let mut next = found.next();
        while let Some(first) = next {
            // All rules for one value: they come one after the other.
            let mut rules = Vec::new();
            while let Some(same) = next.filter(|same| same.value == first.value) {
                rules.push(same.path.number() - self.ids.start);
                next = found.next();
            }
            rules.sort_unstable();
            self.treat_value(first, &rules, bytes, edits, &mut treated);
        }
        self.copies.govern(finds, bytes, &treated, &self.hasher, edits);
        treated
    }

    fn treat_value(
        &self,
        found: &Found,
        rules: &[usize],
        bytes: &[u8],
        edits: &mut Edits,
        treated: &mut Treated,
    ) {
        let raw = found.value.of(bytes);
        let numbered = || rules.iter().filter_map(|at| Some((*at, self.rules.get(*at)?)));
        if let Some((at, rule)) = numbered().find(|(_, rule)| rule.place.parameter.is_none()) {
            treated.notes.push((rule.treatment.note(), at));
            if rule.treatment == Treatment::Remove {
                edits.remove(found);
                treated.remember_all(raw);
                return;
            }
            let value = match raw.first() {
                Some(b'"') => text(raw),
                Some(b'-' | b'0'..=b'9') => Some(String::from_utf8_lossy(raw)),
                // What says yes, no or nothing says nothing about a person.
                _ => {
                    treated.notes.pop();
                    return;
                }
            };
            let new = match &value {
                Some(value) if value.is_empty() => {
                    treated.notes.pop();
                    return;
                }
                Some(value) => self.change(rule.treatment, value),
                // Half of a surrogate pair: no Unicode text, so its bytes have to do.
                None => self.change(rule.treatment, &String::from_utf8_lossy(raw)),
            };
            edits.replace(found.value, json_text(&new));
            treated.values.extend(value.map(|value| (value.into_owned(), Some(new))));
            return;
        }
        if raw.first() != Some(&b'"') {
            return;
        }
        let Some(address) = text(raw) else {
            // Its parameters cannot be told apart.
            treated.notes.extend(numbered().map(|(at, rule)| (rule.treatment.note(), at)));
            return edits.replace(found.value, b"null".to_vec());
        };
        let rule_of = |name: &str| {
            let mut rules = numbered();
            rules.find(|(_, rule)| rule.place.parameter.as_ref().is_some_and(|one| one.is(name)))
        };
        let new = query::treat(&address, |name, value| {
            let (at, rule) = rule_of(name)?;
            let value = value();
            let new = match rule.treatment {
                Treatment::Remove => None,
                Treatment::Hash | Treatment::Mask => Some(self.change(rule.treatment, &value)),
            };
            treated.notes.push((rule.treatment.note(), at));
            treated.values.push((value, new.clone()));
            Some(new)
        });
        if let Some(new) = new {
            edits.replace(found.value, json_text(&new));
        }
    }

    fn change(&self, treatment: Treatment, value: &str) -> String {
        match treatment {
            Treatment::Hash => self.hasher.hash(value),
            Treatment::Mask => mask(value, self.keep_last),
            Treatment::Remove => String::new(),
        }
    }

    /// Does to an event what the rules say: its bytes, and what stands beside them.
    pub(crate) fn govern(
        &self,
        event: &mut Event,
        pipeline: &PipelineId,
        finds: &Finds,
        mut edits: Edits,
    ) -> Treated {
        let treated = self.treat(finds, &event.body, &mut edits);
        let mut notes = treated.notes.clone();
        notes.sort_unstable();
        notes.dedup();
        for (kind, rule) in notes {
            if let Some(rule) = self.rules.get(rule) {
                event.passage.note(kind, rule.place.text.as_str());
            }
        }
        self.govern_facts(event, pipeline, &treated);
        if !edits.is_empty() {
            let sent_at = finds.last(self.sent_at).map(|found| found.value).unwrap_or_default();
            let (body, sent_at) = edits.apply_following(&event.body, sent_at);
            // The hash of the event as it came would let anybody who guesses a value check it.
            event.body_hash = content_hash(&body, sent_at);
            event.body = body.into();
        }
        treated
    }

    fn govern_facts(&self, event: &mut Event, pipeline: &PipelineId, treated: &Treated) {
        if let (Some(ip), Some((treatment, place))) = (&event.facts.client_ip, &self.client_ip) {
            let new = match treatment {
                Treatment::Remove => None,
                Treatment::Hash | Treatment::Mask => Some(self.change(*treatment, ip)),
            };
            event.facts.client_ip = new;
            event.passage.note(treatment.note(), place.as_str());
        }
        // An id that a protocol makes of other values may hold what was taken out of them.
        let tells = treated.tells(&event.facts.message_id);
        if self.message_id.is_some() || tells {
            event.facts.message_id = self.hasher.hash(&event.facts.message_id);
        }
        if event.passage.origin == Origin::Mixpanel {
            // Made of name, person, time and insert id together: it stays so, under the secret.
            if !treated.values.is_empty() {
                let key = self.hasher.bytes(&event.dedupe_key.0.to_be_bytes());
                event.dedupe_key = DedupeKey::new(pipeline, &key);
            }
        } else if self.message_id.is_some() || tells {
            event.dedupe_key = DedupeKey::new(pipeline, &event.facts.message_id);
        }
    }

    /// Does to an item that was set aside what the rules say. Of what they cannot be applied to
    /// for certain only a hash and the length stay: it is no JSON, it was cut, or it stands in a form
    /// of its protocol's own and a rule names a place of the canonical one.
    pub(crate) fn govern_set_aside(&self, aside: &mut SetAside, watch: &Watch) {
        let canonical = matches!(aside.origin, Origin::Spec | Origin::Datafly | Origin::Browser)
            || self.rules.iter().all(|rule| rule.place.path.is_anywhere());
        let whole = aside.full_length == aside.body.len() as u64;
        let finds = if canonical && whole { watch.find(&aside.body).ok() } else { None };
        let Some(finds) =
            finds.filter(|finds| finds.whole().of(&aside.body).first() == Some(&b'{'))
        else {
            aside.body = format!("sha256:{}", self.hasher.bytes(&aside.body)).into();
            return;
        };
        let mut edits = Edits::default();
        self.treat(&finds, &aside.body, &mut edits);
        if !edits.is_empty() {
            let body = edits.apply(&aside.body);
            aside.full_length = body.len() as u64;
            aside.body = body.into();
        }
    }

    /// What an id looks like to people who may not see it.
    pub(crate) fn shown(&self, id: &str, treated: &Treated) -> Option<String> {
        let now = treated.values.iter().find(|(value, _)| value == id);
        Some(match now {
            Some((_, Some(new))) => new.clone(),
            Some((_, None)) => self.hasher.hash(id),
            None => return None,
        })
    }
}

impl Treated {
    /// True when a text holds one of the values as they were.
    fn tells(&self, text: &str) -> bool {
        let holds = |value: &str| text == value || (value.len() >= 4 && text.contains(value));
        self.values.iter().any(|(value, _)| holds(value))
    }

    /// Remembers every text and number within a value that is removed.
    fn remember_all(&mut self, raw: &[u8]) {
        let mut open: Vec<serde_json::Value> = serde_json::from_slice(raw).into_iter().collect();
        while let Some(value) = open.pop() {
            match value {
                serde_json::Value::String(text) if !text.is_empty() => {
                    self.values.push((text, None));
                }
                serde_json::Value::Number(number) => self.values.push((number.to_string(), None)),
                serde_json::Value::Array(items) => open.extend(items),
                serde_json::Value::Object(members) => open.extend(members.into_values()),
                serde_json::Value::String(_)
                | serde_json::Value::Bool(_)
                | serde_json::Value::Null => {}
            }
        }
    }
}

fn add(rules: &[PrivacyRule], watch: &mut Watch) {
    for rule in rules {
        let whole = rule.treatment == Treatment::Remove && rule.place.parameter.is_none();
        watch.add(&rule.place.path, if whole { Reach::Whole } else { Reach::Leaves });
    }
}

/// A hash of an event but for the value of its `sentAt`, which a resend renews.
fn content_hash(body: &[u8], sent_at: Option<Range<usize>>) -> u64 {
    let Some(sent_at) = sent_at else { return xxh3_64(body) };
    let before = body.get(..sent_at.start).unwrap_or_default();
    xxh3_64_with_seed(body.get(sent_at.end..).unwrap_or_default(), xxh3_64(before))
}

fn json_text(text: &str) -> Vec<u8> {
    let mut json = Vec::with_capacity(text.len() + 2);
    write_text(text, &mut json);
    json
}
