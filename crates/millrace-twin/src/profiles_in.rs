//! `/engage` and `/groups` (reference/mixpanel-api.md 3).
//!
//! Data problems are answered with HTTP 200; the body says what is wrong. The updates of one
//! request are applied in the order of their `$time`, those without one at the time of arrival.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::body::BodyError;
use crate::intake::{self, Account, Batch, Prepared, Wire};
use crate::json::{self, Item};
use crate::limits;
use crate::profile::{self, Subject};
use crate::record::{self, Kind};
use crate::reply::{self, Failure, Style};
use crate::twin::Inner;

/// `/engage`.
pub(crate) fn engage(inner: &Inner, wire: Wire) -> Prepared {
    update(inner, wire, Subject::User, "/engage")
}

/// `/groups`.
pub(crate) fn groups(inner: &Inner, wire: Wire) -> Prepared {
    update(inner, wire, Subject::Group, "/groups")
}

fn update(inner: &Inner, mut wire: Wire, subject: Subject, endpoint: &'static str) -> Prepared {
    let now = inner.clock.now();
    let mut account = Account::new(inner, endpoint, now);
    let mut params = wire.params();
    let json = wire.open(&mut params);
    let style = Style::of(&params);
    let items = match json.as_deref().map(json::items) {
        Ok(Some(items)) if items.len() > limits::RECORDS => {
            account.refused_whole(None, intake::TOO_MANY);
            return intake::too_many().into();
        }
        Ok(Some(items)) if !items.is_empty() => items,
        Ok(_) => {
            account.refused_whole(None, "data, missing or empty");
            return style.answer(Err("data, missing or empty")).into();
        }
        Err(BodyError::TooLarge) => {
            account.refused_whole(None, BodyError::TooLarge.text());
            return intake::too_large().into();
        }
        Err(error) => {
            account.refused_whole(None, error.text());
            return style.answer(Err(error.text())).into();
        }
    };
    let (mut accepted, mut failures) = (Vec::new(), Vec::new());
    let mut good = 0_usize;
    for (index, item) in items.iter().enumerate() {
        match settle(inner, item, index, subject, &mut account) {
            Ok(update) => {
                good += 1;
                accepted.extend(update);
            }
            Err(failure) => failures.push(failure),
        }
    }
    accepted.sort_by_key(|(_, update)| profile::happened_at(update, now));
    let kind = if subject == Subject::User { Kind::Users } else { Kind::Groups };
    let mut batches: BTreeMap<u64, Batch> = BTreeMap::new();
    for (project, update) in accepted {
        let batch = batches
            .entry(project)
            .or_insert_with(|| Batch::new(kind, record::updates(project, now)));
        let text = Value::Object(update).to_string();
        batch.put(|bytes| record::put_update(bytes, &text));
    }
    let reply = if params.on("strict") {
        reply::updated(good, &failures)
    } else {
        let fault = failures.first().map(|failure| failure.message.as_str());
        style.answer(match fault {
            Some(fault) if good == 0 => Err(fault),
            _ => Ok(()),
        })
    };
    Prepared { reply, records: batches.into_values().flat_map(Batch::finish).collect() }
}

type Accepted = Option<(u64, Map<String, Value>)>;

/// Judges one update: stored, valid but not stored (`None`), or invalid.
fn settle(
    inner: &Inner,
    item: &Item<'_>,
    index: usize,
    subject: Subject,
    account: &mut Account<'_>,
) -> Result<Accepted, Failure> {
    let refuse = |account: &mut Account<'_>, project: Option<u64>, field: &str, message: &str| {
        let failure = Failure {
            index,
            insert_id: String::new(),
            field: field.to_owned(),
            message: message.to_owned(),
        };
        account.refused(project, &failure, None);
        Err(failure)
    };
    let text = match item {
        Item::Text(text) if text.len() <= limits::RECORD_BYTES => text,
        Item::Text(_) => return refuse(account, None, "", "update is larger than 1 MB"),
        Item::NotUtf8(_) => return refuse(account, None, "", "string should be valid utf8"),
        Item::NotJson => return refuse(account, None, "", "update is not valid JSON"),
    };
    let Ok(update) = serde_json::from_str::<Map<String, Value>>(text) else {
        return refuse(account, None, "", "update must be an object within the limits");
    };
    let Some(token) = profile::id(&update, "$token") else {
        return refuse(account, None, "$token", "$token, missing or empty");
    };
    let project = inner.projects.by_token(&token);
    let id = project.map(|project| project.options.id);
    let update = match profile::check(update, subject) {
        Ok(update) => update,
        Err((field, message)) => return refuse(account, id, field, &message),
    };
    let named = if subject == Subject::User { "$distinct_id" } else { "$group_id" };
    let named = profile::id(&update, named);
    let Some(project) = project else {
        account.ignored(None, index, named.as_deref(), "the token belongs to no project");
        return Ok(None);
    };
    if subject == Subject::Group {
        let key = profile::id(&update, "$group_key").unwrap_or_default();
        if !project.options.group_keys.contains(&key) {
            let reason = format!("group key {key} is not registered in the project");
            account.ignored(id, index, named.as_deref(), &reason);
            return Ok(None);
        }
    }
    account.stored(project.options.id);
    Ok(Some((project.options.id, update)))
}
