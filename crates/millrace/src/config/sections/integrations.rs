//! The integrations: where events go, and through which blueprint.

use std::collections::BTreeMap;
use std::time::Duration;

use millrace_delivery::mixpanel::vendor_settings::is_vendor_setting;
use millrace_govern::consent::ConsentOptions;
use millrace_model::code::Code;
use millrace_model::diagnostic::nearest;
use millrace_model::id::PipelineId;
use millrace_model::secret::Secret;

use super::connection::{self, ConnectionKeys, VendorWords, is_empty_text};
use super::pipelines::consent;
use super::{Named, YEAR, identifier, json, name_text, non_empty, refuse_second};
use crate::config::document::{Field, Report, Section};
use crate::config::quantity::{show_span, span};
use crate::config::secrets::{self, Literal};
use crate::config::tree::{BlueprintRef, BlueprintUse, Integration, Pipeline, Proxied, Setting};

/// How long a row is tried (DESIGN 9.16).
const RETRY_HORIZON: Duration = Duration::from_secs(5 * 86_400);

/// RudderStack's name of the token for privacy requests: a secret, and so no setting of a blueprint.
const GDPR_SETTING: &str = "gdprApiToken";

/// Reads the integrations and checks what they refer to.
pub(super) fn read(
    sections: Vec<Section<'_>>,
    pipelines: &[Named<Pipeline>],
    has_twin: bool,
    report: &mut Report<'_>,
) -> Vec<Integration> {
    let mut integrations: Vec<Named<Integration>> = Vec::new();
    let mut used: Vec<&str> = Vec::new();
    for section in sections {
        let (name, named_at, pipeline, value) = read_one(section, pipelines, has_twin, report);
        used.extend(pipeline);
        if let Some(name) = name {
            refuse_second(&integrations, name, named_at, "integration", report);
            integrations.push(Named { name: name.to_owned(), at: named_at, value });
        }
    }
    for pipeline in pipelines.iter().filter(|pipeline| !used.contains(&pipeline.name.as_str())) {
        let message = format!(
            "no integration sends the events of pipeline `{}`: they are kept, and end as filtered",
            pipeline.name
        );
        let fix = format!("add [[integrations]] with pipeline = \"{}\"", pipeline.name);
        report.warning(pipeline.at, Code::MissingKey, message, Some(fix));
    }
    integrations.into_iter().filter_map(|named| named.value).collect()
}

/// Its name and the place of that, the pipeline that it names, and the integration if all is well.
type ReadIntegration<'d> = (Option<&'d str>, usize, Option<&'d str>, Option<Integration>);

fn read_one<'d>(
    mut section: Section<'d>,
    pipelines: &[Named<Pipeline>],
    has_twin: bool,
    report: &mut Report<'_>,
) -> ReadIntegration<'d> {
    let id = section.required(report, "id", "id = \"mixpanel-prod\"");
    let pipeline = section.required(report, "pipeline", "pipeline = \"shop\"");
    let keys = ConnectionKeys::ask(&mut section);
    let [blueprint, settings, projects, gzip, horizon, gdpr] =
        ["blueprint", "settings", "projects", "gzip", "retry_horizon", "gdpr_api_token"]
            .map(|key| section.optional(key));
    let required_consent = section.optional("required_consent");
    let proxied = section.optional("proxied_calls");
    section.finish(report);

    let blueprint_at = blueprint.as_ref().map_or(section.at, Field::at);
    let name = id.as_ref().and_then(|field| name_text(field, report));
    let checked_id = match (&id, name) {
        (Some(field), Some(name)) => identifier(field, name, report),
        _ => None,
    };
    let pipeline_name = pipeline.as_ref().and_then(|field| name_text(field, report));
    let pipeline_id = match (&pipeline, pipeline_name) {
        (Some(field), Some(name)) => known_pipeline(field, name, pipelines, report),
        _ => None,
    };
    let settings = match settings {
        Some(field) => field.table(report).map(Some),
        None => Some(None),
    };
    let gdpr_api_token = read_gdpr_token(gdpr, settings.iter().flatten().next(), report);
    let words = settings.iter().flatten().map(|section| VendorWords::read(section, report)).next();
    let connection = connection::read(&section, &keys, words.unwrap_or_default(), has_twin, report);
    let projects = match projects {
        Some(field) => connection::read_projects(&field, connection.as_ref(), has_twin, report),
        None => Some(Vec::new()),
    };
    let blueprint = match &blueprint {
        Some(field) => non_empty(field, report, "default").map(|text| blueprint_ref(text, report)),
        None => Some(BlueprintRef::BuiltIn("default".to_owned())),
    };
    let settings = settings.map(|section| {
        section.map_or_else(BTreeMap::new, |section| read_settings(&section, report))
    });
    let gzip = gzip.map_or(Some(true), |field| field.flag(report));
    let bounds = (Duration::from_secs(60), YEAR);
    let retry_horizon = horizon
        .map_or(Some(RETRY_HORIZON), |field| field.quantity(report, span, show_span, bounds));
    let required_consent = required_consent
        .map(|field| read_required_consent(&field, pipeline_name, pipelines, report))
        .unwrap_or_default();
    let mapping = (|| {
        let place = report.place(blueprint_at);
        let parameters = pipelines
            .iter()
            .filter_map(|pipeline| pipeline.value.as_ref())
            .find(|pipeline| Some(pipeline.id.as_str()) == pipeline_name)
            .map(|pipeline| pipeline.parameters.clone());
        let parameters = parameters.unwrap_or_default();
        Some(BlueprintUse { blueprint: blueprint?, place, settings: settings?, parameters })
    })();
    report.blueprints.extend(mapping.clone());
    let proxied = read_proxied(proxied.as_ref(), mapping.as_ref(), report);
    let value = (|| {
        Some(Integration {
            id: checked_id?,
            pipeline: pipeline_id?,
            connection: connection?,
            projects: projects?,
            mapping: mapping?,
            proxied: proxied?,
            gdpr_api_token: gdpr_api_token?,
            gzip: gzip?,
            retry_horizon: retry_horizon?,
            required_consent,
        })
    })();
    (name, id.map_or(section.at, |field| field.at()), pipeline_name, value)
}

