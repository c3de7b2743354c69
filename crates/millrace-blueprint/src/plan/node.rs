//! What a plan is made of.

use millrace_model::code::Code;

use super::keys::Keys;
use super::trie::Trie;
use crate::adobe::compare::Operator;
use crate::reserved::Home;
use crate::syntax::ast::{Field, Kinds, Order, Place, TextTest, Verb, Written};
use crate::syntax::functions::{Function, Wanted};

/// A rule.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) name: String,
    pub(crate) place: Place,
    /// The kinds of events for which the test can hold: looked at before the test.
    pub(crate) kinds: Kinds,
    pub(crate) test: Test,
    pub(crate) go_on: bool,
    pub(crate) outcome: Outcome,
}

/// What becomes of the events of a rule.
#[derive(Debug)]
pub(crate) enum Outcome {
    Send(Vec<Action>),
    Drop,
    SetAside { code: Code, message: String },
}

/// An action whose condition is not switched off by settings.
#[derive(Debug)]
pub(crate) struct Action {
    pub(crate) verb: Verb,
    pub(crate) place: Place,
    /// Where its fields stand, for `explain`.
    pub(crate) written: Box<[Written]>,
    /// The list for each of whose items the action is done.
    pub(crate) each: Option<Box<Items>>,
    pub(crate) test: Test,
    /// The token of another project; nothing for the integration's own.
    pub(crate) token: Node,
    /// True when its rows share their requests with no others.
    pub(crate) alone: bool,
    pub(crate) what: What,
}

/// The items of a list.
#[derive(Debug)]
pub(crate) struct Items {
    pub(crate) list: Node,
    /// What is read of each item.
    pub(crate) trie: Trie,
}

/// What an action writes.
#[derive(Debug)]
pub(crate) enum What {
    Event(Box<Event>),
    /// A link event, `$identify`, `$create_alias` or `$merge`: a name and two ids.
    Join {
        verb: Verb,
        name: Node,
        ids: [Node; 2],
        /// What stands beside the ids; never on `$merge` and link events.
        properties: Option<Box<Object>>,
    },
    Profile {
        distinct_id: Node,
        beside: Box<Beside>,
        operators: Vec<(Field, Operand)>,
    },
    /// Deletes a profile.
    Delete {
        distinct_id: Node,
        /// True when the id is meant as it is and not as an alias.
        ignore_alias: bool,
    },
    Group {
        key: Node,
        id: Node,
        operators: Vec<(Field, Operand)>,
    },
}

/// The fields of an event.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) name: Node,
    pub(crate) distinct_id: Node,
    pub(crate) user_id: Node,
    pub(crate) device_id: Node,
    pub(crate) time: Node,
    pub(crate) insert_id: Node,
    pub(crate) ip: Node,
    pub(crate) properties: Object,
}

/// What stands beside the operators of a user's profile update (reference/mixpanel-api.md 3.1).
#[derive(Debug)]
pub(crate) struct Beside {
    pub(crate) ip: Node,
    /// Milliseconds, for `$time`.
    pub(crate) time: Node,
    pub(crate) ignore_time: Node,
    pub(crate) ignore_alias: Node,
    pub(crate) latitude: Node,
    pub(crate) longitude: Node,
}

/// What an operator of a profile update works with.
#[derive(Debug)]
pub(crate) enum Operand {
    Object(Object),
    /// The list of `unset`, or the value of `delete`.
    Value(Node),
}

/// A fact of admission that stands over the event's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fact {
    MessageId,
    Timestamp,
    ReceivedAt,
    Kind,
    /// The event's own address in this slot, else the client's.
    Ip(u16),
}

/// Something that gives a value, or nothing.
#[derive(Debug)]
pub(crate) enum Node {
    Nothing,
    Constant(u32),
    Slot(u16),
    /// A slot of the item of the innermost `each`.
    Item(u16),
    Fact(Fact),
    /// A time fact in milliseconds.
    Millis(Fact),
    First {
        left: Box<Node>,
        blank: bool,
        right: Box<Node>,
    },
    Template {
        strict: bool,
        parts: Box<[Part]>,
    },
    Call(Box<Call>),
    /// A checked conversion.
    Need(Box<Need>),
    /// A map of values.
    Table(Box<Table>),
    /// The place of the item of the innermost `each`.
    Place,
    Object(Box<Object>),
    List(Box<[Node]>),
    Each(Box<Each>),
    /// A shape over one value.
    With(Box<Each>),
    /// As `Slot`, `Item` and `List`, where null is a value.
    KeptSlot(u16),
    KeptItem(u16),
    KeptList(Box<[Node]>),
    Choice(Box<(Test, Node, Node)>),
}

