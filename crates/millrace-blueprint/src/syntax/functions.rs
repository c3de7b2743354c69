//! The fixed set of pure functions: their names and what they take. What they do stands in
//! `run::call`.

use super::ast::words;

words! {
    /// A function of the language.
    Function {
        Number = "number",
        Text = "text",
        Time = "time",
        IsoTime = "iso_time",
        Seconds = "seconds",
        Lower = "lower",
        Upper = "upper",
        Nonblank = "nonblank",
        Identifier = "identifier",
        WithoutPrefix = "without_prefix",
        Domain = "domain",
        Query = "query",
        Count = "count",
        Sum = "sum",
        Join = "join",
        Age = "age",
        List = "list",
        Browser = "browser",
        BrowserVersion = "browser_version",
        SegmentBrowser = "segment_browser",
        SegmentBrowserVersion = "segment_browser_version",
        SyftBrowserVersion = "syft_browser_version",
        AsSent = "as_sent",
        Member = "member",
        Follow = "follow",
        Size = "size",
        NeedNumbers = "need_numbers",
        Prefixed = "prefixed",
        Rename = "rename",
        At = "at",
        Fill = "fill",
        Omit = "omit",
        Pick = "pick",
        Replace = "replace",
        Flatten = "flatten",
        Json = "json",
        FromJson = "from_json",
        WithoutNulls = "without_nulls",
        Empties = "empties",
        WithoutEmpties = "without_empties",
        Plus = "plus",
        Minus = "minus",
        Negate = "negate",
        NeedText = "need_text",
        NeedNumber = "need_number",
        NeedInteger = "need_integer",
        NeedSwitch = "need_switch",
        NeedTime = "need_time",
        NeedObject = "need_object",
        NeedList = "need_list",
    }
}

/// What a checked conversion wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    Text,
    Number,
    Integer,
    Switch,
    Time,
    Object,
    List,
}

impl Wanted {
    /// The name of the function that wants it.
    pub(crate) const fn function(self) -> &'static str {
        match self {
            Wanted::Text => "need_text",
            Wanted::Number => "need_number",
            Wanted::Integer => "need_integer",
            Wanted::Switch => "need_switch",
            Wanted::Time => "need_time",
            Wanted::Object => "need_object",
            Wanted::List => "need_list",
        }
    }

    /// What it is, for messages.
    pub(crate) const fn describe(self) -> &'static str {
        match self {
            Wanted::Text => "a text",
            Wanted::Number => "a number",
            Wanted::Integer => "a whole number",
            Wanted::Switch => "true or false",
            Wanted::Time => "a time",
            Wanted::Object => "an object",
            Wanted::List => "a list",
        }
    }
}

/// What follows the first argument of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    /// Nothing.
    None,
    /// One member name, or nothing.
    MaybeName,
    /// One text.
    Text,
    /// One value.
    Value,
    /// One member name or more; a list setting stands for its texts.
    Names,
    /// Member names in pairs.
    Pairs,
    /// A setting.
    Setting,
    /// Paths.
    Paths,
    /// So many quoted texts, then any of these words.
    Texts(usize, &'static [&'static str]),
}

/// The word of `replace` for the first place only.
pub(crate) const FIRST: &str = "first";

/// The word of `replace` for letters of either case.
pub(crate) const IGNORE_CASE: &str = "ignore_case";

/// The word of `flatten` for lists that stay as they are.
pub(crate) const KEEP_LISTS: &str = "keep_lists";

impl Function {
    /// True where limits wait for what the function makes of its argument.
    pub(crate) const fn takes_any_shape(self) -> bool {
        matches!(
            self,
            Function::Flatten
                | Function::Follow
                | Function::Json
                | Function::WithoutNulls
                | Function::Empties
                | Function::WithoutEmpties
        )
    }

