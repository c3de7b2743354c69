//! `millrace check`: every mistake at once, each with its place and what to write instead.

use crate::server::millrace;

#[test]
fn five_mistakes_give_five_errors() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("millrace.toml");
    std::fs::write(
        &file,
        r#"
[server]
colect = "127.0.0.1:8080"
admin_token = "A"

[log]
retention = "7 parsecs"

[[pipelines]]
id = "shop"
write_keys = ["key-one"]

[[integrations]]
id = "mixpanel"
pipeline = "shopp"
token = "T"
region = "mars"
blueprint = "defualt"
"#,
    )
    .unwrap();
    let output = millrace().args(["check", "--config"]).arg(&file).output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(text.lines().count(), 5, "{text}");
    for (line, words) in
        [(3, "collect"), (7, "7 parsecs"), (15, "`shop`"), (17, "mars"), (18, "default")]
    {
        let place = format!("millrace.toml:{line}:");
        assert!(
            text.lines().any(|error| error.contains(&place) && error.contains(words)),
            "no error at {place} that says {words}:\n{text}"
        );
    }
}

#[test]
fn a_good_configuration_passes() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("millrace.toml");
    std::fs::write(
        &file,
        r#"
[server]
admin_token = "A"

[[pipelines]]
id = "shop"
write_keys = ["key-one"]

[[integrations]]
id = "mixpanel"
pipeline = "shop"
token = "T"
region = "eu"
blueprint = "default"
settings = { identity = "original" }
"#,
    )
    .unwrap();
    let output = millrace().args(["check", "--config"]).arg(&file).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    // The two secrets that stand in the file are doubtful, and no reason to fail.
    let shown = String::from_utf8(output.stderr).unwrap();
    assert_eq!(shown.lines().filter(|line| line.starts_with("warning: ")).count(), 2, "{shown}");
    assert!(String::from_utf8_lossy(&output.stdout).ends_with("no errors, 2 warnings\n"));

    let output = millrace().args(["check", "--json", "--config"]).arg(&file).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found.as_array().unwrap().len(), 2);
    assert_eq!(found[0]["severity"], "warning");
}

#[test]
fn a_parameter_that_a_pipeline_lacks_is_told_at_the_pipeline() {
    let folder = tempfile::tempdir().unwrap();
    let blueprint = "blueprint: sites\nparameters: { site: { about: The site } }\nrules:\n  \
                     - name: all\n    send:\n      - event: { name: parameters.site, distinct_id: $.userId }\n";
    std::fs::write(folder.path().join("sites.yaml"), blueprint).unwrap();
    let file = folder.path().join("millrace.toml");
    let config = |more: &str| {
        format!(
            "[server]\nadmin_token = \"A\"\n\n[[pipelines]]\nid = \"shop\"\nwrite_keys = [\"k\"]\n{more}\n\
             [[integrations]]\nid = \"mixpanel\"\npipeline = \"shop\"\ntoken = \"T\"\nregion = \"eu\"\n\
             blueprint = \"./sites.yaml\"\n"
        )
    };
    let check = |text: String| {
        std::fs::write(&file, text).unwrap();
        let output = millrace().args(["check", "--config"]).arg(&file).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, told) = check(config(""));
    assert_eq!((code, told.lines().count()), (Some(64), 1), "{told}");
    assert!(told.contains("millrace.toml:4:1: MR5005"), "{told}");
    assert!(told.contains("`site`"), "{told}");
    let (code, told) = check(config("parameters = { site = \"shop\" }"));
    assert_eq!(code, Some(0), "{told}");
}

#[test]
fn usage_errors_end_with_64() {
    for arguments in [&["serv"][..], &["serve", "--dev", "--listen", "0.0.0.0:8080"], &[]] {
        let output = millrace().args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(64), "{arguments:?}");
        assert!(!output.stderr.is_empty(), "{arguments:?} says nothing");
    }
    let output = millrace().args(["check", "--config", "no/such.toml"]).output().unwrap();
    assert_eq!(output.status.code(), Some(64));
}

#[test]
fn help_has_examples() {
    for arguments in
        [&["--help"][..], &["demo", "--help"], &["serve", "--help"], &["map", "--help"]]
    {
        let output = millrace().args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(String::from_utf8_lossy(&output.stdout).contains("Example"), "{arguments:?}");
    }
}

#[test]
fn doubts_about_a_blueprint_are_warnings() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("millrace.toml");
    let blueprint = folder.path().join("shop.yaml");
    std::fs::write(
        &file,
        r#"
[server]
admin_token = "A"

[[pipelines]]
id = "shop"
write_keys = ["key-one"]

[[integrations]]
id = "mixpanel"
pipeline = "shop"
token = "T"
region = "eu"
blueprint = "./shop.yaml"
"#,
    )
    .unwrap();
    std::fs::write(
        &blueprint,
        r#"
blueprint: shop
rules:
  - name: People
    when: exists($.userId)
    send:
      - profile: { distinct_id: $.userId, set: { $firstName: $.traits.firstName } }
"#,
    )
    .unwrap();
    let output = millrace().args(["check", "--config"]).arg(&file).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.starts_with("warning: "), "{told}");
    let wanted = "shop.yaml:7:50: MR5113 Mixpanel knows no property `$firstName` here (did you \
                  mean `$first_name`?)";
    assert!(told.contains(wanted), "{told}");
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.contains("no errors, "), "{shown}");
}