/// A piece of a template; texts stand escaped as in JSON.
#[derive(Debug)]
pub(crate) enum Part {
    Text(Box<[u8]>),
    Hole(Node),
}

/// A call of a function.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) function: Function,
    pub(crate) argument: Node,
    pub(crate) second: Node,
    /// The name of `sum`, as in JSON; the old names of `rename`, numbered by pair.
    pub(crate) names: Keys,
    /// The new names of `rename`: constants, as inside of a JSON text.
    pub(crate) renames: Box<[u32]>,
    /// The names of `omit` and `pick`.
    pub(crate) filter: Option<Filter>,
    /// The texts of `replace` and `flatten`.
    pub(crate) words: Box<[String]>,
    /// True where null and what is empty are values.
    pub(crate) exact: bool,
}

/// A checked conversion: of what, to what, and how messages call it.
#[derive(Debug)]
pub(crate) struct Need {
    pub(crate) wanted: Wanted,
    pub(crate) of: Node,
    pub(crate) path: Box<str>,
}

/// A map of values: the texts that have a row, numbered, and what all others give.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) value: Node,
    pub(crate) keys: Keys,
    pub(crate) rows: Box<[Node]>,
    pub(crate) other: Node,
}

/// `each`/`as`, and `with`/`as`, whose list is the one item.
#[derive(Debug)]
pub(crate) struct Each {
    /// True where null is a value and what is no list stays as it is.
    pub(crate) exact: bool,
    pub(crate) list: Node,
    pub(crate) trie: Trie,
    pub(crate) shape: Node,
}

/// The number in [`Object::keys`] of names that are dropped from spreads.
pub(crate) const BLOCKED: u16 = u16::MAX;

/// The number of names that a property cannot have and gets another one for.
pub(crate) const FORBIDDEN: u16 = u16::MAX - 1;

/// The number of names with a `$` that are known; they are like any other name.
pub(crate) const KNOWN: u16 = u16::MAX - 2;

/// An object to build. Later entries win over earlier ones of the same name.
#[derive(Debug, Default)]
pub(crate) struct Object {
    pub(crate) entries: Box<[Entry]>,
    /// The names of explicit members, numbered from 0, and those with a meaning of their own:
    /// [`BLOCKED`], [`FORBIDDEN`] and [`KNOWN`].
    pub(crate) keys: Keys,
    /// How many explicit names there are.
    pub(crate) names: usize,
    /// For the outermost object of a row, whose members are properties: whose they are.
    pub(crate) home: Option<Home>,
    /// True when it is a value without members, too.
    pub(crate) exact: bool,
}

/// An entry of an object.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) place: Place,
    /// The expression as written, for `explain`.
    pub(crate) source: Box<str>,
    pub(crate) what: EntryKind,
}

/// What an entry adds.
#[derive(Debug)]
pub(crate) enum EntryKind {
    Member {
        key: Box<[u8]>,
        number: u16,
        value: Node,
        /// True for a name that starts with `$` and is not known.
        unknown: bool,
    },
    Spread {
        value: Node,
        filter: Option<Filter>,
    },
}

/// Which members of a spread object are taken.
#[derive(Debug)]
pub(crate) struct Filter {
    pub(crate) names: Keys,
    /// True: only these (`pick`); false: all but these (`omit`).
    pub(crate) keep: bool,
}

/// Something that holds or does not.
#[derive(Debug)]
pub(crate) enum Test {
    Constant(bool),
    Kind(Kinds),
    Any(Vec<Test>),
    All(Vec<Test>),
    Not(Box<Test>),
    Equal(Node, Node),
    Order { left: Node, order: Order, right: Node },
    In(Node, Vec<Node>),
    Text { test: TextTest, value: Node, other: Node },
    Matches(Node, Vec<String>),
    Exists(Node),
    UuidShaped(Node),
    True(Node),
    Compared { operator: Operator, left: Node, right: Node },
}
