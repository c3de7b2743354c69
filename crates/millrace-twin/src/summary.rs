//! The sums of a project, as the summary view shows them.
//!
//! Every event counts once: superseded copies and hidden identity verbs are counted apart, so that
//! `copies` = `events` + `hidden` + `duplicates`.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::profile::Profile;
use crate::project::Data;

/// The key of sums without a currency.
const NO_CURRENCY: &str = "unspecified";

/// The sums.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Summary {
    events: u64,
    copies: usize,
    duplicates: u64,
    hidden: u64,
    profiles: usize,
    groups: usize,
    users: usize,
    by_event: BTreeMap<String, u64>,
    revenue: Revenue,
}

/// Money: from events, and apart from it the `$transactions` of profiles.
#[derive(Debug, Default, Serialize)]
struct Revenue {
    /// `revenue` minus `refund_amount` over all events.
    #[serde(serialize_with = "rounded")]
    total: f64,
    #[serde(serialize_with = "rounded")]
    refunds: f64,
    by_currency: BTreeMap<String, Money>,
    transactions: Transactions,
}

#[derive(Debug, Default, Serialize)]
struct Money {
    #[serde(serialize_with = "rounded")]
    total: f64,
    #[serde(serialize_with = "rounded")]
    refunds: f64,
}

#[derive(Debug, Default, Serialize)]
struct Transactions {
    #[serde(serialize_with = "rounded")]
    total: f64,
    count: usize,
}

/// A sum without the noise that binary fractions leave: to a millionth.
fn rounded<S: Serializer>(sum: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    let scaled = (sum * 1e6).round() / 1e6;
    serializer.serialize_f64(if scaled.is_finite() { scaled } else { *sum })
}

impl Summary {
    /// Adds everything up.
    pub(crate) fn of(data: &Data) -> Summary {
        let mut summary = Summary {
            copies: data.events.rows().count(),
            profiles: data.visible_profiles(),
            groups: data.groups.len(),
            ..Summary::default()
        };
        let mut seen = vec![false; data.ids.len()];
        let mut by_name: BTreeMap<u32, u64> = BTreeMap::new();
        for row in data.events.rows() {
            if row.superseded() {
                summary.duplicates += 1;
                continue;
            }
            if row.hidden() {
                summary.hidden += 1;
                continue;
            }
            summary.events += 1;
            *by_name.entry(row.name.0).or_default() += 1;
            let user = data.links.resolve(row.distinct);
            if let Some(seen) = usize::try_from(user.0).ok().and_then(|index| seen.get_mut(index)) {
                *seen = true;
            }
            if row.has_revenue()
                && let Some((event, _)) = data.events.event(row)
            {
                summary.revenue.add_event(event.revenue);
            }
        }
        // Events of nobody have the empty id, which is no user.
        if let Some(nobody) = data.ids.find("").and_then(|id| usize::try_from(id.0).ok())
            && let Some(seen) = seen.get_mut(nobody)
        {
            *seen = false;
        }
        summary.users = seen.iter().filter(|seen| **seen).count();
        let named = by_name.into_iter().map(|(name, count)| {
            (data.events.name(crate::identity::Symbol(name)).to_owned(), count)
        });
        summary.by_event = named.collect();
        let visible = data.users.iter().filter(|(id, _)| data.links.resolve(**id) == **id);
        for (_, profile) in visible {
            summary.revenue.transactions.add_profile(profile);
        }
        summary
    }
}

impl Revenue {
    fn add_event(&mut self, revenue: Option<crate::record::Revenue<'_>>) {
        let Some(revenue) = revenue else { return };
        let currency = if revenue.currency.is_empty() { NO_CURRENCY } else { &revenue.currency };
        let money = self.by_currency.entry(currency.to_owned()).or_default();
        for (total, refunds) in
            [(&mut self.total, &mut self.refunds), (&mut money.total, &mut money.refunds)]
        {
            *total += revenue.amount - revenue.refund;
            *refunds += revenue.refund;
        }
    }
}

impl Transactions {
    fn add_profile(&mut self, profile: &Profile) {
        let Some(Value::Array(items)) = profile.properties.get("$transactions") else { return };
        self.count += items.len();
        self.total += items.iter().filter_map(|item| item.get("$amount")?.as_f64()).sum::<f64>();
    }
}
