//! `/import` and `/track` (reference/mixpanel-api.md 2).
//!
//! `/import` knows its project from the credentials and, under `strict=1`, answers for every event.
//! `/track` finds the project of each event by its token and says success to nearly everything.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use axum::response::Response;

use crate::auth::{Credentials, Denied};
use crate::body::{BodyError, Params};
use crate::event::{self, Circumstances, Door, Scanned, Verdict};
use crate::intake::{self, Account, Batch, Prepared, Wire};
use crate::json::{self, Item};
use crate::limits;
use crate::record;
use crate::reply::{self, Failure, Style};
use crate::twin::Inner;

/// What `/import` says to identity verbs under simplified merge (2.3).
const VERBS_REFUSED: &str =
    "identity events are not allowed when project is using simplified identity management";

const NO_RECORDS: &str = "data, missing or empty";
const NOT_RECORDS: &str = "request body must be a JSON array of objects";

/// `/import`.
pub(crate) fn import(inner: &Inner, mut wire: Wire) -> Prepared {
    let now = inner.clock.now();
    let mut account = Account::new(inner, "/import", now);
    let mut params = wire.params();
    let credentials =
        wire.authorization.as_ref().and_then(|header| Credentials::read(header.expose()));
    let opened = credentials.ok_or(Denied::Invalid).and_then(|credentials| {
        credentials.opens_import(inner.projects.options(), params.get("project_id"))
    });
    let project = match opened {
        Ok(project) => project,
        Err(denied) => {
            account.refused_whole(None, denied.text());
            return reply::error(StatusCode::UNAUTHORIZED, denied.text()).into();
        }
    };
    let json = wire.open(&mut params);
    let form = ImportForm::of(&params);
    let items = match json.as_deref().map(|json| read_items(json, wire.ndjson)) {
        Ok(Some(items)) => items,
        Ok(None) => return form.refuse(&mut account, project, NOT_RECORDS),
        Err(BodyError::TooLarge) => {
            account.refused_whole(Some(project), BodyError::TooLarge.text());
            return intake::too_large().into();
        }
        Err(error) => return form.refuse(&mut account, project, error.text()),
    };
    if items.len() > limits::RECORDS {
        account.refused_whole(Some(project), intake::TOO_MANY);
        return intake::too_many().into();
    }
    let mut scanned = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        match scan(item, index) {
            Scan::Event(event) if event.is_verb() => {
                account.refused_whole(Some(project), VERBS_REFUSED);
                return form.refuse_verbs();
            }
            Scan::Event(event) => scanned.push(Ok(event)),
            Scan::Broken(failure) => scanned.push(Err(failure)),
            Scan::NoObject => return form.refuse(&mut account, project, NOT_RECORDS),
        }
    }
    let around = Circumstances { door: form.door, now, ip: None, entropy: &*inner.entropy };
    let mut batch = intake::event_batch(project, now, true, &wire.host);
    let (mut stored, mut failures) = (0_usize, Vec::new());
    for (index, event) in scanned.into_iter().enumerate() {
        let settled = match event {
            Ok(event) => settle(event, index, project, &around, &mut batch, &mut account),
            Err(failure) => {
                account.refused(Some(project), &failure, None);
                Err(failure)
            }
        };
        match settled {
            Ok(()) => stored += 1,
            Err(failure) => failures.push(failure),
        }
    }
    Prepared { reply: form.answer(stored, &failures), records: batch.finish() }
}

/// How `/import` answers.
#[derive(Debug)]
struct ImportForm {
    door: Door,
    style: Style,
}

impl ImportForm {
    /// `strict` absent counts as 0, as the older SDKs expect.
    fn of(params: &Params) -> ImportForm {
        let door = if params.on("strict") { Door::StrictImport } else { Door::LenientImport };
        ImportForm { door, style: Style::of(params) }
    }

    fn strict(&self) -> bool {
        self.door == Door::StrictImport
    }

    fn answer(&self, stored: usize, failures: &[Failure]) -> Response {
        if self.strict() {
            return if failures.is_empty() {
                reply::imported(stored)
            } else {
                reply::import_failures(stored, failures)
            };
        }
        let reason = failures.first().map_or(NO_RECORDS, |failure| failure.message.as_str());
        self.style.answer_import(if stored > 0 { Ok(()) } else { Err(reason) }, stored)
    }

    fn refuse(&self, account: &mut Account<'_>, project: u64, text: &str) -> Prepared {
        account.refused_whole(Some(project), text);
        if self.strict() {
            return reply::error(StatusCode::BAD_REQUEST, text).into();
        }
        self.style.answer_import(Err(text), 0).into()
    }

    fn refuse_verbs(&self) -> Prepared {
        if self.strict() {
            return reply::import_verbs(VERBS_REFUSED).into();
        }
        self.style.answer_import(Err(VERBS_REFUSED), 0).into()
    }
}

