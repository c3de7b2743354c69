//! Where an integration sends to, and as whom.
//!
//! A base URL is checked once, here: everything that comes later may join a path to it. Plain HTTP
//! would carry the credentials in clear, so it is taken for loopback addresses only, unless the
//! configuration permits it in so many words.

use std::fmt;
use std::net::IpAddr;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use millrace_model::code::{Code, ErrorKind};
use millrace_model::secret::Secret;

/// Why options are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// The text is neither a region nor a base URL.
    #[error("the region must be us, eu, in or a base URL such as https://mixpanel.example")]
    Region,
    /// Plain HTTP to an address that is not loopback.
    #[error("plain http would send the project token in clear: use https, or permit it explicitly")]
    Insecure,
    /// The base URL has a query, a fragment or credentials.
    #[error("the base URL must have a host and at most a path: no user, query or fragment")]
    BaseUrl,
    /// The project token is empty or cannot stand in a header.
    #[error("the project token must not be empty and must be plain ASCII")]
    Token,
    /// A part of the service account is empty or cannot stand in a header or a query.
    #[error("a service account needs a user name, a secret and a numeric project id")]
    ServiceAccount,
    /// The API secret is empty or cannot stand in a header.
    #[error("the API secret must not be empty and must be plain ASCII")]
    ApiSecret,
}

impl OptionsError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> Code {
        Code::BadValue
    }

    /// What to do: change the settings.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        ErrorKind::Fix
    }
}

/// Where a project lives (`reference/mixpanel-api.md` 1). Must be said: a wrong one loses data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Region {
    /// `api.mixpanel.com`.
    Us,
    /// `api-eu.mixpanel.com`.
    Eu,
    /// `api-in.mixpanel.com`.
    In,
    /// Another base URL: the twin, a proxy.
    Custom(BaseUrl),
}

/// A checked base URL without a slash at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl(String);

impl Region {
    /// Reads `us`, `eu`, `in` or a base URL.
    ///
    /// # Errors
    /// When it is none of them, or plain HTTP to a host that is not loopback and
    /// `permit_insecure` is false.
    pub fn parse(text: &str, permit_insecure: bool) -> Result<Region, OptionsError> {
        match text {
            "us" | "US" => Ok(Region::Us),
            "eu" | "EU" => Ok(Region::Eu),
            "in" | "IN" => Ok(Region::In),
            url => BaseUrl::parse(url, permit_insecure).map(Region::Custom),
        }
    }

    /// The base URL, without a slash at its end.
    #[must_use]
    pub fn base_url(&self) -> &str {
        match self {
            Region::Us => "https://api.mixpanel.com",
            Region::Eu => "https://api-eu.mixpanel.com",
            Region::In => "https://api-in.mixpanel.com",
            Region::Custom(base) => &base.0,
        }
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Region::Us => f.write_str("us"),
            Region::Eu => f.write_str("eu"),
            Region::In => f.write_str("in"),
            Region::Custom(base) => f.write_str(&base.0),
        }
    }
}

impl BaseUrl {
    fn parse(text: &str, permit_insecure: bool) -> Result<BaseUrl, OptionsError> {
        let secure = text.starts_with("https://");
        if !secure && !text.starts_with("http://") {
            return Err(OptionsError::Region);
        }
        let url = reqwest::Url::parse(text).map_err(|_| OptionsError::Region)?;
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(OptionsError::Region)?;
        let plain = url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        if !plain {
            return Err(OptionsError::BaseUrl);
        }
        if !secure && !permit_insecure && !is_loopback(host) {
            return Err(OptionsError::Insecure);
        }
        Ok(BaseUrl(url.as_str().trim_end_matches('/').to_owned()))
    }
}

/// True for `localhost` and for addresses that never leave the machine. No name is looked up: what
/// a name resolves to can change.
fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// As whom events are imported. Profile updates always carry the project token instead.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// The project token as Basic user name, with an empty password.
    Token,
    /// A service account of the project.
    ServiceAccount {
        /// Its user name.
        user: String,
        /// Its secret.
        secret: Secret,
        /// The number of the project, for the `project_id` parameter.
        project_id: String,
    },
    /// The API secret of the project as Basic user name, with an empty password. Mixpanel takes it
    /// until 2027-03-03 (`reference/mixpanel-api.md` 2.3).
    ApiSecret(Secret),
}

