//! Traffic of the customer's own people and machines, and events that a pipeline never wants.

use std::net::IpAddr;

use ipnet::IpNet;
use millrace_model::event::Facts;
use millrace_protocol::json::text;

use crate::document::{Finds, PathId, Watch};
use crate::pattern::Pattern;
use crate::rules::{Action, Circumstances};

/// What is internal traffic, and what becomes of it. One fit is enough.
#[derive(Clone, Debug, Default)]
pub struct InternalOptions {
    /// What becomes of it.
    pub action: Action,
    /// Networks of the device. The address of a server that sends events is not looked at.
    pub networks: Vec<IpNet>,
    /// User ids and anonymous ids.
    pub user_ids: Vec<Pattern>,
    /// Domains of e-mail addresses, as `shop.example`; those below them as well.
    pub email_domains: Vec<String>,
    /// Hosts of pages.
    pub hosts: Vec<Pattern>,
    /// User agents.
    pub user_agents: Vec<Pattern>,
}

/// An event that is dropped: everything that is said must fit.
#[derive(Clone, Debug, Default)]
pub struct DropRule {
    /// What the ledger calls it.
    pub name: String,
    /// The name of the event.
    pub event: Option<Pattern>,
    /// The path of the page.
    pub path: Option<Pattern>,
}

const PAGES: [&str; 4] = [
    "$.context.page.url",
    "$.properties.url",
    "$.properties.$current_url",
    "$.xdm.web.webPageDetails.URL",
];

#[derive(Debug)]
pub(crate) struct Internal {
    options: InternalOptions,
    ip: PathId,
    ids: [PathId; 2],
    emails: [PathId; 5],
    pages: [PathId; 4],
    agents: [PathId; 2],
}

impl Internal {
    pub(crate) fn new(options: InternalOptions, watch: &mut Watch) -> Internal {
        Internal {
            options,
            ip: watch.look_at("$.context.ip"),
            ids: ["$.userId", "$.anonymousId"].map(|path| watch.look_at(path)),
            emails: [
                "$.traits.email",
                "$.context.traits.email",
                "$.properties.email",
                "$.properties.$email",
                "$.userId",
            ]
            .map(|path| watch.look_at(path)),
            pages: PAGES.map(|path| watch.look_at(path)),
            agents: ["$.context.userAgent", "$.xdm.environment.browserDetails.userAgent"]
                .map(|path| watch.look_at(path)),
        }
    }

    pub(crate) fn action(&self) -> Action {
        self.options.action
    }

    /// Which rule says that it is internal. Of ids only that one fits, not which.
    pub(crate) fn judge(
        &self,
        finds: &Finds,
        body: &[u8],
        facts: &Facts,
        circumstances: &Circumstances<'_>,
    ) -> Option<String> {
        let options = &self.options;
        if !options.networks.is_empty()
            && let Some(network) = self.network(finds, body, facts, circumstances)
        {
            return Some(format!("network {network}"));
        }
        let mut ids = self.ids.iter().filter_map(|path| finds.id(*path, body));
        if ids.any(|id| options.user_ids.iter().any(|pattern| pattern.fits(&id))) {
            return Some("user_ids".to_owned());
        }
        let mut emails = self.emails.iter().filter_map(|path| finds.text(*path, body));
        let domain = emails.find_map(|email| {
            let (_, domain) = email.trim().rsplit_once('@')?;
            options.email_domains.iter().find(|known| is_below(domain, known))
        });
        if let Some(domain) = domain {
            return Some(format!("email domain {domain}"));
        }
        let mut pages = self.pages.iter().filter_map(|path| finds.text(*path, body));
        let host = pages.find_map(|page| {
            let host = host_of(&page)?;
            options.hosts.iter().find(|pattern| pattern.fits(host))
        });
        if let Some(host) = host {
            return Some(format!("host {}", host.as_str()));
        }
        let header = circumstances.user_agent.unwrap_or_default();
        let agents = self.agents.iter().filter_map(|path| finds.text(*path, body));
        // A monitor says who it is in its request, whoever it is.
        let agent = agents.chain([header.into()]).find_map(|agent| {
            options.user_agents.iter().find(|pattern| !agent.is_empty() && pattern.fits(&agent))
        })?;
        Some(format!("user agent {}", agent.as_str()))
    }

