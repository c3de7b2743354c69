//! `[pipelines.adobe]`: how Adobe's Web SDK and its Edge Network API reach a pipeline.

use millrace_http::AdobeOptions;
use millrace_model::code::Code;

use super::super::super::document::{Field, Report, Section};
use super::super::super::secrets::{self, Literal};

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
    let base_path = section.optional("base_path");
    let keep_decisioning = section.optional("keep_decisioning");
    section.finish(report);
    let mut options = AdobeOptions {
        datastreams: names(datastreams.as_ref(), known, report),
        ..AdobeOptions::default()
    };
    let own: Vec<&str> =
        known.iter().copied().chain(options.datastreams.iter().map(String::as_str)).collect();
    options.disabled_datastreams = names(disabled.as_ref(), &own, report);
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
    options.tokens =
        tokens.unwrap_or_default().iter().filter_map(|field| secret(field, report)).collect();
    options
}

/// Datastream ids, each for one pipeline only.
fn names(field: Option<&Field<'_>>, known: &[&str], report: &mut Report<'_>) -> Vec<String> {
    let items = field.and_then(|field| field.list(report, "datastream ids")).unwrap_or_default();
    let mut names: Vec<String> = Vec::new();
    for item in items {
        let plain = |byte: u8| byte.is_ascii_graphic();
        let example = "11111111-2222-3333-4444-555555555555";
        let Some(name) = checked(&item, example, "must be a datastream id", plain, report) else {
            continue;
        };
        if known.contains(&name.as_str()) || names.contains(&name) {
            let message = format!(
                "the datastream `{name}` is named twice, so its events could belong to either"
            );
            report.mistake(item.at(), Code::DuplicateName, message, None);
        } else {
            names.push(name);
        }
    }
    names
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