fn read_proxied(
    field: Option<&Field<'_>>,
    mapping: Option<&BlueprintUse>,
    report: &mut Report<'_>,
) -> Option<Proxied> {
    let word = match field {
        Some(field) => non_empty(field, report, "passthrough")?,
        None => "passthrough",
    };
    match word {
        "passthrough" => mapping.map(Proxied::passthrough),
        "blueprint" => Some(Proxied::Blueprint),
        "drop" => Some(Proxied::Drop),
        _ => {
            let field = field?;
            let message = format!("`{}` must be passthrough, blueprint or drop", field.name);
            let near = nearest(word, ["passthrough", "blueprint", "drop"]);
            let suggestion = near.map(|near| format!("did you mean \"{near}\"?"));
            report.mistake(field.at(), Code::BadValue, message, suggestion);
            None
        }
    }
}

fn known_pipeline(
    field: &Field<'_>,
    name: &str,
    pipelines: &[Named<Pipeline>],
    report: &mut Report<'_>,
) -> Option<PipelineId> {
    let names = || pipelines.iter().map(|pipeline| pipeline.name.as_str());
    if names().any(|known| known == name) {
        return identifier(field, name, report);
    }
    let suggestion = match nearest(name, names()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if pipelines.is_empty() => "add [[pipelines]]".to_owned(),
        None => format!("known: {}", names().collect::<Vec<_>>().join(", ")),
    };
    let message = format!("`{}`: there is no pipeline `{name}`", field.name);
    report.mistake(field.at(), Code::UnknownReference, message, Some(suggestion));
    None
}

/// What an integration asks of people; the pipeline must read what they say.
fn read_required_consent(
    field: &Field<'_>,
    pipeline_name: Option<&str>,
    pipelines: &[Named<Pipeline>],
    report: &mut Report<'_>,
) -> Vec<String> {
    let pipeline = pipelines.iter().find(|pipeline| Some(pipeline.name.as_str()) == pipeline_name);
    let door = pipeline.and_then(|pipeline| Some(&pipeline.value.as_ref()?.door));
    let options = door.map(|door| door.rules.consent());
    if let (Some(None), Some(name)) = (options, pipeline_name) {
        let message =
            format!("`{}` asks for consent, and pipeline `{name}` does not read it", field.name);
        let fix = "add [pipelines.consent] to the pipeline".to_owned();
        report.mistake(field.at(), Code::MissingKey, message, Some(fix));
    }
    let preset = ConsentOptions::default();
    consent::read_required(field, options.flatten().unwrap_or(&preset), report)
}

/// A name for what comes with Millrace, a path for what does not.
fn blueprint_ref(text: &str, report: &Report<'_>) -> BlueprintRef {
    let is_path = text.contains(['/', '\\'])
        || [".yaml", ".yml", ".json"].iter().any(|ending| text.ends_with(ending));
    if is_path {
        BlueprintRef::File(report.resolve(text))
    } else if let Some((name, Some(number))) = crate::revisions::parse_reference(text) {
        let folder = report.blueprint_folder.clone();
        BlueprintRef::Revision { folder, name: name.to_owned(), number }
    } else {
        BlueprintRef::BuiltIn(text.to_owned())
    }
}

/// Reads the token for privacy requests, in our words or in RudderStack's. None only after a mistake.
#[expect(clippy::option_option, reason = "the outer one says whether all is well")]
fn read_gdpr_token(
    own: Option<Field<'_>>,
    settings: Option<&Section<'_>>,
    report: &mut Report<'_>,
) -> Option<Option<Secret>> {
    let theirs = settings
        .and_then(|section| section.entries().find(|(name, ..)| *name == GDPR_SETTING))
        .map(|(_, _, field)| field)
        .filter(|field| !is_empty_text(field));
    match (own, theirs) {
        (Some(field), Some(_)) => {
            field.wrong(report, "is said in `settings` as well", Some("keep one".to_owned()));
            None
        }
        (Some(field), None) | (None, Some(field)) => {
            secrets::read(&field, report, Literal::Warned).map(Some)
        }
        (None, None) => Some(None),
    }
}

fn read_settings(section: &Section<'_>, report: &mut Report<'_>) -> BTreeMap<String, Setting> {
    let mut settings = BTreeMap::new();
    let of_blueprint = |name: &str| !is_vendor_setting(name) && name != GDPR_SETTING;
    for (name, at, field) in section.entries().filter(|(name, ..)| of_blueprint(name)) {
        match json(field.value) {
            Some(value) => {
                settings.insert(name.to_owned(), Setting { value, place: report.place(at) });
            }
            None => field.wrong(report, "holds a number that JSON has not", None),
        }
    }
    settings
}
