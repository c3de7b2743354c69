//! The transforms, by name: a fixed list.

use millrace_model::code::Code;

use super::nodes::around;
use crate::syntax::ast::{Place, words};
use crate::syntax::parts::{known_keys, member, text};
use crate::syntax::problems::Problems;
use crate::syntax::tree::{Key, Node, NodeValue};

words! {
    /// A transform, as a config names it.
    Kind {
        DateFormat = "date_format",
        Lower = "lower",
        LowerCase = "lowercase",
        Upper = "upper",
        UpperCase = "uppercase",
        ToNumber = "to_number",
        ToText = "to_string",
    }
}

words! {
    /// What `date_format` makes of a time.
    Format {
        EpochMicros = "epoch_micros",
        EpochMillis = "epoch_millis",
        EpochSeconds = "epoch_seconds",
        Iso = "iso8601",
    }
}

/// A transform that is ready to be put around an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transform {
    Date(Format),
    Lower,
    Upper,
    Number,
    Text,
}

impl Transform {
    /// The expression with the transform around it.
    pub(super) fn of(self, expression: &str) -> String {
        match self {
            Transform::Date(Format::EpochMillis) => format!("time({expression})"),
            Transform::Date(Format::EpochSeconds) => format!("seconds({expression})"),
            Transform::Date(Format::EpochMicros) => {
                format!("number({})", around("", &format!("time({expression})"), "000"))
            }
            Transform::Date(Format::Iso) => around("", &format!("iso_time({expression})"), "Z"),
            Transform::Lower => format!("lower({expression})"),
            Transform::Upper => format!("upper({expression})"),
            Transform::Number => format!("number({expression})"),
            Transform::Text => format!("text({expression})"),
        }
    }
}

/// Reads `transform` and `format` of a mapping: a name with a format beside it, or a map of both.
pub(super) fn read(members: &[(Key, Node)], problems: &mut Problems) -> Option<Transform> {
    let node = member(members, "transform");
    let format = member(members, "format");
    let Some(node) = node else {
        if let Some(format) = format {
            let hint = Some("write transform: date_format beside it".to_owned());
            let message = "`format` without a transform means nothing";
            problems.add(format.place, Code::BadValue, message, hint);
        }
        return None;
    };
    match &node.value {
        NodeValue::Map(inner) => {
            known_keys(inner, &["type", "format"], "a transform", problems);
            let Some(kind) = member(inner, "type") else {
                let hint = Some("write type: date_format".to_owned());
                problems.add(node.place, Code::MissingKey, "the transform needs a type", hint);
                return None;
            };
            transform(kind, member(inner, "format"), problems)
        }
        NodeValue::Scalar(_) | NodeValue::List(_) => transform(node, format, problems),
    }
}

fn transform(node: &Node, format: Option<&Node>, problems: &mut Problems) -> Option<Transform> {
    let name = text(node, "`transform`", problems)?;
    let Some(kind) = Kind::parse(&name) else {
        problems.unknown(node.place, Code::BadValue, "the transform", &name, Kind::WORDS);
        return None;
    };
    if kind == Kind::DateFormat {
        return date_format(node.place, format, problems);
    }
    if let Some(format) = format {
        let message = format!("`{name}` takes no format");
        problems.add(format.place, Code::BadValue, message, None);
    }
    Some(match kind {
        Kind::Lower | Kind::LowerCase => Transform::Lower,
        Kind::Upper | Kind::UpperCase => Transform::Upper,
        Kind::ToNumber => Transform::Number,
        Kind::DateFormat | Kind::ToText => Transform::Text,
    })
}

fn date_format(place: Place, format: Option<&Node>, problems: &mut Problems) -> Option<Transform> {
    let Some(node) = format else {
        let hint = Some(format!("known are {}", Format::WORDS.join(", ")));
        problems.add(place, Code::MissingKey, "`date_format` needs a format", hint);
        return None;
    };
    let name = text(node, "`format`", problems)?;
    let format = Format::parse(&name);
    if format.is_none() {
        problems.unknown(node.place, Code::BadValue, "the format", &name, Format::WORDS);
    }
    format.map(Transform::Date)
}
