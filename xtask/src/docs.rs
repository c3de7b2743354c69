//! `cargo xtask docs`: the tables of the pages about the built-in blueprints, made from these.
//!
//! Each page in `docs/blueprints/` is written by hand but for what stands between the two marks.
//! `--check` changes nothing and tells which pages are stale; a test does the same.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use millrace_blueprint::{
    ANY_ITEM, ANY_MEMBER, ActionLineage, Blueprint, FieldLineage, RuleLineage, Setting, SettingKind,
};
use serde_json::Value;

/// Between these two stands what is generated.
const BEGIN: &str = "<!-- generated -->";
const END: &str = "<!-- end -->";

/// Arguments of `cargo xtask docs`.
#[derive(Debug, Args)]
pub(crate) struct DocsArguments {
    /// Change nothing; fail when a page is stale.
    #[arg(long)]
    check: bool,
}

/// Writes the pages, or checks them; false when one is stale.
#[expect(clippy::print_stdout, reason = "this is a command for people")]
pub(crate) fn run(arguments: &DocsArguments) -> anyhow::Result<bool> {
    let mut fresh = true;
    for page in pages()? {
        let Page { path, text, wanted } = page;
        if text == wanted {
            continue;
        }
        if arguments.check {
            println!("stale: {} (run cargo xtask docs)", path.display());
            fresh = false;
        } else {
            fs::write(&path, wanted).with_context(|| format!("cannot write {}", path.display()))?;
            println!("written: {}", path.display());
        }
    }
    Ok(fresh)
}

/// A page as it is and as it should be.
struct Page {
    path: PathBuf,
    text: String,
    wanted: String,
}

/// The pages of all built-in blueprints. A variant stands on the page of its blueprint.
fn pages() -> anyhow::Result<Vec<Page>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/blueprints");
    let mut pages = Vec::new();
    for blueprint in blueprints()? {
        let path = folder.join(format!("{}.md", blueprint.name()));
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => bail!("cannot read {}: {error}", path.display()),
        };
        let wanted = filled(&text, &blueprint);
        pages.push(Page { path, text, wanted });
    }
    Ok(pages)
}

fn blueprints() -> anyhow::Result<Vec<Blueprint>> {
    let mut all = Vec::new();
    for name in Blueprint::built_in_names() {
        match Blueprint::built_in(name) {
            Some(Ok(blueprint)) => all.push(blueprint),
            _ => bail!("the built-in blueprint {name} has mistakes"),
        }
    }
    let variants: Vec<String> =
        all.iter().flat_map(|one| one.variants()).map(|variant| variant.name.clone()).collect();
    all.retain(|one| !variants.iter().any(|name| name == one.name()));
    Ok(all)
}

/// The page with its tables: between the marks, or at the end of a page without them.
fn filled(text: &str, blueprint: &Blueprint) -> String {
    let (before, after) = match text.split_once(BEGIN) {
        Some((before, rest)) => {
            (before.to_owned(), rest.split_once(END).map_or("\n", |(_, after)| after))
        }
        None if text.is_empty() => {
            let (name, about) = (blueprint.name(), blueprint.about());
            (format!("# The `{name}` blueprint\n\n{about}.\n\n"), "\n")
        }
        None => (format!("{}\n\n", text.trim_end()), "\n"),
    };
    format!("{before}{BEGIN}\n\n{}{END}{after}", tables(blueprint))
}

fn tables(blueprint: &Blueprint) -> String {
    let mut text = String::new();
    settings(blueprint, &mut text);
    variants(blueprint, &mut text);
    deviations(blueprint, &mut text);
    fields(blueprint, &mut text);
    text
}

