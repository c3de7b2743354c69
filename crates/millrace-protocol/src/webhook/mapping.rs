//! The mapping of one webhook: read once, when the configuration is loaded, and applied to payloads.

use std::collections::BTreeMap;

use millrace_model::event::EventKind;

use super::path::{Path, PathError};
use crate::json::{text, write_text};

/// Members of a message that hold one value.
const PLAIN: [&str; 8] =
    ["type", "event", "name", "userId", "anonymousId", "groupId", "previousId", "messageId"];
const TIME: &str = "timestamp";
/// Members that hold objects, whose own members are named by a dotted target.
const OBJECTS: [&str; 3] = ["properties", "traits", "context"];
/// More targets than this are no mapping.
const MAX_TARGETS: usize = 200;
/// Targets nested deeper than this are refused.
const MAX_PARTS: usize = 16;

/// What is wrong with a mapping.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MappingError {
    /// The target is no member of a message.
    #[error(
        "`{0}` is no target: use event, name, type, userId, anonymousId, groupId, previousId, messageId, \
         timestamp, or a name under properties, traits or context"
    )]
    Target(String),
    /// Two targets cannot both be set.
    #[error("`{0}` is set, and so is a name under or above it")]
    Overlap(String),
    /// The path cannot be read.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The type of the message is not known, or not fixed.
    #[error("type must be one of track, identify, page, screen, group, alias")]
    Type,
    /// There is more than a mapping may hold.
    #[error("a mapping has at most {MAX_TARGETS} targets")]
    TooMany,
}

/// The payload does not have what the mapping needs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unmapped(pub String);

/// What a kind of webhook says about every payload, for members that the mapping leaves open: JSON
/// values, as bytes.
#[derive(Clone, Debug, Default)]
pub struct Presets {
    /// The name of the event.
    pub event: Option<Vec<u8>>,
    /// The id by which a resend is known.
    pub message_id: Option<Vec<u8>>,
    /// When it happened.
    pub timestamp: Option<Vec<u8>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    Path(Path),
    Fixed(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    Leaf(Source),
    Object(BTreeMap<String, Node>),
}

/// Which members of a message stand where in a payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    kind: EventKind,
    event_type: Option<Path>,
    members: BTreeMap<String, Node>,
}

impl Mapping {
    /// A mapping without targets: a track call with what the kind of the webhook says.
    ///
    /// # Errors
    /// When the path of the event's type cannot be read.
    pub fn new(event_type_path: Option<&str>) -> Result<Mapping, MappingError> {
        let event_type = event_type_path.map(Path::parse).transpose()?;
        Ok(Mapping { kind: EventKind::Track, event_type, members: BTreeMap::new() })
    }

    /// Adds a target, whose value is a path into the payload (it begins with `$`) or a fixed text.
    ///
    /// # Errors
    /// When the target is no member of a message or overlaps another, or the path cannot be read.
    pub fn target(&mut self, target: &str, source: &str) -> Result<(), MappingError> {
        if target == "type" {
            let kind = EventKind::parse(source).filter(|kind| EventKind::SPEC.contains(kind));
            self.kind = kind.ok_or(MappingError::Type)?;
            return Ok(());
        }
        let parts: Vec<&str> = target.split('.').collect();
        let known = match parts.as_slice() {
            [plain] => PLAIN.contains(plain) || *plain == TIME,
            [object, below @ ..] => OBJECTS.contains(object) && !below.contains(&""),
            [] => false,
        };
        if !known || parts.len() > MAX_PARTS {
            return Err(MappingError::Target(target.to_owned()));
        }
        let source = if source.starts_with('$') {
            Source::Path(Path::parse(source)?)
        } else {
            Source::Fixed(source.to_owned())
        };
        if count(&self.members) >= MAX_TARGETS {
            return Err(MappingError::TooMany);
        }
        if insert(&mut self.members, &parts, source) {
            Ok(())
        } else {
            Err(MappingError::Overlap(target.to_owned()))
        }
    }

    /// True when every payload gets the name of its event from the mapping itself, if it has one.
    #[must_use]
    pub fn names_events(&self) -> bool {
        self.kind != EventKind::Track
            || self.event_type.is_some()
            || self.members.contains_key("event")
    }

