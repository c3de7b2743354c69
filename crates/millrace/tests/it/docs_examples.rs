//! The examples of the pages: configurations are checked and commands are read as they stand.
//!
//! Pages with tests of their own, which run their examples as well, are looked at here all the same.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser as _;
use millrace::cli::Arguments;

use crate::server::millrace;

/// Every page with its path.
fn pages() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut paths = vec![root.join("README.md")];
    for folder in ["docs", "docs/blueprints", "docs/errors"] {
        let entries = fs::read_dir(root.join(folder)).expect("a folder of pages");
        paths.extend(entries.map(|entry| entry.expect("a page").path()));
    }
    paths.retain(|path| path.extension().is_some_and(|end| end == "md"));
    let read = |path: PathBuf| (path.clone(), fs::read_to_string(path).expect("a page"));
    paths.into_iter().map(read).collect()
}

/// The blocks of a page that are written in a language.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let blocks = page.split("```").skip(1).step_by(2);
    blocks.filter_map(|block| block.strip_prefix(language)?.strip_prefix('\n')).collect()
}

/// The part of a table is put into a whole file: before it stands what it belongs to.
fn whole(block: &str) -> String {
    const SERVER: &str = "[server]\nadmin_token = { env = \"ADMIN\" }\n";
    const PIPELINE: &str = "[[pipelines]]\nid = \"shop\"\nwrite_keys = [\"key\"]\n";
    let (has_server, has_pipeline) =
        (block.contains("[server]\n"), block.contains("[[pipelines]]"));
    let mut text = String::new();
    if has_server && !block.contains("admin_token") {
        text.push_str(&block.replace("[server]\n", SERVER));
    } else if has_server {
        text.push_str(block);
    } else {
        if !block.starts_with('[') {
            text.push_str(block);
        }
        text.push_str(SERVER);
        if !has_pipeline && block.contains("pipelines.") {
            text.push_str(PIPELINE);
        }
        if block.starts_with('[') {
            text.push_str(block);
        }
    }
    if !has_pipeline && !block.contains("pipelines.") {
        text.push_str(PIPELINE);
    }
    text
}

#[test]
fn the_configurations_of_all_pages_have_no_mistakes() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut count = 0;
    for (path, page) in pages() {
        // These are checked where files that they name are at hand.
        let elsewhere = ["database =", "cert =", "blueprint = \"./", "segment_script", "shop@"];
        for block in blocks(&page, "toml") {
            if elsewhere.iter().any(|file| block.contains(file)) {
                continue;
            }
            let file = folder.path().join("millrace.toml");
            let text = whole(block);
            fs::write(&file, &text).expect("written");
            let mut command = millrace();
            command.args(["check", "--config"]).arg(&file);
            for name in text.split("env = \"").skip(1).filter_map(|rest| rest.split('"').next()) {
                command.env(name, format!("value-of-{name}"));
            }
            let output = command.output().expect("it runs");
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(0), "{}: {said}\n{text}", path.display());
            count += 1;
        }
    }
    assert!(count > 20, "{count} configurations were found");
}

/// The words of a command line; what stands in quotes is one.
fn words(line: &str) -> Vec<String> {
    let parts = line.split(['\'', '"']).enumerate();
    parts
        .flat_map(|(place, part)| match place % 2 {
            0 => part.split_whitespace().map(str::to_owned).collect(),
            _ => vec![part.to_owned()],
        })
        .collect()
}

#[test]
fn the_commands_of_all_pages_are_commands() {
    let mut count = 0;
    for (path, page) in pages() {
        for line in blocks(&page, "sh").into_iter().flat_map(str::lines) {
            let line = line.split(" # ").next().unwrap_or(line).split(" < ").next().unwrap_or(line);
            let line = line.rsplit(" | ").next().unwrap_or(line).trim();
            let line = line.replace("cargo run --release -- ", "millrace ");
            let line = line.strip_prefix("./target/release/").unwrap_or(&line);
            if !line.starts_with("millrace ") {
                continue;
            }
            let read = Arguments::try_parse_from(words(line));
            assert!(read.is_ok(), "{}: {line}\n{}", path.display(), read.unwrap_err());
            count += 1;
        }
    }
    assert!(count > 15, "{count} commands were found");
}

/// The examples below the help of every command are commands as well.
#[test]
fn the_examples_of_the_help_are_commands() {
    fn examples(command: &clap::Command, found: &mut Vec<String>) {
        if let Some(help) = command.get_after_help() {
            let lines = help.to_string();
            found.extend(
                lines
                    .lines()
                    .filter_map(|line| line.strip_prefix("  millrace "))
                    .map(str::to_owned),
            );
        } else {
            assert!(command.has_subcommands(), "{} has no examples", command.get_name());
        }
        command.get_subcommands().for_each(|one| examples(one, found));
    }
    let mut found = Vec::new();
    examples(&<Arguments as clap::CommandFactory>::command(), &mut found);
    for example in &found {
        let line = example.split("  ").next().unwrap_or(example);
        let line = line.split(" < ").next().unwrap_or(line);
        let line = line.split(" > ").next().unwrap_or(line);
        let read = Arguments::try_parse_from(words(&format!("millrace {line}")));
        assert!(read.is_ok(), "{example}");
    }
    assert!(found.len() > 25, "{found:?}");
}
