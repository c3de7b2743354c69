//! All rules of one pipeline, in the order in which they are applied.

use std::net::IpAddr;
use std::sync::Arc;

use millrace_model::disposition::FilterReason;
use millrace_model::event::{Batch, Event, Filtered, Item};
use millrace_model::id::PipelineId;
use millrace_model::passage::NoteKind;
use millrace_model::time::UnixMillis;

use crate::bots::{BotOptions, Bots};
use crate::consent::{ConsentOptions, ConsentRules};
use crate::document::{Edits, Finds, Watch};
use crate::hot_ids::{HotIds, IdOf};
use crate::internal::{DropRule, Drops, Internal, InternalOptions};
use crate::places::{Locator, PlaceOptions};
use crate::privacy::{Privacy, PrivacyOptions, Treated};

/// What is known of a request beside its body.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    /// When it was received.
    pub received_at: UnixMillis,
    /// The address that it came from, behind trusted proxies.
    pub client_ip: Option<IpAddr>,
    /// True when it came from a person's device for certain.
    pub from_device: bool,
    /// The header `User-Agent`.
    pub user_agent: Option<&'a str>,
    /// The header `Cookie`, which may hold what a consent platform noted.
    pub cookies: Option<&'a str>,
    /// The header `Sec-GPC: 1`: the person objects to being sold.
    pub global_privacy_control: bool,
}

/// What becomes of an event that a rule recognises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Action {
    /// It is filtered.
    #[default]
    Drop,
    /// It is sent, with a note in its trace.
    Tag,
}

/// What a pipeline asks for; each part is optional.
#[derive(Clone, Debug, Default)]
pub struct RuleOptions {
    /// What is read about consent, and what is made of it.
    pub consent: Option<ConsentOptions>,
    /// Bots.
    pub bots: Option<BotOptions>,
    /// The customer's own traffic.
    pub internal: Option<InternalOptions>,
    /// Events that are never wanted.
    pub drops: Vec<DropRule>,
    /// Places from addresses.
    pub places: Option<PlaceOptions>,
    /// Personal data.
    pub privacy: Option<PrivacyOptions>,
    /// Ids with too many events; shared with whoever shows them.
    pub hot_ids: Option<Arc<HotIds>>,
}

/// The rules of a pipeline. The default has none and costs nothing.
#[derive(Debug, Default)]
pub struct Rules {
    /// The paths of all rules: one pass over an event finds what each of them looks at.
    watch: Watch,
    bots: Option<Bots>,
    internal: Option<Internal>,
    drops: Option<Drops>,
    places: Option<Locator>,
    privacy: Option<Privacy>,
    /// True when a privacy rule may name what places add: then it must see it.
    privacy_of_places: bool,
    hot_ids: Option<(IdOf, Arc<HotIds>)>,
    consent: Option<ConsentRules>,
}

impl Rules {
    /// The rules that the options ask for. Every stage puts its paths into the one [`Watch`].
    #[must_use]
    pub fn new(options: &RuleOptions) -> Rules {
        let options = options.clone();
        let mut watch = Watch::default();
        let bots = options.bots.map(|bots| Bots::new(bots, &mut watch));
        let internal = options.internal.map(|internal| Internal::new(internal, &mut watch));
        let drops = Some(options.drops).filter(|drops| !drops.is_empty());
        let drops = drops.map(|drops| Drops::new(drops, &mut watch));
        let places = options.places.map(|places| Locator::new(places, &mut watch));
        let rules = options.privacy.filter(|privacy| !privacy.rules.is_empty());
        let privacy = rules.map(|privacy| Privacy::new(privacy, &mut watch));
        let hot_ids = options.hot_ids.map(|hot| (IdOf::new(&mut watch), hot));
        let concerned = |privacy: &Privacy| {
            let finds = watch.find(WITH_PLACES).unwrap_or_default();
            privacy.concerns(&finds)
        };
        let privacy_of_places = places.is_some() && privacy.as_ref().is_some_and(concerned);
        let consent = options.consent.map(ConsentRules::new);
        Rules { watch, bots, internal, drops, places, privacy, privacy_of_places, hot_ids, consent }
    }

    /// The counts of ids with too many events, if they are kept.
    #[must_use]
    pub fn hot_ids(&self) -> Option<&Arc<HotIds>> {
        self.hot_ids.as_ref().map(|(_, hot)| hot)
    }

    /// What the pipeline reads of consent, if it does.
    #[must_use]
    pub fn consent(&self) -> Option<&ConsentOptions> {
        self.consent.as_ref().map(ConsentRules::options)
    }

