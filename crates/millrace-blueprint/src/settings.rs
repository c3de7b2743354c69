//! What a blueprint lets its users choose ([`Setting`]) and what they chose ([`SettingValues`]), and
//! what it wants from each pipeline ([`Parameter`]) and gets ([`Parameters`]).

use std::collections::BTreeMap;

use serde_json::Value;

/// What a setting can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingKind {
    /// Any text.
    Text,
    /// A number.
    Number,
    /// True or false.
    Switch,
    /// One of these texts.
    Choice(Vec<String>),
    /// A list of texts. An object with one text in it stands for that text.
    List,
    /// Any value: a setting that other tools have and that means nothing here.
    Ignored,
}

impl SettingKind {
    /// The word for it in a blueprint.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            SettingKind::Text => "text",
            SettingKind::Number => "number",
            SettingKind::Switch => "switch",
            SettingKind::Choice(_) => "choice",
            SettingKind::List => "list",
            SettingKind::Ignored => "ignored",
        }
    }

    /// True when the value is of this kind.
    #[must_use]
    pub fn takes(&self, value: &Value) -> bool {
        match self {
            SettingKind::Text => value.is_string(),
            SettingKind::Number => value.is_number(),
            SettingKind::Switch => value.is_boolean(),
            SettingKind::Choice(of) => {
                value.as_str().is_some_and(|text| of.iter().any(|one| one == text))
            }
            SettingKind::List => value
                .as_array()
                .is_some_and(|items| items.iter().all(|item| item_text(item).is_some())),
            SettingKind::Ignored => true,
        }
    }

    /// What it takes, in words: `text`, or `one of a, b`.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            SettingKind::Choice(of) => format!("one of {}", of.join(", ")),
            SettingKind::Text | SettingKind::Number => format!("a {}", self.as_str()),
            SettingKind::Switch => "true or false".to_owned(),
            SettingKind::List => "a list of texts".to_owned(),
            SettingKind::Ignored => "anything".to_owned(),
        }
    }
}

/// The text that an item of a list stands for: itself, or the only member of an object, which is
/// how the settings of other tools say it (`[{"property": "plan"}]`).
fn item_text(item: &Value) -> Option<&str> {
    match item {
        Value::String(text) => Some(text),
        Value::Object(members) if members.len() == 1 => members.values().next()?.as_str(),
        _ => None,
    }
}

/// The texts of a list, without those that are blank or stand in it twice.
pub(crate) fn list_texts(value: &Value) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    for text in value.as_array().into_iter().flatten().filter_map(item_text) {
        let text = text.trim();
        if !text.is_empty() && !texts.iter().any(|have| have == text) {
            texts.push(text.to_owned());
        }
    }
    texts
}

/// One setting that a blueprint declares.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// The name, as `settings.NAME` refers to it.
    pub name: String,
    /// What it can be.
    pub kind: SettingKind,
    /// What it is when nobody says.
    pub default: Value,
    /// What it is for, in one or two sentences.
    pub about: String,
}

/// A text that a blueprint wants from each pipeline, so that one blueprint serves many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// The name, as `parameters.NAME` refers to it.
    pub name: String,
    /// What it is when the pipeline does not say; none when it must.
    pub default: Option<String>,
    /// What it is for, in one or two sentences.
    pub about: String,
}

/// What a pipeline gives: texts by name. Those that a blueprint does not ask for are left aside,
/// since a pipeline may feed several blueprints.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters(BTreeMap<String, String>);

impl Parameters {
    /// The text that is given under a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, text)| (name.as_str(), text.as_str()))
    }
}

impl<N: Into<String>, T: Into<String>> FromIterator<(N, T)> for Parameters {
    fn from_iter<I: IntoIterator<Item = (N, T)>>(pairs: I) -> Parameters {
        Parameters(pairs.into_iter().map(|(name, text)| (name.into(), text.into())).collect())
    }
}

/// What the user of a blueprint chose: settings by name. What is not there has its default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SettingValues(BTreeMap<String, Value>);

impl SettingValues {
    /// The members of a JSON object. Anything but an object gives no values.
    #[must_use]
    pub fn from_json(value: &Value) -> SettingValues {
        let members = value.as_object().into_iter().flatten();
        SettingValues(members.map(|(name, value)| (name.clone(), value.clone())).collect())
    }

    /// The value that was chosen for a setting.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// All that was chosen, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }
}
