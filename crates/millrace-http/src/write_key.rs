//! A write key and its state: several belong to one pipeline at once, so that one can take over from
//! another without a gap.

use std::fmt;

use millrace_model::secret::Secret;
use millrace_model::time::UnixMillis;

/// How many characters of a key are shown, and how long it must be for that.
const SHOWN: usize = 4;
const LONG_ENOUGH: usize = 8;

/// Whether a key lets events in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum KeyState {
    /// It does.
    #[default]
    Active,
    /// It does until this moment, and is revoked from then on: the grace period of a rotation.
    Until(UnixMillis),
    /// It does not. Its calls are answered 200 and their events are set aside, so that old versions
    /// of an application neither lose them nor send them for ever.
    Revoked,
}

impl KeyState {
    /// True when events of this moment are set aside.
    #[must_use]
    pub fn is_revoked_at(self, now: UnixMillis) -> bool {
        match self {
            KeyState::Active => false,
            KeyState::Until(end) => now >= end,
            KeyState::Revoked => true,
        }
    }

    /// What it comes to at this moment: `active`, `until` or `revoked`.
    #[must_use]
    pub fn as_str(self, now: UnixMillis) -> &'static str {
        match self {
            KeyState::Active => "active",
            KeyState::Until(end) if now < end => "until",
            KeyState::Until(_) | KeyState::Revoked => "revoked",
        }
    }
}

/// What an SDK sends to say which pipeline its events are for: a write key, a token or a datastream
/// id.
#[derive(Clone, Debug)]
pub struct WriteKey {
    /// The key itself.
    pub key: Secret,
    /// What people call it, if anything.
    pub name: Option<String>,
    /// Whether it lets events in.
    pub state: KeyState,
}

impl WriteKey {
    /// A key that lets events in.
    #[must_use]
    pub fn active(key: impl Into<String>) -> WriteKey {
        WriteKey::from(Secret::new(key))
    }

    /// The same key, revoked.
    #[must_use]
    pub fn revoked(self) -> WriteKey {
        WriteKey { state: KeyState::Revoked, ..self }
    }

    /// The same key, with an end.
    #[must_use]
    pub fn until(self, end: UnixMillis) -> WriteKey {
        WriteKey { state: KeyState::Until(end), ..self }
    }

    /// What may be shown of it: stars and its last four characters, of a short one only stars.
    #[must_use]
    pub fn masked(&self) -> Masked<'_> {
        let characters = self.key.expose().char_indices();
        let (count, tail) = (characters.clone().count(), characters.rev().nth(SHOWN - 1));
        let shown = tail.filter(|_| count >= LONG_ENOUGH).map(|(at, _)| at);
        Masked(shown.and_then(|at| self.key.expose().get(at..)).unwrap_or_default())
    }
}

impl From<Secret> for WriteKey {
    fn from(key: Secret) -> WriteKey {
        WriteKey { key, name: None, state: KeyState::Active }
    }
}

/// The visible part of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Masked<'a>(&'a str);

impl fmt::Display for Masked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "****{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_ends_at_its_moment() {
        let end = UnixMillis(1_000);
        let table = [
            (KeyState::Active, 0, "active"),
            (KeyState::Until(end), 999, "until"),
            (KeyState::Until(end), 1_000, "revoked"),
            (KeyState::Revoked, 0, "revoked"),
        ];
        for (state, now, wanted) in table {
            let now = UnixMillis(now);
            assert_eq!(state.as_str(now), wanted, "{state:?}");
            assert_eq!(state.is_revoked_at(now), wanted == "revoked", "{state:?}");
        }
    }

    #[test]
    fn little_of_a_key_is_shown() {
        for (key, shown) in [
            ("dev-write-key", "****-key"),
            ("12345678", "****5678"),
            ("1234567", "****"),
            ("", "****"),
        ] {
            assert_eq!(WriteKey::active(key).masked().to_string(), shown);
            assert!(!format!("{:?}", WriteKey::active(key)).contains(key) || key.is_empty());
        }
        assert_eq!(WriteKey::active("ключ-клю").masked().to_string(), "****-клю");
    }
}
