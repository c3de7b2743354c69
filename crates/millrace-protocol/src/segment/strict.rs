//! What a pipeline in the style of Datafly asks of a message beyond the rules of the door
//! (`reference/datafly-adobe.md` 1.4 and A-03): nothing is guessed there, so that whoever writes
//! the call hears at once what is wrong with it. Every reason begins with the name of the member.

use millrace_model::code::Code;

use super::Call;
use super::admit::{Refusal, time_at};
use super::envelope::Envelope;
use super::scan::RawItem;
use crate::json::{Span, text};

impl Envelope {
    pub(super) fn check_strict(&self, item: &RawItem) -> Result<(), Refusal> {
        self.check_own_type(item)?;
        let objects = [
            (item.properties, "properties"),
            (item.traits, "traits"),
            (item.context.whole, "context"),
            (item.integrations, "integrations"),
        ];
        for (span, field) in objects {
            self.check_first(span, b'{', field, "an object")?;
        }
        self.check_first(item.name, b'"', "name", "text")?;
        for (span, field) in
            [(item.timestamp, "timestamp"), (item.original_timestamp, "originalTimestamp")]
        {
            let is_said = !matches!(span.of(&self.body), b"" | b"null");
            if is_said && time_at(&self.body, span).is_none() {
                return Err(Refusal::new(Code::BadField, format!("{field} must be a time")));
            }
        }
        let user = self.id(item.user_id, "userId")?;
        if user.is_none() && self.anonymous_id(item)?.is_none() {
            let reason = "anonymousId is missing, and there is no userId";
            return Err(Refusal::new(Code::NoIdentity, reason));
        }
        Ok(())
    }

    /// The path says the type as well, and the two must agree.
    fn check_own_type(&self, item: &RawItem) -> Result<(), Refusal> {
        let Call::Single(kind) = self.call else { return Ok(()) };
        match text(item.kind.of(&self.body)).as_deref() {
            Some(own) if own == kind.as_str() => Ok(()),
            Some(_) => {
                let reason = format!("type must be {} on this path", kind.as_str());
                Err(Refusal::new(Code::UnknownType, reason))
            }
            None => Err(Refusal::new(Code::UnknownType, "type is missing")),
        }
    }

    fn check_first(
        &self,
        span: Span,
        wanted: u8,
        field: &'static str,
        kind: &'static str,
    ) -> Result<(), Refusal> {
        match span.of(&self.body).first() {
            None | Some(b'n') => Ok(()),
            Some(first) if *first == wanted => Ok(()),
            Some(_) => Err(Refusal::new(Code::BadField, format!("{field} must be {kind}"))),
        }
    }
}
