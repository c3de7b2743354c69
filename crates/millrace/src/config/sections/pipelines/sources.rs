//! `[pipelines.datafly]`, `[pipelines.cookie]`, `[[pipelines.webhooks]]` and `[pipelines.syft]`: the ways
//! into a pipeline beside its write keys.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use millrace_http::{CookieOptions, DataflyOptions, PipelineOptions, WebhookOptions, WebhookProof};
use millrace_model::code::Code;
use millrace_model::secret::Secret;
use millrace_protocol::webhook::Mapping;

use super::super::super::document::{Field, Report, Section};
use super::super::super::quantity::{show_span, span};
use super::super::super::secrets::{self, Literal};

/// As long as browsers keep a cookie, and then some: they cut it themselves.
const LONGEST_AGE: Duration = Duration::from_secs(2 * 366 * 86_400);
/// Secrets that are tried for a call are few, since each costs a pass over the body.
const MAX_SECRETS: usize = 8;

/// How the paths of other protocols begin: one of them would never come to Syft.
const TAKEN: [&str; 18] = [
    "analytics.js",
    "beacon",
    "decide",
    "ee",
    "engage",
    "flags",
    "groups",
    "healthz",
    "import",
    "pixel",
    "readyz",
    "record",
    "rsaMetrics",
    "settings",
    "sourceConfig",
    "syft",
    "track",
    "v1",
];

/// The requests in a second of one key that Datafly takes unless told otherwise.
const DATAFLY_REQUESTS: u32 = 1_000;

/// What pipelines before this one have taken for themselves.
#[derive(Default)]
pub(super) struct Used {
    webhooks: HashSet<String>,
    syft_paths: HashSet<String>,
}

/// The sections of one pipeline, asked for but not yet read.
pub(super) struct Sources<'d> {
    datafly: Option<Section<'d>>,
    cookie: Option<Section<'d>>,
    webhooks: Vec<Section<'d>>,
    syft: Option<Section<'d>>,
}

impl<'d> Sources<'d> {
    pub(super) fn ask(pipeline: &mut Section<'d>, report: &mut Report<'_>) -> Sources<'d> {
        Sources {
            datafly: pipeline.table(report, "datafly"),
            cookie: pipeline.table(report, "cookie"),
            webhooks: pipeline.tables(report, "webhooks"),
            syft: pipeline.table(report, "syft"),
        }
    }

    pub(super) fn read(self, door: &mut PipelineOptions, used: &mut Used, report: &mut Report<'_>) {
        if let Some(section) = self.datafly {
            door.datafly = read_datafly(section, report);
            // What its clients expect (reference/datafly-adobe.md A-12).
            door.limits.requests_per_second.get_or_insert(DATAFLY_REQUESTS);
        }
        if let Some(section) = self.cookie {
            door.cookie = read_cookie(section, report);
        }
        for section in self.webhooks {
            door.webhooks.extend(read_webhook(section, used, report));
        }
        if let Some(section) = self.syft {
            door.syft_path = read_syft(section, used, report);
        }
    }
}

fn read_datafly(mut section: Section<'_>, report: &mut Report<'_>) -> DataflyOptions {
    let strict = section.optional("strict");
    let require = section.optional("require_signature");
    let secrets = section.optional("hmac_secrets");
    section.finish(report);
    let mut hmac_secrets = Vec::new();
    if let Some(field) = secrets {
        for field in field.list(report, "secrets").unwrap_or_default() {
            hmac_secrets.extend(secrets::read(&field, report, Literal::Warned));
        }
        if hmac_secrets.len() > MAX_SECRETS {
            field.wrong(report, &format!("has more than {MAX_SECRETS} secrets"), None);
        }
    }
    let require_signature =
        require.as_ref().and_then(|field| field.flag(report)).unwrap_or_default();
    if let (Some(field), true, true) = (&require, require_signature, hmac_secrets.is_empty()) {
        let fix = "add hmac_secrets = [{ env = \"SHOP_HMAC_SECRET\" }]".to_owned();
        field.wrong(report, "needs a secret, or nothing could be sent", Some(fix));
    }
    DataflyOptions {
        strict: strict.and_then(|field| field.flag(report)).unwrap_or_default(),
        require_signature,
        hmac_secrets,
    }
}

fn read_cookie(mut section: Section<'_>, report: &mut Report<'_>) -> Option<CookieOptions> {
    let enabled = section.optional("enabled");
    let (name, age) = (section.optional("name"), section.optional("age"));
    let (domain, device) = (section.optional("domain"), section.optional("device_name"));
    section.finish(report);
    let mut options = CookieOptions::default();
    if let Some(name) = name.and_then(|field| cookie_name(&field, report)) {
        options.name = name;
    }
    if let Some(field) = age {
        let bounds = (Duration::from_secs(60), LONGEST_AGE);
        options.age = field.quantity(report, span, show_span, bounds).unwrap_or(options.age);
    }
    options.domain = domain.and_then(|field| cookie_domain(&field, report));
    if let Some(field) = device {
        options.device_name = cookie_name(&field, report);
        if options.device_name.as_ref() == Some(&options.name) {
            field.wrong(report, "must differ from `name`: they are two ids", None);
        }
    }
    let enabled = enabled.and_then(|field| field.flag(report)).unwrap_or(true);
    enabled.then_some(options)
}

