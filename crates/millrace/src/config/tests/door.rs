//! What the door of a pipeline is told.

use millrace_http::KeyState;
use millrace_model::time::UnixMillis;

use super::*;

#[test]
fn write_keys_have_names_and_states() {
    let keys = "[{ env = \"KEY\" }, { key = \"a\", name = \"old\", revoked = true }, \
                { key = { env = \"TOKEN\" }, until = \"2026-12-01T00:00:00Z\" }, \
                { key = \"b\", until = 2026-12-01T01:00:00+01:00 }, { key = \"c\", revoked = false }]";
    let (config, _) = parse(&changed("[{ env = \"KEY\" }]", keys)).unwrap();
    let end = KeyState::Until(UnixMillis::parse("2026-12-01").unwrap());
    let read: Vec<_> = config.pipelines[0]
        .door
        .write_keys
        .iter()
        .map(|key| (key.key.expose(), key.name.as_deref(), key.state))
        .collect();
    assert_eq!(
        read,
        [
            ("value-of-KEY", None, KeyState::Active),
            ("a", Some("old"), KeyState::Revoked),
            ("value-of-TOKEN", None, end),
            ("b", None, end),
            ("c", None, KeyState::Active),
        ]
    );
}

#[test]
fn wrong_doors_are_told_with_their_place() {
    for (keys, words) in [
        ("[{ key = \"a\", revoked = \"yes\" }]", "must be true or false"),
        ("[{ name = \"x\" }]", "MR5005 `pipelines.write_keys` needs `key`"),
        ("[{ key = \"a\", until = \"soon\" }]", "must be a moment with its zone"),
        ("[{ key = \"a\", until = \"2026-12-01\" }]", "must be a moment with its zone"),
        ("[{ key = \"a\", until = \"2026-12-01T00:00:00\" }]", "must be a moment with its zone"),
        ("[{ key = \"a\", until = 2026-12-01 }]", "must be a moment with its zone"),
        ("[{ key = \"a\", until = 5 }]", "must be a moment with its zone"),
        ("[{ key = \"a\", revoked = true, until = \"2026-12-01T00:00Z\" }]", "revoked already"),
        ("[{ key = \"a\", unti = \"2026-12-01T00:00Z\" }]", "did you mean `until`"),
        ("[{ key = \"a\" }, \"a\"]", "MR5006 the write key is used twice"),
        ("[{ key = \"a:b\" }]", "must have no `:`"),
    ] {
        let found = mistakes(&changed("[{ env = \"KEY\" }]", keys));
        assert_eq!(found.len(), 1, "{keys}: {found:#?}");
        assert!(found[0].contains(words) && found[0].contains("millrace.toml:"), "{found:#?}");
    }
}

#[test]
fn origins_limits_and_other_paths_are_read() {
    let text = changed(
        "[{ env = \"KEY\" }]",
        "[\"k\"]\norigins = [\"https://shop.example\"]\nrequire_origin = true\n\
         limits = { requests_per_second = 5, events_per_day = 7 }",
    );
    let text = text.replace(
        "[server]",
        "[server]\nprefixes = [\"/x\"]\nroutes = { \"/t1\" = \"/track\" }\n\
         trusted_proxies = [\"10.0.0.0/8\", \"::1\", \"::ffff:10.1.1.1\"]",
    );
    let (config, _) = parse(&text).unwrap();
    let limits = config.pipelines[0].door.limits;
    assert_eq!((limits.requests_per_second, limits.events_per_second), (Some(5), None));
    assert_eq!((limits.burst_seconds, limits.events_per_day), (2, Some(7)));
    let datafly = changed("write_keys", "datafly = {}\nwrite_keys");
    let (datafly, _) = parse(&datafly).unwrap();
    assert_eq!(datafly.pipelines[0].door.limits.requests_per_second, Some(1_000));
    let proxies = config.server.trusted_proxies.iter().map(ToString::to_string);
    assert_eq!(proxies.collect::<Vec<_>>(), ["10.0.0.0/8", "::1/128", "10.1.1.1/32"]);
    let paths = format!("{:?}", config.server.other_paths);
    assert!(paths.contains("\"/x\"") && paths.contains("\"/t1\", \"/track\""), "{paths}");
}

