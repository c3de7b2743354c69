//! Connections of integrations, their further projects, and parameters of pipelines.

use super::*;

/// The connection of the only integration, with one text of the minimal file replaced; the warnings.
fn connection(from: &str, to: &str) -> (Connection, Vec<String>) {
    let (config, warnings) = parse(&changed(from, to)).unwrap_or_else(|found| panic!("{found:?}"));
    let integration = config.integrations.into_iter().next().unwrap();
    (integration.connection, warnings.iter().map(ToString::to_string).collect())
}

const CONNECTION: &str = "token = { env = \"TOKEN\" }\nregion = \"eu\"\n";

#[test]
fn a_connection_can_be_said_in_the_words_of_other_systems() {
    let region = |region| Destination::Region(region);
    for (settings, destination, strict, warned) in [
        ("projectToken = { env = \"T\" }, apiRegion = \"EU 🇪🇺\"", region(Region::Eu), true, 0),
        ("projectToken = { env = \"T\" }, strictMode = \"0\"", region(Region::Us), false, 2),
        ("token = { env = \"T\" }, dataResidency = \"in\"", region(Region::In), true, 0),
        ("project_token = { env = \"T\" }, eu_data_residency = true", region(Region::Eu), true, 0),
    ] {
        let (read, warnings) = connection(CONNECTION, &format!("settings = {{ {settings} }}\n"));
        assert_eq!(read.token.expose(), "value-of-T", "{settings}");
        assert_eq!((read.destination, read.strict), (destination, strict), "{settings}");
        assert_eq!(warnings.len(), warned, "{settings}: {warnings:?}");
    }
    let (read, _) = connection(
        "region = \"eu\"",
        "region = \"twin\"\nsettings = { apiSecret = { env = \"S\" } }\n[twin]\nprojects = [{ id = 1, token = \"t\" }]",
    );
    assert!(matches!(read.credentials, Some(OtherCredentials::ApiSecret(_))));
    assert_eq!(read.destination, Destination::Twin);
    // What is not about the connection reaches the blueprint.
    let (config, _) =
        parse(&changed("region", "settings = { sourceName = \"web\", apiKey = \"k\" }\nregion"))
            .unwrap();
    let settings: Vec<_> = config.integrations[0].mapping.settings.keys().collect();
    assert_eq!(settings, ["sourceName"]);
}

#[test]
fn a_service_account_and_loose_checks_have_keys_of_their_own() {
    let account = "service_account = { user = \"sa.1\", secret = { env = \"S\" }, project_id = 12 }\nstrict = false";
    let (read, warnings) = connection("region = \"eu\"", &format!("region = \"eu\"\n{account}"));
    let Some(OtherCredentials::ServiceAccount { user, project_id, .. }) = &read.credentials else {
        panic!("{read:?}")
    };
    assert_eq!((user.as_str(), project_id.as_str(), read.strict), ("sa.1", "12", false));
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(!format!("{read:?}").contains("value-of"));
}

#[test]
fn mistakes_in_connections_and_projects_are_told() {
    let with = |more: &str| changed("region = \"eu\"", &format!("region = \"eu\"\n{more}"));
    let without = |settings: &str| changed(CONNECTION, &format!("settings = {{ {settings} }}\n"));
    for (text, expected) in [
        (without("apiRegion = \"EU 🇪🇺\""), "MR5005 `integrations` needs `token`"),
        (
            without("projectToken = { env = \"T\" }, apiRegion = \"Mars\""),
            "MR5004 `apiRegion` names no region",
        ),
        (
            without("projectToken = { env = \"UNSET\" }"),
            "MR5007 `integrations.settings.projectToken` names `UNSET`",
        ),
        (
            with("settings = { projectToken = { env = \"T\" } }"),
            "`integrations.token` is said in `settings` as well",
        ),
        (
            with("settings = { apiRegion = \"US 🇺🇸\" }"),
            "`integrations.region` is said in `settings` as well",
        ),
        (
            with("api_secret = { env = \"S\" }\nsettings = { apiSecret = { env = \"S\" } }"),
            "`integrations.api_secret` is said in",
        ),
        (
            with("service_account = { user = \"a\", secret = { env = \"S\" } }"),
            "needs `project_id`",
        ),
        (
            with(
                "service_account = { user = \"a\", secret = { env = \"S\" }, project_id = \"x\" }",
            ),
            "MR5004 a service account needs",
        ),
        (
            with("[integrations.projects.a]\nregion = \"us\""),
            "MR5005 `integrations.projects.a` needs `token`",
        ),
        (
            with("[integrations.projects.a]\ntoken = { env = \"TOKEN\" }"),
            "MR5006 `integrations.projects.a` has the token of another",
        ),
        (
            with("[integrations.projects.A-b]\ntoken = { env = \"O\" }"),
            "`integrations.projects.A-b`",
        ),
        (
            with("[integrations.projects.a]\ntoken = { env = \"O\" }\ncolor = 1"),
            "MR5003 the key `color`",
        ),
        (changed("{ env = \"TOKEN\" }", "\"a:b\""), "MR5004 `integrations.token` must have no `:`"),
        (
            changed("[[integrations]]", "parameters = { site = 7 }\n\n[[integrations]]"),
            "MR5004 `pipelines.parameters.site` must be a text",
        ),
    ] {
        let found = mistakes(&text);
        assert_eq!(found.len(), 1, "{expected}: {found:?}");
        assert!(found[0].contains(expected), "{expected}: {found:?}");
    }
}

#[test]
fn further_projects_inherit_what_they_do_not_say() {
    let more = "region = \"eu\"\nstrict = false\n\n[integrations.projects.web-us]\ntoken = { env = \"US\" }\n\
                region = \"us\"\nstrict = true\n\n[integrations.projects.app]\ntoken = { env = \"APP\" }";
    let (config, _) = parse(&changed("region = \"eu\"", more)).unwrap();
    let shown: Vec<_> = config.integrations[0]
        .projects
        .iter()
        .map(|project| {
            let Connection { token, destination, strict, .. } = &project.connection;
            (project.name.as_str(), token.expose(), destination.clone(), *strict)
        })
        .collect();
    let region = Destination::Region;
    assert_eq!(
        shown,
        [
            ("app", "value-of-APP", region(Region::Eu), false),
            ("web-us", "value-of-US", region(Region::Us), true),
        ]
    );
}

#[test]
fn parameters_of_a_pipeline_reach_the_blueprints_of_its_integrations() {
    let text =
        changed("[[integrations]]", "parameters = { site = \"shop.example\" }\n\n[[integrations]]");
    let (config, _) = parse(&text).unwrap();
    let parameters = &config.integrations[0].mapping.parameters;
    assert_eq!(parameters.texts.get("site"), Some("shop.example"));
    assert_eq!(parameters.place.as_ref().map(|place| place.line), Some(9));
}
