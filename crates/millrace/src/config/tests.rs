//! Whole files, and what is said about them.

mod adobe;
mod connections;
mod door;
mod mixpanel;
mod rules;
mod sources;

use std::path::Path;

use millrace_delivery::mixpanel::vendor_settings::OtherCredentials;

use super::*;

const MINIMAL: &str = r#"
[server]
admin_token = { env = "ADMIN" }

[[pipelines]]
id = "shop"
write_keys = [{ env = "KEY" }]

[[integrations]]
id = "mixpanel"
pipeline = "shop"
token = { env = "TOKEN" }
region = "eu"
"#;

fn environment(name: &str) -> Option<String> {
    // Every name of the documentation's examples is set; only the names below are not.
    (!name.starts_with("UNSET")).then(|| format!("value-of-{name}"))
}

fn parse(text: &str) -> Result<(Config, Vec<Diagnostic>), Vec<Diagnostic>> {
    Config::parse(text, "millrace.toml", Path::new("/etc/millrace"), &environment)
        .map_err(|refused| refused.mistakes)
}

/// The mistakes of a text, one line each.
fn mistakes(text: &str) -> Vec<String> {
    match parse(text) {
        Ok(_) => Vec::new(),
        Err(found) => found.iter().map(ToString::to_string).collect(),
    }
}

/// The minimal file with one text replaced by another.
fn changed(from: &str, to: &str) -> String {
    assert!(MINIMAL.contains(from), "{from}");
    MINIMAL.replacen(from, to, 1)
}

#[test]
fn a_small_file_gets_the_documented_presets() {
    let (config, warnings) = parse(MINIMAL).unwrap();
    assert_eq!(warnings, []);
    assert_eq!(config.data_dir, Path::new("/etc/millrace/data"));
    assert_eq!(config.server.collect.to_string(), "127.0.0.1:8080");
    assert_eq!(config.server.manage.unwrap().to_string(), "127.0.0.1:8084");
    assert_eq!(config.server.admin_token.expose(), "value-of-ADMIN");
    assert_eq!((config.limits, config.log), (Limits::default(), Log::default()));
    assert_eq!(config.quarantine, Quarantine::default());
    let integration = &config.integrations[0];
    assert_eq!(integration.connection.destination, Destination::Region(Region::Eu));
    assert_eq!(integration.mapping.blueprint, BlueprintRef::BuiltIn("default".to_owned()));
    assert!(integration.gzip && integration.mapping.settings.is_empty());
    assert_eq!(integration.retry_horizon.as_secs(), 5 * 86_400);
    assert!(config.twin.is_none());
    assert!(!format!("{config:?}").contains("value-of"), "secrets stay in");
}

#[test]
fn five_mistakes_are_told_at_once_each_with_its_place() {
    let text = r#"
[server]
admin_token = { env = "ADMIN" }
colect = "127.0.0.1:8080"

[log]
retention = 7

[[pipelines]]
id = "shop"

[[integrations]]
id = "mixpanel"
pipeline = "shopp"
token = { env = "TOKEN" }
region = "eur"
"#;
    assert_eq!(
        mistakes(text),
        [
            "millrace.toml:4:1: MR5003 the key `colect` is not known in `server` (did you mean `collect`?)",
            "millrace.toml:7:13: MR5004 `log.retention` must be a text, not a whole number (write for example \"24h\")",
            "millrace.toml:9:1: MR5005 `pipelines` needs `write_keys` (add write_keys = [{ env = \"SHOP_WRITE_KEY\" }])",
            "millrace.toml:14:12: MR5007 `integrations.pipeline`: there is no pipeline `shopp` (did you mean `shop`?)",
            "millrace.toml:16:10: MR5004 `integrations.region` is no region: `eur` (did you mean \"eu\"?)",
        ]
    );
}

#[test]
fn mistakes_in_credentials_hide_no_other() {
    let wrong = "api_secret = 7\nstrict = \"no\"";
    let text = changed("region = \"eu\"", &format!("region = \"eu\"\n{wrong}"))
        + &format!("[integrations.projects.other]\ntoken = \"t\"\n{wrong}\n");
    let found = mistakes(&text);
    assert_eq!(found.len(), 4, "{found:?}");
}