    /// True when the rules take something out of what is stored.
    #[must_use]
    pub fn protect(&self) -> bool {
        self.privacy.is_some()
    }

    /// Applies the rules to every item of a batch. Consent comes last, so that it knows people by
    /// their ids as privacy rules leave them.
    pub fn govern(&self, batch: &mut Batch, circumstances: &Circumstances<'_>) {
        if !self.watch.is_empty() {
            self.govern_items(batch, circumstances);
        }
        if let Some(consent) = &self.consent {
            consent.govern(batch, circumstances);
        }
    }

    fn govern_items(&self, batch: &mut Batch, circumstances: &Circumstances<'_>) {
        for item in &mut batch.items {
            match item {
                Item::Event(event) => {
                    if let Some(filtered) = self.govern_event(event, &batch.pipeline, circumstances)
                    {
                        *item = Item::Filtered(filtered);
                    }
                }
                Item::SetAside(aside) => {
                    if let Some(privacy) = &self.privacy {
                        privacy.govern_set_aside(aside, &self.watch);
                    }
                }
                Item::Duplicate(_) | Item::Filtered(_) => {}
            }
        }
    }

    /// Applies the stages in their order. The note that takes the event's place, if it is filtered.
    fn govern_event(
        &self,
        event: &mut Event,
        pipeline: &PipelineId,
        circumstances: &Circumstances<'_>,
    ) -> Option<Filtered> {
        let body = event.body.clone();
        // An event is valid JSON within the limits, so this does not fail.
        let finds = self.watch.find(&body).unwrap_or_default();
        if let Some((reason, rule)) = self.judge(event, &finds, circumstances) {
            return Some(filtered(event, reason, rule));
        }
        let mut edits = Edits::default();
        if let Some(places) = &self.places {
            places.govern(event, &finds, &mut edits);
        }
        let mut again = None;
        if self.privacy_of_places && !edits.is_empty() {
            event.body = std::mem::take(&mut edits).apply(&event.body).into();
            again = self.watch.find(&event.body).ok();
        }
        let treated = match &self.privacy {
            Some(privacy) => {
                privacy.govern(event, pipeline, again.as_ref().unwrap_or(&finds), edits)
            }
            None => {
                if !edits.is_empty() {
                    event.body = edits.apply(&event.body).into();
                }
                Treated::default()
            }
        };
        if let Some((id_of, hot)) = &self.hot_ids
            && let Some(id) = id_of.of(&finds, &body)
        {
            let shown = || match &self.privacy {
                Some(privacy) => privacy.shown(&id, &treated).unwrap_or_else(|| shown_id(&id)),
                None => shown_id(&id),
            };
            if hot.count(&id, circumstances.received_at, shown).is_some() {
                let rule = format!("{} events today or more", hot.alarm_at());
                event.passage.note(NoteKind::HotIdentity, rule);
            }
        }
        None
    }

    /// Whether the event is kept from being sent, and why.
    fn judge(
        &self,
        event: &mut Event,
        finds: &Finds,
        circumstances: &Circumstances<'_>,
    ) -> Option<(FilterReason, String)> {
        let body = &event.body;
        if let Some(bots) = &self.bots
            && let Some(rule) = bots.judge(finds, body, circumstances)
        {
            match bots.action() {
                Action::Drop => return Some((FilterReason::Bot, rule)),
                Action::Tag => event.passage.note(NoteKind::Bot, rule),
            }
        }
        if let Some(internal) = &self.internal
            && let Some(rule) = internal.judge(finds, body, &event.facts, circumstances)
        {
            match internal.action() {
                Action::Drop => return Some((FilterReason::Internal, rule)),
                Action::Tag => event.passage.note(NoteKind::Internal, rule),
            }
        }
        let rule = self.drops.as_ref()?.judge(finds, body)?;
        Some((FilterReason::DropRule, rule))
    }
}

/// An event with everything that places can add, to see which privacy rules concern that.
const WITH_PLACES: &[u8] = br#"{"context":{"location":{"city":"a","region":"a","country":"a",
    "country_code":"a","timezone":"a","latitude":1,"longitude":1}},"xdm":{"placeContext":{"geo":{
    "city":"a","stateProvince":"a","countryCode":"a","_schema":{"latitude":1,"longitude":1}}}}}"#;

fn filtered(event: &mut Event, reason: FilterReason, rule: String) -> Filtered {
    Filtered { reason, rule, full_length: event.body.len() as u64, consent: None }
}

/// Ids are listed for people to look at; one of a megabyte helps nobody.
fn shown_id(id: &str) -> String {
    id.chars().take(64).collect()
}
