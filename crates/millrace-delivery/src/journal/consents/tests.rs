//! What is known of people, against a model that remembers every word.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn consent(said: &[(&str, bool)], people: &[u128], otherwise: bool) -> Consent {
    Consent {
        categories: said.iter().map(|(name, granted)| ((*name).to_owned(), *granted)).collect(),
        otherwise,
        subjects: people.iter().map(|person| Subject(*person)).collect(),
    }
}

fn at(seq: u64) -> EventAt {
    let received_at = UnixMillis(i64::try_from(seq).unwrap() * 1000);
    EventAt { at: Position { seq: Seq(seq), index: 0 }, received_at }
}

fn say(known: &KnownConsents, seq: u64, said: &[(&str, bool)], people: &[u128]) {
    let said = Said { index: 0, consent: Box::new(consent(said, people, false)) };
    known.take(&[said], Seq(seq), at(seq).received_at);
}

fn ask(known: &KnownConsents, seq: u64, own: &[(&str, bool)], people: &[u128]) -> Option<String> {
    let own = consent(own, people, false);
    known.refusal(&["marketing".to_owned()], Some(&own), &at(seq))
}

/// Row C-04.
#[test]
fn a_withdrawal_counts_for_what_came_before_it_and_a_later_grant_revives_nothing() {
    let known = KnownConsents::default();
    let yes = [("marketing", true)];
    say(&known, 10, &yes, &[1, 2]);
    assert_eq!(ask(&known, 10, &yes, &[1]), None);
    say(&known, 20, &[("marketing", false)], &[2]);
    // Of each of its ids; other people and what came after are untouched.
    for (seq, people, wanted) in [
        (10, &[2_u128][..], Some("marketing: withdrawn later")),
        (10, &[1, 2], Some("marketing: withdrawn later")),
        (10, &[1], None),
        (21, &[2], None),
    ] {
        assert_eq!(ask(&known, seq, &yes, people).as_deref(), wanted, "{seq} {people:?}");
    }
    say(&known, 30, &yes, &[2]);
    assert_eq!(ask(&known, 10, &yes, &[2]).as_deref(), Some("marketing: withdrawn later"));
    assert_eq!(ask(&known, 25, &[], &[2]), None, "said nothing, and is granted now");
    assert_eq!(ask(&known, 30, &yes, &[2]), None);
}

#[test]
fn who_says_nothing_is_asked_about_and_then_assumed_of() {
    let known = KnownConsents::default();
    let required = ["marketing".to_owned()];
    let refusal = |own: Option<&Consent>, seq| known.refusal(&required, own, &at(seq));
    let (allow, deny) = (consent(&[], &[7], true), consent(&[], &[7], false));
    assert_eq!(refusal(Some(&allow), 5), None);
    assert_eq!(refusal(Some(&deny), 5).as_deref(), Some("marketing: nothing said"));
    assert_eq!(refusal(None, 5).as_deref(), Some("marketing: nothing said"));
    assert_eq!(known.refusal(&["essential".to_owned()], None, &at(5)), None);
    assert_eq!(known.refusal(&[], None, &at(5)), None);
    say(&known, 3, &[("marketing", false), ("analytics", true)], &[7]);
    assert_eq!(refusal(Some(&allow), 5).as_deref(), Some("marketing: denied before"));
    say(&known, 4, &[("marketing", true)], &[7]);
    assert_eq!(refusal(Some(&deny), 5), None);
    let own_no = consent(&[("marketing", false)], &[7], true);
    assert_eq!(refusal(Some(&own_no), 5).as_deref(), Some("marketing: denied"));
}

#[test]
fn an_item_that_is_fed_again_is_judged_by_when_it_came_in() {
    let known = KnownConsents::default();
    say(&known, 20, &[("marketing", false)], &[1]);
    let own = consent(&[("marketing", true)], &[1], false);
    let again = EventAt { received_at: at(10).received_at, ..at(30) };
    let required = ["marketing".to_owned()];
    assert!(known.refusal(&required, Some(&own), &again).is_some());
    assert!(known.refusal(&required, Some(&own), &at(30)).is_none());
}

#[test]
fn people_and_categories_are_bounded_and_the_newest_stay() {
    let known = KnownConsents(Arc::new(RwLock::new(Consents::with_room(100))));
    for person in 0..1000_u128 {
        let code = format!("code{person}");
        say(&known, 1 + person as u64, &[("marketing", false), (&code, false)], &[person]);
        let consents = known.0.read().unwrap();
        assert!(consents.newer.len() + consents.older.len() <= 100);
        assert!(consents.names.len() <= MOST_NAMES);
    }
    let yes = [("marketing", true)];
    assert!(ask(&known, 1, &yes, &[999]).is_some());
    assert!(ask(&known, 1, &yes, &[951]).is_some());
    assert!(ask(&known, 1, &yes, &[0]).is_none(), "long forgotten");
}

