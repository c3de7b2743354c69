//! Consent: what a person allows, read from their event and its request, and what the pipeline
//! makes of it (DESIGN 9.8).
//!
//! | module | owns |
//! | --- | --- |
//! | `vocabulary` | what the codes of consent platforms mean: code to canonical categories |
//! | `evidence` | statements of several sources made one, in their order |
//! | `event`, `values` | reading the event itself |
//! | `cookies`, `tcf` | reading the cookies of consent platforms, and IAB consent strings |
//! | `google` | Consent Mode v2 from the canonical categories |
//! | `rewriting` | what strip mode leaves of an event; categories written into it |
//!
//! Every event of a pipeline with these rules leaves them with
//! [`Passage::consent`](millrace_model::passage::Passage): what was said, what holds where nothing
//! was said, and whose it is. The journal keeps the newest of each person from that, and the
//! engines ask both. An event that the pipeline refuses leaves no byte, but what its person said
//! goes on, as hashes of its ids: a withdrawal counts for what they did before, too.

mod cookies;
mod event;
mod evidence;
mod google;
mod rewriting;
mod tcf;
mod values;
mod vocabulary;

use millrace_model::disposition::FilterReason;
use millrace_model::event::{Batch, Event, EventKind, Filtered, Item, SetAside};
use millrace_model::id::PipelineId;
use millrace_model::passage::{Consent, ESSENTIAL, NoteKind};

use crate::rules::Circumstances;
use event::Places;
use evidence::{Evidence, Statement};
use vocabulary::Vocabulary;

pub use cookies::{CookieFormat, CustomCookie};
pub use tcf::TcfMeaning;
pub use vocabulary::{Category, normalised};

/// What holds where a person has said nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Unsaid {
    /// It is allowed.
    Allow,
    /// It is denied. The default: consent is not to be assumed.
    #[default]
    Deny,
    /// The event is kept without what tells who its person is.
    Strip,
}

impl Unsaid {
    /// The name in configurations and traces.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Unsaid::Allow => "allow",
            Unsaid::Deny => "deny",
            Unsaid::Strip => "strip",
        }
    }
}

/// The settings of a pipeline's consent, as plain data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsentOptions {
    /// The categories without which an event is not taken: canonical ones or codes. Default none.
    pub required: Vec<String>,
    /// What holds where nothing is said.
    pub unsaid: Unsaid,
    /// What codes mean beyond the known ones, or instead.
    pub categories: Vec<(String, Vec<Category>)>,
    /// What the purposes of IAB consent strings mean.
    pub tcf: TcfMeaning,
    /// Further cookies that hold consent.
    pub cookies: Vec<CustomCookie>,
    /// What the header `Sec-GPC: 1` denies. Default marketing.
    pub global_privacy_control: Vec<Category>,
    /// Whether the categories, and Consent Mode's view of them, are written into the event.
    pub annotate: bool,
}

impl ConsentOptions {
    /// True for a canonical category and for a code that has a meaning, in the spelling of
    /// [`normalised`].
    #[must_use]
    pub fn knows(&self, code: &str) -> bool {
        Vocabulary::with(self.categories.iter().cloned()).meaning(code, true).is_some()
    }
}

impl Default for ConsentOptions {
    fn default() -> ConsentOptions {
        ConsentOptions {
            required: Vec::new(),
            unsaid: Unsaid::default(),
            categories: Vec::new(),
            tcf: TcfMeaning::default(),
            cookies: Vec::new(),
            global_privacy_control: vec![Category::Marketing],
            annotate: false,
        }
    }
}

/// The consent rules of a pipeline.
#[derive(Debug)]
pub struct ConsentRules {
    options: ConsentOptions,
    vocabulary: Vocabulary,
}

/// What the policy makes of some evidence.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Take,
    Strip,
    /// The category and why, for the trace.
    Refuse(String),
}

impl ConsentRules {
    /// The rules of these options.
    #[must_use]
    pub fn new(mut options: ConsentOptions) -> ConsentRules {
        options.required = options.required.iter().filter_map(|name| normalised(name)).collect();
        let vocabulary = Vocabulary::with(options.categories.iter().cloned());
        ConsentRules { options, vocabulary }
    }

    /// The settings.
    #[must_use]
    pub fn options(&self) -> &ConsentOptions {
        &self.options
    }

    /// Reads what is said of each item and applies the policy. Comes after the privacy rules, so
    /// that whose consent it is follows from the ids as they are stored.
    pub fn govern(&self, batch: &mut Batch, circumstances: &Circumstances<'_>) {
        let cookies = circumstances.cookies.unwrap_or_default();
        let said = cookies::read(cookies, &self.options.cookies, &self.options.tcf);
        for item in &mut batch.items {
            let filtered = match item {
                Item::Event(event) => {
                    self.judge_event(event, &batch.pipeline, &said, circumstances)
                }
                Item::SetAside(aside) => self.judge_broken(aside, &said, circumstances),
                Item::Duplicate(_) | Item::Filtered(_) => None,
            };
            if let Some(filtered) = filtered {
                *item = Item::Filtered(filtered);
            }
        }
    }

