//! The second step: from the document to the checked tree, section by section.
//!
//! Each section first asks for all its keys, so that unknown ones are told whatever else is wrong,
//! and then reads them. References between sections are checked last, when all names are known.

use std::net::SocketAddr;
use std::time::Duration;

use millrace_model::code::Code;
use millrace_model::id::IdError;
use toml::de::{DeTable, DeValue};

use super::document::{Field, Report, Section};
use super::quantity::{show_size, show_span, size, span};
use super::secrets::{self, Literal};
use super::tree::{Config, Limits, Log, Quarantine, Server};

mod connection;
mod integrations;
mod paths;
mod pipelines;
pub(super) mod places;
mod quarantine;
mod server_tls;
mod twin;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const MINUTE: Duration = Duration::from_secs(60);
const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// Reads a whole file. `None` only after a mistake was reported.
pub(super) fn read(text: &str, report: &mut Report<'_>) -> Option<Config> {
    let (document, errors) = DeTable::parse_recoverable(text);
    let mut broken_lines = Vec::new();
    for error in &errors {
        let at = error.span().map_or(0, |span| span.start);
        broken_lines.push(report.place(at).line);
        report.mistake(at, Code::BadSyntax, error.message(), None);
    }
    let config = root(document.get_ref(), report);
    if !errors.is_empty() {
        report.keep_only_what_syntax_errors_do_not_explain(&broken_lines);
        return None;
    }
    config
}

fn root(document: &DeTable<'_>, report: &mut Report<'_>) -> Option<Config> {
    let mut root = Section::new("", 0, document);
    let data_dir = match root.optional("data_dir") {
        Some(field) => non_empty(&field, report, "./data").map(|path| report.resolve(path)),
        None => Some(report.resolve("data")),
    };
    let server = root.table(report, "server");
    let limits = root.table(report, "limits");
    let log = root.table(report, "log");
    let quarantine = root.table(report, "quarantine");
    let pipelines = root.tables(report, "pipelines");
    let integrations = root.tables(report, "integrations");
    let twin = root.table(report, "twin");
    let places = root.table(report, "places");
    let blueprints = root.table(report, "blueprints");
    root.finish(report);

    let server = match server {
        Some(section) => read_server(section, report),
        None => {
            let example = "[server] with admin_token = { env = \"MILLRACE_ADMIN_TOKEN\" }";
            root.required(report, "server", example);
            None
        }
    };
    let limits = limits.map_or_else(Limits::default, |section| read_limits(section, report));
    let log = log.map_or_else(Log::default, |section| read_log(section, report));
    let quarantine =
        quarantine.map_or_else(Quarantine::default, |section| quarantine::read(section, report));
    if pipelines.is_empty() {
        let example = "[[pipelines]] with id = \"shop\" and write_keys";
        report.mistake(
            0,
            Code::MissingKey,
            "there is no pipeline, so nothing could be collected",
            Some(format!("add {example}")),
        );
    }
    if let Some(mut section) = blueprints {
        let folder = section.optional("dir");
        section.finish(report);
        if let Some(path) = folder.and_then(|field| non_empty(&field, report, "./blueprints")) {
            report.blueprint_folder = report.resolve(path);
        }
    }
    let places = places.and_then(|section| places::read(section, report));
    let (places_file, places) = places.unzip();
    let pipelines = pipelines::read(pipelines, places.as_ref(), report);
    let wants_twin = twin.is_some();
    let twin = twin.map(|section| twin::read(section, report));
    let integrations = integrations::read(integrations, &pipelines, wants_twin, report);
    Some(Config {
        data_dir: data_dir?,
        server: server?,
        limits,
        log,
        quarantine,
        pipelines: pipelines.into_iter().filter_map(|named| named.value).collect(),
        integrations,
        places: places_file,
        twin: match twin {
            Some(twin) => Some(twin?),
            None => None,
        },
    })
}

/// Something with a name that others refer to. The name counts even when the rest is wrong, so
/// that one mistake is not told twice.
struct Named<T> {
    name: String,
    at: usize,
    value: Option<T>,
}

