//! Devices: what an SDK on them says about itself in `context`.

use serde_json::{Map, Value, json};

use super::assortment::Home;
use super::dice::Dice;

/// A kind of device.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Model {
    pub(super) mobile_app: bool,
    library: (&'static str, &'static str),
    user_agent: &'static str,
    screen: (i64, i64),
    /// Manufacturer, model, name; only apps tell.
    hardware: Option<(&'static str, &'static str, &'static str)>,
    os: (&'static str, &'static str),
}

const WEB: (&str, &str) = ("analytics.js", "npm:next-1.84.3");

pub(super) const BROWSERS: [Model; 4] = [
    Model {
        mobile_app: false,
        library: WEB,
        user_agent: "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
        screen: (1920, 1080),
        hardware: None,
        os: ("Windows", "10"),
    },
    Model {
        mobile_app: false,
        library: WEB,
        user_agent: "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Safari/605.1.15",
        screen: (1512, 982),
        hardware: None,
        os: ("Mac OS X", "10.15.7"),
    },
    Model {
        mobile_app: false,
        library: WEB,
        user_agent: "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
        screen: (2560, 1440),
        hardware: None,
        os: ("Linux", ""),
    },
    Model {
        mobile_app: false,
        library: WEB,
        user_agent: "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1",
        screen: (393, 852),
        hardware: None,
        os: ("iOS", "18.6"),
    },
];

pub(super) const PHONES: [Model; 2] = [
    Model {
        mobile_app: true,
        library: ("analytics-swift", "1.8.0"),
        user_agent: "",
        screen: (393, 852),
        hardware: Some(("Apple", "iPhone16,1", "iPhone")),
        os: ("iOS", "18.6"),
    },
    Model {
        mobile_app: true,
        library: ("analytics-kotlin", "1.20.0"),
        user_agent: "Dalvik/2.1.0 (Linux; U; Android 15; Pixel 8 Build/AP4A.250105.002)",
        screen: (1080, 2400),
        hardware: Some(("Google", "Pixel 8", "shiba")),
        os: ("Android", "15"),
    },
];

pub(super) const TABLET: Model = Model {
    mobile_app: true,
    library: ("analytics-kotlin", "1.20.0"),
    user_agent: "Dalvik/2.1.0 (Linux; U; Android 14; SM-X210 Build/UP1A.231005.007)",
    screen: (1200, 1920),
    hardware: Some(("Samsung", "SM-X210", "gta9pwifi")),
    os: ("Android", "14"),
};

/// One device of one visitor.
#[derive(Clone, Debug)]
pub(super) struct Device {
    pub(super) model: Model,
    pub(super) anonymous_id: String,
    ip: String,
    home: Home,
}

impl Device {
    pub(super) fn new(dice: &Dice, model: Model, home: Home) -> Device {
        let ip = match dice.number(0, 4) {
            0 => format!("2001:db8::{:x}:{:x}", dice.number(1, 0xffff), dice.number(1, 0xffff)),
            1 | 2 => format!("198.51.100.{}", dice.number(1, 254)),
            _ => format!("203.0.113.{}", dice.number(1, 254)),
        };
        Device { model, anonymous_id: dice.uuid(), ip, home }
    }

    /// The id of a message, in the form of the device's SDK. `millis` is when it was made.
    pub(super) fn message_id(&self, dice: &Dice, millis: i64) -> String {
        if self.model.mobile_app {
            dice.uuid()
        } else {
            format!("ajs-next-{millis}-{}", dice.uuid())
        }
    }

    /// The `context` of every event from here.
    pub(super) fn context(&self) -> Map<String, Value> {
        let Model { library, user_agent, screen, hardware, os, .. } = self.model;
        let mut context = Map::new();
        let mut put = |name: &str, value: Value| context.insert(name.to_owned(), value);
        put("library", json!({ "name": library.0, "version": library.1 }));
        put("ip", json!(self.ip));
        put("locale", json!(self.home.locale));
        put("timezone", json!(self.home.timezone));
        put("screen", json!({ "width": screen.0, "height": screen.1 }));
        if !user_agent.is_empty() {
            put("userAgent", json!(user_agent));
        }
        if let Some((manufacturer, model, name)) = hardware {
            let id = self.anonymous_id.to_uppercase();
            put(
                "device",
                json!({ "id": id, "manufacturer": manufacturer, "model": model, "name": name, "type": os.0.to_lowercase() }),
            );
            put("os", json!({ "name": os.0, "version": os.1 }));
            put(
                "app",
                json!({ "name": "Fernpost", "version": "4.12.0", "build": "41200", "namespace": "example.fernpost.shop" }),
            );
            put("network", json!({ "wifi": true, "cellular": false }));
        }
        context
    }
}