    /// The message of one payload, as JSON.
    ///
    /// # Errors
    /// When the payload is no object, or has no name of an event where one is needed.
    pub fn apply(&self, payload: &[u8], presets: &Presets) -> Result<Vec<u8>, Unmapped> {
        if payload.first() != Some(&b'{') {
            return Err(Unmapped("the payload must be a JSON object".to_owned()));
        }
        let mut object = ObjectWriter { out: Vec::with_capacity(512), first: true };
        object.out.push(b'{');
        object.member("type", |out| write_text(self.kind.as_str(), out));
        let name = self.event_name(payload, presets);
        match (self.kind, name) {
            (EventKind::Track, None) => return Err(self.no_name()),
            (EventKind::Track, Some(name)) => object.member("event", |out| write_text(&name, out)),
            _ => {}
        }
        let presets = [("messageId", &presets.message_id), ("timestamp", &presets.timestamp)];
        for (member, preset) in presets {
            if let (Some(value), false) = (preset, self.members.contains_key(member)) {
                object.member(member, |out| out.extend_from_slice(value));
            }
        }
        for (name, node) in self.members.iter().filter(|(name, _)| *name != "event") {
            object.node(name, node, payload);
        }
        object.out.push(b'}');
        Ok(object.out)
    }

    /// The name: of the target `event`, else of the path of the type, else what the kind says.
    fn event_name(&self, payload: &[u8], presets: &Presets) -> Option<String> {
        let own = match self.members.get("event") {
            Some(Node::Leaf(Source::Fixed(name))) => return Some(name.clone()),
            Some(Node::Leaf(Source::Path(path))) => Some(path),
            Some(Node::Object(_)) | None => self.event_type.as_ref(),
        };
        let found = match own {
            Some(path) => path.find(payload)?,
            None => presets.event.as_deref()?,
        };
        match found.first()? {
            b'"' => text(found).map(|name| name.into_owned()).filter(|name| !name.is_empty()),
            b'-' | b'0'..=b'9' => Some(String::from_utf8_lossy(found).into_owned()),
            _ => None,
        }
    }

    fn no_name(&self) -> Unmapped {
        Unmapped(match (self.members.get("event"), &self.event_type) {
            (Some(_), _) => "there is no text where `event` of the mapping points".to_owned(),
            (None, Some(_)) => "there is no text where event_type_path points".to_owned(),
            (None, None) => "nothing says the name of the event".to_owned(),
        })
    }
}

fn count(members: &BTreeMap<String, Node>) -> usize {
    let size = |node: &Node| match node {
        Node::Leaf(_) => 1,
        Node::Object(inner) => count(inner),
    };
    members.values().map(size).sum()
}

/// False when something else stands in the way.
fn insert(members: &mut BTreeMap<String, Node>, parts: &[&str], source: Source) -> bool {
    match parts {
        [] => false,
        [last] => {
            if members.contains_key(*last) {
                return false;
            }
            members.insert((*last).to_owned(), Node::Leaf(source));
            true
        }
        [first, below @ ..] => {
            let node =
                members.entry((*first).to_owned()).or_insert_with(|| Node::Object(BTreeMap::new()));
            match node {
                Node::Object(inner) => insert(inner, below, source),
                Node::Leaf(_) => false,
            }
        }
    }
}

struct ObjectWriter {
    out: Vec<u8>,
    first: bool,
}

impl ObjectWriter {
    fn member(&mut self, name: &str, write: impl FnOnce(&mut Vec<u8>)) {
        if !std::mem::replace(&mut self.first, false) {
            self.out.push(b',');
        }
        write_text(name, &mut self.out);
        self.out.push(b':');
        write(&mut self.out);
    }