#[test]
fn wrong_origins_limits_and_paths_are_told() {
    for (text, words) in [
        (
            changed("write_keys", "origins = [\"shop.example\"]\nwrite_keys"),
            "must begin with https",
        ),
        (changed("write_keys", "origins = \"https://a.example\"\nwrite_keys"), "list of origins"),
        (changed("write_keys", "require_origin = 1\nwrite_keys"), "must be true or false"),
        (changed("write_keys", "limits = { events_per_second = 0 }\nwrite_keys"), "must be 1 to"),
        (changed("write_keys", "limits = { per_day = 1 }\nwrite_keys"), "MR5003"),
        (changed("[server]", "[server]\nprefixes = [\"x/\"]"), "must be a path such as"),
        (changed("[server]", "[server]\nroutes = { t1 = \"/track\" }"), "on both sides"),
        (changed("[server]", "[server]\ntrusted_proxies = [\"10.0.0.7/8\"]"), "behind its mask"),
    ] {
        let found = mistakes(&text);
        assert_eq!(found.len(), 1, "{text}: {found:#?}");
        assert!(found[0].contains(words), "{found:#?}");
    }
}

#[test]
fn the_script_of_a_pipeline_is_read_and_its_presets_hold() {
    let told = "[\"k\"]\nscript = { file = \"shop.js\", global = \"shop\", embed_key = true, \
                endpoint = \"https://in.example/x\", batch_size = 3, flush_interval = \"2s\", \
                pages = false, consent_required = [\"analytics\"], consent_from = \"custom:choice\", \
                consent_map = { C0007 = \"marketing\" } }";
    let (config, _) = parse(&changed("[{ env = \"KEY\" }]", told)).unwrap();
    let expected = millrace_http::ScriptOptions {
        file: "shop.js".to_owned(),
        global: "shop".to_owned(),
        embed_key: true,
        endpoint: Some("https://in.example/x".to_owned()),
        batch_size: 3,
        flush_interval: std::time::Duration::from_secs(2),
        pages: false,
        consent_required: vec!["analytics".to_owned()],
        consent_from: "custom:choice".to_owned(),
        consent_map: [("C0007".to_owned(), "marketing".to_owned())].into(),
    };
    assert_eq!(config.pipelines[0].door.script, expected);
    let (config, _) = parse(&changed("[{ env = \"KEY\" }]", "[\"k\"]")).unwrap();
    assert_eq!(config.pipelines[0].door.script, millrace_http::ScriptOptions::default());
}

#[test]
fn mistakes_in_the_script_of_a_pipeline_are_told() {
    for (script, words) in [
        ("{ file = \"a/b.js\" }", "is no file name"),
        ("{ file = \"d.css\" }", "is no file name"),
        ("{ global = \"1a\" }", "is no name of JavaScript"),
        ("{ global = \"a);b(\" }", "is no name of JavaScript"),
        ("{ endpoint = \"collect.example\" }", "is no address"),
        ("{ batch_size = 0 }", "must be 1 to 100"),
        ("{ flush_interval = \"2m\" }", "must be"),
        ("{ consent_from = \"onetrsut\" }", "is no consent platform"),
        ("{ consent_required = \"analytics\" }", "must be a list"),
        ("{ fle = \"d.js\" }", "did you mean `file`"),
        ("\"d.js\"", "must be a table"),
    ] {
        let found =
            mistakes(&changed("[{ env = \"KEY\" }]", &format!("[\"k\"]\nscript = {script}")));
        assert_eq!(found.len(), 1, "{script}: {found:#?}");
        assert!(found[0].contains(words), "{script}: {found:#?}");
    }
}

#[test]
fn the_file_of_segments_script_must_be_readable() {
    let text = changed("[server]", "[server]\nsegment_script = \"./not-there.js\"");
    let found = mistakes(&text);
    assert!(found.len() == 1 && found[0].contains("MR5001"), "{found:#?}");
}