#[test]
fn the_privacy_token_of_rudderstack_is_a_secret() {
    let settings = |lines: &str| format!("{MINIMAL}\n[integrations.settings]\n{lines}");
    for (text, wanted, warnings) in [
        (settings("gdprApiToken = { env = \"GDPR\" }"), Some("value-of-GDPR"), 0),
        (settings("gdprApiToken = \"g-secret-1\""), Some("g-secret-1"), 1),
        (settings("gdprApiToken = \"\""), None, 0),
        (
            changed("region", "gdpr_api_token = { env = \"GDPR\" }\nregion"),
            Some("value-of-GDPR"),
            0,
        ),
    ] {
        let (config, warned) = parse(&text).unwrap();
        let integration = &config.integrations[0];
        let token = integration.gdpr_api_token.as_ref().map(|token| token.expose().to_owned());
        assert_eq!((token.as_deref(), warned.len()), (wanted, warnings), "{text}");
        assert!(integration.mapping.settings.is_empty(), "it is no setting of a blueprint");
        assert!(!format!("{config:?} {warned:?}").contains("g-secret-1"), "secrets stay in");
    }
    let twice = changed("region", "gdpr_api_token = \"a\"\nregion")
        + "[integrations.settings]\ngdprApiToken = \"b\"";
    let found = mistakes(&twice);
    assert!(found.len() == 1 && found[0].contains("is said in `settings` as well"), "{found:?}");
}

#[test]
fn each_mistake_is_told_once_with_what_to_do() {
    let integration = "region = \"eu\"";
    for (text, expected) in [
        (String::new(), &["MR5005 the file needs `server`", "MR5005 there is no pipeline"][..]),
        (
            changed("{ env = \"TOKEN\" }", "{ env = \"UNSET\" }"),
            &["MR5007 `integrations.token` names `UNSET`"],
        ),
        (
            changed("{ env = \"TOKEN\" }", "{ file = \"nowhere\" }"),
            &["MR5001 `integrations.token`: cannot read /etc/millrace/nowhere"],
        ),
        (
            changed("{ env = \"TOKEN\" }", "{ env = \"A\", file = \"b\" }"),
            &["MR5004 `integrations.token` needs either"],
        ),
        (
            changed("{ env = \"TOKEN\" }", "{ evn = \"A\" }"),
            &["MR5003 the key `evn`", "needs either"],
        ),
        (
            changed("{ env = \"TOKEN\" }", "\"two words\""),
            &["MR5004 `integrations.token` must have only"],
        ),
        (changed("{ env = \"TOKEN\" }", "7"), &["MR5004 `integrations.token` must be {"]),
        (changed(integration, ""), &["MR5005 `integrations` needs `region` or `url`"]),
        (
            changed(integration, "region = \"us\"\nurl = \"https://a.example\""),
            &["exclude each other"],
        ),
        (changed(integration, "region = \"twin\""), &["MR5007 `integrations.region` is \"twin\""]),
        (changed(integration, "url = \"a.example\""), &["must begin with https://"]),
        (changed(integration, "url = \"https://u:p@a.example\""), &["must not hold a user"]),
        (changed(integration, "url = \"https://a.example/?x=1\""), &["neither a query"]),
        (changed(integration, "region = \"us\"\nretry_horizon = \"5 days\""), &["(write \"5d\")"]),
        (changed(integration, "region = \"us\"\nretry_horizon = \"1s\""), &["must be 1m to 365d"]),
        (
            changed(integration, "region = \"us\"\ngzip = \"yes\""),
            &["must be true or false, not a text"],
        ),
        (
            changed(integration, "region = \"us\"\nblueprint = \"\""),
            &["`integrations.blueprint` is empty"],
        ),
        (
            changed(integration, "region = \"us\"\nsettings = { x = inf }"),
            &["a number that JSON has not"],
        ),
        (changed(integration, "region = \"us\"\nsettings = 1"), &["must be a table"]),
        (changed("\"shop\"", "\"Shop\""), &["must have only lower-case", "MR5007"]),
        (changed("[{ env = \"KEY\" }]", "[]"), &["`pipelines.write_keys` is empty"]),
        (changed("[{ env = \"KEY\" }]", "[\"a\", \"a\"]"), &["MR5006 the write key is used twice"]),
        (changed("[{ env = \"KEY\" }]", "[\"a:b\"]"), &["must have no `:`"]),
        (changed("[{ env = \"KEY\" }]", "\"a\""), &["must be a list of write keys"]),
        (
            format!("{MINIMAL}\n[[pipelines]]\nid = \"shop\"\nwrite_keys = [\"b\"]"),
            &["MR5006 there is another pipeline `shop` (line 5)"],
        ),
        (
            changed("[server]", "[server]\ncollect = \"localhost:80\""),
            &["(write \"127.0.0.1:80\")"],
        ),
        (changed("[server]", "[server]\ncollect = \"127.0.0.1:8084\""), &["must differ from"]),
        (
            changed("[server]", "[server]\ntrusted_proxies = [\"10.0.0.7\", \"10.0.0.0/33\"]"),
            &["is no address: `10.0.0.0/33`"],
        ),
        (
            changed("[server]", "[server]\ntrusted_proxies = \"10.0.0.7\""),
            &["addresses or networks"],
        ),
        (format!("[limits]\nevent = \"64MiB\"\n{MINIMAL}"), &["`limits.event` (64MiB) is larger"]),
        (format!("[limits]\ndepth = 500\n{MINIMAL}"), &["`limits.depth` must be 1 to 120"]),
        (format!("[limits]\nbatch_events = -1\n{MINIMAL}"), &["must be 1 to 100000"]),
        (format!("[log]\nretention = \"1h\"\n{MINIMAL}"), &["`log.dedupe_window` (1d) is longer"]),
        (format!("[twin]\n{MINIMAL}"), &["MR5005 the twin has no project"]),
        (
            format!(
                "[[twin.projects]]\nid = 1\ntoken = \"t\"\n[[twin.projects]]\nid = 1\ntoken = \"t\"\n{MINIMAL}"
            ),
            &["another project `1`", "the same token"],
        ),
        (
            format!(
                "pipelines = 3\n{}",
                changed("[[pipelines]]\nid = \"shop\"\nwrite_keys = [{ env = \"KEY\" }]", "")
            ),
            &["must be tables, each under [[pipelines]]", "no pipeline,", "MR5007"],
        ),
    ] {
        let found = mistakes(&text);
        assert_eq!(found.len(), expected.len(), "{text}\n{found:#?}");
        for words in expected {
            assert!(found.iter().any(|one| one.contains(words)), "{words}\n{text}\n{found:#?}");
        }
        let all = found.join("\n");
        assert!(!all.contains("value-of") && !all.contains("two words"), "secrets stay in: {all}");
    }
}

