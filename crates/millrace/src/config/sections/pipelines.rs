//! `[[pipelines]]`: who may send what to a collection endpoint, and what its door does with it.

mod admission;
mod adobe;
pub(super) mod consent;
mod mixpanel;
mod rules;
mod script;
mod sources;
mod write_keys;

use std::sync::Arc;

use millrace_govern::Rules;
use millrace_govern::places::PlaceOptions;
use millrace_http::PipelineOptions;
use millrace_model::id::PipelineId;

use super::super::document::{Field, Report, Section};
use super::super::tree::{Pipeline, PipelineParameters};
use super::{Named, identifier, name_text, refuse_second};

/// `places` is what `[places]` says.
pub(super) fn read(
    sections: Vec<Section<'_>>,
    places: Option<&PlaceOptions>,
    report: &mut Report<'_>,
) -> Vec<Named<Pipeline>> {
    let mut pipelines: Vec<Named<Pipeline>> = Vec::new();
    let mut used = sources::Used::default();
    for mut section in sections {
        let id = section.required(report, "id", "id = \"shop\"");
        let example = "write_keys = [{ env = \"SHOP_WRITE_KEY\" }]";
        let write_keys = section.required(report, "write_keys", example);
        let parameters = section.optional("parameters");
        let script = section.optional("script");
        let [origins, require_origin, limits] =
            ["origins", "require_origin", "limits"].map(|key| section.optional(key));
        let sources = sources::Sources::ask(&mut section, report);
        let mixpanel = section.optional("mixpanel");
        let adobe = section.table(report, "adobe");
        let rules = rules::read(&mut section, report, places);
        section.finish(report);
        let id = id.and_then(|field| Some((name_text(&field, report)?, field)));
        let known = pipelines.iter().filter_map(|pipeline| pipeline.value.as_ref());
        let known = known.flat_map(|pipeline| pipeline.door.write_keys.iter());
        let known: Vec<_> = known.map(|key| &key.key).collect();
        let keys = write_keys.map(|field| write_keys::read(&field, &known, report));
        let keys = keys.unwrap_or_default();
        let known = pipelines.iter().filter_map(|pipeline| pipeline.value.as_ref());
        let known: Vec<_> = known.map(|pipeline| &pipeline.door.mixpanel).collect();
        let mixpanel = mixpanel.map(|field| mixpanel::read(&field, &known, report));
        let mixpanel = mixpanel.unwrap_or_default();
        let known = pipelines.iter().filter_map(|pipeline| pipeline.value.as_ref());
        let known = known.map(|pipeline| &pipeline.door.adobe);
        let known: Vec<&str> = known.flat_map(adobe::ids).collect();
        let adobe = adobe::read(adobe, &known, report);
        let origins = admission::read_origins(origins.as_ref(), require_origin.as_ref(), report);
        let limits = admission::read_limits(limits.as_ref(), report);
        let Some((name, field)) = id else { continue };
        let Some(id) = identifier::<PipelineId>(&field, name, report) else { continue };
        refuse_second(&pipelines, name, field.at(), "pipeline", report);
        let script = script::read(script.as_ref(), report);
        let mut door = PipelineOptions {
            script,
            write_keys: keys,
            origins,
            limits,
            mixpanel,
            adobe,
            rules: Arc::new(Rules::new(&rules)),
            ..PipelineOptions::new(id.clone())
        };
        sources.read(&mut door, &mut used, report);
        let value = read_parameters(parameters.as_ref(), section.at, report)
            .map(|parameters| Pipeline { id, door, parameters });
        pipelines.push(Named { name: name.to_owned(), at: section.at, value });
    }
    pipelines
}

fn read_parameters(
    field: Option<&Field<'_>>,
    pipeline_at: usize,
    report: &mut Report<'_>,
) -> Option<PipelineParameters> {
    let place = Some(report.place(field.map_or(pipeline_at, Field::at)));
    let Some(field) = field else {
        return Some(PipelineParameters { place, ..PipelineParameters::default() });
    };
    let entries: Vec<_> = field.table(report)?.entries().collect();
    let count = entries.len();
    let texts: Vec<(&str, &str)> = entries
        .into_iter()
        .filter_map(|(name, _, field)| Some((name, field.text(report, "shop.example")?)))
        .collect();
    let texts = (texts.len() == count).then(|| texts.into_iter().collect())?;
    Some(PipelineParameters { texts, place })
}
