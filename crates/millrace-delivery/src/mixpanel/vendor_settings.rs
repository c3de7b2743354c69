//! Where to send and as whom, in the words of the systems that users come from.
//!
//! Settings are one flat map: some are about the connection, the others belong to the blueprint. This
//! takes the former out, whichever system's words they are in, and leaves the latter.
//!
//! | system | token | region | credentials | checks |
//! | --- | --- | --- | --- | --- |
//! | Segment, Syft | `projectToken` | `apiRegion` (`"EU 🇪🇺"`) | `apiSecret` | `strictMode` (`"1"`, `"0"`) |
//! | RudderStack | `token` | `dataResidency` | `serviceAccountUserName`, `serviceAccountSecret`, `projectId` | `strictMode` (boolean) |
//! | Datafly | `project_token` | `eu_data_residency` (boolean) | `api_secret` | |
//! | Millrace | `token` | `region` or `url` | | |
//!
//! What these settings do elsewhere says `reference/segment-syft.md` 2 and 4, `reference/rudderstack.md` 1
//! and `reference/datafly-adobe.md` 1.11. What we do otherwise is said in a warning.
//!
//! No message holds a token or a secret. Nothing here knows where a setting was written.

use millrace_model::secret::Secret;
use serde_json::{Map, Value};

use super::options::{MixpanelOptions, OptionsError, Region};

const TOKENS: [&str; 3] = ["projectToken", "project_token", "token"];
const REGIONS: [&str; 5] = ["apiRegion", "dataResidency", "eu_data_residency", "region", "url"];
const API_SECRETS: [&str; 2] = ["apiSecret", "api_secret"];
const ACCOUNT: [&str; 3] = ["serviceAccountUserName", "serviceAccountSecret", "projectId"];
const STRICT: &str = "strictMode";
/// Once wanted by RudderStack, and of no effect today.
const API_KEY: &str = "apiKey";

/// Something to say about a setting: why it cannot be used, or what is doubtful about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingNote {
    /// The setting that it is about.
    pub setting: &'static str,
    /// What is wrong or doubtful: lower case, no full stop.
    pub message: String,
    /// What to write instead, when that can be told.
    pub suggestion: Option<String>,
}

impl SettingNote {
    fn new(setting: &'static str, message: impl Into<String>, suggestion: &str) -> SettingNote {
        let suggestion = (!suggestion.is_empty()).then(|| suggestion.to_owned());
        SettingNote { setting, message: message.into(), suggestion }
    }
}

/// As whom events are imported, when it is not the token.
#[derive(Clone, Debug)]
pub enum OtherCredentials {
    /// A service account.
    ServiceAccount {
        /// Its user name.
        user: String,
        /// Its secret.
        secret: Secret,
        /// The number of the project.
        project_id: String,
    },
    /// The API secret of the project.
    ApiSecret(Secret),
}

/// The settings about the connection.
#[derive(Clone, Debug)]
pub struct ConnectionSettings {
    /// The project token, if one is said.
    pub token: Option<Secret>,
    /// Where the project lives, if it is said.
    pub region: Option<Region>,
    /// As whom events are imported; none for the token.
    pub credentials: Option<OtherCredentials>,
    /// Whether Mixpanel is to check events row by row, if it is said.
    pub strict: Option<bool>,
    /// What is doubtful, but for [`ConnectionSettings::region_warning`].
    pub warnings: Vec<SettingNote>,
    /// The name under which the token was said.
    token_setting: Option<&'static str>,
}

/// The names of settings that hold a secret, in all systems' words.
pub const SECRET_SETTINGS: [&str; 6] =
    ["projectToken", "project_token", "token", "apiSecret", "api_secret", "serviceAccountSecret"];

/// True for a setting about the connection in the words of one of the other systems.
#[must_use]
pub fn is_vendor_setting(name: &str) -> bool {
    let own = ["region", "url"];
    !own.contains(&name)
        && (TOKENS.contains(&name)
            || REGIONS.contains(&name)
            || API_SECRETS.contains(&name)
            || ACCOUNT.contains(&name)
            || [STRICT, API_KEY].contains(&name))
}

impl ConnectionSettings {
    /// Takes the settings about the connection out of a map. `permit_insecure` takes plain HTTP to
    /// other machines, for whoever sends nothing.
    ///
    /// # Errors
    /// Everything about these settings that cannot be used.
    pub fn take(
        settings: &mut Map<String, Value>,
        permit_insecure: bool,
    ) -> Result<ConnectionSettings, Vec<SettingNote>> {
        let mut reader = Reader { settings, mistakes: Vec::new(), warnings: Vec::new() };
        let token = reader.token();
        let region = reader.region(permit_insecure);
        let credentials = reader.credentials(token.as_ref().map(|(name, _)| *name));
        let strict = reader.strict();
        reader.settings.remove(API_KEY);
        let Reader { mistakes, warnings, .. } = reader;
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        let token_setting = token.as_ref().map(|(name, _)| *name);
        let token = token.map(|(_, token)| token);
        Ok(ConnectionSettings { token, region, credentials, strict, warnings, token_setting })
    }

