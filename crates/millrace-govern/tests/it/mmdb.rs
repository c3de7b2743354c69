//! A writer of small databases in MaxMind's format (MaxMind DB file format 2.0): a binary tree of
//! IPv6 networks in records of 24 bits, then the values.

use std::net::IpAddr;

/// A value of the format.
pub(crate) enum Value {
    Text(&'static str),
    Number(f64),
    Short(u16),
    Whole(u32),
    Long(u64),
    List(Vec<Value>),
    Map(Vec<(&'static str, Value)>),
}

fn put(value: &Value, out: &mut Vec<u8>) {
    let head = |kind: u8, size: usize, out: &mut Vec<u8>| {
        assert!(size < 285);
        let (low, more) =
            if size < 29 { (size as u8, None) } else { (29, Some((size - 29) as u8)) };
        // Kinds above 7 stand in a byte of their own.
        if kind < 8 {
            out.push(kind << 5 | low);
        } else {
            out.extend([low, kind - 7]);
        }
        out.extend(more);
    };
    match value {
        Value::Text(text) => {
            head(2, text.len(), out);
            out.extend(text.as_bytes());
        }
        Value::Number(number) => {
            head(3, 8, out);
            out.extend(number.to_be_bytes());
        }
        Value::Short(number) => {
            head(5, 2, out);
            out.extend(number.to_be_bytes());
        }
        Value::Whole(number) => {
            head(6, 4, out);
            out.extend(number.to_be_bytes());
        }
        Value::Long(number) => {
            head(9, 8, out);
            out.extend(number.to_be_bytes());
        }
        Value::List(items) => {
            head(11, items.len(), out);
            items.iter().for_each(|item| put(item, out));
        }
        Value::Map(members) => {
            head(7, members.len(), out);
            for (name, member) in members {
                put(&Value::Text(name), out);
                put(member, out);
            }
        }
    }
}

/// A database in which each address alone has a value.
pub(crate) fn database(kind: &'static str, entries: &[(&str, Value)]) -> Vec<u8> {
    // Every node has two records: nothing, a node, or a value (its place).
    #[derive(Clone, Copy)]
    enum Record {
        Nothing,
        Node(usize),
        Data(usize),
    }
    let mut nodes = vec![[Record::Nothing; 2]];
    let mut data = Vec::new();
    for (address, value) in entries {
        let bits = match address.parse().unwrap() {
            IpAddr::V4(ip) => u128::from(u32::from(ip)),
            IpAddr::V6(ip) => u128::from(ip),
        };
        let mut at = 0;
        for depth in (1..128).rev() {
            let bit = (bits >> depth & 1) as usize;
            at = match nodes[at][bit] {
                Record::Node(next) => next,
                Record::Nothing | Record::Data(_) => {
                    nodes.push([Record::Nothing; 2]);
                    let next = nodes.len() - 1;
                    nodes[at][bit] = Record::Node(next);
                    next
                }
            };
        }
        nodes[at][(bits & 1) as usize] = Record::Data(data.len());
        put(value, &mut data);
    }
    let mut file = Vec::new();
    for record in nodes.iter().flatten() {
        let number = match record {
            Record::Nothing => nodes.len(),
            Record::Node(node) => *node,
            Record::Data(place) => nodes.len() + 16 + place,
        };
        file.extend(&u32::try_from(number).unwrap().to_be_bytes()[1..]);
    }
    file.extend([0; 16]);
    file.extend(data);
    file.extend(b"\xab\xcd\xefMaxMind.com");
    let metadata = Value::Map(vec![
        ("binary_format_major_version", Value::Short(2)),
        ("binary_format_minor_version", Value::Short(0)),
        ("build_epoch", Value::Long(1_750_000_000)),
        ("database_type", Value::Text(kind)),
        ("description", Value::Map(Vec::new())),
        ("ip_version", Value::Short(6)),
        ("languages", Value::List(vec![Value::Text("en")])),
        ("node_count", Value::Whole(nodes.len() as u32)),
        ("record_size", Value::Short(24)),
    ]);
    put(&metadata, &mut file);
    file
}

/// An entry such as GeoLite2-City has.
pub(crate) fn bonn() -> Value {
    let names = |name| Value::Map(vec![("de", Value::Text("x")), ("en", Value::Text(name))]);
    let region = vec![("iso_code", Value::Text("NW")), ("names", names("North Rhine-Westphalia"))];
    Value::Map(vec![
        ("city", Value::Map(vec![("geoname_id", Value::Whole(1)), ("names", names("Bonn"))])),
        ("country", Value::Map(vec![("iso_code", Value::Text("DE")), ("names", names("Germany"))])),
        ("subdivisions", Value::List(vec![Value::Map(region)])),
        (
            "location",
            Value::Map(vec![
                ("accuracy_radius", Value::Whole(20)),
                ("latitude", Value::Number(50.7)),
                ("longitude", Value::Number(7.1)),
                ("time_zone", Value::Text("Europe/Berlin")),
            ]),
        ),
    ])
}