/// `/track`.
pub(crate) fn track(inner: &Inner, mut wire: Wire) -> Prepared {
    let now = inner.clock.now();
    let mut account = Account::new(inner, "/track", now);
    let mut params = wire.params();
    let json = wire.open(&mut params);
    let style = Style::of(&params);
    let mut refuse = |text: &str| -> Prepared {
        account.refused_whole(None, text);
        style.answer(Err(text)).into()
    };
    let items = match json.as_deref().map(|json| read_items(json, wire.ndjson)) {
        Ok(Some(items)) if items.is_empty() => return refuse(NO_RECORDS),
        Ok(Some(items)) if items.len() > limits::RECORDS => {
            let _counted = refuse(intake::TOO_MANY);
            return intake::too_many().into();
        }
        Ok(Some(items)) => items,
        Ok(None) => return refuse(NOT_RECORDS),
        Err(BodyError::TooLarge) => {
            let _counted = refuse(BodyError::TooLarge.text());
            return intake::too_large().into();
        }
        Err(error) => return refuse(error.text()),
    };
    let ip = wire.client.filter(|_| params.on("ip"));
    let around = Circumstances { door: Door::Track, now, ip, entropy: &*inner.entropy };
    let mut batches: BTreeMap<u64, Batch> = BTreeMap::new();
    let (mut good, mut first_fault) = (0_usize, None);
    for (index, item) in items.iter().enumerate() {
        let settled = match scan(item, index) {
            Scan::Event(event) => {
                track_one(inner, event, index, &around, &wire.host, &mut batches, &mut account)
            }
            Scan::Broken(failure) => {
                account.refused(None, &failure, None);
                Err(failure)
            }
            Scan::NoObject => {
                let failure = failure(index, "data", "data, must be an object");
                account.refused(None, &failure, None);
                Err(failure)
            }
        };
        match settled {
            Ok(()) => good += 1,
            Err(failure) => {
                first_fault.get_or_insert(failure.message);
            }
        }
    }
    let fault = first_fault.unwrap_or_default();
    let reply = style.answer(if good > 0 { Ok(()) } else { Err(&fault) });
    Prepared { reply, records: batches.into_values().flat_map(Batch::finish).collect() }
}

fn track_one(
    inner: &Inner,
    event: Scanned<'_>,
    index: usize,
    around: &Circumstances<'_>,
    host: &str,
    batches: &mut BTreeMap<u64, Batch>,
    account: &mut Account<'_>,
) -> Result<(), Failure> {
    if event.name().is_none() {
        let failure = failure(index, "event", "event, missing");
        account.refused(None, &failure, None);
        return Err(failure);
    }
    let Some(token) = event.token() else {
        let failure = failure(index, "properties.token", "token, missing or empty");
        account.refused(None, &failure, event.name());
        return Err(failure);
    };
    let Some(project) = inner.projects.by_token(&token) else {
        // Mixpanel does not check tokens here and says success (2.2).
        account.ignored(None, index, event.name(), "the token belongs to no project");
        return Ok(());
    };
    let project = project.options.id;
    let batch = batches
        .entry(project)
        .or_insert_with(|| intake::event_batch(project, around.now, false, host));
    settle(event, index, project, around, batch, account)
}

/// Judges an event and puts it where it belongs.
fn settle(
    event: Scanned<'_>,
    index: usize,
    project: u64,
    around: &Circumstances<'_>,
    batch: &mut Batch,
    account: &mut Account<'_>,
) -> Result<(), Failure> {
    let name = event.name().map(str::to_owned);
    match event.judge(index, around) {
        Verdict::Admit(mut event) => {
            batch.put(|bytes| record::put_event(bytes, &event));
            account.stored(project);
            for change in std::mem::take(&mut event.changes) {
                account.changed(project, index, &event.name, change);
            }
            Ok(())
        }
        Verdict::Ignore(reason) => {
            account.ignored(Some(project), index, name.as_deref(), reason);
            Ok(())
        }
        Verdict::Refuse(failure) => {
            account.refused(Some(project), &failure, name.as_deref());
            Err(failure)
        }
    }
}

fn read_items(json: &[u8], ndjson: bool) -> Option<Vec<Item<'_>>> {
    let is_array = json.trim_ascii_start().starts_with(b"[");
    if ndjson && !is_array { Some(json::lines(json)) } else { json::items(json) }
}

enum Scan<'a> {
    Event(Scanned<'a>),
    Broken(Failure),
    NoObject,
}

fn scan<'a>(item: &Item<'a>, index: usize) -> Scan<'a> {
    match item {
        Item::Text(text) if text.starts_with('{') => match Scanned::scan(text) {
            Some(event) => Scan::Event(event),
            None => Scan::Broken(failure(
                index,
                "event",
                "event is invalid: string should be valid utf8",
            )),
        },
        Item::Text(_) => Scan::NoObject,
        Item::NotUtf8(bytes) => Scan::Broken(event::not_utf8(index, bytes)),
        Item::NotJson => Scan::Broken(failure(index, "event", "line is not valid JSON")),
    }
}

fn failure(index: usize, field: &str, message: &str) -> Failure {
    Failure {
        index,
        insert_id: String::new(),
        field: field.to_owned(),
        message: message.to_owned(),
    }
}
