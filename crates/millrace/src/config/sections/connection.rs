//! Where an integration and its further projects send to, and as whom.
//!
//! It can be said in keys of the integration, or in `settings` in the words of the system that the
//! user comes from (`millrace_delivery::mixpanel::vendor_settings`); each thing once. A region is never
//! guessed for our own keys; in the other systems' words it has their default, with a warning.

use std::collections::BTreeMap;

use millrace_delivery::mixpanel::vendor_settings::{
    ConnectionSettings, OtherCredentials, SECRET_SETTINGS, SettingNote, is_vendor_setting,
};
use millrace_delivery::mixpanel::{self, MixpanelOptions};
use millrace_model::code::Code;
use millrace_model::diagnostic::nearest;
use millrace_model::id::IntegrationId;
use millrace_model::secret::Secret;

use super::{identifier, json, non_empty};
use crate::config::document::{Field, Report, Section};
use crate::config::secrets::{self, Literal};
use crate::config::tree::{Connection, DeclaredProject, Destination, Region};

const REGIONS: [&str; 4] = ["us", "eu", "in", "twin"];

/// More than this is no configuration that anybody writes by hand.
const MAX_PROJECTS: usize = 100;

/// The keys about a connection, of an integration or of one of its projects.
pub(super) struct ConnectionKeys<'d> {
    token: Option<Field<'d>>,
    region: Option<Field<'d>>,
    url: Option<Field<'d>>,
    service_account: Option<Field<'d>>,
    api_secret: Option<Field<'d>>,
    strict: Option<Field<'d>>,
}