    /// Writes what there is of a node: a value that the payload has not is left out.
    fn node(&mut self, name: &str, node: &Node, payload: &[u8]) {
        match node {
            Node::Leaf(Source::Fixed(fixed)) => self.member(name, |out| write_text(fixed, out)),
            Node::Leaf(Source::Path(path)) => {
                if let Some(value) = path.find(payload) {
                    self.member(name, |out| out.extend_from_slice(value));
                }
            }
            Node::Object(inner) => self.member(name, |out| {
                out.push(b'{');
                let mut object = ObjectWriter { out: std::mem::take(out), first: true };
                for (name, node) in inner {
                    object.node(name, node, payload);
                }
                *out = object.out;
                out.push(b'}');
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PAYLOAD: &str = r#"{"id":"evt_1","type":"invoice.paid","created":1763800000,"data":{"object":{"customer":"cus_1","amount":1999.00,"lines":[{"sku":"a"}],"nothing":null}}}"#;

    fn mapping(event_type: Option<&str>, targets: &[(&str, &str)]) -> Mapping {
        let mut mapping = Mapping::new(event_type).unwrap();
        for (target, source) in targets {
            mapping.target(target, source).unwrap();
        }
        mapping
    }

    fn applied(mapping: &Mapping, payload: &str) -> Result<String, String> {
        let presets = Presets { message_id: Some(b"\"evt_1\"".to_vec()), ..Presets::default() };
        mapping
            .apply(payload.as_bytes(), &presets)
            .map(|json| String::from_utf8(json).unwrap())
            .map_err(|unmapped| unmapped.0)
    }

    #[test]
    fn a_payload_becomes_the_message_that_the_mapping_says() {
        let all = mapping(
            Some("$.type"),
            &[
                ("userId", "$.data.object.customer"),
                ("properties.amount", "$.data.object.amount"),
                ("properties.first.sku", "$.data.object.lines[0].sku"),
                ("properties.gone", "$.data.object.gone"),
                ("properties.system", "stripe"),
                ("timestamp", "$.created"),
            ],
        );
        assert_eq!(
            applied(&all, PAYLOAD).unwrap(),
            r#"{"type":"track","event":"invoice.paid","messageId":"evt_1","properties":{"amount":1999.00,"first":{"sku":"a"},"system":"stripe"},"timestamp":1763800000,"userId":"cus_1"}"#
        );
        let named = mapping(Some("$.type"), &[("event", "Invoice Paid"), ("messageId", "$.id")]);
        assert_eq!(
            applied(&named, PAYLOAD).unwrap(),
            r#"{"type":"track","event":"Invoice Paid","messageId":"evt_1"}"#
        );
        let identify = mapping(None, &[("type", "identify"), ("userId", "$.id")]);
        assert_eq!(
            applied(&identify, PAYLOAD).unwrap(),
            r#"{"type":"identify","messageId":"evt_1","userId":"evt_1"}"#
        );
        let number = mapping(Some("$.created"), &[]);
        assert!(applied(&number, PAYLOAD).unwrap().contains(r#""event":"1763800000""#));
    }

    #[test]
    fn a_payload_without_a_name_is_unmapped() {
        let table = [
            (
                mapping(Some("$.kind"), &[]),
                PAYLOAD,
                "there is no text where event_type_path points",
            ),
            (
                mapping(Some("$.data"), &[]),
                PAYLOAD,
                "there is no text where event_type_path points",
            ),
            (
                mapping(None, &[("event", "$.kind")]),
                PAYLOAD,
                "there is no text where `event` of the mapping points",
            ),
            (mapping(None, &[]), PAYLOAD, "nothing says the name of the event"),
            (mapping(Some("$.type"), &[]), "7", "the payload must be a JSON object"),
        ];
        for (mapping, payload, wanted) in table {
            assert_eq!(applied(&mapping, payload), Err(wanted.to_owned()));
        }
    }

    #[test]
    fn mistakes_are_found_when_the_mapping_is_read() {
        let refused = |targets: &[(&str, &str)]| {
            let mut mapping = Mapping::new(None).unwrap();
            let mut results = targets.iter().map(|(target, source)| mapping.target(target, source));
            results.find_map(Result::err)
        };
        assert_eq!(refused(&[("user", "$.a")]), Some(MappingError::Target("user".to_owned())));
        assert_eq!(
            refused(&[("properties", "$.a")]),
            Some(MappingError::Target("properties".to_owned()))
        );
        assert_eq!(
            refused(&[("userId.x", "$.a")]),
            Some(MappingError::Target("userId.x".to_owned()))
        );
        assert_eq!(
            refused(&[("properties.a.b", "$.a"), ("properties.a", "$.a")]),
            Some(MappingError::Overlap("properties.a".to_owned()))
        );
        assert_eq!(refused(&[("type", "$.a")]), Some(MappingError::Type));
        assert_eq!(refused(&[("type", "profile")]), Some(MappingError::Type));
        assert_eq!(
            refused(&[("userId", "$.a[*]")]),
            Some(MappingError::Path(PathError::ManyValues))
        );
        let many: Vec<String> = (0..=MAX_TARGETS).map(|at| format!("properties.p{at}")).collect();
        let many: Vec<(&str, &str)> = many.iter().map(|target| (target.as_str(), "x")).collect();
        assert_eq!(refused(&many), Some(MappingError::TooMany));
    }

    proptest! {
        #[test]
        fn a_valid_payload_gives_valid_json(
            name in ".{0,10}", fixed in "[^$].{0,10}", id in any::<i64>()
        ) {
            let payload = serde_json::json!({ "n": name, "id": id, "o": { "n": name } }).to_string();
            let mapping = mapping(
                Some("$.n"),
                &[("userId", "$.id"), ("properties.o", "$.o"), ("traits.f", &fixed)],
            );
            if let Ok(message) = mapping.apply(payload.as_bytes(), &Presets::default()) {
                let json: serde_json::Value = serde_json::from_slice(&message).unwrap();
                prop_assert_eq!(&json["properties"]["o"]["n"], &serde_json::Value::from(name));
                prop_assert_eq!(&json["userId"], &serde_json::Value::from(id));
            }
        }
    }
}
