//! From the text of a mapping to the tree of the language: every directive is an expression, or a
//! few of them.

use millrace_model::code::Code;

use super::path::Path;
use crate::syntax::ast::{Condition, Entry, EntryKind, Expression, Part, Place};
use crate::syntax::functions::{FIRST, Function, IGNORE_CASE, KEEP_LISTS};
use crate::syntax::tree::{Key, Node, NodeValue, Scalar};
use crate::syntax::values::Reader;

/// The directives that are known here.
const DIRECTIVES: [&str; 13] = [
    "@path",
    "@template",
    "@literal",
    "@if",
    "@arrayPath",
    "@case",
    "@replace",
    "@merge",
    "@flatten",
    "@json",
    "@transform",
    "@excludeWhenNull",
    "@liquid",
];

/// Beside a directive, for Segment's own pages.
const METADATA: &str = "_metadata";

/// The member by which one directive wraps the object around it.
const WRAPPER: &str = "__segment_internal_directive";

/// The longest pattern and replacement of `@replace`, in characters (reference/segment-syft.md 5).
const REPLACE_LIMIT: usize = 10;

/// True for a map that is a directive, or is meant to be one.
pub(crate) fn is_directive(members: &[(Key, Node)]) -> bool {
    let mut own = members.iter().filter(|(key, _)| key.text != METADATA);
    match (own.next(), own.next()) {
        (Some((key, _)), None) => key.text.starts_with('@'),
        _ => members.iter().any(|(key, _)| DIRECTIVES.contains(&key.text.as_str())),
    }
}

/// Reads a value of a mapping, with the directives in it. After a problem the result is a
/// placeholder.
pub(crate) fn read(node: &Node, reader: &mut Reader<'_>) -> Expression {
    let item = reader.items > 0;
    Expression::Exact(Box::new(Loader { reader, item }.value(node)))
}

struct Loader<'r, 'a> {
    reader: &'r mut Reader<'a>,
    /// True where paths start from an item.
    item: bool,
}

type Members<'n> = &'n [(Key, Node)];

fn member<'n>(members: Members<'n>, name: &str) -> Option<&'n Node> {
    members.iter().find(|(key, _)| key.text == name).map(|(_, node)| node)
}

fn scalar(scalar: &Scalar) -> Expression {
    match scalar.text.as_str() {
        "" | "null" | "~" if scalar.plain => Expression::Null,
        "true" if scalar.plain => Expression::Bool(true),
        "false" if scalar.plain => Expression::Bool(false),
        text if scalar.plain && crate::json::number::is_finite_number(text.as_bytes()) => {
            Expression::Number(text.to_owned())
        }
        text => Expression::Text(text.to_owned()),
    }
}

/// A text as it is written; none for what is no text.
fn text_of(node: &Node) -> Option<String> {
    match &node.value {
        NodeValue::Scalar(one) => match scalar(one) {
            Expression::Text(text) => Some(text),
            _ => None,
        },
        NodeValue::List(_) | NodeValue::Map(_) => None,
    }
}

fn call(function: Function, value: Expression, words: Vec<String>) -> Expression {
    Expression::Call { function, arguments: vec![value], words }
}

impl Loader<'_, '_> {
    fn problem(&mut self, place: Place, message: impl Into<String>) -> Expression {
        self.reader.problems.add(place, Code::BadExpression, message, None);
        Expression::Nothing
    }

    fn value(&mut self, node: &Node) -> Expression {
        if !self.reader.grow(node.place, 1) {
            return Expression::Nothing;
        }
        match &node.value {
            NodeValue::Scalar(one) => self.noted(node, scalar(one)),
            NodeValue::List(items) => {
                Expression::List(items.iter().map(|item| self.value(item)).collect())
            }
            NodeValue::Map(members) if members.iter().any(|(key, _)| key.text.starts_with('@')) => {
                self.directive(node, members)
            }
            NodeValue::Map(members) => self.object(members),
        }
    }

    fn object(&mut self, members: Members<'_>) -> Expression {
        let Some(wrapper) = member(members, WRAPPER) else {
            return Expression::Object(self.entries(members));
        };
        let apply = match &wrapper.value {
            NodeValue::Map(inner) => match member(inner, "@transform").map(|node| &node.value) {
                Some(NodeValue::Map(fields)) => member(fields, "apply"),
                _ => None,
            },
            NodeValue::Scalar(_) | NodeValue::List(_) => None,
        };
        let Some(apply) = apply else {
            return self.problem(wrapper.place, "a mapping is wrapped by `@transform` only");
        };
        let value = Box::new(self.value(apply));
        let shape = Box::new(self.of_item(|inner| Expression::Object(inner.entries(members))));
        Expression::With { value, shape }
    }

