//! All rules of one pipeline, in the order in which they are applied.

use std::net::IpAddr;

use millrace_model::event::{Batch, Event, Filtered, Item};
use millrace_model::time::UnixMillis;

use crate::consent::{ConsentOptions, ConsentRules};
use crate::document::{Finds, Watch};

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

/// What a pipeline asks for; each part is optional.
#[derive(Clone, Debug, Default)]
pub struct RuleOptions {
    /// What is read about consent, and what is made of it.
    pub consent: Option<ConsentOptions>,
}

/// The rules of a pipeline. The default has none and costs nothing.
#[derive(Debug, Default)]
pub struct Rules {
    /// The paths of all rules: one pass over an event finds what each of them looks at.
    watch: Watch,
    consent: Option<ConsentRules>,
}

impl Rules {
    /// The rules that the options ask for. Every stage puts its paths into the one [`Watch`].
    #[must_use]
    pub fn new(options: &RuleOptions) -> Rules {
        let RuleOptions { consent } = options;
        Rules { consent: consent.clone().map(ConsentRules::new), ..Rules::default() }
    }

    /// Applies the rules to every item of a batch.
    pub fn govern(&self, batch: &mut Batch, circumstances: &Circumstances<'_>) {
        if !self.watch.is_empty() {
            for item in &mut batch.items {
                if let Item::Event(event) = item
                    && let Some(filtered) = self.govern_event(event, circumstances)
                {
                    *item = Item::Filtered(filtered);
                }
            }
        }
        if let Some(consent) = &self.consent {
            consent.govern(batch, circumstances);
        }
    }

    /// Applies the stages in their order. The note that takes the event's place, if it is filtered.
    fn govern_event(
        &self,
        event: &mut Event,
        circumstances: &Circumstances<'_>,
    ) -> Option<Filtered> {
        let body = event.body.clone();
        // An event is valid JSON within the limits, so this cannot fail.
        let finds: Finds = self.watch.find(&body).unwrap_or_default();
        let _ = (finds, circumstances);
        None
    }
}