    /// What follows the first argument, which is always a value.
    pub(crate) const fn rest(self) -> Rest {
        match self {
            Function::Number
            | Function::Text
            | Function::Time
            | Function::IsoTime
            | Function::Seconds
            | Function::Lower
            | Function::Upper
            | Function::Nonblank
            | Function::Identifier
            | Function::Domain
            | Function::Query
            | Function::Age
            | Function::List
            | Function::Browser
            | Function::BrowserVersion
            | Function::AsSent
            | Function::NeedNumbers
            | Function::Size
            | Function::SegmentBrowser
            | Function::SegmentBrowserVersion
            | Function::SyftBrowserVersion
            | Function::Json
            | Function::FromJson
            | Function::WithoutNulls
            | Function::Empties
            | Function::WithoutEmpties
            | Function::Negate
            | Function::NeedText
            | Function::NeedNumber
            | Function::NeedInteger
            | Function::NeedSwitch
            | Function::NeedTime
            | Function::NeedObject
            | Function::NeedList
            | Function::Count => Rest::None,
            Function::Plus | Function::Minus | Function::Member | Function::Follow => Rest::Value,
            Function::Replace => Rest::Texts(2, &[FIRST, IGNORE_CASE]),
            Function::Flatten => Rest::Texts(1, &[KEEP_LISTS]),
            Function::Sum => Rest::MaybeName,
            Function::WithoutPrefix | Function::Join | Function::Prefixed => Rest::Text,
            Function::Omit | Function::Pick => Rest::Names,
            Function::Rename => Rest::Pairs,
            Function::At => Rest::Setting,
            Function::Fill => Rest::Paths,
        }
    }

    /// How a call is written, for messages.
    pub(crate) const fn usage(self) -> &'static str {
        match self {
            Function::Number => "number(value)",
            Function::Text => "text(value)",
            Function::Time => "time(value)",
            Function::IsoTime => "iso_time(value)",
            Function::Seconds => "seconds(value)",
            Function::Lower => "lower(value)",
            Function::Upper => "upper(value)",
            Function::Nonblank => "nonblank(value)",
            Function::Identifier => "identifier(value)",
            Function::WithoutPrefix => "without_prefix(value, \"prefix\")",
            Function::Domain => "domain(value)",
            Function::Query => "query(url)",
            Function::Count => "count(list)",
            Function::Sum => "sum(list) or sum(list, member)",
            Function::Join => "join(list, \", \")",
            Function::Age => "age(time)",
            Function::List => "list(value)",
            Function::Browser => "browser(user_agent)",
            Function::BrowserVersion => "browser_version(user_agent)",
            Function::SegmentBrowser => "segment_browser(user_agent)",
            Function::SegmentBrowserVersion => "segment_browser_version(user_agent)",
            Function::SyftBrowserVersion => "syft_browser_version(user_agent)",
            Function::Size => "size(value)",
            Function::Member => "member(object, name)",
            Function::Follow => "follow(value, path)",
            Function::NeedNumbers => "need_numbers(object)",
            Function::AsSent => "as_sent($.path)",
            Function::Prefixed => "prefixed(object, \"prefix\")",
            Function::Rename => "rename(object, old, \"new\", ...)",
            Function::At => "at($.object, settings.NAME)",
            Function::Fill => "fill(settings.NAME, $.path, ...)",
            Function::Omit => "omit(object, name, ...)",
            Function::Pick => "pick(object, name, ...)",
            Function::Replace => "replace(value, \"from\", \"to\", first, ignore_case)",
            Function::Flatten => "flatten(object, \".\", keep_lists)",
            Function::Json => "json(value)",
            Function::FromJson => "from_json(text)",
            Function::WithoutNulls => "without_nulls(value)",
            Function::Empties => "empties(object)",
            Function::WithoutEmpties => "without_empties(object)",
            Function::Plus => "plus(number, number)",
            Function::Minus => "minus(number, number)",
            Function::Negate => "negate(number)",
            Function::NeedText => "need_text(value)",
            Function::NeedNumber => "need_number(value)",
            Function::NeedInteger => "need_integer(value)",
            Function::NeedSwitch => "need_switch(value)",
            Function::NeedTime => "need_time(value)",
            Function::NeedObject => "need_object(value)",
            Function::NeedList => "need_list(value)",
        }
    }

    /// What a checked conversion wants; none for other functions.
    pub(crate) const fn wanted(self) -> Option<Wanted> {
        match self {
            Function::NeedText => Some(Wanted::Text),
            Function::NeedNumber => Some(Wanted::Number),
            Function::NeedInteger => Some(Wanted::Integer),
            Function::NeedSwitch => Some(Wanted::Switch),
            Function::NeedTime => Some(Wanted::Time),
            Function::NeedObject => Some(Wanted::Object),
            Function::NeedList => Some(Wanted::List),
            _ => None,
        }
    }
}
