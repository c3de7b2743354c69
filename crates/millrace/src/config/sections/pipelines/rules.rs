//! The rules of a pipeline's door: `privacy`, `bots`, `internal`, `drop`, `places`,
//! `hot_id_alarm`, and `consent`, which its own module reads.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use millrace_govern::bots::BotOptions;
use millrace_govern::hot_ids::{HotIds, MIXPANEL_LIMIT};
use millrace_govern::internal::{DropRule, InternalOptions};
use millrace_govern::places::PlaceOptions;
use millrace_govern::privacy::{PRESETS, Place, PrivacyOptions, PrivacyRule, Treatment, preset};
use millrace_govern::{Action, Pattern, RuleOptions};
use millrace_model::code::Code;
use millrace_model::diagnostic::nearest;

use super::super::super::document::{Field, Report, Section};
use super::super::super::secrets::{self, Literal};
use super::consent;

/// More rules, patterns or networks in one list help nobody, and every event pays for them.
const MAX_LIST: usize = 1_000;

/// Reads what a pipeline says of its rules. `places` is what `[places]` says.
pub(super) fn read(
    section: &mut Section<'_>,
    report: &mut Report<'_>,
    places: Option<&PlaceOptions>,
) -> RuleOptions {
    let consent = section.table(report, "consent");
    let privacy = section.table(report, "privacy");
    let bots = section.table(report, "bots");
    let internal = section.table(report, "internal");
    let drops = section.tables(report, "drop");
    let wants_places = section.optional("places");
    let alarm = section.optional("hot_id_alarm");
    RuleOptions {
        privacy: privacy.map(|section| read_privacy(section, report)),
        bots: bots.map(|section| read_bots(section, report)),
        internal: internal.map(|section| read_internal(section, report)),
        drops: drops.into_iter().filter_map(|section| read_drop(section, report)).collect(),
        places: read_places(wants_places.as_ref(), places, report),
        hot_ids: alarm
            .and_then(|field| field.number(report, (1, MIXPANEL_LIMIT)))
            .map(|alarm_at| Arc::new(HotIds::new(alarm_at))),
        consent: consent.map(|section| consent::read(section, report)),
    }
}

fn read_privacy(mut section: Section<'_>, report: &mut Report<'_>) -> PrivacyOptions {
    let mut options = PrivacyOptions::default();
    let lists = ["hash", "mask", "remove"].map(|key| section.optional(key));
    let [presets, secret, keep_last, again] =
        ["presets", "secret", "keep_last", "hash_again"].map(|key| section.optional(key));
    section.finish(report);
    let treatments = [Treatment::Hash, Treatment::Mask, Treatment::Remove];
    for (field, treatment) in lists.iter().zip(treatments) {
        for one in items(field.as_ref(), "places such as \"$.traits.email\"", report) {
            let Some(text) = one.text(report, "$.traits.email") else { continue };
            match Place::parse(text) {
                Ok(place) => add_rule(&mut options, PrivacyRule { place, treatment }, &one, report),
                Err(wrong) => {
                    let message = format!("`{}` names no place: {wrong}", one.name);
                    let fix = format!("write for example \"$.{}\"", text.trim_matches(['$', '.']));
                    let fix = Some(fix).filter(|_| !text.is_empty() && !text.starts_with('$'));
                    report.mistake(one.at(), Code::BadPath, message, fix);
                }
            }
        }
    }
    for one in items(presets.as_ref(), "names of lists", report) {
        let Some(name) = one.text(report, "personal") else { continue };
        match preset(name) {
            // What the file itself says of a place goes before what a list says.
            Some(rules) => options.rules.extend(rules),
            None => {
                let near = nearest(name, PRESETS);
                let fix = match near {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("known here: {}", PRESETS.join(", ")),
                };
                let message = format!("there is no list `{name}` of personal data");
                report.mistake(one.at(), Code::UnknownReference, message, Some(fix));
            }
        }
    }
    options.secret = secret.and_then(|field| secrets::read(&field, report, Literal::Warned));
    if let Some(keep) = keep_last.and_then(|field| field.number(report, (0, 16))) {
        options.keep_last = usize::try_from(keep).unwrap_or(options.keep_last);
    }
    if let Some(again) = again.and_then(|field| field.flag(report)) {
        options.hash_again = again;
    }
    if options.rules.is_empty() {
        let fix = "name places under hash, mask or remove, or presets = [\"personal\"]".to_owned();
        let message = "the privacy rules name no place, so they do nothing";
        report.warning(section.at, Code::DoubtfulRule, message, Some(fix));
    }
    options
}

fn add_rule(
    options: &mut PrivacyOptions,
    rule: PrivacyRule,
    field: &Field<'_>,
    report: &mut Report<'_>,
) {
    if let Some(first) = options.rules.iter().find(|other| other.place == rule.place) {
        let what = match first.treatment {
            Treatment::Hash => "hash",
            Treatment::Mask => "mask",
            Treatment::Remove => "remove",
        };
        let message = format!("the place stands under `{what}` already, so this does nothing");
        report.warning(field.at(), Code::DoubtfulRule, message, None);
        return;
    }
    let place = rule.place.as_str();
    if rule.treatment == Treatment::Remove && ["$.userId", "$.anonymousId"].contains(&place) {
        let message = format!("without `{place}` nobody can tell whose events are whose");
        let fix = "hash it, and events still join".to_owned();
        report.warning(field.at(), Code::DoubtfulRule, message, Some(fix));
    }
    options.rules.push(rule);
}