#[test]
fn syntax_errors_are_told_together_with_what_they_do_not_explain() {
    let text = "data_dir = \n[server]\nadmin_token = \"x\n[limits]\ndepht = 3\n";
    let found = mistakes(text);
    assert!(found.iter().filter(|one| one.contains("MR5002")).count() >= 2, "{found:#?}");
    assert!(found.iter().any(|one| one.contains("`depht`")), "{found:#?}");
    assert!(!found.iter().any(|one| one.contains("MR5005")), "{found:#?}");
    assert!(mistakes("a = 1\na = 2").iter().any(|one| one.contains("MR5002")));
}

#[test]
fn warnings_do_not_stand_in_the_way() {
    let text = changed("{ env = \"TOKEN\" }", "\"a-secret\"")
        .replace("region = \"eu\"", "url = \"http://mixpanel.internal:9000/\"")
        .replace("[server]", "[server]\nmanage = \"0.0.0.0:8084\"")
        + "\n[[pipelines]]\nid = \"quiet\"\nwrite_keys = [\"q\"]\n";
    let (config, warnings) = parse(&text).unwrap();
    assert_eq!(
        config.integrations[0].connection.destination,
        Destination::Url("http://mixpanel.internal:9000".to_owned())
    );
    let told: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    for words in ["stands in the configuration", "plain HTTP", "open to other", "pipeline `quiet`"]
    {
        assert!(told.iter().any(|one| one.contains(words)), "{words}: {told:#?}");
    }
    assert_eq!(told.len(), 4, "{told:#?}");
    assert!(!told.concat().contains("a-secret"));
}

#[test]
fn settings_and_blueprint_keep_their_places() {
    let text = changed(
        "region = \"eu\"",
        "region = \"eu\"\nblueprint = \"./shop.yaml\"\n[integrations.settings]\nidentity = \"simplified\"\nlimits = [1, 2.5, true]\nsince = 2026-01-02\n",
    );
    let (config, _) = parse(&text).unwrap();
    let integration = &config.integrations[0];
    assert_eq!(
        integration.mapping.blueprint,
        BlueprintRef::File(Path::new("/etc/millrace/./shop.yaml").to_owned())
    );
    assert_eq!((integration.mapping.place.line, integration.mapping.place.column), (14, 13));
    assert_eq!(integration.mapping.settings["limits"].value, serde_json::json!([1, 2.5, true]));
    assert_eq!(integration.mapping.settings["since"].value, "2026-01-02");
    let place = &integration.mapping.settings["identity"].place;
    assert_eq!((place.file.as_str(), place.line, place.column), ("millrace.toml", 16, 1));
}

