//! Programs that are no browser of a person, by their user agent (B-03).
//!
//! The user agent is that of the event's context; that of the request counts only when the request
//! came from a person's device, because servers send events with programs such as `python-requests`.

mod known;

use millrace_protocol::json::text;

use crate::document::{Finds, PathId, Watch};
use crate::pattern::Pattern;
use crate::rules::{Action, Circumstances};

/// Which user agents are bots, and what becomes of their events.
#[derive(Clone, Debug)]
pub struct BotOptions {
    /// What becomes of them.
    pub action: Action,
    /// Crawlers, monitors and headless browsers that are known here. Default true.
    pub known: bool,
    /// Also who names no user agent. Default false: apps of some platforms have none.
    pub empty_user_agent: bool,
    /// Patterns of further ones.
    pub patterns: Vec<Pattern>,
}

impl Default for BotOptions {
    fn default() -> BotOptions {
        let (known, empty_user_agent) = (true, false);
        BotOptions { action: Action::Drop, known, empty_user_agent, patterns: Vec::new() }
    }
}

#[derive(Debug)]
pub(crate) struct Bots {
    options: BotOptions,
    agents: [PathId; 3],
}

impl Bots {
    pub(crate) fn new(options: BotOptions, watch: &mut Watch) -> Bots {
        let agents = [
            "$.context.userAgent",
            "$.context.user_agent",
            "$.xdm.environment.browserDetails.userAgent",
        ];
        Bots { options, agents: agents.map(|path| watch.look_at(path)) }
    }

    pub(crate) fn action(&self) -> Action {
        self.options.action
    }

    /// Which rule says that it is a bot.
    pub(crate) fn judge(
        &self,
        finds: &Finds,
        body: &[u8],
        circumstances: &Circumstances<'_>,
    ) -> Option<String> {
        let mut named = false;
        for path in self.agents {
            let Some(agent) = finds.last(path).and_then(|found| text(found.value.of(body))) else {
                continue;
            };
            named |= !agent.trim().is_empty();
            if let Some(rule) = self.rule(&agent) {
                return Some(rule);
            }
        }
        if circumstances.from_device {
            let agent = circumstances.user_agent.unwrap_or_default();
            named |= !agent.trim().is_empty();
            if let Some(rule) = self.rule(agent) {
                return Some(rule);
            }
        }
        // A server that names no user agent says nothing about whom it speaks for.
        let empty = self.options.empty_user_agent && circumstances.from_device && !named;
        empty.then(|| "empty user agent".to_owned())
    }

    fn rule(&self, agent: &str) -> Option<String> {
        if agent.is_empty() {
            return None;
        }
        let known = if self.options.known { known::known_bot(agent) } else { None };
        if let Some(word) = known {
            return Some(format!("known bot `{word}`"));
        }
        let fits = self.options.patterns.iter().find(|pattern| pattern.fits(agent))?;
        Some(format!("pattern `{}`", fits.as_str()))
    }
}
