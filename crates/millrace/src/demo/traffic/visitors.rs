//! Who visits the shop in the week, and what for.

use serde_json::json;

use super::assortment::{
    ARRIVALS, Arrival, COMPANIES, Company, FIRST_NAMES, HOMES, Home, LAST_NAMES,
};
use super::device::{BROWSERS, Device, PHONES, TABLET};
use super::session::{Order, Session, User};
use super::{DAYS, Traffic};

/// Look around and leave.
const STRANGERS: i64 = 125;
/// Make an account.
const CUSTOMERS: i64 = 80;
/// Buy for each company.
const BUYERS_EACH: i64 = 3;

/// Lets everybody visit.
pub(super) fn visit(traffic: &mut Traffic) {
    for _ in 0..STRANGERS {
        stranger(traffic);
    }
    for number in 0..CUSTOMERS {
        customer(traffic, number);
    }
    for (company, number) in COMPANIES.into_iter().zip(0..) {
        for buyer in 0..BUYERS_EACH {
            business_buyer(traffic, company, CUSTOMERS + number * BUYERS_EACH + buyer);
        }
    }
    family(traffic);
}

fn stranger(traffic: &mut Traffic) {
    let home = traffic.dice.pick(&HOMES);
    let model = if traffic.dice.percent(20) {
        traffic.dice.pick(&PHONES)
    } else {
        traffic.dice.pick(&BROWSERS)
    };
    let device = Device::new(&traffic.dice, model, home);
    let mut day = traffic.dice.number(0, DAYS - 1);
    let mut arrival = traffic.dice.pick(&ARRIVALS);
    loop {
        let (mut session, products) = begin(traffic, &device, home, None, arrival, day);
        session.browse(products);
        day += 2;
        arrival = Arrival::default();
        if day >= DAYS || traffic.dice.percent(70) {
            return;
        }
    }
}

/// Signs up on the first visit, in the browser; comes back, often with a phone; buys and returns.
fn customer(traffic: &mut Traffic, number: i64) {
    let home = traffic.dice.pick(&HOMES);
    let user = new_user(traffic, number, home, "personal");
    let browser = new_device(traffic, &BROWSERS, home);
    let phone = new_device(traffic, &PHONES, home);
    let has_phone = traffic.dice.percent(55);
    let mut order: Option<Order> = None;
    let mut knows_phone = false;
    let mut day = traffic.dice.number(0, 3);

    let arrival = traffic.dice.pick(&ARRIVALS);
    let (mut session, products) = begin(traffic, &browser, home, None, arrival, day);
    let liked = session.browse(products);
    session.sign_in(&user, true);
    if let Some(placed) = session.buy(liked) {
        order = Some(placed);
    }
    loop {
        day += traffic.dice.number(1, 4);
        if day >= DAYS {
            return;
        }
        let on_phone = has_phone && traffic.dice.percent(60);
        let device = if on_phone { &phone } else { &browser };
        let known = (!on_phone || knows_phone).then_some(user.id.as_str());
        let (mut session, products) = begin(traffic, device, home, known, Arrival::default(), day);
        let liked = session.browse(products);
        if on_phone && !knows_phone {
            session.sign_in(&user, false);
            if number % 4 == 0 {
                session.alias();
            }
            knows_phone = true;
        }
        match order.take() {
            Some(placed) if number % 3 == 0 => session.send_back(&placed),
            _ => order = session.buy(liked),
        }
    }
}

/// Buys for a company, from the office, on working hours.
fn business_buyer(traffic: &mut Traffic, company: Company, number: i64) {
    let home = HOMES.first().copied().unwrap_or_default();
    let user = new_user(traffic, number, home, "business");
    let device = new_device(traffic, &BROWSERS, home);
    let first = traffic.dice.number(0, 2);
    for day in (first..DAYS).step_by(2) {
        let known = (day > first).then_some(user.id.as_str());
        let (mut session, products) = begin(traffic, &device, home, known, Arrival::default(), day);
        if day == first {
            session.sign_in(&user, true);
        }
        session.join(company);
        let liked = session.browse(products + 1);
        session.track(
            "Quote Requested",
            &json!({ "positions": liked.len(), "cost_centre": format!("{}-{day}", company.0) }),
        );
        session.buy(liked);
    }
}

/// Two people, one tablet. No identity merge can tell what they did before they signed in.
fn family(traffic: &mut Traffic) {
    let home = HOMES.get(4).copied().unwrap_or_default();
    let tablet = Device::new(&traffic.dice, TABLET, home);
    let parents: [User; 2] =
        [1_001, 1_002].map(|number| new_user(traffic, number, home, "personal"));
    for (day, parent) in (0..DAYS).zip(parents.iter().cycle()) {
        let (mut session, products) = begin(traffic, &tablet, home, None, Arrival::default(), day);
        let liked = session.browse(products);
        session.sign_in(parent, day < 2);
        session.buy(liked);
    }
}

/// Begins a visit, and says how many products are looked at in it.
fn begin<'a>(
    traffic: &'a mut Traffic,
    device: &'a Device,
    home: Home,
    user: Option<&'a str>,
    arrival: Arrival,
    day: i64,
) -> (Session<'a>, i64) {
    let hour = traffic.dice.hour();
    let at = traffic.moment(day, hour);
    let products = traffic.dice.number(1, 3);
    (Session::begin(traffic, device, home, user, arrival, at), products)
}

fn new_device(traffic: &Traffic, models: &[super::device::Model], home: Home) -> Device {
    Device::new(&traffic.dice, traffic.dice.pick(models), home)
}

fn new_user(traffic: &Traffic, number: i64, home: Home, account: &str) -> User {
    let dice = &traffic.dice;
    let (first, last) = (dice.pick(&FIRST_NAMES), dice.pick(&LAST_NAMES));
    let id = format!("user-{:04}", 1 + number);
    let mail = format!("{}.{}.{number}@mail.example", first.to_lowercase(), last.to_lowercase());
    let traits = json!({
        "email": mail,
        "name": format!("{first} {last}"),
        "firstName": first,
        "lastName": last,
        "account": account,
        "newsletter": dice.percent(40),
        "address": { "city": home.city, "country": home.country },
    });
    User { id, traits }
}