fn read_bots(mut section: Section<'_>, report: &mut Report<'_>) -> BotOptions {
    let [action, known, empty, texts] =
        ["action", "known", "empty_user_agent", "patterns"].map(|key| section.optional(key));
    section.finish(report);
    let preset = BotOptions::default();
    let flag = |field: Option<Field<'_>>, preset: bool, report: &mut Report<'_>| {
        field.and_then(|field| field.flag(report)).unwrap_or(preset)
    };
    BotOptions {
        action: read_action(action.as_ref(), report),
        known: flag(known, preset.known, report),
        empty_user_agent: flag(empty, preset.empty_user_agent, report),
        patterns: patterns(texts.as_ref(), "our-monitor/*", report),
    }
}

fn read_internal(mut section: Section<'_>, report: &mut Report<'_>) -> InternalOptions {
    let [action, networks, ids, domains, hosts, agents] =
        ["action", "networks", "user_ids", "email_domains", "hosts", "user_agents"]
            .map(|key| section.optional(key));
    section.finish(report);
    let mut options = InternalOptions {
        action: read_action(action.as_ref(), report),
        user_ids: patterns(ids.as_ref(), "test-*", report),
        hosts: patterns(hosts.as_ref(), "*.staging.shop.example", report),
        user_agents: patterns(agents.as_ref(), "internal-monitor/*", report),
        ..InternalOptions::default()
    };
    for one in items(networks.as_ref(), "networks such as \"203.0.113.0/24\"", report) {
        let Some(text) = one.text(report, "203.0.113.0/24") else { continue };
        match text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)) {
            Ok(network) => options.networks.push(network.trunc()),
            Err(_) => {
                let fix = "write an address and the bits of its network: 203.0.113.0/24".to_owned();
                one.wrong(report, &format!("is no network: `{text}`"), Some(fix));
            }
        }
    }
    for one in items(domains.as_ref(), "domains such as \"shop.example\"", report) {
        let Some(text) = one.text(report, "shop.example") else { continue };
        match text.trim_start_matches(['*', '.', '@']) {
            "" => one.wrong(report, "is empty", Some("write for example \"shop.example\"".into())),
            domain => options.email_domains.push(domain.to_owned()),
        }
    }
    options
}

fn read_drop(mut section: Section<'_>, report: &mut Report<'_>) -> Option<DropRule> {
    let [name, event, path] = ["name", "event", "path"].map(|key| section.optional(key));
    section.finish(report);
    if event.is_none() && path.is_none() {
        let message = "`pipelines.drop` without a condition would drop every event";
        let fix = "add event = \"Heartbeat*\" or path = \"/admin/*\"".to_owned();
        report.mistake(section.at, Code::MissingKey, message, Some(fix));
        return None;
    }
    let name = name.map(|field| field.text(report, "heartbeats"));
    let event = event.map(|field| field.text(report, "Heartbeat*"));
    let path = path.map(|field| field.text(report, "/admin/*"));
    // A mistake in one condition must not make the rule wider.
    if [&event, &path].into_iter().any(|field| matches!(field, Some(None))) {
        return None;
    }
    let (event, path) = (event.flatten(), path.flatten());
    let shown = [event, path].into_iter().flatten().collect::<Vec<_>>().join(" at ");
    Some(DropRule {
        name: name.flatten().map_or(shown, ToOwned::to_owned),
        event: event.map(Pattern::new),
        path: path.map(Pattern::new),
    })
}

fn read_places(
    wants: Option<&Field<'_>>,
    places: Option<&PlaceOptions>,
    report: &mut Report<'_>,
) -> Option<PlaceOptions> {
    let Some(field) = wants else { return places.cloned() };
    match (field.flag(report)?, places) {
        (false, _) => None,
        (true, Some(places)) => Some(places.clone()),
        (true, None) => {
            let message = "`places` needs a database, and the file names none";
            let fix = "add [places] with database = \"GeoLite2-City.mmdb\"".to_owned();
            report.mistake(field.at(), Code::UnknownReference, message, Some(fix));
            None
        }
    }
}

fn read_action(field: Option<&Field<'_>>, report: &mut Report<'_>) -> Action {
    let text = field.and_then(|field| Some((field, field.text(report, "drop")?)));
    match text {
        None | Some((_, "drop")) => Action::Drop,
        Some((_, "tag")) => Action::Tag,
        Some((field, other)) => {
            let near = nearest(other, ["drop", "tag"]);
            let fix = near.map(|near| format!("did you mean \"{near}\"?"));
            field.wrong(report, "must be \"drop\" or \"tag\"", fix);
            Action::Drop
        }
    }
}

fn patterns(field: Option<&Field<'_>>, example: &str, report: &mut Report<'_>) -> Vec<Pattern> {
    let mut patterns = Vec::new();
    for one in items(field, &format!("patterns such as \"{example}\""), report) {
        let Some(text) = one.text(report, example) else { continue };
        if text.trim_matches('*').is_empty() {
            one.wrong(report, "would fit everything", Some(format!("write \"{example}\"")));
        } else {
            patterns.push(Pattern::new(text));
        }
    }
    patterns
}

fn items<'d>(field: Option<&Field<'d>>, of: &str, report: &mut Report<'_>) -> Vec<Field<'d>> {
    let Some(field) = field else { return Vec::new() };
    let items = field.list(report, of).unwrap_or_default();
    if items.len() > MAX_LIST {
        field.wrong(report, &format!("has more than {MAX_LIST} entries"), None);
        return Vec::new();
    }
    items
}
