//! `[pipelines.mixpanel]` and `proxied_calls`: what Mixpanel's own SDKs send, and what becomes of it.

use super::*;

/// The minimal file with keys in the integration.
fn integration(lines: &str) -> String {
    changed("region = \"eu\"", &format!("region = \"eu\"\n{lines}"))
}

/// The minimal file with a table in the pipeline.
fn pipeline(lines: &str) -> String {
    changed("[[integrations]]", &format!("[pipelines.mixpanel]\n{lines}\n\n[[integrations]]"))
}

#[test]
fn proxied_calls_pass_through_unless_they_are_mapped_or_dropped() {
    let proxied = |lines: &str| {
        let (mut config, _) = parse(&integration(lines)).unwrap();
        config.integrations.remove(0).proxied
    };
    let Proxied::Passthrough(used) = proxied("") else { panic!("the preset") };
    assert_eq!(used.blueprint, BlueprintRef::BuiltIn("passthrough".to_owned()));
    assert!(used.settings.is_empty());
    assert!(matches!(proxied("proxied_calls = \"passthrough\""), Proxied::Passthrough(_)));
    assert!(matches!(proxied("proxied_calls = \"blueprint\""), Proxied::Blueprint));
    assert!(matches!(proxied("proxied_calls = \"drop\""), Proxied::Drop));
}

#[test]
fn the_identity_mode_of_an_integration_holds_for_proxied_calls() {
    for (settings, wanted) in [
        (
            "identity = \"original\"\nlink_event = \"Joined\"",
            vec![("identity", "original"), ("link_event", "Joined")],
        ),
        ("identityMergeApi = \"legacy\"", vec![("identity", "legacy")]),
        ("identityMergeApi = \"other\"\ngroup_key = \"company\"", vec![]),
    ] {
        let (config, _) =
            parse(&format!("{MINIMAL}\n[integrations.settings]\n{settings}\n")).unwrap();
        let Proxied::Passthrough(used) = &config.integrations[0].proxied else { panic!("preset") };
        let found: Vec<_> = used
            .settings
            .iter()
            .map(|(name, setting)| (name.as_str(), setting.value.as_str().unwrap()))
            .collect();
        assert_eq!(found, wanted, "{settings}");
    }
}

#[test]
fn tokens_secrets_and_accounts_are_read_and_stay_secret() {
    let text = pipeline(
        "tokens = [{ env = \"TOKEN_A\" }]\napi_secrets = [{ env = \"SECRET\" }]\n\
         service_accounts = [{ user = \"sa.1\", secret = { env = \"SA\" } }]",
    );
    let (config, _) = parse(&text).unwrap();
    let access = &config.pipelines[0].door.mixpanel;
    let shown = |keys: &[millrace_http::WriteKey]| {
        keys.iter().map(|key| key.key.expose().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(shown(&access.tokens), ["value-of-TOKEN_A"]);
    assert_eq!(shown(&access.api_secrets), ["value-of-SECRET"]);
    assert_eq!(shown(&access.service_accounts), ["sa.1:value-of-SA"]);
    assert!(!format!("{config:?}").contains("value-of"), "secrets stay in");
}

#[test]
fn mistakes_have_their_line_and_say_what_to_do() {
    let second = "[[pipelines]]\nid = \"second\"\nwrite_keys = [{ env = \"K2\" }]\n\
                  [pipelines.mixpanel]\ntokens = [{ env = \"TOKEN_A\" }]\n";
    let account = "{ user = \"a\", secret = { env = \"SA\" } }";
    let table: [(String, &str, &str); 8] = [
        (
            integration("proxied_calls = \"blueprnt\""),
            "millrace.toml:14:",
            "did you mean \"blueprint\"?",
        ),
        (integration("proxied_calls = true"), "millrace.toml:14:", "must be a text"),
        (
            integration("proxied_cals = \"drop\""),
            "millrace.toml:14:",
            "did you mean `proxied_calls`?",
        ),
        (
            pipeline("token = [{ env = \"TOKEN_A\" }]"),
            "millrace.toml:10:",
            "did you mean `tokens`?",
        ),
        (pipeline(""), "millrace.toml:9:", "needs `tokens`"),
        (
            format!("{}{second}", pipeline("tokens = [{ env = \"TOKEN_A\" }]")),
            "millrace.toml:21:",
            "",
        ),
        (
            pipeline(
                "tokens = [{ env = \"T\" }]\nservice_accounts = [{ user = \"a:b\", secret = { env = \"SA\" } }]",
            ),
            "millrace.toml:11:",
            "must have no `:`",
        ),
        (
            pipeline(&format!(
                "tokens = [{{ env = \"T\" }}]\nservice_accounts = [{account}, {account}]"
            )),
            "millrace.toml:11:",
            "named twice",
        ),
    ];
    for (text, place, words) in table {
        let found = mistakes(&text);
        let told = found.iter().any(|one| one.starts_with(place) && one.contains(words));
        assert!(told, "{place} {words}: {found:#?}\n{text}");
    }
}