    /// What takes the place of an event that is not taken.
    fn judge_event(
        &self,
        event: &mut Event,
        pipeline: &PipelineId,
        said: &[(&'static str, Statement)],
        circumstances: &Circumstances<'_>,
    ) -> Option<Filtered> {
        let places = Places::find(&event.body);
        let mut evidence = Evidence::default();
        places.read(&event.body, &self.options.tcf, &self.vocabulary, &mut evidence);
        self.take_request(said, circumstances, &mut evidence);
        let verdict = self.judge(&evidence);
        let mut consent = Consent {
            categories: evidence.categories(),
            otherwise: self.options.unsaid != Unsaid::Deny,
            subjects: places.subjects(&event.body, pipeline),
        };
        let full_length = event.body.len() as u64;
        let refuse = |rule: String, consent: Consent| {
            let says = !consent.categories.is_empty() && !consent.subjects.is_empty();
            let consent = says.then(|| Box::new(consent));
            Some(Filtered { reason: FilterReason::Consent, rule, full_length, consent })
        };
        match verdict {
            Verdict::Refuse(rule) => return refuse(rule, consent),
            Verdict::Strip => match event.kind {
                EventKind::Track | EventKind::Page | EventKind::Screen => {
                    // Two events of a person are not to be put together again.
                    let id = format!("stripped-{:032x}", event.dedupe_key.0);
                    event.body = rewriting::stripped(&event.body, &places, &id);
                    event.facts.client_ip = None;
                    consent.subjects.clear();
                }
                EventKind::Identify | EventKind::Group | EventKind::Alias | EventKind::Profile => {
                    let kind = event.kind.as_str();
                    return refuse(format!("strip leaves nothing of a call of {kind}"), consent);
                }
            },
            Verdict::Take => {}
        }
        if self.options.annotate && evidence.is_something_said() {
            let places = Places::find(&event.body);
            if let Some(body) = rewriting::annotated(&event.body, &places, &evidence) {
                event.body = body;
            }
        }
        if evidence.has_sources() {
            event.passage.note(NoteKind::ConsentRead, evidence.describe());
        }
        if consent.categories.is_empty() || verdict == Verdict::Strip || self.is_assumed(&consent) {
            event.passage.note(NoteKind::ConsentAssumed, self.options.unsaid.as_str());
        }
        event.passage.consent = Some(Box::new(consent));
        None
    }

    /// An item that was set aside is judged by its request, and by its own words where it is whole
    /// (the key was revoked, say). Unless they grant what the pipeline requires, none of its bytes
    /// is kept.
    fn judge_broken(
        &self,
        aside: &SetAside,
        said: &[(&'static str, Statement)],
        circumstances: &Circumstances<'_>,
    ) -> Option<Filtered> {
        let mut evidence = Evidence::default();
        if aside.body.len() as u64 == aside.full_length {
            let places = Places::find(&aside.body);
            places.read(&aside.body, &self.options.tcf, &self.vocabulary, &mut evidence);
        }
        self.take_request(said, circumstances, &mut evidence);
        let rule = match self.judge(&evidence) {
            Verdict::Take => return None,
            Verdict::Strip => format!("{}, and strip leaves nothing of it", aside.code),
            Verdict::Refuse(rule) => format!("{}, {rule}", aside.code),
        };
        let full_length = aside.full_length;
        Some(Filtered { reason: FilterReason::Consent, rule, full_length, consent: None })
    }

    fn take_request(
        &self,
        said: &[(&'static str, Statement)],
        circumstances: &Circumstances<'_>,
        evidence: &mut Evidence,
    ) {
        for (source, statement) in said {
            evidence.take(source, statement.clone(), &self.vocabulary);
        }
        if circumstances.global_privacy_control {
            evidence.deny("Sec-GPC", &self.options.global_privacy_control);
        }
    }

    fn judge(&self, evidence: &Evidence) -> Verdict {
        let categories = evidence.categories();
        let mut verdict = Verdict::Take;
        if categories.is_empty() && self.options.unsaid == Unsaid::Strip {
            verdict = Verdict::Strip;
        }
        for required in self.options.required.iter().filter(|required| *required != ESSENTIAL) {
            match (categories.get(required), self.options.unsaid) {
                (Some(true), _) | (None, Unsaid::Allow) => {}
                (Some(false), _) => return Verdict::Refuse(format!("{required}: denied")),
                (None, Unsaid::Deny) => {
                    return Verdict::Refuse(format!("{required}: nothing said"));
                }
                (None, Unsaid::Strip) => verdict = Verdict::Strip,
            }
        }
        verdict
    }

    /// True when something that the pipeline requires was not said.
    fn is_assumed(&self, consent: &Consent) -> bool {
        self.options.required.iter().any(|required| consent.of(required).is_none())
    }
}

#[cfg(test)]
mod tests;
