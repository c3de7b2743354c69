//! `[pipelines.consent]`: what the people behind events must allow, and where it is read.

use millrace_govern::consent::{
    Category, ConsentOptions, CookieFormat, CustomCookie, TcfMeaning, Unsaid, normalised,
};
use millrace_model::code::Code;
use millrace_model::diagnostic::nearest;

use super::super::super::document::{Field, Report, Section};

/// How many purposes the framework has room for.
const PURPOSES: u64 = 24;

pub(super) fn read(mut section: Section<'_>, report: &mut Report<'_>) -> ConsentOptions {
    let [required, unsaid, denied, annotate, categories, tcf] =
        ["required", "default", "global_privacy_control", "annotate", "categories", "tcf"]
            .map(|key| section.optional(key));
    let cookies = section.tables(report, "cookies");
    section.finish(report);
    let preset = ConsentOptions::default();
    let mut options = ConsentOptions {
        unsaid: unsaid.and_then(|field| read_unsaid(&field, report)).unwrap_or(preset.unsaid),
        global_privacy_control: match denied {
            Some(field) => read_categories(&field, report),
            None => preset.global_privacy_control,
        },
        annotate: annotate.and_then(|field| field.flag(report)).unwrap_or(preset.annotate),
        categories: categories
            .and_then(|field| field.table(report))
            .map(|section| read_meanings(&section, report))
            .unwrap_or_default(),
        tcf: tcf
            .and_then(|field| field.table(report))
            .map_or(preset.tcf, |section| read_tcf(section, report)),
        cookies: cookies.into_iter().filter_map(|one| read_cookie(one, report)).collect(),
        required: Vec::new(),
    };
    if let Some(field) = required {
        options.required = read_required(&field, &options, report);
    }
    options
}

/// Reads a list of categories or codes that must be granted. One that nothing is known to say gets
/// a warning.
pub(in super::super) fn read_required(
    field: &Field<'_>,
    options: &ConsentOptions,
    report: &mut Report<'_>,
) -> Vec<String> {
    let mut required = Vec::new();
    for item in field.list(report, "categories such as \"analytics\"").unwrap_or_default() {
        let Some(text) = item.text(report, "analytics") else { continue };
        let Some(name) = normalised(text) else {
            item.wrong(report, "is no name of a category", None);
            continue;
        };
        if !options.knows(&name) {
            let names = Category::ALL.map(Category::as_str);
            let fix = match nearest(&name, names) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("usual names: {}", names.join(", ")),
            };
            let message = format!(
                "`{}` asks for `{text}`, which is no usual category or code: only what names it \
                 itself grants it",
                field.name
            );
            report.warning(item.at(), Code::DoubtfulConsent, message, Some(fix));
        }
        required.push(name);
    }
    required
}

fn read_unsaid(field: &Field<'_>, report: &mut Report<'_>) -> Option<Unsaid> {
    let text = field.text(report, "deny")?;
    let known = [Unsaid::Allow, Unsaid::Deny, Unsaid::Strip];
    let found = known.into_iter().find(|unsaid| unsaid.as_str() == text);
    if found.is_none() {
        let fix = nearest(text, known.map(Unsaid::as_str));
        let fix = fix.map(|near| format!("did you mean \"{near}\"?"));
        field.wrong(report, "must be \"allow\", \"deny\" or \"strip\"", fix);
    }
    found
}

fn read_category(field: &Field<'_>, report: &mut Report<'_>) -> Option<Category> {
    let text = field.text(report, "analytics")?;
    let found = Category::parse(text);
    if found.is_none() {
        let names = Category::ALL.map(Category::as_str);
        let fix = nearest(text, names).map(|near| format!("did you mean \"{near}\"?"));
        field.wrong(report, &format!("must be one of {}", names.join(", ")), fix);
    }
    found
}

fn read_categories(field: &Field<'_>, report: &mut Report<'_>) -> Vec<Category> {
    let items = field.list(report, "categories such as \"analytics\"").unwrap_or_default();
    items.iter().filter_map(|item| read_category(item, report)).collect()
}

/// Codes and what each means: a category, or a list of them.
fn read_meanings(section: &Section<'_>, report: &mut Report<'_>) -> Vec<(String, Vec<Category>)> {
    let mut meanings: Vec<(String, Vec<Category>)> = Vec::new();
    for (code, at, field) in section.entries() {
        let Some(code) = normalised(code) else {
            let message = format!("`{code}` is no code of a consent platform");
            report.mistake(at, Code::BadValue, message, None);
            continue;
        };
        if meanings.iter().any(|(known, _)| *known == code) {
            let message = format!("the code `{code}` is given twice, in two spellings");
            report.mistake(at, Code::DuplicateName, message, None);
        }
        let categories = match field.value {
            toml::de::DeValue::Array(_) => read_categories(&field, report),
            _ => read_category(&field, report).into_iter().collect(),
        };
        meanings.push((code, categories));
    }
    meanings
}

fn read_tcf(mut section: Section<'_>, report: &mut Report<'_>) -> TcfMeaning {
    let mut meaning = TcfMeaning::default();
    let interest = section.optional("legitimate_interest");
    let fields = ["functional", "analytics", "marketing", "personalization"]
        .map(|key| (Category::parse(key), section.optional(key)));
    section.finish(report);
    for (category, field) in fields {
        let (Some(category), Some(field)) = (category, field) else { continue };
        let items = field.list(report, "purposes, such as [1, 8]").unwrap_or_default();
        let purposes: Vec<u8> = items
            .iter()
            .filter_map(|item| u8::try_from(item.number(report, (1, PURPOSES))?).ok())
            .collect();
        if items.is_empty() {
            field.wrong(report, "is empty, so every consent string would grant it", None);
        }
        meaning.purposes.retain(|(other, _)| *other != category);
        meaning.purposes.push((category, purposes));
    }
    meaning.legitimate_interest = interest.and_then(|field| field.flag(report)).unwrap_or_default();
    meaning
}

fn read_cookie(mut section: Section<'_>, report: &mut Report<'_>) -> Option<CustomCookie> {
    let name = section.required(report, "name", "name = \"cookie_prefs\"");
    let format = section.required(report, "format", "format = \"json\"");
    let [field, granted] = ["field", "granted"].map(|key| section.optional(key));
    section.finish(report);
    let formats = [
        ("json", CookieFormat::Json),
        ("comma", CookieFormat::Comma),
        ("semicolon", CookieFormat::Semicolon),
        ("form", CookieFormat::Form),
    ];
    let format = format.and_then(|field| {
        let text = field.text(report, "json")?;
        let found = formats.into_iter().find(|(name, _)| *name == text);
        if found.is_none() {
            let names = formats.map(|(name, _)| name);
            field.wrong(report, &format!("must be one of {}", names.join(", ")), None);
        }
        found.map(|(_, format)| format)
    });
    let path = field.as_ref().and_then(|field| field.text(report, "purposes"));
    if let (Some(field), Some(format)) = (&field, format)
        && format != CookieFormat::Json
    {
        field.wrong(report, "is for cookies of format \"json\" alone", None);
    }
    let granted = granted.and_then(|field| field.list(report, "answers such as \"yes\""));
    let granted = granted.unwrap_or_default();
    let granted = granted.iter().filter_map(|word| word.text(report, "yes"));
    let granted = granted.map(str::to_owned).collect();
    let name = name.and_then(|field| field.text(report, "cookie_prefs"))?.to_owned();
    let field = path.map(|path| path.split('.').map(str::to_owned).collect());
    Some(CustomCookie { name, format: format?, field: field.unwrap_or_default(), granted })
}