    fn entries(&mut self, members: Members<'_>) -> Vec<Entry> {
        let own = members.iter().filter(|(key, _)| key.text != WRAPPER);
        own.map(|(key, node)| {
            let value = self.value(node);
            let what = EntryKind::Member { key: key.text.clone(), value };
            Entry { place: key.place, source: String::new(), what }
        })
        .collect()
    }

    /// Reads what stands over an item.
    fn of_item(&mut self, read: impl FnOnce(&mut Self) -> Expression) -> Expression {
        let outer = std::mem::replace(&mut self.item, true);
        let expression = read(self);
        self.item = outer;
        expression
    }

    fn directive(&mut self, node: &Node, members: Members<'_>) -> Expression {
        let mut own = members.iter().filter(|(key, _)| key.text != METADATA);
        let (Some((key, value)), None) = (own.next(), own.next()) else {
            return self.problem(node.place, "a directive stands alone in its map");
        };
        match key.text.as_str() {
            "@path" => self.path(value),
            "@template" => self.template(value),
            "@literal" => self.value(value),
            "@if" => self.choice(value),
            "@arrayPath" => self.array_path(value),
            "@case" => self.case(value),
            "@replace" => self.replace(value),
            "@merge" => self.merge(value),
            "@flatten" => self.flatten(value),
            "@json" => self.json(value),
            "@transform" => self.transform(value),
            "@excludeWhenNull" => call(Function::WithoutNulls, self.value(value), Vec::new()),
            "@liquid" => {
                self.problem(key.place, "`@liquid` is not taken: there are no scripts here")
            }
            other => {
                let known = &DIRECTIVES;
                let code = Code::UnknownFunction;
                self.reader.problems.unknown(key.place, code, "the directive", other, known);
                Expression::Nothing
            }
        }
    }