fn settings(blueprint: &Blueprint, text: &mut String) {
    let ignored = |setting: &&Setting| setting.kind == SettingKind::Ignored;
    let used: Vec<&Setting> = blueprint.settings().iter().filter(|one| !ignored(one)).collect();
    let unused: Vec<String> =
        blueprint.settings().iter().filter(ignored).map(|one| code(&one.name)).collect();
    if !used.is_empty() {
        text.push_str(
            "## Settings\n\n| setting | takes | default | |\n| --- | --- | --- | --- |\n",
        );
        for one in used {
            let (name, takes) = (code(&one.name), one.kind.describe());
            let (default, about) = (code(&one.default.to_string()), cell(&one.about));
            let _ = writeln!(text, "| {name} | {} | {default} | {about} |", cell(&takes));
        }
        text.push('\n');
    }
    if !unused.is_empty() {
        let _ = writeln!(
            text,
            "These settings are accepted and change nothing: {}.\n",
            unused.join(", ")
        );
    }
}

fn variants(blueprint: &Blueprint, text: &mut String) {
    if blueprint.variants().is_empty() {
        return;
    }
    text.push_str("## Variants\n\n| variant | for | other defaults |\n| --- | --- | --- |\n");
    for variant in blueprint.variants() {
        let default = |(name, value): &(String, Value)| code(&format!("{name}: {value}"));
        let defaults: Vec<String> = variant.defaults.iter().map(default).collect();
        let (name, about) = (code(&variant.name), cell(&variant.about));
        let _ = writeln!(text, "| {name} | {about} | {} |", defaults.join(", "));
    }
    text.push('\n');
}

fn deviations(blueprint: &Blueprint, text: &mut String) {
    if blueprint.replaces().is_empty() {
        return;
    }
    let _ = writeln!(text, "## What it does otherwise than {}\n", blueprint.replaces());
    if blueprint.deviations().is_empty() {
        text.push_str("Nothing that is known.\n\n");
        return;
    }
    text.push_str("| what | why |\n| --- | --- |\n");
    for one in blueprint.deviations() {
        let _ = writeln!(text, "| {} | {} |", cell(&one.what), cell(&one.why));
    }
    text.push('\n');
}

/// A table for each action of each rule.
fn fields(blueprint: &Blueprint, text: &mut String) {
    let canonical: Value = serde_json::from_str(&blueprint.canonical_json()).unwrap_or_default();
    text.push_str(
        "## Fields\n\nRules are tried from the top. What an event does not have is left out, \
         and a later line of a name replaces an earlier one.\n\n",
    );
    for (rule, place) in blueprint.lineage().rules.iter().zip(0_usize..) {
        let written = canonical.get("rules").and_then(|rules| rules.get(place));
        one_rule(rule, written.unwrap_or(&Value::Null), text);
    }
}

fn one_rule(rule: &RuleLineage, written: &Value, text: &mut String) {
    let _ = writeln!(text, "### {}\n", rule.name);
    let said = |value: &Value, key: &str| value.get(key).map(plain);
    if let Some(about) = said(written, "about") {
        let _ = writeln!(text, "{about}\n");
    }
    let when = said(written, "when").map(|when| format!("When {}. ", code(&when)));
    text.push_str(&when.unwrap_or_default());
    match rule.outcome {
        "drop" => text.push_str("The event is filtered."),
        "set_aside" => {
            let aside = written.get("set_aside").unwrap_or(&Value::Null);
            let (why, reason) = (said(aside, "code"), said(aside, "message"));
            let _ = write!(
                text,
                "The event is set aside: [{0}](../errors/{0}.md) {1}.",
                why.unwrap_or_default(),
                reason.unwrap_or_default()
            );
        }
        _ => {}
    }
    text.truncate(text.trim_end().len());
    text.push_str("\n\n");
    for (action, place) in rule.actions.iter().zip(0_usize..) {
        let send = written.get("send").and_then(|send| send.get(place));
        let body = send.and_then(|action| action.get(action_key(send)));
        one_action(action, body.unwrap_or(&Value::Null), text);
    }
}

/// The verb of an action as it is written: its only key.
fn action_key(action: Option<&Value>) -> &str {
    let members = action.and_then(Value::as_object);
    members.and_then(|members| members.keys().next()).map_or("", String::as_str)
}

