//! What the shop sells, where its visitors live and what brings them. All of it is made up.

use serde_json::{Value, json};

/// The shop's address.
pub(super) const SHOP: &str = "https://www.fernpost.example";

/// Something to buy.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Product {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) category: &'static str,
    /// In hundredths of a euro.
    pub(super) cents: i64,
}

const fn product(
    id: &'static str,
    name: &'static str,
    category: &'static str,
    cents: i64,
) -> Product {
    Product { id, name, category, cents }
}

pub(super) const PRODUCTS: [Product; 14] = [
    product("fp-101", "Two-Person Tent", "Tents", 24_900),
    product("fp-102", "Trekking Tent Ultralight", "Tents", 41_900),
    product("fp-201", "Down Sleeping Bag", "Sleeping", 18_950),
    product("fp-202", "Sleeping Mat", "Sleeping", 5_990),
    product("fp-203", "Camping Pillow", "Sleeping", 2_490),
    product("fp-301", "Gas Stove", "Kitchen", 4_495),
    product("fp-302", "Titanium Pot", "Kitchen", 5_450),
    product("fp-303", "Enamel Mug", "Kitchen", 1_290),
    product("fp-304", "Water Filter", "Kitchen", 3_990),
    product("fp-401", "Rain Jacket", "Clothing", 14_900),
    product("fp-402", "Merino Socks", "Clothing", 1_950),
    product("fp-403", "Wool Hat", "Clothing", 2_900),
    product("fp-501", "Head Torch", "Gear", 3_490),
    product("fp-502", "Backpack 55 l", "Gear", 16_900),
];

/// Where a visitor lives.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Home {
    pub(super) country: &'static str,
    pub(super) city: &'static str,
    pub(super) locale: &'static str,
    pub(super) timezone: &'static str,
    pub(super) currency: &'static str,
    /// Hundredths of the currency for a euro.
    pub(super) rate: i64,
}

const fn home(
    country: &'static str,
    city: &'static str,
    locale: &'static str,
    timezone: &'static str,
    currency: &'static str,
    rate: i64,
) -> Home {
    Home { country, city, locale, timezone, currency, rate }
}

/// Repeated ones are likelier.
pub(super) const HOMES: [Home; 9] = [
    home("DE", "Leipzig", "de-DE", "Europe/Berlin", "EUR", 100),
    home("DE", "Bremen", "de-DE", "Europe/Berlin", "EUR", 100),
    home("AT", "Graz", "de-AT", "Europe/Vienna", "EUR", 100),
    home("FR", "Nantes", "fr-FR", "Europe/Paris", "EUR", 100),
    home("GB", "Leeds", "en-GB", "Europe/London", "GBP", 85),
    home("GB", "Bristol", "en-GB", "Europe/London", "GBP", 85),
    home("US", "Boise", "en-US", "America/Boise", "USD", 110),
    home("US", "Portland", "en-US", "America/Los_Angeles", "USD", 110),
    home("IN", "Pune", "en-IN", "Asia/Kolkata", "INR", 9_200),
];

/// What brought somebody: referrer, and campaign parameters if it was a campaign.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Arrival {
    pub(super) referrer: &'static str,
    /// Source, medium, name.
    pub(super) campaign: Option<(&'static str, &'static str, &'static str)>,
}

pub(super) const ARRIVALS: [Arrival; 7] = [
    Arrival { referrer: "", campaign: None },
    Arrival { referrer: "", campaign: None },
    Arrival { referrer: "https://search.example/", campaign: None },
    Arrival { referrer: "https://outdoor-blog.example/best-tents", campaign: None },
    Arrival {
        referrer: "https://search.example/",
        campaign: Some(("search.example", "cpc", "autumn-tents")),
    },
    Arrival { referrer: "", campaign: Some(("newsletter", "email", "november-deals")) },
    Arrival {
        referrer: "https://social.example/",
        campaign: Some(("social.example", "social", "first-snow")),
    },
];

pub(super) const FIRST_NAMES: [&str; 20] = [
    "Alma", "Bjarne", "Carlotta", "Dinesh", "Edda", "Faris", "Greta", "Hugo", "Ines", "Jonte",
    "Kavita", "Levin", "Mirja", "Noor", "Odo", "Priya", "Quentin", "Runa", "Silas", "Tove",
];

pub(super) const LAST_NAMES: [&str; 16] = [
    "Ambergate",
    "Birkenhain",
    "Cloverfield",
    "Dornhag",
    "Elmsworth",
    "Fennmoor",
    "Grauwald",
    "Heatherby",
    "Islewick",
    "Juniperus",
    "Kestrelle",
    "Lindgarten",
    "Mossbank",
    "Nettlecombe",
    "Oakhanger",
    "Pinewater",
];

/// A company that buys for its staff: id, name, industry, employees, plan.
pub(super) type Company = (&'static str, &'static str, &'static str, i64, &'static str);

pub(super) const COMPANIES: [Company; 6] = [
    ("co-alpine-rescue", "Alpine Rescue School", "Education", 85, "team"),
    ("co-northfield", "Northfield Forestry", "Forestry", 420, "enterprise"),
    ("co-tidewater", "Tidewater Surveys", "Engineering", 130, "team"),
    ("co-meadow-farms", "Meadow Farms", "Agriculture", 60, "starter"),
    ("co-summit-film", "Summit Film", "Media", 24, "starter"),
    ("co-ridgeline", "Ridgeline Solar", "Energy", 310, "enterprise"),
];

impl Product {
    /// The price in a home's currency, in hundredths.
    pub(super) fn price(self, home: Home) -> i64 {
        self.cents * home.rate / 100
    }

    /// The product as the ecommerce events show it.
    pub(super) fn json(self, home: Home, quantity: i64) -> Value {
        json!({
            "product_id": self.id,
            "sku": self.id.to_uppercase(),
            "name": self.name,
            "category": self.category,
            "brand": "Fernpost",
            "price": money(self.price(home)),
            "quantity": quantity,
            "url": format!("{SHOP}{}", self.path()),
        })
    }

    /// The path of its page.
    pub(super) fn path(self) -> String {
        format!("/p/{}", self.id)
    }
}

/// Hundredths as a number with a fraction.
#[expect(clippy::cast_precision_loss, reason = "sums of a shop stay far below 2^53")]
pub(super) fn money(hundredths: i64) -> Value {
    json!(hundredths as f64 / 100.0)
}
