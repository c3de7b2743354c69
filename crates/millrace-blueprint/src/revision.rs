//! Revisions: immutable and numbered from 1. Where they are kept, in files or in a database, is up
//! to others; what may follow on what is decided here.

use crate::canonical::Digest;

/// A published revision of a blueprint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// Its number, from 1, without gaps.
    pub number: u32,
    /// What it says.
    pub digest: Digest,
    /// Why it was published, in its author's words; may be empty.
    pub about: String,
}

/// What publishing comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Publishing {
    /// The newest revision says the same: nothing is published.
    Same(Revision),
    /// This one is to be added.
    New(Revision),
}

/// The revisions of one blueprint, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revisions(Vec<Revision>);

impl Revisions {
    /// Revisions that were written down before. None unless they are numbered from 1 without gaps.
    #[must_use]
    pub fn from_list(list: Vec<Revision>) -> Option<Revisions> {
        let in_order = list.iter().zip(1..).all(|(revision, number)| revision.number == number);
        in_order.then_some(Revisions(list))
    }

    /// All of them, oldest first.
    #[must_use]
    pub fn as_slice(&self) -> &[Revision] {
        &self.0
    }

    /// The newest one.
    #[must_use]
    pub fn newest(&self) -> Option<&Revision> {
        self.0.last()
    }

    /// The one with this number.
    #[must_use]
    pub fn get(&self, number: u32) -> Option<&Revision> {
        self.0.iter().find(|revision| revision.number == number)
    }

    /// What publishing a blueprint with this digest comes to. An older revision may come back
    /// under a new number.
    #[must_use]
    pub fn publish(&self, digest: &Digest, about: &str) -> Publishing {
        match self.newest() {
            Some(newest) if newest.digest == *digest => Publishing::Same(newest.clone()),
            newest => Publishing::New(Revision {
                number: newest.map_or(1, |newest| newest.number.saturating_add(1)),
                digest: digest.clone(),
                about: about.to_owned(),
            }),
        }
    }

    /// Adds a revision that was published.
    pub fn add(&mut self, revision: Revision) {
        self.0.push(revision);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_count_up_and_the_same_is_not_published_twice() {
        let mut revisions = Revisions::default();
        let (one, two) = (Digest::of("one"), Digest::of("two"));
        for (digest, number) in [(&one, 1), (&two, 2), (&one, 3)] {
            let Publishing::New(new) = revisions.publish(digest, "") else { panic!("new") };
            assert_eq!(new.number, number);
            revisions.add(new);
            assert!(matches!(revisions.publish(digest, "x"), Publishing::Same(_)));
        }
        assert_eq!(revisions.get(2).map(|found| &found.digest), Some(&two));
        assert!(Revisions::from_list(revisions.as_slice().to_vec()).is_some());
        assert!(Revisions::from_list(revisions.as_slice()[1..].to_vec()).is_none());
    }
}