proptest! {
    /// Against a list of all that was said, for every person, category and time; and the same after
    /// a restart.
    #[test]
    fn it_knows_what_a_list_of_everything_knows(
        said in proptest::collection::vec((0..4_u128, 0..4_u128, 0..6_usize, any::<bool>()), 0..60),
    ) {
        const NAMES: [&str; 6] = ["analytics", "marketing", "c1", "c2", "c3", "c4"];
        let known = KnownConsents::default();
        let mut all: BTreeMap<(u128, usize), Vec<(u64, bool)>> = BTreeMap::new();
        for ((one, other, name, granted), seq) in said.into_iter().zip(1_u64..) {
            say(&known, seq, &[(NAMES[name], granted)], &[one, other]);
            for person in [one, other] {
                all.entry((person, name)).or_default().push((seq, granted));
            }
        }
        let mut bytes = Vec::new();
        known.encode(None, &mut bytes);
        let Ok(Record::Whole(restored)) = decode(Bytes::from(bytes)) else { panic!() };
        let again = KnownConsents::default();
        again.restore(restored);
        for person in 0..4_u128 {
            for (place, name) in NAMES.iter().enumerate() {
                let history = all.get(&(person, place)).cloned().unwrap_or_default();
                for seq in [1_u64, 7, 30, 61] {
                    let required = [(*name).to_owned()];
                    let own = consent(&[(name, true)], &[person], false);
                    let wanted = history.iter().any(|(at, granted)| *at > seq && !granted);
                    let refused = known.refusal(&required, Some(&own), &at(seq));
                    // Joined denials may be told a little newer than they are, never older.
                    prop_assert!(refused.is_some() || !wanted, "{person} {name} {seq}");
                    if refused.is_some() && !wanted {
                        prop_assert!(all.iter().filter(|((of, _), _)| *of == person).count() > MOST_DENIALS);
                    }
                    prop_assert_eq!(again.refusal(&required, Some(&own), &at(seq)), refused);
                    let silent = consent(&[], &[person], false);
                    let last = history.last().map(|(_, granted)| *granted);
                    let refused = known.refusal(&required, Some(&silent), &at(100));
                    prop_assert_eq!(refused.is_none(), last == Some(true));
                }
            }
        }
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode(Bytes::from(bytes));
    }
}

/// Clients can name whatever they like; what integrations require is still told apart.
#[test]
fn a_required_category_has_its_place_however_many_are_named() {
    let names: Vec<String> = (0..100).map(|number| format!("junk-{number}")).collect();
    let junk: Vec<(&str, bool)> = names.iter().map(|name| (name.as_str(), false)).collect();
    let required = ["c0099".to_owned()];
    let refusal = |known: &KnownConsents, seq| {
        let own = consent(&[("c0099", true)], &[1], false);
        known.refusal(&required, Some(&own), &at(seq))
    };
    let known = KnownConsents::of(&required);
    say(&known, 10, &junk, &[1]);
    say(&known, 20, &[("c0099", false)], &[1]);
    assert_eq!(refusal(&known, 15).as_deref(), Some("c0099: withdrawn later"));

    // It is required only since a restart: the last of the others makes room, with all it stood for.
    let before = KnownConsents::default();
    say(&before, 10, &junk, &[1]);
    let mut bytes = Vec::new();
    before.encode(None, &mut bytes);
    let Ok(Record::Whole(stored)) = decode(Bytes::from(bytes)) else { panic!("not whole") };
    let known = KnownConsents::of(&required);
    known.restore(stored);
    assert_eq!(refusal(&known, 5), None, "what was said of another category is not meant");
    say(&known, 20, &[("c0099", false)], &[1]);
    assert_eq!(refusal(&known, 15).as_deref(), Some("c0099: withdrawn later"));
    let first = [names[0].clone()];
    let own = consent(&[(&names[0], true)], &[1], false);
    assert!(known.refusal(&first, Some(&own), &at(5)).is_some(), "the others are as they were");
}

#[test]
fn of_what_is_fed_again_only_denials_count() {
    use millrace_model::disposition::FilterReason;
    use millrace_model::event::Filtered;
    let said = Some(Box::new(consent(&[("marketing", true), ("analytics", false)], &[1], false)));
    let (reason, rule) = (FilterReason::Consent, String::new());
    let item = Item::Filtered(Filtered { reason, rule, full_length: 1, consent: said });
    let (pipeline, received_at) = ("web".parse().unwrap(), at(10).received_at);
    let batch = Batch { pipeline, received_at, items: vec![item] };
    for (again, count) in [(false, 2), (true, 1)] {
        let said = said_in(&batch, again);
        assert_eq!(said[0].consent.categories.len(), count);
        assert!(!said[0].consent.categories["analytics"]);
    }
}