fn one_action(action: &ActionLineage, written: &Value, text: &mut String) {
    let mut head = format!("**{}**", action.verb);
    for (key, word) in [("when", "when"), ("for_each", "for each of"), ("each", "for each item of")]
    {
        if let Some(said) = written.get(key) {
            let _ = write!(head, ", {word} {}", code(&plain(said)));
        }
    }
    let _ = writeln!(text, "{head}\n");
    text.push_str("| Mixpanel | from | functions |\n| --- | --- | --- |\n");
    for field in &action.fields {
        let functions: Vec<String> =
            field.sources.functions.iter().map(|name| code(name)).collect();
        let _ = writeln!(
            text,
            "| {} | {} | {} |",
            name(action.verb, field),
            code(&field.source),
            functions.join(", ")
        );
    }
    text.push('\n');
}

/// What Mixpanel calls a field.
fn name(verb: &str, field: &FieldLineage) -> String {
    let mut steps = field.at.iter().map(String::as_str);
    let first = steps.next().unwrap_or_default();
    let first = match (verb, first) {
        (_, "name") => return "the event's name".to_owned(),
        ("event", "properties") => "",
        ("event" | "link" | "join", "user_id") => "$user_id",
        ("event" | "link" | "join", "device_id") => "$device_id",
        ("event", "insert_id") => "$insert_id",
        ("identify", "user_id") => "$identified_id",
        ("identify", "anonymous_id") => "$anon_id",
        ("merge", "ids") => "$distinct_ids",
        ("profile" | "delete", "distinct_id") => "$distinct_id",
        ("profile", "ip") => "$ip",
        ("profile", "time") => "$time",
        ("group", "group_key") => "$group_key",
        ("group", "group_id") => "$group_id",
        ("profile" | "group", operator) => {
            let rest: Vec<&str> = steps.collect();
            let member = if rest.is_empty() { String::new() } else { member(&rest) };
            return format!("{} {member}", code(&format!("${operator}"))).trim_end().to_owned();
        }
        (_, other) => other,
    };
    let rest: Vec<&str> = steps.collect();
    match (first, rest.as_slice()) {
        ("", rest) => member(rest),
        (first, []) => code(first),
        (first, rest) => format!("{} {}", code(first), member(rest)),
    }
}

/// A member below: `a.b`, or words for all members of a spread.
fn member(steps: &[&str]) -> String {
    match steps {
        [ANY_MEMBER] => "every member".to_owned(),
        [above @ .., ANY_MEMBER] => format!("every member of {}", member(above)),
        steps => code(&steps.join(".").replace(&format!(".{ANY_ITEM}"), ANY_ITEM)),
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Text in one cell of a table.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

/// The same as code.
fn code(text: &str) -> String {
    let text = cell(text);
    match (text.is_empty(), text.contains('`')) {
        (true, _) => String::new(),
        (_, true) => format!("`` {text} ``"),
        _ => format!("`{text}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_of_a_built_in_blueprint_is_fresh() {
        for page in pages().expect("pages that can be read") {
            assert!(
                page.text == page.wanted,
                "{} is stale: run cargo xtask docs",
                page.path.display()
            );
        }
    }

    #[test]
    fn what_is_written_by_hand_stays() {
        let blueprint = Blueprint::built_in("default").expect("there").expect("right");
        let page = format!("# Title\n\nBy hand.\n{BEGIN}\nold\n{END}\nBehind.\n");
        let wanted = filled(&page, &blueprint);
        assert!(wanted.starts_with("# Title\n\nBy hand.\n") && wanted.ends_with("\nBehind.\n"));
        assert!(
            wanted.contains("| `identity` | one of simplified, original, legacy |"),
            "{wanted}"
        );
        assert!(!wanted.contains("\nold\n"));
        assert_eq!(filled(&wanted, &blueprint), wanted);
        let without = filled("No marks.\n", &blueprint);
        assert!(without.starts_with("No marks.\n\n<!-- generated -->\n"), "{without}");
    }
}
