//! `millrace blueprint`: what one blueprint says, and its published revisions.

use std::path::Path;

use millrace_blueprint::{Blueprint, Publishing, Revisions};
use serde_json::{Value, json};

use super::check::print_found;
use crate::app::blueprints::{self, Found};
use crate::cli::{BlueprintCommand, OneBlueprint};
use crate::config::Place;
use crate::exit::{Failure, Outcome};
use crate::revisions::{RevisionFolder, parse_reference};

/// Runs the command.
pub(super) fn run(command: &BlueprintCommand) -> Result<Outcome, Failure> {
    match command {
        BlueprintCommand::Publish { file, dir, about } => publish(file, dir, about)?,
        BlueprintCommand::List { dir, json } => list(dir, *json)?,
        BlueprintCommand::Show { revision, dir } => show(revision, dir)?,
        BlueprintCommand::Explain(one) => explain(one)?,
        BlueprintCommand::Lineage(one) => lineage(one)?,
        BlueprintCommand::Canonical(one) => {
            super::print_line(&find(&one.blueprint, Some(&one.dir))?.blueprint.canonical_json())?;
        }
    }
    Ok(Outcome::Fine)
}

fn find(name: &str, dir: Option<&Path>) -> Result<Found, Failure> {
    let place = Place { file: "millrace blueprint".to_owned(), line: 0, column: 0 };
    blueprints::find(name, dir, &place).map_err(|mistakes| {
        print_found(&mistakes);
        Failure::usage(anyhow::anyhow!("the blueprint {name} cannot be used"))
    })
}

fn publish(file: &Path, dir: &Path, about: &str) -> Result<(), Failure> {
    let place = Place { file: "millrace blueprint publish".to_owned(), line: 0, column: 0 };
    let read = blueprints::from_file(file, &place).map_err(|mistakes| {
        print_found(&mistakes);
        Failure::usage(anyhow::anyhow!("{} cannot be published", file.display()))
    });
    let blueprint = read?;
    let publishing = RevisionFolder::new(dir)
        .publish(&blueprint, blueprint.text(), about)
        .map_err(Failure::usage)?;
    let name = blueprint.name();
    super::print_line(&match publishing {
        Publishing::New(new) => {
            format!("published {name}@{} ({})", new.number, new.digest.short())
        }
        Publishing::Same(same) => format!(
            "{name}@{} says the same ({}): nothing was published",
            same.number,
            same.digest.short()
        ),
    })?;
    Ok(())
}

fn list(dir: &Path, as_json: bool) -> Result<(), Failure> {
    let published = RevisionFolder::new(dir).list().map_err(Failure::usage)?;
    if as_json {
        let revisions = |revisions: &Revisions| -> Vec<Value> {
            let one = |one: &millrace_blueprint::Revision| {
                let digest = one.digest.as_str();
                json!({ "number": one.number, "digest": digest, "about": one.about })
            };
            revisions.as_slice().iter().map(one).collect()
        };
        let published: Vec<Value> = published
            .iter()
            .map(|(name, all)| json!({ "blueprint": name, "revisions": revisions(all) }))
            .collect();
        let told = json!({ "built_in": Blueprint::built_in_names(), "published": published });
        super::print_line(&told.to_string())?;
        return Ok(());
    }
    let mut text = "built in\n".to_owned();
    for name in Blueprint::built_in_names() {
        let about = match Blueprint::built_in(name) {
            Some(Ok(blueprint)) => blueprint.about().to_owned(),
            _ => String::new(),
        };
        text.push_str(&format!("  {name:<22} {about}\n"));
    }
    text.push_str(&format!("published in {}\n", dir.display()));
    for (name, revisions) in published {
        for revision in revisions.as_slice() {
            let reference = format!("{name}@{}", revision.number);
            let digest = revision.digest.short();
            text.push_str(format!("  {reference:<22} {digest} {}", revision.about).trim_end());
            text.push('\n');
        }
    }
    super::print(text.as_bytes())?;
    Ok(())
}

fn show(reference: &str, dir: &Path) -> Result<(), Failure> {
    let Some((name, number)) = parse_reference(reference) else {
        let message = format!("`{reference}` is no revision: write NAME@3, or NAME for the newest");
        return Err(Failure::usage(anyhow::anyhow!(message)));
    };
    let published = RevisionFolder::new(dir).read(name, number).map_err(Failure::usage)?;
    super::print(published.text.as_bytes())?;
    Ok(())
}

fn explain(one: &OneBlueprint) -> Result<(), Failure> {
    let readings = find(&one.blueprint, Some(&one.dir))?.blueprint.readings();
    if one.json {
        let list: Vec<Value> = readings
            .iter()
            .map(|reading| {
                json!({
                    "line": reading.line, "column": reading.column, "text": reading.text,
                    "read_as": reading.read_as, "meaning": reading.meaning,
                })
            })
            .collect();
        super::print_line(&Value::Array(list).to_string())?;
        return Ok(());
    }
    let mut text = String::new();
    for reading in readings {
        let at = format!("{}:{}", reading.line, reading.column);
        text.push_str(&format!("{at:<8} {}: {}\n", reading.read_as, reading.text));
        if !reading.meaning.is_empty() {
            text.push_str(&format!("         {}\n", reading.meaning));
        }
    }
    super::print(text.as_bytes())?;
    Ok(())
}

fn lineage(one: &OneBlueprint) -> Result<(), Failure> {
    let lineage = find(&one.blueprint, Some(&one.dir))?.blueprint.lineage();
    if one.json {
        super::print_line(&lineage.to_json().to_string())?;
        return Ok(());
    }
    let mut text = String::new();
    let sources = |sources: &millrace_blueprint::Sources| {
        let settings = sources.settings.iter().map(|name| format!("settings.{name}"));
        sources.paths.iter().cloned().chain(settings).collect::<Vec<_>>().join(", ")
    };
    for rule in &lineage.rules {
        text.push_str(&format!("{}: rule {}\n", rule.line, rule.name));
        let when = sources(&rule.when);
        let when = if when.is_empty() { "always" } else { &when };
        text.push_str(&format!("  when: {when}\n"));
        for action in &rule.actions {
            text.push_str(&format!("  {}: {}\n", action.line, action.verb));
            for field in &action.fields {
                let (at, from) = (field.at.join("."), sources(&field.sources));
                let from = if from.is_empty() { "constant" } else { &from };
                text.push_str(&format!("    {at}: {from}\n"));
            }
        }
    }
    super::print(text.as_bytes())?;
    Ok(())
}