fn read_server(mut section: Section<'_>, report: &mut Report<'_>) -> Option<Server> {
    let collect = section.optional("collect");
    let manage = section.optional("manage");
    let proxies = section.optional("trusted_proxies");
    let segment_script = section.optional("segment_script");
    let [prefixes, routes] = ["prefixes", "routes"].map(|key| section.optional(key));
    let tls = section.table(report, "tls");
    let example = "admin_token = { env = \"MILLRACE_ADMIN_TOKEN\" }";
    let admin_token = section.required(report, "admin_token", example);
    section.finish(report);
    let collect = address(collect.as_ref(), report, SocketAddr::from(([127, 0, 0, 1], 8080)));
    let manage_at = address(manage.as_ref(), report, SocketAddr::from(([127, 0, 0, 1], 8084)));
    let admin_token = admin_token.and_then(|field| secrets::read(&field, report, Literal::Warned));
    let trusted_proxies = paths::read_proxies(proxies.as_ref(), report);
    let other_paths = paths::read(prefixes.as_ref(), routes.as_ref(), report);
    let segment_script = segment_script.and_then(|field| read_script(&field, report));
    let tls = tls.map(|section| server_tls::read(section, report));
    let (collect, manage_at) = (collect?, manage_at?);
    let field_at = manage.as_ref().map_or(section.at, Field::at);
    if collect == manage_at && collect.port() != 0 {
        report.mistake(
            field_at,
            Code::BadValue,
            "`server.manage` must differ from `server.collect`: whoever may send events must not \
             reach the management API",
            Some(format!("use another port than {}", collect.port())),
        );
        return None;
    }
    if !manage_at.ip().to_canonical().is_loopback() {
        report.warning(
            field_at,
            Code::BadValue,
            "`server.manage` is open to other machines, and the admin token goes over it in plain \
             HTTP",
            Some("listen on 127.0.0.1 and put a TLS proxy in front".to_owned()),
        );
    }
    let manage = Some(manage_at);
    let tls = match tls {
        Some(tls) => Some(tls?),
        None => None,
    };
    Some(Server {
        collect,
        tls,
        manage,
        admin_token: admin_token?,
        trusted_proxies: trusted_proxies?,
        other_paths,
        segment_script,
    })
}

/// Segment's script. It is read once, so that nothing of the disk is served but this.
fn read_script(field: &Field<'_>, report: &mut Report<'_>) -> Option<Vec<u8>> {
    let path = non_empty(field, report, "./standalone.js")?;
    let path = report.resolve(path);
    let size = std::fs::metadata(&path).map(|data| data.len());
    let reason = match size.and_then(|size| Ok((size, std::fs::read(&path)?))) {
        Ok((size, bytes)) if size <= 4 * MIB => return Some(bytes),
        Ok(_) => "is larger than 4MiB, so it is not the script".to_owned(),
        Err(error) => format!("cannot be read: {error}"),
    };
    let message = format!("`{}` {reason}", path.display());
    report.mistake(field.at(), Code::FileUnreadable, message, None);
    None
}

fn read_limits(mut section: Section<'_>, report: &mut Report<'_>) -> Limits {
    let preset = Limits::default();
    let fields = ["body", "inflated", "event", "batch_events", "depth", "connections"]
        .map(|key| section.optional(key));
    section.finish(report);
    let [body, inflated, event, batch_events, depth, connections] = &fields;
    let mut bytes = |field: &Option<Field<'_>>, preset: u64| match field {
        Some(field) => field.quantity(report, size, show_size, (KIB, GIB)).unwrap_or(preset),
        None => preset,
    };
    let (body, inflated_bytes, event_bytes) =
        (bytes(body, preset.body), bytes(inflated, preset.inflated), bytes(event, preset.event));
    let mut count = |field: &Option<Field<'_>>, preset: u32, high: u64| {
        let read = field.as_ref().and_then(|field| field.number(report, (1, high)));
        read.and_then(|number| u32::try_from(number).ok()).unwrap_or(preset)
    };
    let limits = Limits {
        body,
        inflated: inflated_bytes,
        event: event_bytes,
        batch_events: count(batch_events, preset.batch_events, 100_000),
        depth: count(depth, preset.depth, 120),
        connections: count(connections, preset.connections, 1_000_000),
    };
    if event_bytes > inflated_bytes {
        let at = event.as_ref().or(inflated.as_ref()).map_or(section.at, Field::at);
        let message = format!(
            "`limits.event` ({}) is larger than a whole body may be, `limits.inflated` ({})",
            show_size(event_bytes),
            show_size(inflated_bytes)
        );
        report.mistake(at, Code::BadValue, message, None);
    }
    limits
}

