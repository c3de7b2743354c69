//! One visit on one device: the calls that an SDK makes while somebody looks around and buys.

use millrace_model::time::UnixMillis;
use serde_json::{Map, Value, json};

use super::assortment::{Arrival, Company, Home, PRODUCTS, Product, SHOP, money};
use super::device::Device;
use super::{SECOND, Traffic};

/// Somebody with an account.
#[derive(Clone, Debug)]
pub(super) struct User {
    pub(super) id: String,
    pub(super) traits: Value,
}

/// An order that was placed.
#[derive(Clone, Debug)]
pub(super) struct Order {
    id: String,
    lines: Vec<(Product, i64)>,
}

/// A visit while it goes on.
pub(super) struct Session<'a> {
    traffic: &'a mut Traffic,
    device: &'a Device,
    home: Home,
    user: Option<&'a str>,
    company: Option<&'static str>,
    arrival: Arrival,
    /// Path and title of the page that is open in a browser.
    page: (String, String),
    now: UnixMillis,
}

impl<'a> Session<'a> {
    pub(super) fn begin(
        traffic: &'a mut Traffic,
        device: &'a Device,
        home: Home,
        user: Option<&'a str>,
        arrival: Arrival,
        now: UnixMillis,
    ) -> Session<'a> {
        let page = ("/".to_owned(), "Fernpost".to_owned());
        let mut session =
            Session { traffic, device, home, user, company: None, arrival, page, now };
        if device.model.mobile_app {
            session.track("Application Opened", &json!({ "from_background": false }));
        }
        session.see("Home", "/", "Fernpost");
        session
    }

    /// Somebody looks around: lists, products, perhaps a search. Gives what they liked.
    pub(super) fn browse(&mut self, products: i64) -> Vec<(Product, i64)> {
        let mut liked = Vec::new();
        for _ in 0..products {
            let product = self.traffic.dice.pick(&PRODUCTS);
            if self.traffic.dice.percent(30) {
                let word = product.name.split(' ').next_back().unwrap_or_default();
                self.track("Products Searched", &json!({ "query": word.to_lowercase() }));
            } else {
                let path = format!("/c/{}", product.category.to_lowercase());
                self.see("Category", &path, product.category);
            }
            self.see("Product", &product.path(), product.name);
            self.track("Product Viewed", &product.json(self.home, 1));
            if self.traffic.dice.percent(35) {
                let quantity = if self.traffic.dice.percent(20) { 2 } else { 1 };
                self.track("Product Added", &product.json(self.home, quantity));
                liked.push((product, quantity));
            }
        }
        liked
    }

    /// Somebody makes an account, or comes back to theirs on this device.
    pub(super) fn sign_in(&mut self, user: &'a User, first_time: bool) {
        self.see("Account", "/account", "Your account");
        self.user = Some(&user.id);
        self.call("identify", json!({ "traits": user.traits }));
        let name = if first_time { "Signed Up" } else { "Signed In" };
        self.track(name, &json!({ "method": "email" }));
    }

    /// The app's own way of joining a device to an account.
    pub(super) fn alias(&mut self) {
        self.call("alias", json!({ "previousId": self.device.anonymous_id }));
    }

    /// The account belongs to a company: all that follows is for it.
    pub(super) fn join(&mut self, company: Company) {
        let (id, name, industry, employees, plan) = company;
        self.company = Some(id);
        let traits =
            json!({ "name": name, "industry": industry, "employees": employees, "plan": plan });
        self.call("group", json!({ "groupId": id, "traits": traits }));
    }

    /// Somebody buys what they liked.
    pub(super) fn buy(&mut self, lines: Vec<(Product, i64)>) -> Option<Order> {
        if lines.is_empty() {
            return None;
        }
        self.traffic.orders += 1;
        let order = Order { id: format!("o-{:05}", 10_000 + self.traffic.orders), lines };
        let (properties, _) = self.order_properties(&order);
        self.see("Cart", "/cart", "Your cart");
        self.see("Checkout", "/checkout", "Checkout");
        // Nothing is earned yet: a sum over `revenue` must count an order once.
        let mut checkout = properties.clone();
        if let Some(checkout) = checkout.as_object_mut()
            && let Some(value) = checkout.remove("revenue")
        {
            checkout.insert("value".to_owned(), value);
        }
        self.track("Checkout Started", &checkout);
        self.track("Order Completed", &properties);
        Some(order)
    }

    /// Somebody sends the first line of an order back.
    pub(super) fn send_back(&mut self, order: &Order) {
        let Some(line) = order.lines.first() else { return };
        let part = Order { id: order.id.clone(), lines: vec![*line] };
        let (mut properties, sum) = self.order_properties(&part);
        if let Some(properties) = properties.as_object_mut() {
            // What is paid back, as a positive number; the shipping is not.
            properties.remove("revenue");
            properties.remove("shipping");
            properties.insert("total".to_owned(), money(sum));
        }
        self.see("Orders", "/account/orders", "Your orders");
        self.track("Order Refunded", &properties);
    }

    pub(super) fn track(&mut self, name: &str, properties: &Value) {
        self.call("track", json!({ "event": name, "properties": properties }));
    }

    /// The properties of an order and the sum of its lines in hundredths.
    fn order_properties(&self, order: &Order) -> (Value, i64) {
        let price = |(product, quantity): &(Product, i64)| product.price(self.home) * quantity;
        let sum: i64 = order.lines.iter().map(price).sum();
        let shipping = if sum > 10_000 { 0 } else { 490 * self.home.rate / 100 };
        let products: Vec<Value> =
            order.lines.iter().map(|(product, number)| product.json(self.home, *number)).collect();
        let properties = json!({
            "order_id": order.id,
            "revenue": money(sum),
            "shipping": money(shipping),
            "total": money(sum + shipping),
            "currency": self.home.currency,
            "products": products,
        });
        (properties, sum)
    }

    /// A page in a browser, a screen in an app.
    fn see(&mut self, name: &str, path: &str, title: &str) {
        if self.device.model.mobile_app {
            self.call("screen", json!({ "name": name, "properties": { "title": title } }));
            return;
        }
        self.page = (path.to_owned(), title.to_owned());
        let properties = self.page_properties();
        self.call("page", json!({ "name": name, "properties": properties }));
    }

    fn page_properties(&self) -> Value {
        let (path, title) = &self.page;
        let campaign = self.arrival.campaign.filter(|_| path == "/");
        let search = campaign.map_or_else(String::new, |(source, medium, name)| {
            format!("?utm_source={source}&utm_medium={medium}&utm_campaign={name}")
        });
        json!({
            "path": path,
            "title": title,
            "search": search,
            "url": format!("{SHOP}{path}{search}"),
            "referrer": self.arrival.referrer,
        })
    }

    /// Writes one call down, with all that an SDK adds, and lets some time pass.
    fn call(&mut self, call: &str, members: Value) {
        let mut context = self.device.context();
        if !self.device.model.mobile_app {
            context.insert("page".to_owned(), self.page_properties());
            if let Some((source, medium, name)) = self.arrival.campaign {
                let campaign = json!({ "source": source, "medium": medium, "name": name });
                context.insert("campaign".to_owned(), campaign);
            }
        }
        if let Some(company) = self.company {
            context.insert("groupId".to_owned(), json!(company));
        }
        let mut event = match members {
            Value::Object(members) => members,
            _ => Map::new(),
        };
        let message_id = self.device.message_id(&self.traffic.dice, self.now.0);
        let mut put = |name: &str, value: Value| event.insert(name.to_owned(), value);
        put("type", json!(call));
        put("messageId", json!(message_id));
        put("timestamp", json!(self.now.to_string()));
        put("anonymousId", json!(self.device.anonymous_id));
        put("context", Value::Object(context));
        put("integrations", json!({}));
        if let Some(user) = self.user {
            put("userId", json!(user));
        }
        self.traffic.push(self.now, Value::Object(event));
        let pause = self.traffic.dice.number(900, 75 * SECOND);
        self.now = UnixMillis(self.now.0 + pause);
    }
}