    fn network(
        &self,
        finds: &Finds,
        body: &[u8],
        facts: &Facts,
        circumstances: &Circumstances<'_>,
    ) -> Option<&IpNet> {
        let parse = |text: &str| text.trim().parse::<IpAddr>().ok();
        let own = finds.last(self.ip).and_then(|found| text(found.value.of(body)));
        let addresses = [
            own.and_then(|ip| parse(&ip)),
            facts.client_ip.as_deref().and_then(parse),
            circumstances.client_ip.filter(|_| circumstances.from_device),
        ];
        let mut addresses = addresses.into_iter().flatten().map(|ip| ip.to_canonical());
        addresses.find_map(|ip| self.options.networks.iter().find(|network| network.contains(&ip)))
    }
}

#[derive(Debug)]
pub(crate) struct Drops {
    rules: Vec<DropRule>,
    event: PathId,
    paths: [PathId; 2],
    pages: [PathId; 4],
}

impl Drops {
    pub(crate) fn new(rules: Vec<DropRule>, watch: &mut Watch) -> Drops {
        Drops {
            rules,
            event: watch.look_at("$.event"),
            paths: ["$.context.page.path", "$.properties.path"].map(|path| watch.look_at(path)),
            pages: PAGES.map(|path| watch.look_at(path)),
        }
    }

    /// The name of the rule that drops the event.
    pub(crate) fn judge(&self, finds: &Finds, body: &[u8]) -> Option<String> {
        let event = finds.text(self.event, body);
        let path = self.paths.iter().find_map(|path| finds.text(*path, body)).or_else(|| {
            let mut pages = self.pages.iter().filter_map(|path| finds.text(*path, body));
            pages.find_map(|page| Some(path_of(&page)?.to_owned().into()))
        });
        let fits = |pattern: Option<&Pattern>, text: Option<&str>| match (pattern, text) {
            (None, _) => true,
            (Some(pattern), Some(text)) => pattern.fits(text),
            (Some(_), None) => false,
        };
        let rule = self.rules.iter().find(|rule| {
            fits(rule.event.as_ref(), event.as_deref()) && fits(rule.path.as_ref(), path.as_deref())
        })?;
        Some(rule.name.clone())
    }
}

/// What stands after `https://`, without user and password.
fn authority_and_rest(url: &str) -> Option<(&str, &str)> {
    let (_, after) = url.trim().split_once("://")?;
    let end = after.find(['/', '?', '#']).unwrap_or(after.len());
    let (authority, rest) = after.split_at_checked(end)?;
    Some((authority.rsplit_once('@').map_or(authority, |(_, host)| host), rest))
}

fn host_of(url: &str) -> Option<&str> {
    let (host, _) = authority_and_rest(url)?;
    match host.strip_prefix('[') {
        Some(literal) => literal.split_once(']').map(|(literal, _)| literal),
        None => host.split(':').next(),
    }
}

fn path_of(url: &str) -> Option<&str> {
    let (_, rest) = authority_and_rest(url)?;
    let path = rest.split(['?', '#']).next().filter(|path| !path.is_empty());
    Some(path.unwrap_or("/"))
}

fn is_below(domain: &str, known: &str) -> bool {
    let start = domain.len().checked_sub(known.len());
    let end = start.and_then(|start| domain.get(start..));
    end.is_some_and(|end| end.eq_ignore_ascii_case(known))
        && start.is_some_and(|start| {
            start == 0 || domain.get(..start).is_some_and(|before| before.ends_with('.'))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_addresses_of_pages() {
        let table = [
            ("https://a@shop.example:8080/x?y#z", Some("shop.example"), Some("/x")),
            ("http://[::1]:3000", Some("::1"), Some("/")),
            ("http://localhost?x", Some("localhost"), Some("/")),
            ("/only/a/path", None, None),
            ("", None, None),
        ];
        for (url, host, path) in table {
            assert_eq!((host_of(url), path_of(url)), (host, path), "{url}");
        }
    }

    #[test]
    fn domains_are_whole() {
        assert!(is_below("shop.example", "Shop.example"));
        assert!(is_below("mail.shop.example", "shop.example"));
        assert!(!is_below("myshop.example", "shop.example"));
        assert!(!is_below("example", "shop.example"));
    }
}