fn read_log(mut section: Section<'_>, report: &mut Report<'_>) -> Log {
    let preset = Log::default();
    let [retention, segment, window, reserve] =
        ["retention", "segment", "dedupe_window", "reserve"].map(|key| section.optional(key));
    section.finish(report);
    let mut time = |field: &Option<Field<'_>>, preset: Duration| match field {
        Some(field) => field.quantity(report, span, show_span, (MINUTE, YEAR)).unwrap_or(preset),
        None => preset,
    };
    let (retention_time, window_time) =
        (time(&retention, preset.retention), time(&window, preset.dedupe_window));
    let mut bytes = |field: &Option<Field<'_>>, preset: u64| match field {
        Some(field) => field.quantity(report, size, show_size, (MIB, 4 * GIB)).unwrap_or(preset),
        None => preset,
    };
    let log = Log {
        retention: retention_time,
        segment: bytes(&segment, preset.segment),
        dedupe_window: window_time,
        reserve: bytes(&reserve, preset.reserve),
    };
    if window_time > retention_time {
        let at = window.as_ref().or(retention.as_ref()).map_or(section.at, Field::at);
        let message = format!(
            "`log.dedupe_window` ({}) is longer than `log.retention` ({}), and what is gone cannot \
             be compared with",
            show_span(window_time),
            show_span(retention_time)
        );
        report.mistake(at, Code::BadValue, message, None);
    }
    log
}

fn refuse_second<T>(
    named: &[Named<T>],
    name: &str,
    at: usize,
    what: &str,
    report: &mut Report<'_>,
) {
    if let Some(first) = named.iter().find(|other| other.name == name) {
        let line = report.place(first.at).line;
        let message = format!("there is another {what} `{name}` (line {line})");
        report.mistake(at, Code::DuplicateName, message, Some("name each differently".to_owned()));
    }
}

fn name_text<'d>(field: &Field<'d>, report: &mut Report<'_>) -> Option<&'d str> {
    field.text(report, "shop")
}

fn identifier<T: std::str::FromStr<Err = IdError>>(
    field: &Field<'_>,
    text: &str,
    report: &mut Report<'_>,
) -> Option<T> {
    text.parse().map_err(|error| field.wrong(report, &format!("{error}"), None)).ok()
}

fn address(
    field: Option<&Field<'_>>,
    report: &mut Report<'_>,
    preset: SocketAddr,
) -> Option<SocketAddr> {
    let Some(field) = field else { return Some(preset) };
    let text = field.text(report, &preset.to_string())?;
    text.parse()
        .map_err(|_| {
            let meant = match text.strip_prefix("localhost:").or(text.strip_prefix(':')) {
                Some(port) => format!("write \"127.0.0.1:{port}\""),
                None => format!("write an address and a port, such as \"{preset}\""),
            };
            field.wrong(report, &format!("is no address to listen on: `{text}`"), Some(meant));
        })
        .ok()
}

fn non_empty<'d>(field: &Field<'d>, report: &mut Report<'_>, example: &str) -> Option<&'d str> {
    let text = field.text(report, example)?;
    if text.is_empty() {
        field.wrong(report, "is empty", Some(format!("write for example \"{example}\"")));
        return None;
    }
    Some(text)
}

/// A value of the document as JSON. `None` for what JSON has not: an infinite number.
fn json(value: &DeValue<'_>) -> Option<serde_json::Value> {
    Some(match value {
        DeValue::String(text) => text.as_ref().into(),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).ok()?.into()
        }
        DeValue::Float(number) => {
            serde_json::Number::from_f64(number.as_str().parse().ok()?)?.into()
        }
        DeValue::Boolean(flag) => (*flag).into(),
        DeValue::Datetime(date) => date.to_string().into(),
        DeValue::Array(items) => {
            items.iter().map(|item| json(item.get_ref())).collect::<Option<Vec<_>>>()?.into()
        }
        DeValue::Table(table) => {
            let entry = |(key, value): (&toml::Spanned<_>, &toml::Spanned<DeValue<'_>>)| {
                let key: &std::borrow::Cow<'_, str> = key.get_ref();
                Some((key.to_string(), json(value.get_ref())?))
            };
            table.iter().map(entry).collect::<Option<serde_json::Map<_, _>>>()?.into()
        }
    })
}