fn cookie_name(field: &Field<'_>, report: &mut Report<'_>) -> Option<String> {
    let name = field.text(report, "_dfid")?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    if name.is_empty() || name.len() > 64 || !name.bytes().all(plain) {
        let reason = "must be 1 to 64 letters, digits, `_`, `-` or `.` of ASCII";
        field.wrong(report, reason, Some("write for example \"_dfid\"".to_owned()));
        return None;
    }
    Some(name.to_owned())
}

fn cookie_domain(field: &Field<'_>, report: &mut Report<'_>) -> Option<String> {
    let domain = field.text(report, "example.com")?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
    let bare = domain.trim_start_matches('.');
    if bare.is_empty() || bare.len() > 253 || !bare.contains('.') || !bare.bytes().all(plain) {
        let reason = "must be a domain that the collector's host ends in, without scheme or port";
        field.wrong(report, reason, Some("write for example \"example.com\"".to_owned()));
        return None;
    }
    Some(bare.to_owned())
}

fn read_syft(mut section: Section<'_>, used: &mut Used, report: &mut Report<'_>) -> Option<String> {
    let field = section.required(report, "path", "path = \"/api/syft\"");
    section.finish(report);
    let field = field?;
    let path = field.text(report, "/api/syft")?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    let whole = path.starts_with('/') && !path.ends_with('/') && !path.contains("//");
    if !whole || path.len() > 256 || !path.bytes().all(plain) {
        let reason = "must be a path such as /api/syft: it begins with `/`, does not end with it, and has \
                      only letters, digits, `-`, `.`, `_`, `~` and `/`";
        field.wrong(report, reason, None);
        return None;
    }
    let first = path.split('/').nth(1).unwrap_or_default();
    if TAKEN.contains(&first) {
        let reason = "lies where another protocol has its paths";
        field.wrong(report, reason, Some("write for example \"/api/syft\"".to_owned()));
        return None;
    }
    if !used.syft_paths.insert(path.to_owned()) {
        let message = "the path is used twice, so its events could belong to either pipeline";
        report.mistake(field.at(), Code::DuplicateName, message, None);
        return None;
    }
    Some(path.to_owned())
}

fn read_webhook(
    mut section: Section<'_>,
    used: &mut Used,
    report: &mut Report<'_>,
) -> Option<WebhookOptions> {
    let id = section.required(report, "id", "id = \"wh_stripe\"");
    let kind = section.required(report, "type", "type = \"stripe\"");
    let proof = ProofFields {
        secret: section.optional("secret"),
        signature: section.optional("signature"),
        header: section.optional("header"),
        public_url: section.optional("public_url"),
        at: section.at,
    };
    let event_type = section.optional("event_type_path");
    let mappings = section.optional("mappings");
    section.finish(report);
    let id = id.and_then(|field| webhook_id(&field, used, report));
    let kind = kind.and_then(|field| {
        let kind = field.text(report, "stripe")?;
        let known = ["stripe", "shopify", "hubspot", "custom"].contains(&kind);
        if !known {
            field.wrong(report, "must be stripe, shopify, hubspot or custom", None);
        }
        known.then_some(kind)
    });
    let proof = kind.and_then(|kind| proof.read(kind, report));
    let mapping = read_mapping(event_type.as_ref(), mappings.as_ref(), report);
    if let (Some("custom"), Some(mapping)) = (kind, &mapping)
        && !mapping.names_events()
    {
        let message = "a custom webhook needs `event_type_path`, or `event` among its mappings";
        let fix = Some("add event_type_path = \"$.type\"".to_owned());
        report.mistake(proof_place(&event_type, section.at), Code::MissingKey, message, fix);
        return None;
    }
    Some(WebhookOptions { id: id?, proof: proof?, mapping: Arc::new(mapping?) })
}

fn proof_place(field: &Option<Field<'_>>, section_at: usize) -> usize {
    field.as_ref().map_or(section_at, Field::at)
}

fn webhook_id(field: &Field<'_>, used: &mut Used, report: &mut Report<'_>) -> Option<String> {
    let id = field.text(report, "wh_stripe")?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if id.is_empty() || id.len() > 64 || !id.bytes().all(plain) {
        field.wrong(report, "must be 1 to 64 letters, digits, `-` or `_` of ASCII", None);
        return None;
    }
    if !used.webhooks.insert(id.to_owned()) {
        let message = "the id of the webhook is used twice, so its events could belong to either";
        report.mistake(field.at(), Code::DuplicateName, message, None);
        return None;
    }
    Some(id.to_owned())
}

/// What says how a sender proves who it is.
struct ProofFields<'d> {
    secret: Option<Field<'d>>,
    signature: Option<Field<'d>>,
    header: Option<Field<'d>>,
    public_url: Option<Field<'d>>,
    at: usize,
}

