//! `[pipelines.script]`: how the pipeline serves its browser collector.

use std::collections::BTreeMap;
use std::time::Duration;

use millrace_http::ScriptOptions;

use super::super::super::document::{Field, Report};
use super::super::super::quantity::{show_span, span};

/// The names of the platforms in `collector-js/src/consent.ts`.
const PLATFORMS: [&str; 7] = ["auto", "none", "onetrust", "cookiebot", "didomi", "osano", "tcf"];

/// Reads the table. What is wrong is reported, and stays as it is preset.
pub(super) fn read(field: Option<&Field<'_>>, report: &mut Report<'_>) -> ScriptOptions {
    let mut script = ScriptOptions::default();
    let Some(mut section) = field.and_then(|field| field.table(report)) else { return script };
    let [file, global, embed_key, endpoint] =
        ["file", "global", "embed_key", "endpoint"].map(|key| section.optional(key));
    let [batch_size, flush_interval, pages] =
        ["batch_size", "flush_interval", "pages"].map(|key| section.optional(key));
    let [required, from, map] =
        ["consent_required", "consent_from", "consent_map"].map(|key| section.optional(key));
    section.finish(report);

    if let Some(name) = checked(
        file.as_ref(),
        report,
        "d.js",
        is_file_name,
        "file name: letters, digits, `.`, `-`, `_`, and `.js` at the end",
    ) {
        script.file = name;
    }
    if let Some(name) = checked(
        global.as_ref(),
        report,
        "_df",
        is_identifier,
        "name of JavaScript: letters, digits, `_`, `$`",
    ) {
        script.global = name;
    }
    let url = "https://collect.shop.example";
    script.endpoint = checked(
        endpoint.as_ref(),
        report,
        url,
        is_base,
        "address with http:// or https://, without a query",
    );
    if let Some(flag) = embed_key.and_then(|field| field.flag(report)) {
        script.embed_key = flag;
    }
    if let Some(flag) = pages.and_then(|field| field.flag(report)) {
        script.pages = flag;
    }
    let size = batch_size.and_then(|field| field.number(report, (1, 100)));
    if let Some(size) = size.and_then(|size| u32::try_from(size).ok()) {
        script.batch_size = size;
    }
    let bounds = (Duration::ZERO, Duration::from_secs(60));
    let interval = flush_interval.and_then(|field| field.quantity(report, span, show_span, bounds));
    script.flush_interval = interval.unwrap_or(script.flush_interval);
    script.consent_required = required.map(|field| categories(&field, report)).unwrap_or_default();
    if let Some(platform) = checked(
        from.as_ref(),
        report,
        "onetrust",
        is_platform,
        "consent platform: auto, none, onetrust, cookiebot, didomi, osano, tcf, or custom:NAME of a cookie",
    ) {
        script.consent_from = platform;
    }
    script.consent_map = map.and_then(|field| texts(&field, report)).unwrap_or_default();
    script
}

/// A text of the right form.
fn checked(
    field: Option<&Field<'_>>,
    report: &mut Report<'_>,
    example: &str,
    is_right: fn(&str) -> bool,
    wanted: &str,
) -> Option<String> {
    let field = field?;
    let text = field.text(report, example)?;
    if !is_right(text) {
        let suggestion = Some(format!("write for example \"{example}\""));
        field.wrong(report, &format!("is no {wanted}"), suggestion);
        return None;
    }
    Some(text.to_owned())
}

/// The name is looked up as it is, so it has nothing that an address writes otherwise.
fn is_file_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    name.len() <= 100 && name.len() > 3 && name.ends_with(".js") && name.chars().all(allowed)
}

fn is_identifier(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '$');
    let begins_well = name.starts_with(|c: char| !c.is_ascii_digit());
    begins_well && name.len() <= 100 && name.chars().all(allowed)
}

fn is_base(url: &str) -> bool {
    let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    host.is_some_and(|host| {
        !host.is_empty() && !host.starts_with('/') && !host.contains(['?', '#', ' ', '"'])
    })
}

fn is_platform(name: &str) -> bool {
    PLATFORMS.contains(&name) || name.strip_prefix("custom:").is_some_and(|key| !key.is_empty())
}

fn categories(field: &Field<'_>, report: &mut Report<'_>) -> Vec<String> {
    let items = field.list(report, "categories such as \"analytics\"").unwrap_or_default();
    items.iter().filter_map(|item| Some(item.text(report, "analytics")?.to_owned())).collect()
}

fn texts(field: &Field<'_>, report: &mut Report<'_>) -> Option<BTreeMap<String, String>> {
    let section = field.table(report)?;
    let entries = section.entries();
    let texts = entries.filter_map(|(code, _, field)| {
        Some((code.to_owned(), field.text(report, "analytics")?.to_owned()))
    });
    Some(texts.collect())
}
