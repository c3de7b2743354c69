//! `[pipelines.adobe]`: how Adobe's Web SDK and its Edge Network API reach a pipeline.

use millrace_http::{AdobeOptions, WriteKey};
use millrace_model::code::Code;
use millrace_model::secret::Secret;
use toml::de::DeValue;

use super::super::super::document::{Field, Report, Section};
use super::super::super::secrets::{self, Literal};
use super::super::non_empty;
use super::write_keys::read_state;

/// Longer ids are not Adobe's.
const LONGEST: usize = 128;

/// Reads the table. `known` are the datastreams of the pipelines before.
pub(super) fn read(
    section: Option<Section<'_>>,
    known: &[&str],
    report: &mut Report<'_>,
) -> AdobeOptions {
    let Some(mut section) = section else { return AdobeOptions::default() };
    let datastreams = section.optional("datastreams");
    let disabled = section.optional("disabled_datastreams");
    let organisation = section.optional("organisation");
    let tokens = section.optional("tokens");
    let require_token = section.optional("require_token");
    let base_path = section.optional("base_path");
    let keep_decisioning = section.optional("keep_decisioning");
    section.finish(report);
    let mut options = AdobeOptions {
        datastreams: streams(datastreams.as_ref(), known, report, read_stream),
        ..AdobeOptions::default()
    };
    let own: Vec<&str> = known.iter().copied().chain(ids(&options)).collect();
    let disabled = streams(disabled.as_ref(), &own, report, |field, report| {
        read_id(field, report).map(WriteKey::from)
    });
    options.disabled_datastreams =
        disabled.into_iter().map(|stream| stream.key.expose().to_owned()).collect();
    options.organisation = organisation.and_then(|field| {
        let example = "0123456789ABCDEF01234567@AdobeOrg";
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"@_-.".contains(&byte);
        checked(&field, example, "must be an organisation id", plain, report)
    });
    if options.organisation.is_none() && !options.datastreams.is_empty() {
        report.warning(
            section.at,
            Code::MissingKey,
            "`pipelines.adobe` has no `organisation`, so every visit of the Web SDK is a new visitor",
            Some("add organisation = \"..@AdobeOrg\", as it stands in `orgId` of the page".to_owned()),
        );
    }
    options.base_path = base_path.and_then(|field| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/_-.~".contains(&byte);
        let path = checked(&field, "shop/edge", "must be a path", plain, report)?;
        let path = path.trim_matches('/');
        if path.is_empty() || path.contains("//") {
            field.wrong(report, "must be a path such as `shop/edge`", None);
            return None;
        }
        Some(path.to_owned())
    });
    if let Some(field) = keep_decisioning {
        options.keep_decisioning = field.flag(report).unwrap_or_default();
    }
    let tokens = tokens.and_then(|field| {
        let items = field.list(report, "secrets")?;
        if items.is_empty() {
            field.wrong(report, "is empty: leave it out to let every server in", None);
        }
        Some(items)
    });
    let secret =
        |field: &Field<'_>, report: &mut Report<'_>| secrets::read(field, report, Literal::Warned);
    let has_tokens = tokens.is_some();
    options.tokens =
        tokens.unwrap_or_default().iter().filter_map(|field| secret(field, report)).collect();
    if let Some(field) = require_token {
        options.require_token = field.flag(report).unwrap_or_default();
        if options.require_token && !has_tokens {
            let help = "add tokens = [{ env = \"EDGE_TOKEN\" }]".to_owned();
            field.wrong(report, "needs `tokens`, or nobody could send", Some(help));
        }
    }
    options
}

/// The datastreams that a pipeline names.
pub(super) fn ids(adobe: &AdobeOptions) -> impl Iterator<Item = &str> {
    let disabled = adobe.disabled_datastreams.iter().map(String::as_str);
    adobe.datastreams.iter().map(|stream| stream.key.expose()).chain(disabled)
}

/// Datastreams, each for one pipeline only.
fn streams(
    field: Option<&Field<'_>>,
    known: &[&str],
    report: &mut Report<'_>,
    read_one: impl Fn(&Field<'_>, &mut Report<'_>) -> Option<WriteKey>,
) -> Vec<WriteKey> {
    let items = field.and_then(|field| field.list(report, "datastream ids")).unwrap_or_default();
    let mut streams: Vec<WriteKey> = Vec::new();
    for item in items {
        let Some(stream) = read_one(&item, report) else { continue };
        let id = stream.key.expose();
        if known.contains(&id) || streams.iter().any(|other| other.key.expose() == id) {
            let message = format!(
                "the datastream `{id}` is named twice, so its events could belong to either"
            );
            report.mistake(item.at(), Code::DuplicateName, message, None);
        } else {
            streams.push(stream);
        }
    }
    streams
}

fn read_id(field: &Field<'_>, report: &mut Report<'_>) -> Option<Secret> {
    let plain = |byte: u8| byte.is_ascii_graphic();
    let example = "11111111-2222-3333-4444-555555555555";
    checked(field, example, "must be a datastream id", plain, report).map(Secret::new)
}

/// An id, or a table with the `id` and, as write keys have them, `name`, `revoked` and `until`.
fn read_stream(field: &Field<'_>, report: &mut Report<'_>) -> Option<WriteKey> {
    if !matches!(field.value, DeValue::Table(_)) {
        return read_id(field, report).map(WriteKey::from);
    }
    let mut section = field.table(report)?;
    let key = section.required(report, "id", "id = \"11111111-2222-3333-4444-555555555555\"");
    let [name, revoked, until] = ["name", "revoked", "until"].map(|name| section.optional(name));
    section.finish(report);
    let key = key.and_then(|field| read_id(&field, report));
    let name = match name {
        Some(field) => Some(non_empty(&field, report, "shop 2025")?.to_owned()),
        None => None,
    };
    let state = read_state(revoked.as_ref(), until.as_ref(), report)?;
    Some(WriteKey { key: key?, name, state })
}

fn checked(
    field: &Field<'_>,
    example: &str,
    must: &str,
    plain: impl Fn(u8) -> bool,
    report: &mut Report<'_>,
) -> Option<String> {
    let text = field.text(report, example)?;
    if (1..=LONGEST).contains(&text.len()) && text.bytes().all(plain) {
        return Some(text.to_owned());
    }
    field.wrong(report, must, Some(format!("write for example \"{example}\"")));
    None
}
