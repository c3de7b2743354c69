//! The checked tree: what a blueprint says, with everything known and in its place.
//!
//! It still speaks of paths and settings by name. [`Plan::compile`](crate::Plan::compile) turns
//! them into slots and constants; the oracle of the tests walks this tree as it is.

use millrace_model::code::Code;
use millrace_model::event::EventKind;

pub(crate) use super::choices::{
    BlankNames, Checks, DeepValues, GroupIds, IdleRows, Nobody, TimeAhead, TimeBefore, WideValues,
};
use super::functions::Function;
use crate::adobe::compare::Operator;
use crate::blueprint::{Deviation, Variant};
use crate::settings::{Parameter, Setting};

/// A place in the text: line and column in characters, from 1; zeros when there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Place {
    pub(crate) line: u32,
    pub(crate) column: u32,
}

macro_rules! words {
    ($(#[$meta:meta])+ $name:ident { $($(#[$inner:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum $name { $($(#[$inner])* $variant,)+ }

        #[allow(dead_code, reason = "not every list of words needs both directions")]
        impl $name {
            /// The words of the language for these.
            pub(crate) const WORDS: &'static [&'static str] = &[$($text,)+];

            /// The word for it.
            pub(crate) const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text,)+ }
            }

            /// What a word means.
            pub(crate) fn parse(text: &str) -> Option<$name> {
                match text { $($text => Some($name::$variant),)+ _ => None }
            }
        }
    };
}
pub(crate) use words;

/// A whole blueprint.
#[derive(Clone, Debug)]
pub(crate) struct Checked {
    pub(crate) name: String,
    pub(crate) about: String,
    /// The system that the blueprint takes the place of; empty for none.
    pub(crate) replaces: String,
    pub(crate) deviations: Vec<Deviation>,
    pub(crate) checks: Checks,
    pub(crate) settings: Vec<Setting>,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) variants: Vec<Variant>,
    pub(crate) rules: Vec<Rule>,
}

/// A rule: which events it takes and what becomes of them.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) name: String,
    pub(crate) place: Place,
    pub(crate) when: Condition,
    /// True when the rules below are tried as well after this one has matched.
    pub(crate) go_on: bool,
    pub(crate) outcome: Outcome,
}

/// What becomes of the events that a rule takes.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    Send(Vec<Action>),
    Drop,
    SetAside { code: Code, message: String },
}

/// One thing that a rule sends.
#[derive(Clone, Debug)]
pub(crate) struct Action {
    pub(crate) verb: Verb,
    pub(crate) place: Place,
    pub(crate) when: Condition,
    /// The list setting for each of whose texts the action is there once.
    pub(crate) for_each: Option<String>,
    /// The list of the event for each of whose items the action is there once.
    pub(crate) each: Option<Expression>,
    pub(crate) fields: Vec<(Field, Expression)>,
    /// Where the fields stand and how they are written, for `explain`.
    pub(crate) written: Vec<Written>,
}

/// Where a field of an action stands, and its text.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) field: Field,
    pub(crate) place: Place,
    pub(crate) source: String,
}

impl Action {
    /// The expression of a field, if the action has it.
    pub(crate) fn field(&self, field: Field) -> Option<&Expression> {
        self.fields.iter().find(|(name, _)| *name == field).map(|(_, value)| value)
    }
}

words! {
    /// What an action does at Mixpanel.
    Verb {
        Event = "event",
        Link = "link",
        Identify = "identify",
        Alias = "alias",
        Merge = "merge",
        Profile = "profile",
        Group = "group",
        Join = "join",
        Delete = "delete",
    }
}

words! {
    /// A field of an action.
    Field {
        Name = "name",
        DistinctId = "distinct_id",
        UserId = "user_id",
        DeviceId = "device_id",
        AnonymousId = "anonymous_id",
        Alias = "alias",
        Ids = "ids",
        Time = "time",
        InsertId = "insert_id",
        Ip = "ip",
        IgnoreTime = "ignore_time",
        Latitude = "latitude",
        Longitude = "longitude",
        Properties = "properties",
        GroupKey = "group_key",
        GroupId = "group_id",
        Set = "set",
        SetOnce = "set_once",
        Add = "add",
        Append = "append",
        Union = "union",
        Remove = "remove",
        Unset = "unset",
        Delete = "delete",
        Identity = "identity",
        IgnoreAlias = "ignore_alias",
        Token = "token",
        Alone = "alone",
    }
}

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Key(String),
    Index(u32),
}

/// Something that gives a value, or nothing.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expression {
    /// `null`: nothing.
    Nothing,
    /// The value null, where it is told from nothing ([`Expression::Exact`]).
    Null,
    Text(String),
    /// A number as it is written; valid JSON.
    Number(String),
    Bool(bool),
    /// `$.a.b`: a value of the event. Without steps the event itself, which only a directive can
    /// name.
    Path(Vec<Step>),
    /// `.a`, or `.` alone: a value of the item of the innermost `each`.
    Item(Vec<Step>),
    /// `settings.name`.
    Setting(String),
    /// `parameters.name`.
    Parameter(String),
    /// `{map, to}`: what stands in the row of the value's text; another for other values.
    Table {
        value: Box<Expression>,
        rows: Vec<(String, Expression)>,
        other: Box<Expression>,
    },
    /// `place()`: the place of the item of the innermost `each`, from 0.
    Place,
    /// `left ?? right`; with `blank`, `left ?| right`.
    First {
        left: Box<Expression>,
        blank: bool,
        right: Box<Expression>,
    },
    /// A text with holes; strict: nothing when a hole has nothing.
    Template {
        strict: bool,
        parts: Vec<Part>,
    },
    Call {
        function: Function,
        arguments: Vec<Expression>,
        words: Vec<String>,
    },
    Object(Vec<Entry>),
    List(Vec<Expression>),
    Each {
        list: Box<Expression>,
        shape: Box<Expression>,
    },
    /// `{with, as}`: a shape over one value, which is its item.
    With {
        value: Box<Expression>,
        shape: Box<Expression>,
    },
    /// Inside, null is a value and empty objects and lists are, too; an item that is nothing
    /// leaves a null at its place. The reading of Segment's directives.
    Exact(Box<Expression>),
    /// `{when, then, else}`.
    Choice {
        when: Box<Condition>,
        then: Box<Expression>,
        otherwise: Box<Expression>,
    },
}

