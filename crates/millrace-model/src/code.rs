//! Stable codes for everything that can go wrong, each with a page in `docs/errors/`.
//!
//! A code is a contract: scripts match on it, users search for it. Codes are never reused or
//! renumbered; texts may change freely. `MR1xxx` is about what came in, `MR2xxx` about mapping,
//! `MR3xxx` about delivery, `MR4xxx` about the log, `MR5xxx` about configuration and blueprints.

use std::fmt;

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal;)+) => {
        /// A stable error code. `Display` prints it as `MR1001`.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code { $($(#[doc = $doc])+ $name,)+ }

        impl Code {
            /// Every code, in the order of the list.
            pub const ALL: &'static [Code] = &[$(Code::$name,)+];

            /// The text of the code, such as `MR1001`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Code::$name => $text,)+ }
            }

            /// What the code means, in one sentence: the heading of its page.
            #[must_use]
            pub const fn summary(self) -> &'static str {
                match self { $(Code::$name => concat!($($doc),+),)+ }
            }

            /// The code with this text, if there is one.
            #[must_use]
            pub fn parse(text: &str) -> Option<Code> {
                match text { $($text => Some(Code::$name),)+ _ => None }
            }
        }
    };
}

codes! {
    /// The request has no write key.
    MissingWriteKey = "MR1001";
    /// The write key belongs to no pipeline.
    UnknownWriteKey = "MR1002";
    /// The body is larger than the limit.
    BodyTooLarge = "MR1003";
    /// The compressed body could not be decompressed.
    BadCompression = "MR1004";
    /// The body is not JSON.
    BadJson = "MR1005";
    /// The body is empty.
    EmptyBody = "MR1006";
    /// The body has not the form that this path takes.
    BadBody = "MR1007";
    /// The collector cannot take more at the moment.
    Overloaded = "MR1008";
    /// There is no such path.
    UnknownPath = "MR1009";
    /// The path does not take this method.
    MethodNotAllowed = "MR1010";
    /// The JSON is nested too deeply.
    TooDeep = "MR1011";
    /// The batch has too many events.
    TooManyEvents = "MR1012";
    /// The body did not arrive in time or broke off.
    BodyIncomplete = "MR1013";
    /// The admin token is missing or wrong.
    AdminTokenRefused = "MR1014";
    /// The binary was built without the browser collector.
    NoBrowserCollector = "MR1030";
    /// Segment's script for web pages is not configured.
    NoSegmentScript = "MR1031";
    /// The write key was revoked.
    RevokedWriteKey = "MR1015";
    /// The page's origin is not among those of the pipeline.
    OriginRefused = "MR1016";
    /// The key sends faster than it may.
    RateLimited = "MR1017";
    /// The key has used up what it may send in a day.
    QuotaUsedUp = "MR1018";
    /// The request names no datastream.
    MissingDatastream = "MR1020";
    /// The datastream belongs to no pipeline.
    UnknownDatastream = "MR1021";
    /// The datastream is switched off.
    DisabledDatastream = "MR1022";
    /// The bearer token of the request is not one of the pipeline's.
    BearerRefused = "MR1023";
    /// The body is of a media type that is not taken here.
    MediaTypeRefused = "MR1024";
    /// The pipeline takes signed requests only, and this one is not signed.
    UnsignedRequest = "MR1025";
    /// The signature of the request does not fit its body, its time or any known secret.
    SignatureRefused = "MR1026";
    /// The signature of the request is too old, or made for a time to come.
    SignatureExpired = "MR1027";
    /// There is no such webhook.
    UnknownWebhook = "MR1028";

    /// The item is not a JSON object.
    NotAnObject = "MR1101";
    /// The event has no type, or one that is not known.
    UnknownType = "MR1102";
    /// The event is larger than the limit.
    EventTooLarge = "MR1103";
    /// The event has neither a user id nor an anonymous id.
    NoIdentity = "MR1104";
    /// The track event has no name.
    NoEventName = "MR1105";
    /// The identify, group or alias call lacks an id that it is about.
    MissingId = "MR1106";
    /// A field has a type that it cannot have.
    BadField = "MR1107";
    /// The event holds a number outside the range of JSON numbers in use.
    BadNumber = "MR1108";
    /// The event holds text that is not valid Unicode.
    BadText = "MR1109";
    /// The record names a project token that belongs to no pipeline.
    UnknownToken = "MR1110";
    /// The change of a profile has no operator.
    NoOperator = "MR1111";
    /// The data of the pixel cannot be read.
    BadPixel = "MR1115";
    /// The payload of the webhook does not have what its mapping needs.
    UnmappedPayload = "MR1116";
    /// One id has nearly as many events in a day as Mixpanel takes, or more.
    HotIdentity = "MR1120";

    /// The alias joins two known users, which simplified identity merge cannot do.
    AliasOfTwoUsers = "MR2001";
    /// The mapped row has no usable distinct id.
    BadDistinctId = "MR2002";
    /// The mapped row is larger than Mixpanel takes.
    RowTooLarge = "MR2003";
    /// The mapped row has more properties than Mixpanel takes.
    TooManyProperties = "MR2004";
    /// The mapped row is nested deeper than Mixpanel takes.
    RowTooDeep = "MR2005";
    /// The mapped event has no name.
    NoMappedName = "MR2006";
    /// The event could not be mapped.
    MappingFailed = "MR2007";
    /// The event's time lies outside what Mixpanel takes.
    TimeOutOfRange = "MR2008";
    /// The mapped event has the name of an identity verb of Mixpanel.
    ReservedName = "MR2009";
    /// A value of the event is not of the kind that the blueprint needs.
    WrongKind = "MR2010";
    /// The event asks for more rows than one event may give.
    TooManyItems = "MR2011";
    /// The event is for a project that the integration does not declare.
    UndeclaredProject = "MR2012";

    /// Mixpanel refused the row.
    RowRejected = "MR3001";
    /// Mixpanel refused the credentials of the integration.
    CredentialsRefused = "MR3002";
    /// The retry horizon of the row has passed.
    HorizonPassed = "MR3003";
    /// Mixpanel refuses a single row as too large.
    RowTooLargeForMixpanel = "MR3004";
    /// The project does not take identity events.
    IdentityEventsRefused = "MR3005";
    /// The destination's address answers as something that is not Mixpanel.
    WrongDestination = "MR3006";
    /// The destination cannot be reached.
    Unreachable = "MR3007";
    /// The destination is over its rate limit or in trouble; it is tried again.
    DestinationBusy = "MR3008";
    /// The answer of the destination cannot be read.
    UnclearAnswer = "MR3009";
    /// Mixpanel refused to delete users.
    DeletionRefused = "MR3010";
    /// Mixpanel does not take the lookup table.
    LookupTableRefused = "MR3011";

    /// The disk that holds the log is full.
    DiskFull = "MR4001";
    /// A write or a sync of the log failed; it takes no more until it is opened again.
    LogPoisoned = "MR4002";
    /// The log holds damaged records that had been acknowledged.
    LogDamaged = "MR4003";
    /// The data folder belongs to another running process.
    LogLocked = "MR4004";
    /// The data folder was written by a newer version.
    LogVersion = "MR4005";
    /// The disk refused a read or a write.
    DiskFailed = "MR4006";
    /// The process is stopping.
    ShuttingDown = "MR4007";
    /// No item is kept at this position.
    NotHeld = "MR4008";
    /// The item cannot be fed again as it is kept.
    CannotBeFedAgain = "MR4009";
    /// Nothing is kept under this message id.
    NothingKnown = "MR4010";

    /// The file cannot be read.
    FileUnreadable = "MR5001";
    /// The file is not valid TOML, YAML or JSON.
    BadSyntax = "MR5002";
    /// The key is not known here.
    UnknownKey = "MR5003";
    /// The value is not of the kind that the key takes.
    BadValue = "MR5004";
    /// A required key is missing.
    MissingKey = "MR5005";
    /// The name is used twice.
    DuplicateName = "MR5006";
    /// The name refers to nothing.
    UnknownReference = "MR5007";
    /// The expression cannot be read.
    BadExpression = "MR5101";
    /// The function is not known.
    UnknownFunction = "MR5102";
    /// The match text cannot be read.
    BadMatch = "MR5103";
    /// The setting is not declared by the blueprint.
    UnknownSetting = "MR5104";
    /// The rule can never be reached.
    UnreachableRule = "MR5105";
    /// The destination field is not known.
    UnknownField = "MR5106";
    /// The blueprint is not known.
    UnknownBlueprint = "MR5107";
    /// The file cannot be a lookup table.
    BadCatalogue = "MR5108";
    /// The rules use something of Adobe's that cannot be taken over.
    NotTakenOver = "MR5109";
    /// The revision of the blueprint is not known.
    UnknownRevision = "MR5110";
    /// A published revision is not what was published.
    RevisionDamaged = "MR5111";
    /// A test beside a blueprint fails.
    TestFailed = "MR5112";
    /// The blueprint can be used, and probably does not do what is meant.
    DoubtfulMapping = "MR5113";
    /// The place that a rule names cannot be read.
    BadPath = "MR5114";
    /// The file cannot be used as a database of places.
    PlacesUnusable = "MR5115";
    /// The rule of the door can be used, and probably does not do what is meant.
    DoubtfulRule = "MR5116";
    /// The category of consent that is asked for is none that anything is known to say.
    DoubtfulConsent = "MR5117";
    /// The certificate or its key cannot be used.
    BadCertificate = "MR5119";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What whoever meets an error should do about it. Decisions use this, never the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Try the same thing again later.
    Retry,
    /// Change settings or the surroundings; the same thing may then work.
    Fix,
    /// This input can never be taken; put it aside and go on.
    Reject,
    /// Stop: going on could lose or damage data.
    Fatal,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_parse_back() {
        let mut seen = std::collections::BTreeSet::new();
        for code in Code::ALL {
            assert!(seen.insert(code.as_str()), "{code} stands twice");
            assert_eq!(Code::parse(code.as_str()), Some(*code));
            assert!(code.summary().trim().ends_with('.'), "{code} needs a sentence");
        }
        assert_eq!(Code::parse("MR0000"), None);
    }
}
