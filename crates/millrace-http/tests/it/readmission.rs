//! Items that were set aside, through the door again.

use std::sync::Arc;

use bytes::Bytes;
use millrace_http::{Again, CollectorHandle, CollectorOptions, PipelineOptions};
use millrace_model::code::Code;
use millrace_model::entropy::SeededEntropy;
use millrace_model::event::{EventKind, Item};
use millrace_model::passage::Origin;
use millrace_model::time::{ManualClock, UnixMillis};

use crate::recording::{NOW, RecordingIntake};

/// What the door makes of an item: a few words for each part.
fn readmit(
    pipeline: &str,
    origin: Origin,
    kind: Option<EventKind>,
    code: Code,
    body: &str,
) -> Result<Vec<String>, Code> {
    let options = CollectorOptions {
        pipelines: vec![PipelineOptions::new("dev".parse().unwrap())],
        ..CollectorOptions::default()
    };
    let handle = CollectorHandle::new(
        options,
        Arc::new(RecordingIntake::default()),
        Arc::new(ManualClock::at(NOW)),
        Arc::new(SeededEntropy::new(1)),
    );
    let received_at = UnixMillis(NOW.0 - 3_600_000);
    let batch = handle
        .readmission()
        .readmit(&Again {
            pipeline: &pipeline.parse().unwrap(),
            received_at,
            origin,
            kind,
            code,
            body: Bytes::copy_from_slice(body.as_bytes()),
        })
        .map_err(|refused| refused.code)?;
    assert_eq!(batch.received_at, received_at, "the time of receipt is the first one");
    Ok(batch
        .items
        .into_iter()
        .map(|item| match item {
            Item::Event(event) => {
                let facts = &event.facts;
                assert_eq!((event.passage.origin, &facts.client_ip), (origin, &None));
                format!("{} {} {}", event.kind.as_str(), facts.message_id, facts.time.0 - NOW.0)
            }
            Item::SetAside(aside) => format!("{} {}", aside.code, aside.origin.as_str()),
            other => format!("{other:?}"),
        })
        .collect())
}

#[test]
fn items_are_read_by_the_protocol_that_they_came_in_by() {
    let track = r#"{"type":"track","userId":"u","event":"e","messageId":"m"}"#;
    let xdm = r#"{"xdm":{"_id":"m","eventType":"e","identityMap":{"ECID":[{"id":"1234567890"}]}}}"#;
    let bare = Code::UnknownType;
    for (origin, kind, code, body, wanted) in [
        (Origin::Spec, None, bare, track, Ok(vec!["track m -3600000"])),
        (Origin::Browser, None, bare, track, Ok(vec!["track m -3600000"])),
        // The path said what it is; the item says something else.
        (Origin::Spec, Some(EventKind::Page), bare, track, Ok(vec!["page m -3600000"])),
        (Origin::Spec, None, bare, r#"{"type":"tracks","userId":"u"}"#, Ok(vec!["MR1102 spec"])),
        (Origin::Spec, None, bare, "[1]", Ok(vec!["MR1101 spec"])),
        (Origin::Spec, None, bare, "{", Err(Code::BadJson)),
        (Origin::Spec, None, bare, "", Err(Code::CannotBeFedAgain)),
        (Origin::Edge, None, bare, xdm, Ok(vec!["track m -3600000"])),
        // What a revoked key brought had been decoded before.
        (
            Origin::Edge,
            Some(EventKind::Track),
            Code::RevokedWriteKey,
            track,
            Ok(vec!["track m -3600000"]),
        ),
        // Without its token, as it is kept.
        (
            Origin::Mixpanel,
            Some(EventKind::Track),
            bare,
            r#"{"event":"e","properties":{"distinct_id":"u","$insert_id":"m"}}"#,
            Ok(vec!["track m -3600000"]),
        ),
        (Origin::Webhook, None, bare, "{}", Err(Code::CannotBeFedAgain)),
    ] {
        let wanted: Result<Vec<String>, Code> =
            wanted.map(|words| words.into_iter().map(str::to_owned).collect());
        let found = readmit("dev", origin, kind, code, body);
        assert_eq!(found, wanted, "{origin:?} {kind:?} {body}");
    }
    assert_eq!(readmit("gone", Origin::Spec, None, bare, track), Err(Code::CannotBeFedAgain));
}