impl<'d> ConnectionKeys<'d> {
    pub(super) fn ask(section: &mut Section<'d>) -> ConnectionKeys<'d> {
        let [token, region, url, service_account, api_secret, strict] =
            ["token", "region", "url", "service_account", "api_secret", "strict"]
                .map(|key| section.optional(key));
        ConnectionKeys { token, region, url, service_account, api_secret, strict }
    }
}

/// What `settings` says about the connection, in another system's words.
#[derive(Default)]
pub(super) struct VendorWords {
    settings: Option<ConnectionSettings>,
    /// A mistake in them was reported: what they leave open is no further one.
    broken: bool,
    places: BTreeMap<&'static str, usize>,
    at: usize,
}

impl VendorWords {
    /// Reads the entries of `settings` that are about the connection; the others are left.
    pub(super) fn read(settings: &Section<'_>, report: &mut Report<'_>) -> VendorWords {
        let mut words = VendorWords { at: settings.at, ..VendorWords::default() };
        let mut values = serde_json::Map::new();
        let mut places = Vec::new();
        for (name, at, field) in settings.entries().filter(|(name, ..)| is_vendor_setting(name)) {
            let value = match SECRET_SETTINGS.contains(&name) && !is_empty_text(&field) {
                true => secrets::read(&field, report, Literal::Warned)
                    .map(|secret| secret.expose().into()),
                false => json(field.value),
            };
            words.broken |= value.is_none();
            places.push((name, at));
            values.extend(value.map(|value| (name.to_owned(), value)));
        }
        if values.is_empty() {
            return words;
        }
        let place = |note: &SettingNote| {
            places.iter().find(|(name, _)| *name == note.setting).map_or(settings.at, |(_, at)| *at)
        };
        match ConnectionSettings::take(&mut values, false) {
            Ok(mut taken) => {
                for note in std::mem::take(&mut taken.warnings) {
                    let at = place(&note);
                    report.warning(at, Code::BadValue, note.message, note.suggestion);
                }
                let note = taken.region_warning();
                words.places.extend(note.iter().map(|note| (note.setting, place(note))));
                words.settings = Some(taken);
            }
            Err(mistakes) => {
                words.broken = true;
                for note in mistakes {
                    let at = place(&note);
                    report.mistake(at, Code::BadValue, note.message, note.suggestion);
                }
            }
        }
        words
    }
}

/// Of a secret that was left empty, which is the same as none.
pub(super) fn is_empty_text(field: &Field<'_>) -> bool {
    matches!(field.value, toml::de::DeValue::String(text) if text.is_empty())
}

/// Reads the connection of an integration.
pub(super) fn read(
    section: &Section<'_>,
    keys: &ConnectionKeys<'_>,
    words: VendorWords,
    has_twin: bool,
    report: &mut Report<'_>,
) -> Option<Connection> {
    let VendorWords { settings, broken, places, at } = words;
    let said = settings.as_ref();
    let twice = |report: &mut Report<'_>, field: &Option<Field<'_>>, said_there: bool| {
        let Some(field) = field.as_ref().filter(|_| said_there) else { return false };
        field.wrong(report, "is said in `settings` as well", Some("keep one".to_owned()));
        true
    };
    let mut sound = !broken;
    sound &= !twice(report, &keys.token, said.is_some_and(|said| said.token.is_some()));
    sound &= !twice(report, &keys.region, said.is_some_and(|said| said.region.is_some()));
    sound &= !twice(report, &keys.url, said.is_some_and(|said| said.region.is_some()));
    sound &= !twice(report, &keys.strict, said.is_some_and(|said| said.strict.is_some()));
    let other_credentials = said.is_some_and(|said| said.credentials.is_some());
    sound &= !twice(report, &keys.service_account, other_credentials);
    sound &= !twice(report, &keys.api_secret, other_credentials);

    let token = match (&keys.token, said.and_then(|said| said.token.clone())) {
        (Some(field), _) => read_token(field, report),
        (None, Some(token)) => Some(token),
        (None, None) => {
            if !broken {
                let message = "`integrations` needs `token`";
                let fix = Some("add token = { env = \"MIXPANEL_TOKEN\" }".to_owned());
                report.mistake(section.at, Code::MissingKey, message, fix);
            }
            None
        }
    };
    let destination = match said.and_then(|said| said.region.as_ref()) {
        Some(region) => Some(destination_of(region)),
        None => match said.and_then(ConnectionSettings::region_warning) {
            Some(note) if keys.region.is_none() && keys.url.is_none() => {
                let at = places.get(note.setting).copied().unwrap_or(at);
                report.warning(at, Code::MissingKey, note.message, note.suggestion);
                Some(Destination::Region(Region::Us))
            }
            _ if broken && keys.region.is_none() && keys.url.is_none() => None,
            _ => read_destination(section, keys, has_twin, report),
        },
    };
    // Both are looked at before either ends it: all mistakes are told at once.
    let own = read_credentials(keys, report);
    let strict = read_strict(keys.strict.as_ref(), report);
    let (own, strict) = (own?, strict?);
    let settings = settings.filter(|_| sound);
    let credentials = own.or_else(|| settings.as_ref().and_then(|said| said.credentials.clone()));
    let strict = strict.or_else(|| settings.and_then(|said| said.strict)).unwrap_or(true);
    let connection = Connection { token: token?, destination: destination?, credentials, strict };
    (sound && is_sendable(&connection, section.at, report)).then_some(connection)
}

/// Reads the further projects of an integration. What one does not say is as for the integration.
pub(super) fn read_projects(
    field: &Field<'_>,
    own: Option<&Connection>,
    has_twin: bool,
    report: &mut Report<'_>,
) -> Option<Vec<DeclaredProject>> {
    let section = field.table(report)?;
    let mut projects: Vec<DeclaredProject> = Vec::new();
    let mut sound = true;
    for (name, at, field) in section.entries() {
        let project = read_project(name, at, &field, own, has_twin, report);
        let Some(project) = project else {
            sound = false;
            continue;
        };
        let mut others = projects.iter().map(|other| &other.connection).chain(own);
        let token = project.connection.token.expose();
        if others.any(|other| other.token.expose() == token) {
            let message = format!("`{}` has the token of another project here", field.name);
            report.mistake(at, Code::DuplicateName, message, None);
            sound = false;
        }
        projects.push(project);
    }
    if projects.len() > MAX_PROJECTS {
        field.wrong(report, &format!("has more than {MAX_PROJECTS} projects"), None);
        return None;
    }
    sound.then_some(projects)
}

fn read_project(
    name: &str,
    at: usize,
    field: &Field<'_>,
    own: Option<&Connection>,
    has_twin: bool,
    report: &mut Report<'_>,
) -> Option<DeclaredProject> {
    let mut section = field.table(report)?;
    let keys = ConnectionKeys::ask(&mut section);
    section.finish(report);
    // The same form of name as everywhere: it stands in the reason of a pause.
    let name = identifier::<IntegrationId>(field, name, report).map(|_| name.to_owned());
    let token = match &keys.token {
        Some(field) => read_token(field, report),
        None => {
            let message = format!("`{}` needs `token`", field.name);
            let fix = Some("add token = { env = \"OTHER_TOKEN\" }".to_owned());
            report.mistake(at, Code::MissingKey, message, fix);
            None
        }
    };
    let destination = match (&keys.region, &keys.url) {
        (None, None) => own.map(|own| own.destination.clone()),
        _ => read_destination(&section, &keys, has_twin, report),
    };
    let credentials = read_credentials(&keys, report);
    let strict = read_strict(keys.strict.as_ref(), report);
    let (credentials, strict) = (credentials?, strict?);
    let strict = strict.unwrap_or_else(|| own.is_none_or(|own| own.strict));
    let connection = Connection { token: token?, destination: destination?, credentials, strict };
    let name = name?;
    is_sendable(&connection, at, report).then_some(DeclaredProject { name, connection })
}

fn read_token(field: &Field<'_>, report: &mut Report<'_>) -> Option<Secret> {
    let token = secrets::read(field, report, Literal::Warned)?;
    if token.expose().contains(':') {
        // It is the user name of Basic authentication (RFC 7617, section 2).
        field.wrong(report, "must have no `:`", None);
        return None;
    }
    Some(token)
}

/// Credentials beside the token, if there are some. None only after a mistake.
#[expect(clippy::option_option, reason = "the outer one says whether all is well")]
fn read_credentials(
    keys: &ConnectionKeys<'_>,
    report: &mut Report<'_>,
) -> Option<Option<OtherCredentials>> {
    match (&keys.service_account, &keys.api_secret) {
        (None, None) => Some(None),
        (Some(_), Some(secret)) => {
            let fix = Some("keep the service account".to_owned());
            secret.wrong(report, "and `service_account` exclude each other", fix);
            None
        }
        (None, Some(field)) => {
            let secret = secrets::read(field, report, Literal::Warned)?;
            let message =
                format!("`{}`: Mixpanel takes API secrets until 2027-03-03 only", field.name);
            let fix = Some("leave it out: events are then sent with the token".to_owned());
            report.warning(field.at(), Code::BadValue, message, fix);
            Some(Some(OtherCredentials::ApiSecret(secret)))
        }
        (Some(field), None) => {
            let mut account = field.table(report)?;
            let user =
                account.required(report, "user", "user = \"name.abc123.mp-service-account\"");
            let secret =
                account.required(report, "secret", "secret = { env = \"MIXPANEL_SECRET\" }");
            let project = account.required(report, "project_id", "project_id = \"1234567\"");
            account.finish(report);
            let user = user.and_then(|field| Some(non_empty(&field, report, "name")?.to_owned()));
            let secret = secret.and_then(|field| secrets::read(&field, report, Literal::Warned));
            let project = project.and_then(|field| match json(field.value) {
                Some(serde_json::Value::Number(number)) => Some(number.to_string()),
                _ => Some(non_empty(&field, report, "1234567")?.to_owned()),
            });
            let (user, secret, project_id) = (user?, secret?, project?);
            Some(Some(OtherCredentials::ServiceAccount { user, secret, project_id }))
        }
    }
}

#[expect(clippy::option_option, reason = "the outer one says whether all is well")]
fn read_strict(field: Option<&Field<'_>>, report: &mut Report<'_>) -> Option<Option<bool>> {
    let Some(field) = field else { return Some(None) };
    let strict = field.flag(report)?;
    if !strict {
        let message = format!(
            "with `{}` off Mixpanel does not say which rows it refuses: an event then counts as \
             delivered although it may have been dropped",
            field.name
        );
        report.warning(field.at(), Code::BadValue, message, None);
    }
    Some(Some(strict))
}

/// Whether requests can be made with it: what the client would refuse is told here.
fn is_sendable(connection: &Connection, at: usize, report: &mut Report<'_>) -> bool {
    let options = MixpanelOptions::new(mixpanel::Region::Us, connection.token.clone());
    match options.and_then(|options| connection.with_credentials(options)) {
        Ok(_) => true,
        Err(error) => {
            report.mistake(at, Code::BadValue, error.to_string(), None);
            false
        }
    }
}

/// The other systems' words name regions only.
fn destination_of(region: &mixpanel::Region) -> Destination {
    match region {
        mixpanel::Region::Us => Destination::Region(Region::Us),
        mixpanel::Region::Eu => Destination::Region(Region::Eu),
        mixpanel::Region::In => Destination::Region(Region::In),
        mixpanel::Region::Custom(_) => Destination::Url(region.base_url().to_owned()),
    }
}

fn read_destination(
    section: &Section<'_>,
    keys: &ConnectionKeys<'_>,
    has_twin: bool,
    report: &mut Report<'_>,
) -> Option<Destination> {
    match (&keys.region, &keys.url) {
        (Some(region), None) => read_region(region, has_twin, report),
        (None, Some(url)) => read_url(url, report),
        (Some(_), Some(url)) => {
            url.wrong(report, "and `region` exclude each other", Some("keep one".to_owned()));
            None
        }
        (None, None) => {
            // No preset: events sent to the wrong region are taken, and are lost to the project.
            let message = "`integrations` needs `region` or `url`: where the project's data lives";
            let example = "add region = \"us\", \"eu\" or \"in\", as the project's settings say";
            report.mistake(section.at, Code::MissingKey, message, Some(example.to_owned()));
            None
        }
    }
}

fn read_region(field: &Field<'_>, has_twin: bool, report: &mut Report<'_>) -> Option<Destination> {
    match field.text(report, "eu")? {
        "us" => Some(Destination::Region(Region::Us)),
        "eu" => Some(Destination::Region(Region::Eu)),
        "in" => Some(Destination::Region(Region::In)),
        "twin" if has_twin => Some(Destination::Twin),
        "twin" => {
            let message = format!("`{}` is \"twin\", and there is no [twin]", field.name);
            let fix = Some("add [twin] with a project".to_owned());
            report.mistake(field.at(), Code::UnknownReference, message, fix);
            None
        }
        other => {
            let suggestion = match nearest(other, REGIONS) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => "write \"us\", \"eu\", \"in\" or \"twin\"".to_owned(),
            };
            field.wrong(report, &format!("is no region: `{other}`"), Some(suggestion));
            None
        }
    }
}

fn read_url(field: &Field<'_>, report: &mut Report<'_>) -> Option<Destination> {
    let text = field.text(report, "https://api.mixpanel.com")?;
    let (secure, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
        (Some(rest), _) => (true, rest),
        (None, Some(rest)) => (false, rest),
        (None, None) => {
            field.wrong(report, "must begin with https:// or http://", None);
            return None;
        }
    };
    let host = rest.split('/').next().unwrap_or_default();
    let reason = if host.is_empty() || !rest.bytes().all(|byte| byte.is_ascii_graphic()) {
        "must have a host, and no space"
    } else if host.contains('@') {
        "must not hold a user or password; the token goes into `token`"
    } else if rest.contains(['?', '#']) {
        "must have neither a query nor a fragment"
    } else {
        if !secure && !is_this_machine(host) {
            let message =
                format!("`{}` is plain HTTP: the token can be read on the way", field.name);
            report.warning(field.at(), Code::BadValue, message, Some("use https://".to_owned()));
        }
        return Some(Destination::Url(text.trim_end_matches('/').to_owned()));
    };
    field.wrong(report, reason, None);
    None
}

fn is_this_machine(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name == "localhost" || name.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}