/// Where and as whom an integration sends.
#[derive(Clone, Debug)]
pub struct MixpanelOptions {
    region: Region,
    token: Secret,
    credentials: Credentials,
    strict: bool,
    gzip: bool,
}

/// True for a text that can be the user name of Basic credentials.
fn is_plain(secret: &Secret) -> bool {
    let plain = |b: u8| b.is_ascii_graphic() && b != b':';
    !secret.is_empty() && secret.expose().bytes().all(plain)
}

impl MixpanelOptions {
    /// Options with the token as credentials, strict and with gzip.
    ///
    /// # Errors
    /// When the token is empty or cannot be sent.
    pub fn new(region: Region, token: Secret) -> Result<MixpanelOptions, OptionsError> {
        if !is_plain(&token) {
            return Err(OptionsError::Token);
        }
        let credentials = Credentials::Token;
        Ok(MixpanelOptions { region, token, credentials, strict: true, gzip: true })
    }

    /// Options without a token: events can be imported, but profile updates then name no project,
    /// which Mixpanel refuses. For showing what a peer's settings come to, not for sending.
    ///
    /// # Errors
    /// When a part of the service account is empty or malformed.
    pub fn without_token(
        region: Region,
        user: impl Into<String>,
        secret: Secret,
        project_id: impl Into<String>,
    ) -> Result<MixpanelOptions, OptionsError> {
        let (token, credentials) = (Secret::new(""), Credentials::Token);
        MixpanelOptions { region, token, credentials, strict: true, gzip: true }
            .with_service_account(user, secret, project_id)
    }

    /// Imports events with the API secret of the project.
    ///
    /// # Errors
    /// When it is empty or cannot be sent.
    pub fn with_api_secret(mut self, secret: Secret) -> Result<MixpanelOptions, OptionsError> {
        if !is_plain(&secret) {
            return Err(OptionsError::ApiSecret);
        }
        self.credentials = Credentials::ApiSecret(secret);
        Ok(self)
    }

    /// Switches the strict checks of `/import`. Without them Mixpanel says for a request as a whole
    /// that it has come in, and drops rows that it cannot use without a word.
    #[must_use]
    pub fn with_strict(mut self, strict: bool) -> MixpanelOptions {
        self.strict = strict;
        self
    }

    /// Imports events as a service account.
    ///
    /// # Errors
    /// When a part of it is empty or malformed.
    pub fn with_service_account(
        mut self,
        user: impl Into<String>,
        secret: Secret,
        project_id: impl Into<String>,
    ) -> Result<MixpanelOptions, OptionsError> {
        let (user, project_id) = (user.into(), project_id.into());
        let numeric = !project_id.is_empty() && project_id.bytes().all(|b| b.is_ascii_digit());
        let named = !user.is_empty() && !user.contains(':') && !user.contains(char::is_control);
        if !numeric || !named || secret.is_empty() {
            return Err(OptionsError::ServiceAccount);
        }
        self.credentials = Credentials::ServiceAccount { user, secret, project_id };
        Ok(self)
    }

    /// Switches the compression of `/import` bodies. Profile updates are never compressed:
    /// `/engage` does not take it (`reference/mixpanel-api.md` 3.2).
    #[must_use]
    pub fn with_gzip(mut self, gzip: bool) -> MixpanelOptions {
        self.gzip = gzip;
        self
    }

    /// Where the project lives.
    #[must_use]
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// The project token.
    #[must_use]
    pub fn token(&self) -> &Secret {
        &self.token
    }

    /// As whom events are imported.
    #[must_use]
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Whether Mixpanel is to check events row by row.
    #[must_use]
    pub fn strict(&self) -> bool {
        self.strict
    }

    /// Whether `/import` bodies are compressed.
    #[must_use]
    pub fn gzip(&self) -> bool {
        self.gzip
    }

    /// These options with the token as credentials: the way to ask whether the token itself is
    /// good, which a service account says nothing about.
    #[must_use]
    pub(crate) fn as_token(&self) -> MixpanelOptions {
        MixpanelOptions { credentials: Credentials::Token, ..self.clone() }
    }

