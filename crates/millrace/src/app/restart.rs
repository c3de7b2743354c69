//! What of a changed configuration does not take effect while the process runs: everything but the
//! doors of the pipelines that it was started with. Names of keys only, never their values.

use std::collections::BTreeSet;

use toml::{Table, Value};

/// The keys that differ between two files and take a restart, in the order of their names.
pub(super) fn needs_restart(before: &str, after: &str) -> Vec<String> {
    let (Ok(before), Ok(after)) = (before.parse::<Table>(), after.parse::<Table>()) else {
        return Vec::new();
    };
    let mut found = BTreeSet::new();
    for key in before.keys().chain(after.keys()) {
        if key == "pipelines" {
            continue;
        }
        match (before.get(key), after.get(key)) {
            (one, other) if one == other => {}
            (Some(Value::Table(one)), Some(Value::Table(other))) => {
                let names = one.keys().chain(other.keys());
                let differing = names.filter(|name| one.get(*name) != other.get(*name));
                found.extend(differing.map(|name| format!("{key}.{name}")));
            }
            _ => {
                found.insert(key.clone());
            }
        }
    }
    let (one, other) = (pipelines(&before), pipelines(&after));
    for (id, pipeline) in &other {
        match one.iter().find(|(known, _)| known == id) {
            None => {
                found.insert(format!("the new pipeline {id}"));
            }
            Some((_, former)) if former.get("parameters") != pipeline.get("parameters") => {
                found.insert(format!("parameters of the pipeline {id}"));
            }
            Some(_) => {}
        }
    }
    found.into_iter().collect()
}

fn pipelines(config: &Table) -> Vec<(&str, &Table)> {
    let all = config.get("pipelines").and_then(Value::as_array);
    let tables = all.into_iter().flatten().filter_map(Value::as_table);
    tables.filter_map(|table| Some((table.get("id")?.as_str()?, table))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_doors_take_effect_at_once() {
        let before = "data_dir = \"a\"\n[server]\ncollect = \"1\"\nadmin_token = \"t\"\n\
                      [[pipelines]]\nid = \"shop\"\nwrite_keys = [\"k\"]\n[[integrations]]\nid = \"m\"\n";
        let with = |from: &str, to: &str| needs_restart(before, &before.replace(from, to));
        assert!(with("\"k\"", "\"other\"").is_empty());
        assert!(with("\"k\"", "\"k\"]\norigins = [\"https://a.example\"").is_empty());
        assert_eq!(with("\"a\"", "\"b\""), ["data_dir"]);
        assert_eq!(with("collect = \"1\"", "manage = \"2\""), ["server.collect", "server.manage"]);
        assert_eq!(with("admin_token = \"t\"", "admin_token = \"s\""), ["server.admin_token"]);
        assert_eq!(with("id = \"m\"", "id = \"n\""), ["integrations"]);
        assert_eq!(with("id = \"shop\"", "id = \"new\""), ["the new pipeline new"]);
        let parameters = with("\"k\"]", "\"k\"]\nparameters = { site = \"a\" }");
        assert_eq!(parameters, ["parameters of the pipeline shop"]);
        assert_eq!(with("[server]", "[limits]\nbody = \"1MiB\"\n[server]"), ["limits"]);
    }
}