    /// What is to be said when there is a token and no region, and the US is taken.
    #[must_use]
    pub fn region_warning(&self) -> Option<SettingNote> {
        let name = self.token_setting.filter(|_| self.region.is_none())?;
        let message = "the settings do not say where the project lives, so events go to the US, and \
                       are lost if it lives elsewhere";
        Some(SettingNote::new(name, message, region_hint(name)))
    }

    /// The options that these settings come to: the US and strict unless they say otherwise. The
    /// token may be missing only when there is a service account ([`MixpanelOptions::without_token`]).
    ///
    /// # Errors
    /// When the token or another part of the credentials is missing or cannot be sent.
    pub fn options(self) -> Result<MixpanelOptions, OptionsError> {
        let region = self.region.unwrap_or(Region::Us);
        let options = match (self.token, self.credentials) {
            (None, Some(OtherCredentials::ServiceAccount { user, secret, project_id })) => {
                MixpanelOptions::without_token(region, user, secret, project_id)?
            }
            (None, _) => return Err(OptionsError::Token),
            (Some(token), None) => MixpanelOptions::new(region, token)?,
            (Some(token), Some(OtherCredentials::ApiSecret(secret))) => {
                MixpanelOptions::new(region, token)?.with_api_secret(secret)?
            }
            (Some(token), Some(OtherCredentials::ServiceAccount { user, secret, project_id })) => {
                let options = MixpanelOptions::new(region, token)?;
                options.with_service_account(user, secret, project_id)?
            }
        };
        Ok(options.with_strict(self.strict.unwrap_or(true)))
    }
}

/// The setting that says the region, in the words of whoever says the token like this.
fn region_hint(token: &str) -> &'static str {
    match token {
        "projectToken" => "write apiRegion: \"US 🇺🇸\", \"EU 🇪🇺\" or \"IN 🇮🇳\"",
        "project_token" => "write eu_data_residency: true or false",
        _ => "write dataResidency or region: \"us\", \"eu\" or \"in\"",
    }
}

struct Reader<'a> {
    settings: &'a mut Map<String, Value>,
    mistakes: Vec<SettingNote>,
    warnings: Vec<SettingNote>,
}