impl ProofFields<'_> {
    fn read(&self, kind: &str, report: &mut Report<'_>) -> Option<WebhookProof> {
        let only = |field: &Option<Field<'_>>, of: &str, report: &mut Report<'_>| {
            if let Some(field) = field {
                field.wrong(report, &format!("is only for {of}"), None);
            }
        };
        if kind != "custom" {
            only(&self.signature, "webhooks of the type custom", report);
            only(&self.header, "webhooks of the type custom", report);
        }
        if kind != "hubspot" {
            only(&self.public_url, "webhooks of the type hubspot", report);
        }
        match kind {
            "stripe" => Some(WebhookProof::Stripe(self.secret(report)?)),
            "shopify" => Some(WebhookProof::Shopify(self.secret(report)?)),
            "hubspot" => {
                let (secret, public_url) = (self.secret(report), self.public_url(report));
                Some(WebhookProof::HubSpot { secret: secret?, public_url: public_url? })
            }
            _ => self.custom(report),
        }
    }

    fn custom(&self, report: &mut Report<'_>) -> Option<WebhookProof> {
        let signature = match &self.signature {
            Some(field) => field.text(report, "hmac")?,
            None => "hmac",
        };
        match signature {
            "hmac" => {
                let (header, secret) = (self.header("x-signature", report), self.secret(report));
                Some(WebhookProof::Hmac { header: header?, secret: secret? })
            }
            "shared_secret" => {
                let header = self.header("x-webhook-secret", report);
                let secret = self.secret(report);
                Some(WebhookProof::SharedSecret { header: header?, secret: secret? })
            }
            "none" => {
                for field in [&self.secret, &self.header].into_iter().flatten() {
                    field.wrong(report, "is of no use with signature = \"none\"", None);
                }
                let message = "the webhook takes what anybody sends who knows its id";
                let at = self.signature.as_ref().map_or(self.at, Field::at);
                let better = "write signature = \"hmac\" or \"shared_secret\" if the sender can";
                report.warning(at, Code::BadValue, message, Some(better.to_owned()));
                Some(WebhookProof::Nothing)
            }
            _ => {
                if let Some(field) = &self.signature {
                    field.wrong(report, "must be hmac, shared_secret or none", None);
                }
                None
            }
        }
    }

    fn secret(&self, report: &mut Report<'_>) -> Option<Secret> {
        match &self.secret {
            Some(field) => secrets::read(field, report, Literal::Warned),
            None => {
                let fix = "add secret = { env = \"WEBHOOK_SECRET\" }".to_owned();
                let message = "the webhook needs `secret`, the one that its sender signs with";
                report.mistake(self.at, Code::MissingKey, message, Some(fix));
                None
            }
        }
    }

    fn header(&self, preset: &str, report: &mut Report<'_>) -> Option<String> {
        let Some(field) = &self.header else { return Some(preset.to_owned()) };
        let name = field.text(report, "X-Signature")?.to_ascii_lowercase();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if name.is_empty() || name.len() > 64 || !name.bytes().all(plain) {
            field.wrong(report, "must be the name of a header, such as X-Signature", None);
            return None;
        }
        Some(name)
    }

    fn public_url(&self, report: &mut Report<'_>) -> Option<String> {
        let example = "public_url = \"https://collect.example.com\"";
        let Some(field) = &self.public_url else {
            let message = "a webhook of HubSpot needs `public_url`: HubSpot signs the address that it \
                           calls, which the collector behind a proxy cannot know";
            report.mistake(self.at, Code::MissingKey, message, Some(format!("add {example}")));
            return None;
        };
        let url = field.text(report, "https://collect.example.com")?;
        let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        let good = host.is_some_and(|host| {
            !host.is_empty()
                && host.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#@".contains(&byte))
        });
        if !good {
            let reason = "must be the address of the collector as HubSpot calls it, up to the path";
            field.wrong(report, reason, Some(format!("write {example}")));
            return None;
        }
        Some(url.trim_end_matches('/').to_owned())
    }
}

fn read_mapping(
    event_type: Option<&Field<'_>>,
    mappings: Option<&Field<'_>>,
    report: &mut Report<'_>,
) -> Option<Mapping> {
    let path = match event_type {
        Some(field) => Some((field, field.text(report, "$.type")?)),
        None => None,
    };
    let mut mapping = match (Mapping::new(path.map(|(_, path)| path)), path) {
        (Ok(mapping), _) => mapping,
        (Err(error), Some((field, _))) => {
            field.wrong(report, &format!("is wrong: {error}"), None);
            return None;
        }
        (Err(_), None) => return None,
    };
    let mut good = true;
    if let Some(field) = mappings {
        for (target, at, field) in field.table(report)?.entries() {
            let Some(source) = field.text(report, "$.data.object.customer") else {
                good = false;
                continue;
            };
            if let Err(error) = mapping.target(target, source) {
                let message = format!("`{}` is wrong: {error}", field.name);
                report.mistake(at, Code::BadValue, message, None);
                good = false;
            }
        }
    }
    good.then_some(mapping)
}
