//! Names as small numbers, and the links between devices and users: the stateful half of
//! simplified identity (reference/mixpanel-api.md 4.1, step 3).
//!
//! Invariants: a device is linked to at most one user, for ever; a user is never linked to
//! anything; so resolving takes one step. Links work on past and future events alike because
//! events keep the id they came with and are resolved when they are read.

use std::collections::HashMap;
use std::sync::Arc;

/// The number of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Symbol(pub(crate) u32);

/// Names and their numbers.
#[derive(Debug, Default)]
pub(crate) struct Symbols {
    texts: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, Symbol>,
}

impl Symbols {
    /// The number of a name, given when it is new.
    pub(crate) fn intern(&mut self, text: &str) -> Symbol {
        if let Some(symbol) = self.numbers.get(text) {
            return *symbol;
        }
        // A project with four billion names has long run out of memory.
        let symbol = Symbol(u32::try_from(self.texts.len()).unwrap_or(u32::MAX));
        let shared: Arc<str> = Arc::from(text);
        self.texts.push(Arc::clone(&shared));
        self.numbers.insert(shared, symbol);
        symbol
    }

    /// The number of a name that is known.
    pub(crate) fn find(&self, text: &str) -> Option<Symbol> {
        self.numbers.get(text).copied()
    }

    /// The name of a number.
    pub(crate) fn text(&self, symbol: Symbol) -> &str {
        let index = usize::try_from(symbol.0).unwrap_or(usize::MAX);
        self.texts.get(index).map_or("", AsRef::as_ref)
    }

    /// How many names there are.
    pub(crate) fn len(&self) -> usize {
        self.texts.len()
    }
}

/// What became of a wish to link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Linked {
    /// The device belongs to the user, now or since before.
    Yes,
    /// The device belongs to another user and stays there: the first write wins (S6).
    TakenByAnother,
}

/// The links of one project.
#[derive(Debug, Default)]
pub(crate) struct Links {
    user_of: HashMap<Symbol, Symbol>,
    devices_of: HashMap<Symbol, Vec<Symbol>>,
}

impl Links {
    /// Links a device (with its prefix) to a user.
    pub(crate) fn link(&mut self, device: Symbol, user: Symbol) -> Linked {
        match self.user_of.get(&device) {
            Some(owner) if *owner == user => Linked::Yes,
            Some(_) => Linked::TakenByAnother,
            None => {
                self.user_of.insert(device, user);
                self.devices_of.entry(user).or_default().push(device);
                Linked::Yes
            }
        }
    }

    /// The canonical id of an id.
    pub(crate) fn resolve(&self, id: Symbol) -> Symbol {
        self.user_of.get(&id).copied().unwrap_or(id)
    }

    /// The devices of a user, in the order of their linking.
    pub(crate) fn devices(&self, user: Symbol) -> &[Symbol] {
        self.devices_of.get(&user).map_or(&[], Vec::as_slice)
    }
}