#[test]
fn secrets_come_from_files_beside_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token"), "from-a-file\r\n").unwrap();
    let file = folder.path().join("millrace.toml");
    std::fs::write(&file, changed("{ env = \"TOKEN\" }", "{ file = \"token\" }")).unwrap();
    let (config, warnings) = Config::load(&file, &environment).unwrap();
    assert_eq!(config.integrations[0].connection.token.expose(), "from-a-file");
    assert_eq!(warnings, []);
    std::fs::write(folder.path().join("token"), "\n").unwrap();
    let found = Config::load(&file, &environment).unwrap_err().mistakes;
    assert!(found[0].to_string().contains("`integrations.token` is empty"));
}

#[test]
fn a_file_that_cannot_be_read_is_one_mistake() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("millrace.toml");
    let reason = || Config::load(&file, &environment).unwrap_err().mistakes[0].to_string();
    assert!(reason().contains("MR5001"));
    std::fs::write(&file, [0xff, 0xfe]).unwrap();
    assert!(reason().contains("not UTF-8"));
    std::fs::write(&file, vec![b' '; 2 << 20]).unwrap();
    assert!(reason().contains("more than 1048576 bytes"));
}

#[test]
fn the_dev_configuration_is_the_documented_one_and_stays_on_this_machine() {
    let address = |text: &str| text.parse().unwrap();
    let dev =
        |listen: &str, twin: &str| Config::dev(address(listen), address(twin), "dev-data".into());
    let config = dev("127.0.0.1:8080", "[::1]:8081").unwrap();
    assert!(config.server.manage.is_none());
    assert_eq!(config.server.admin_token.expose(), "dev-admin-token");
    assert_eq!(config.pipelines[0].door.write_keys[0].key.expose(), "dev-write-key");
    assert_eq!(config.integrations[0].connection.destination, Destination::Twin);
    assert_eq!(config.integrations[0].pipeline, config.pipelines[0].id);
    let project = &config.twin.as_ref().unwrap().projects[0];
    assert_eq!((project.id, project.token.expose()), (1, "dev-token"));
    assert_eq!(project.service_accounts[0].user, "dev.sa");
    assert_eq!(project.group_keys, ["company_id", "$group_id"]);
    assert_eq!(dev("0.0.0.0:8080", "192.0.2.1:1").unwrap_err().len(), 2);
    assert_eq!(dev("127.0.0.1:8080", "[::]:1").unwrap_err().len(), 1);
}

#[test]
fn the_presets_are_those_of_the_collector() {
    let (ours, theirs) = (Limits::default(), millrace_protocol::Limits::default());
    assert_eq!(ours.body, theirs.body_bytes as u64);
    assert_eq!(ours.inflated, theirs.inflated_bytes as u64);
    assert_eq!(ours.event, theirs.event_bytes as u64);
    assert_eq!(ours.batch_events as usize, theirs.batch_events);
    assert_eq!(ours.depth as usize, theirs.depth);
}

/// The examples of the reference are run as they stand.
#[test]
fn the_examples_of_the_documentation_hold() {
    let page = include_str!("../../../../docs/configuration.md");
    let mut blocks = page.split("```toml").skip(1).map(|rest| rest.split("```").next().unwrap());
    let first = blocks.next().expect("the page begins with a whole file");
    let (config, warnings) = parse(first).unwrap();
    assert_eq!(warnings, []);
    assert_eq!((config.limits, config.log), (Limits::default(), Log::default()), "presets");
    let mut count = 0;
    for block in blocks {
        // The others are pieces: they are put before, or instead of, parts of the minimal file.
        let text = if block.contains("admin_token") {
            block.to_owned()
        } else if block.contains("[[pipelines]]") {
            format!("[server]\nadmin_token = {{ env = \"ADMIN\" }}\n{block}")
        } else if block.contains("[[integrations]]") {
            format!("{}\n{block}", MINIMAL.split("[[integrations]]").next().unwrap())
        } else {
            format!("{block}\n{MINIMAL}")
        };
        assert_eq!(parse(&text).map(|_| ()), Ok(()), "{text}");
        count += 1;
    }
    assert!(count >= 4, "the page has lost its examples");
}

proptest::proptest! {
    #[test]
    fn no_text_panics(text in ".{0,400}") {
        let _ = parse(&text);
    }

    #[test]
    fn no_damage_panics(at in 0..MINIMAL.len(), with in "[\\[\\]{}=\"'a#\n.]{0,3}") {
        let (before, after) = MINIMAL.split_at(at);
        let _ = parse(&format!("{before}{with}{after}"));
        let _ = parse(before);
    }
}