    /// The fields of a directive that takes a map of them.
    fn fields<'n>(&mut self, node: &'n Node, usage: &str) -> Option<Members<'n>> {
        match &node.value {
            NodeValue::Map(members) => Some(members),
            NodeValue::Scalar(_) | NodeValue::List(_) => {
                self.problem(node.place, format!("it is written {usage}"));
                None
            }
        }
    }

    fn path(&mut self, node: &Node) -> Expression {
        match text_of(node).map(|text| Path::read(&text)) {
            Some(Ok(path)) => {
                let expression = path.into_expression(self.item);
                self.noted(node, expression)
            }
            Some(Err(message)) => self.problem(node.place, message),
            None => self.computed_path(node),
        }
    }

    /// A path that a directive gives: known for each event only, and followed then.
    fn computed_path(&mut self, node: &Node) -> Expression {
        if !matches!(&node.value, NodeValue::Map(members) if is_directive(members)) {
            return self.problem(node.place, "a path is a text, or a directive that gives one");
        }
        let path = self.value(node);
        let one = if self.item { Expression::Item } else { Expression::Path };
        let arguments = vec![one(Vec::new()), path];
        Expression::Call { function: Function::Follow, arguments, words: Vec::new() }
    }

    fn template(&mut self, node: &Node) -> Expression {
        let Some(text) = text_of(node) else {
            return self.problem(node.place, "a template is a text");
        };
        let mut parts = Vec::new();
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once("{{") {
            let (after, end) = match after.strip_prefix('{') {
                Some(after) => (after, "}}}"),
                None => (after, "}}"),
            };
            let Some((hole, behind)) = after.split_once(end) else {
                return self.problem(node.place, "the braces are not closed");
            };
            if hole.trim_start().starts_with("$.") {
                return self.problem(node.place, "a path between braces is written without `$.`");
            }
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            match Path::read(hole.trim()) {
                Ok(path) => parts.push(Part::Hole(path.into_expression(self.item))),
                Err(message) => return self.problem(node.place, message),
            }
            rest = behind;
        }
        if parts.is_empty() {
            return Expression::Text(text);
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        self.noted(node, Expression::Template { strict: false, parts })
    }

    /// The expression, with a note of how its scalar was read.
    fn noted(&mut self, node: &Node, expression: Expression) -> Expression {
        if let NodeValue::Scalar(scalar) = &node.value {
            self.reader.problems.expression(node.place, scalar, &expression);
        }
        expression
    }

    fn choice(&mut self, node: &Node) -> Expression {
        let usage = "{exists or blank, then, else}";
        let Some(fields) = self.fields(node, usage) else { return Expression::Nothing };
        let (tested, filled) = match (member(fields, "exists"), member(fields, "blank")) {
            (Some(tested), _) => (tested, false),
            (None, Some(tested)) => (tested, true),
            (None, None) => return self.problem(node.place, format!("it is written {usage}")),
        };
        let value = self.value(tested);
        let number = |one: &str| one.parse() == Ok(0.0_f64);
        let empty = match &value {
            Expression::Null | Expression::Bool(false) => true,
            Expression::Text(text) => text.is_empty(),
            Expression::Number(digits) => number(digits),
            _ => false,
        };
        if empty {
            return self.problem(tested.place, "what is tested is the same for every event");
        }
        let exists = Condition::Exists(value.clone());
        let when = if filled { Condition::All(vec![exists, not_empty(value)]) } else { exists };
        let then = member(fields, "then").map_or(Expression::Nothing, |one| self.value(one));
        let otherwise = member(fields, "else").map_or(Expression::Nothing, |one| self.value(one));
        Expression::Choice {
            when: Box::new(when),
            then: Box::new(then),
            otherwise: Box::new(otherwise),
        }
    }

    fn array_path(&mut self, node: &Node) -> Expression {
        let (path, shape) = match &node.value {
            NodeValue::List(items) => match items.as_slice() {
                [path] => (path, None),
                [path, shape] => (path, Some(shape)),
                _ => return self.problem(node.place, "it is written [path, shape]"),
            },
            _ => return self.problem(node.place, "it is written [path, shape]"),
        };
        let list = match &path.value {
            NodeValue::Map(_) => self.value(path),
            NodeValue::Scalar(_) | NodeValue::List(_) => self.path(path),
        };
        match shape {
            None => list,
            Some(Node { value: NodeValue::Map(members), .. }) if members.is_empty() => list,
            Some(shape @ Node { value: NodeValue::Map(_), .. }) => {
                let shape = self.of_item(|inner| inner.value(shape));
                Expression::Each { list: Box::new(list), shape: Box::new(shape) }
            }
            Some(shape) => self.problem(shape.place, "a shape is a map"),
        }
    }

    fn case(&mut self, node: &Node) -> Expression {
        let usage = "{operator: lower or upper, value}";
        let Some(fields) = self.fields(node, usage) else { return Expression::Nothing };
        let function = match member(fields, "operator").and_then(text_of).as_deref() {
            Some("lower") => Function::Lower,
            Some("upper") => Function::Upper,
            _ => return self.problem(node.place, format!("it is written {usage}")),
        };
        let value = member(fields, "value").map_or(Expression::Nothing, |one| self.value(one));
        call(function, value, Vec::new())
    }

    fn replace(&mut self, node: &Node) -> Expression {
        let usage = "{pattern, replacement, pattern2, replacement2, ignorecase, global, value}";
        let Some(fields) = self.fields(node, usage) else { return Expression::Nothing };
        let text = |name: &str| member(fields, name).map(text_of);
        let switch = |name: &str, usual: bool| match member(fields, name).map(|one| &one.value) {
            None => Some(usual),
            Some(NodeValue::Scalar(one)) => match scalar(one) {
                Expression::Bool(on) => Some(on),
                _ => None,
            },
            Some(_) => None,
        };
        let (Some(ignore_case), Some(global)) =
            (switch("ignorecase", false), switch("global", true))
        else {
            return self.problem(node.place, "`ignorecase` and `global` take true or false");
        };
        let options = [(ignore_case, IGNORE_CASE), (!global, FIRST)];
        let value = member(fields, "value").map_or(Expression::Nothing, |one| self.value(one));
        let mut done = value;
        for (from, to, needed) in
            [("pattern", "replacement", true), ("pattern2", "replacement2", false)]
        {
            let (from, to) = match (text(from), text(to)) {
                (None, None) if !needed => continue,
                (Some(Some(from)), None) => (from, String::new()),
                (Some(Some(from)), Some(Some(to))) => (from, to),
                _ => return self.problem(node.place, format!("it is written {usage}")),
            };
            let fits = |one: &str| one.chars().count() <= REPLACE_LIMIT;
            if from.is_empty() || !fits(&from) || !fits(&to) {
                let message = "a pattern has 1 to 10 characters, a replacement 0 to 10";
                return self.problem(node.place, message);
            }
            let mut words = vec![from, to];
            words.extend(options.iter().filter(|(on, _)| *on).map(|(_, word)| (*word).to_owned()));
            done = call(Function::Replace, done, words);
        }
        done
    }

    fn merge(&mut self, node: &Node) -> Expression {
        let usage = "{direction: left or right, objects: [...]}";
        let Some(fields) = self.fields(node, usage) else { return Expression::Nothing };
        let left = match member(fields, "direction").and_then(text_of).as_deref() {
            Some("left") => true,
            Some("right") => false,
            _ => return self.problem(node.place, format!("it is written {usage}")),
        };
        let Some(NodeValue::List(objects)) = member(fields, "objects").map(|one| &one.value) else {
            return self.problem(node.place, format!("it is written {usage}"));
        };
        let mut entries = Vec::new();
        for one in objects {
            let value = self.value(one);
            match value {
                Expression::Null => continue,
                Expression::Text(_)
                | Expression::Number(_)
                | Expression::Bool(_)
                | Expression::List(_)
                | Expression::Template { .. } => {
                    return self.problem(one.place, "only objects are merged");
                }
                _ => {}
            }
            let what = EntryKind::Spread(value);
            entries.push(Entry { place: one.place, source: String::new(), what });
        }
        // The last one of a name wins.
        if left {
            entries.reverse();
        }
        Expression::Object(entries)
    }

    fn flatten(&mut self, node: &Node) -> Expression {
        let usage = "{separator, value, omitArrays}";
        let Some(fields) = self.fields(node, usage) else { return Expression::Nothing };
        let (Some(separator), Some(value)) =
            (member(fields, "separator").and_then(text_of), member(fields, "value"))
        else {
            return self.problem(node.place, format!("it is written {usage}"));
        };
        let keep = match member(fields, "omitArrays").map(|one| &one.value) {
            None => false,
            Some(NodeValue::Scalar(one)) if scalar(one) == Expression::Bool(true) => true,
            Some(NodeValue::Scalar(one)) if scalar(one) == Expression::Bool(false) => false,
            Some(_) => return self.problem(node.place, "`omitArrays` takes true or false"),
        };
        let mut words = vec![separator];
        words.extend(keep.then(|| KEEP_LISTS.to_owned()));
        call(Function::Flatten, self.value(value), words)
    }

    fn json(&mut self, node: &Node) -> Expression {
        let usage = "{mode: encode or decode, value}";
        let Some(fields) = self.fields(node, usage) else { return Expression::Nothing };
        let function = match member(fields, "mode").and_then(text_of).as_deref() {
            Some("encode") => Function::Json,
            Some("decode") => Function::FromJson,
            _ => return self.problem(node.place, format!("it is written {usage}")),
        };
        match member(fields, "value") {
            Some(value) => call(function, self.value(value), Vec::new()),
            None => self.problem(node.place, format!("it is written {usage}")),
        }
    }

    fn transform(&mut self, node: &Node) -> Expression {
        let usage = "{apply, mapping}";
        let Some(fields) = self.fields(node, usage) else { return Expression::Nothing };
        let (Some(apply), Some(mapping)) = (member(fields, "apply"), member(fields, "mapping"))
        else {
            return self.problem(node.place, format!("it is written {usage}"));
        };
        let value = Box::new(self.value(apply));
        let shape = Box::new(self.of_item(|inner| inner.value(mapping)));
        Expression::With { value, shape }
    }
}

/// Neither an empty text nor what a script takes for one: zero, false and the empty list.
fn not_empty(value: Expression) -> Condition {
    let zero = || Expression::Number("0".to_owned());
    let empty = vec![Expression::Text(String::new()), zero(), Expression::Bool(false)];
    let count = call(Function::Count, value.clone(), Vec::new());
    let either = vec![Condition::In(value, empty), Condition::Equal(count, zero())];
    Condition::Not(Box::new(Condition::Any(either)))
}