/// A piece of a template.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Part {
    Text(String),
    Hole(Expression),
}

/// An entry of an object. Later entries win over earlier ones of the same name.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) place: Place,
    /// The expression as it is written, for `explain`; empty for nested ones.
    pub(crate) source: String,
    pub(crate) what: EntryKind,
}

/// What an entry adds to its object.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum EntryKind {
    Member {
        key: String,
        value: Expression,
    },
    /// All members of the object that the expression gives.
    Spread(Expression),
}

/// Something that holds or does not.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Condition {
    Always,
    Any(Vec<Condition>),
    All(Vec<Condition>),
    Not(Box<Condition>),
    /// `!=` is read as the negation of `=`.
    Equal(Expression, Expression),
    Order {
        left: Expression,
        order: Order,
        right: Expression,
    },
    In(Expression, Vec<Expression>),
    Text {
        test: TextTest,
        value: Expression,
        other: Expression,
    },
    Matches(Expression, Vec<String>),
    Exists(Expression),
    UuidShaped(Expression),
    /// A value alone: holds when it is `true`.
    True(Expression),
    /// A comparison with the coercions of Adobe's rules.
    Compared {
        operator: Operator,
        left: Expression,
        right: Expression,
    },
}

words! {
    /// A comparison of numbers.
    Order {
        Less = "<",
        LessOrEqual = "<=",
        More = ">",
        MoreOrEqual = ">=",
    }
}

words! {
    /// A comparison of texts.
    TextTest {
        Contains = "contains",
        StartsWith = "starts_with",
        EndsWith = "ends_with",
    }
}

/// A set of kinds of events, as bits in the order of [`EventKind::ALL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kinds(u8);

impl Kinds {
    pub(crate) const NONE: Kinds = Kinds(0);
    pub(crate) const ALL: Kinds = Kinds(0b111_1111);

    pub(crate) fn of(kind: EventKind) -> Kinds {
        let place = EventKind::ALL.iter().position(|one| *one == kind).unwrap_or_default();
        Kinds(1 << place)
    }

    pub(crate) fn has(self, kind: EventKind) -> bool {
        self.0 & Kinds::of(kind).0 != 0
    }

    pub(crate) fn and(self, other: Kinds) -> Kinds {
        Kinds(self.0 & other.0)
    }

    pub(crate) fn or(self, other: Kinds) -> Kinds {
        Kinds(self.0 | other.0)
    }

    pub(crate) fn not(self) -> Kinds {
        Kinds(!self.0 & Kinds::ALL.0)
    }

    pub(crate) fn within(self, other: Kinds) -> bool {
        self.0 & !other.0 == 0
    }
}

impl Condition {
    /// The kinds of events for which the condition can hold, and those for which it surely holds.
    pub(crate) fn kinds(&self) -> (Kinds, Kinds) {
        match self {
            Condition::Always => (Kinds::ALL, Kinds::ALL),
            Condition::Any(parts) => {
                parts.iter().map(Condition::kinds).fold((Kinds::NONE, Kinds::NONE), |have, part| {
                    (have.0.or(part.0), have.1.or(part.1))
                })
            }
            Condition::All(parts) => {
                parts.iter().map(Condition::kinds).fold((Kinds::ALL, Kinds::ALL), |have, part| {
                    (have.0.and(part.0), have.1.and(part.1))
                })
            }
            Condition::Not(inner) => {
                let (can, surely) = inner.kinds();
                (surely.not(), can.not())
            }
            Condition::Equal(left, right) => match kind_text(left, right) {
                Some(text) => {
                    let kinds = EventKind::parse(text).map_or(Kinds::NONE, Kinds::of);
                    (kinds, kinds)
                }
                None => (Kinds::ALL, Kinds::NONE),
            },
            Condition::In(value, list) => {
                let texts: Option<Vec<&str>> =
                    list.iter().map(|one| kind_text(value, one)).collect();
                match texts {
                    Some(texts) => {
                        let kinds = texts
                            .into_iter()
                            .filter_map(EventKind::parse)
                            .fold(Kinds::NONE, |have, kind| have.or(Kinds::of(kind)));
                        (kinds, kinds)
                    }
                    None => (Kinds::ALL, Kinds::NONE),
                }
            }
            Condition::Order { .. }
            | Condition::Text { .. }
            | Condition::Matches(..)
            | Condition::Exists(_)
            | Condition::UuidShaped(_)
            | Condition::Compared { .. }
            | Condition::True(_) => (Kinds::ALL, Kinds::NONE),
        }
    }
}

/// The text that `$.type` is compared with, if that is what is compared.
pub(crate) fn kind_text<'a>(left: &'a Expression, right: &'a Expression) -> Option<&'a str> {
    match (left, right) {
        (Expression::Path(steps), Expression::Text(text))
        | (Expression::Text(text), Expression::Path(steps))
            if matches!(steps.as_slice(), [Step::Key(key)] if key == "type") =>
        {
            Some(text)
        }
        _ => None,
    }
}