impl Reader<'_> {
    fn mistake(&mut self, setting: &'static str, message: impl Into<String>, suggestion: &str) {
        self.mistakes.push(SettingNote::new(setting, message, suggestion));
    }

    fn warning(&mut self, setting: &'static str, message: impl Into<String>, suggestion: &str) {
        self.warnings.push(SettingNote::new(setting, message, suggestion));
    }

    /// Takes a value out; null counts as not said.
    fn value(&mut self, name: &'static str) -> Option<Value> {
        self.settings.remove(name).filter(|value| !value.is_null())
    }

    /// Takes a text out; a number counts as its digits.
    fn text(&mut self, name: &'static str) -> Option<String> {
        match self.value(name)? {
            Value::String(text) => Some(text),
            Value::Number(number) => Some(number.to_string()),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
                self.mistake(name, format!("`{name}` must be a text"), "");
                None
            }
        }
    }

    /// Which of some settings is there. Two that say the same thing are a mistake.
    fn only_one(&mut self, names: &'static [&'static str]) -> Option<&'static str> {
        let mut there = names
            .iter()
            .copied()
            .filter(|name| self.settings.get(*name).is_some_and(|value| !value.is_null()));
        let (first, second) = (there.next(), there.next());
        if let (Some(first), Some(second)) = (first, second) {
            let message = format!("`{first}` and `{second}` say the same thing: keep one");
            self.mistake(second, message, "");
        }
        first
    }

    fn token(&mut self) -> Option<(&'static str, Secret)> {
        let said = self.only_one(&TOKENS);
        let mut taken = TOKENS.map(|name| (name, self.text(name)));
        let (name, token) = taken.iter_mut().find(|(name, _)| Some(*name) == said)?;
        Some((name, Secret::new(token.take()?)))
    }

    fn region(&mut self, permit_insecure: bool) -> Option<Region> {
        let said = self.only_one(&REGIONS);
        let mut taken = REGIONS.map(|name| (name, self.value(name)));
        let (name, value) = taken.iter_mut().find(|(name, _)| Some(*name) == said)?;
        match (*name, value.take()?) {
            ("eu_data_residency", value) => match flag(&value) {
                Some(true) => Some(Region::Eu),
                Some(false) => Some(Region::Us),
                None => {
                    self.mistake("eu_data_residency", "`eu_data_residency` is true or false", "");
                    None
                }
            },
            (name @ ("region" | "url"), Value::String(text)) => {
                let region = region_of(&text).map_or_else(|| Region::parse(&text, permit_insecure), Ok);
                region.map_err(|error| self.mistake(name, format!("`{name}`: {error}"), "")).ok()
            }
            (name @ "dataResidency", Value::String(text)) => region_of(&text).or_else(|| {
                let message = format!(
                    "`dataResidency` names no region, and RudderStack then sends to the US: \"{text}\""
                );
                self.warning(name, message, "write \"us\", \"eu\" or \"in\"");
                Some(Region::Us)
            }),
            (name, Value::String(text)) => {
                let region = LABELS.iter().find(|(label, _)| *label == text);
                let region = region.map(|(_, region)| region.clone());
                if region.is_none() {
                    let message = format!("`{name}` names no region as Segment does: \"{text}\"");
                    self.mistake(name, message, "write \"US 🇺🇸\", \"EU 🇪🇺\" or \"IN 🇮🇳\"");
                }
                region
            }
            (name, _) => {
                self.mistake(name, format!("`{name}` must be a text"), "write \"us\", \"eu\" or \"in\"");
                None
            }
        }
    }

    fn credentials(&mut self, token: Option<&'static str>) -> Option<OtherCredentials> {
        let secret = self.only_one(&API_SECRETS);
        let mut secrets = API_SECRETS.map(|name| (name, self.text(name)));
        let secret = secrets
            .iter_mut()
            .find(|(name, _)| Some(*name) == secret)
            .and_then(|(name, text)| Some((*name, text.take().filter(|text| !text.is_empty())?)));
        let account = self.service_account(token);
        match (account, secret) {
            (Some(account), Some((name, _))) => {
                self.warning(
                    name,
                    format!("`{name}` is not used, as there is a service account"),
                    "",
                );
                Some(account)
            }
            (Some(account), None) => Some(account),
            // RudderStack's pages once asked for it; its code does nothing with it.
            (None, Some((name, _))) if token == Some("token") => {
                self.warning(
                    name,
                    format!("`{name}` has no effect: events are sent with the token"),
                    "leave it out",
                );
                None
            }
            (None, Some((name, secret))) => {
                self.warning(
                    name,
                    format!(
                        "events are sent with `{name}`, and Mixpanel takes API secrets until \
                         2027-03-03 only"
                    ),
                    "leave it out: events are then sent with the token",
                );
                Some(OtherCredentials::ApiSecret(Secret::new(secret)))
            }
            (None, None) => None,
        }
    }

    /// A service account, which RudderStack uses only when there is no token.
    fn service_account(&mut self, token: Option<&'static str>) -> Option<OtherCredentials> {
        let parts = ACCOUNT.map(|name| self.text(name).filter(|text| !text.is_empty()));
        let [user, secret, project_id] = parts;
        if user.is_none() && secret.is_none() {
            // A project id alone does nothing.
            return None;
        }
        if token.is_some() {
            self.warning(
                "serviceAccountUserName",
                "the service account is not used: events are sent with the token, as RudderStack does",
                "",
            );
            return None;
        }
        let (Some(user), Some(secret), Some(project_id)) = (user, secret, project_id) else {
            let message = format!("a service account needs all of `{}`", ACCOUNT.join("`, `"));
            self.mistake("serviceAccountUserName", message, "");
            return None;
        };
        self.warning(
            "serviceAccountUserName",
            "without a token profile updates name no project, and Mixpanel refuses them",
            "say the token as well",
        );
        Some(OtherCredentials::ServiceAccount { user, secret: Secret::new(secret), project_id })
    }

    fn strict(&mut self) -> Option<bool> {
        let value = self.value(STRICT)?;
        let strict = flag(&value);
        match strict {
            Some(true) => {}
            Some(false) => self.warning(
                STRICT,
                "with `strictMode` off Mixpanel does not say which rows it refuses: an event then \
                 counts as delivered although it may have been dropped",
                "switch it on",
            ),
            None => self.mistake(STRICT, "`strictMode` is \"1\" or \"0\", true or false", ""),
        }
        strict
    }
}

/// A switch in any of the forms in use.
fn flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::String(text) => match text.as_str() {
            "1" | "true" => Some(true),
            "0" | "false" => Some(false),
            _ => None,
        },
        Value::Number(number) => match number.as_u64() {
            Some(1) => Some(true),
            Some(0) => Some(false),
            _ => None,
        },
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The regions as Segment's page offers them; it refuses others, a bare `EU` included.
const LABELS: [(&str, Region); 3] =
    [("US 🇺🇸", Region::Us), ("EU 🇪🇺", Region::Eu), ("IN 🇮🇳", Region::In)];

/// The region of a word, with or without the flag that Segment's console puts behind it.
fn region_of(text: &str) -> Option<Region> {
    let is_flag = |c: char| ('\u{1F1E6}'..='\u{1F1FF}').contains(&c) || c.is_whitespace();
    match text.trim_end_matches(is_flag).trim_start().to_ascii_lowercase().as_str() {
        "us" => Some(Region::Us),
        "eu" => Some(Region::Eu),
        "in" => Some(Region::In),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