    /// The credentials as the value of a Basic authorization, without the word.
    #[must_use]
    pub(crate) fn basic(&self) -> String {
        let pair = match &self.credentials {
            Credentials::Token => format!("{}:", self.token.expose()),
            Credentials::ApiSecret(secret) => format!("{}:", secret.expose()),
            Credentials::ServiceAccount { user, secret, .. } => {
                format!("{user}:{}", secret.expose())
            }
        };
        BASE64_STANDARD.encode(pair)
    }

    /// Blots the secrets of these options out of a text that somebody else wrote: as they are, and
    /// as they stand in the authorization header, which a proxy may repeat in its page of errors.
    #[must_use]
    pub(crate) fn redact(&self, text: &str) -> String {
        let blot = |text: String, secret: &str| match secret.is_empty() {
            true => text,
            false => text.replace(secret, "****"),
        };
        // First the longest: the others may be a part of it.
        let text = blot(text.to_owned(), &self.basic());
        let text = match self.token.is_empty() {
            true => text,
            false => blot(text, &self.as_token().basic()),
        };
        let text = blot(text, self.token.expose());
        match &self.credentials {
            Credentials::Token => text,
            Credentials::ServiceAccount { secret, .. } | Credentials::ApiSecret(secret) => {
                blot(text, secret.expose())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_and_base_urls() {
        let rows: &[(&str, bool, Result<&str, OptionsError>)] = &[
            ("us", false, Ok("https://api.mixpanel.com")),
            ("EU", false, Ok("https://api-eu.mixpanel.com")),
            ("in", false, Ok("https://api-in.mixpanel.com")),
            ("https://proxy.example/mp/", false, Ok("https://proxy.example/mp")),
            ("http://127.0.0.1:8081", false, Ok("http://127.0.0.1:8081")),
            ("http://localhost:8081/", false, Ok("http://localhost:8081")),
            ("http://[::1]:8081", false, Ok("http://[::1]:8081")),
            ("http://10.0.0.7", false, Err(OptionsError::Insecure)),
            ("http://127.0.0.1.example", false, Err(OptionsError::Insecure)),
            ("http://10.0.0.7", true, Ok("http://10.0.0.7")),
            ("https://user:pass@proxy.example", false, Err(OptionsError::BaseUrl)),
            ("https://proxy.example/?a=b", false, Err(OptionsError::BaseUrl)),
            ("ftp://proxy.example", false, Err(OptionsError::Region)),
            ("mars", false, Err(OptionsError::Region)),
            ("", false, Err(OptionsError::Region)),
        ];
        for (text, permit, wanted) in rows {
            let got = Region::parse(text, *permit).map(|region| region.base_url().to_owned());
            assert_eq!(got, wanted.clone().map(str::to_owned), "{text}");
        }
    }

    #[test]
    fn credentials_are_checked_and_never_printed() {
        assert!(MixpanelOptions::new(Region::Us, Secret::new("")).is_err());
        assert!(MixpanelOptions::new(Region::Us, Secret::new("a\nb")).is_err());
        let options = MixpanelOptions::new(Region::Us, Secret::new("tok-1")).unwrap();
        let account = |user: &str, secret: &str, project: &str| {
            options.clone().with_service_account(user, Secret::new(secret), project)
        };
        assert!(account("sa.1", "s3cret", "12").is_ok());
        assert!(account("", "s3cret", "12").is_err());
        assert!(account("sa:1", "s3cret", "12").is_err());
        assert!(account("sa.1", "", "12").is_err());
        assert!(account("sa.1", "s3cret", "12&x=1").is_err());
        let account = account("sa.1", "s3cret", "12").unwrap();
        let shown = format!("{account:?}");
        assert!(!shown.contains("tok-1") && !shown.contains("s3cret"), "{shown}");
        assert_eq!(account.redact("bad tok-1 or s3cret"), "bad **** or ****");
        let headers = format!("{} {}", account.basic(), options.basic());
        assert_eq!(account.redact(&headers), "**** ****");
        assert!(options.clone().with_api_secret(Secret::new("")).is_err());
        let secret = options.with_api_secret(Secret::new("old-secret")).unwrap();
        assert_eq!(secret.redact("old-secret of tok-1"), "**** of ****");
        assert!(!format!("{secret:?}").contains("old-secret"));
        let bare =
            MixpanelOptions::without_token(Region::Us, "sa.1", Secret::new("s"), "1").unwrap();
        assert_eq!(bare.redact("a text"), "a text".replace('s', "****"));
    }
}
