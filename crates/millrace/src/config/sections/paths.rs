//! What `[server]` says of other paths and of the proxies in front.

use std::net::IpAddr;

use ipnet::IpNet;
use millrace_http::OtherPaths;

use super::super::document::{Field, Report};

/// Reads `prefixes` and `routes`.
pub(super) fn read(
    prefixes: Option<&Field<'_>>,
    routes: Option<&Field<'_>>,
    report: &mut Report<'_>,
) -> OtherPaths {
    let mut paths = OtherPaths::default();
    let prefixes = prefixes.and_then(|field| field.list(report, "paths such as \"/collect\""));
    for field in prefixes.unwrap_or_default() {
        let Some(text) = field.text(report, "/collect") else { continue };
        if let Err(error) = paths.add_prefix(text) {
            field.wrong(report, &error.to_string(), None);
        }
    }
    let Some(section) = routes.and_then(|field| field.table(report)) else { return paths };
    for (name, _, field) in section.entries() {
        let Some(path) = field.text(report, "/track") else { continue };
        if let Err(error) = paths.add_name(name, path) {
            field.wrong(report, &format!("on both sides {error}"), None);
        }
    }
    paths
}

/// Reads `trusted_proxies`: networks, and addresses, which are networks of one.
pub(super) fn read_proxies(
    field: Option<&Field<'_>>,
    report: &mut Report<'_>,
) -> Option<Vec<IpNet>> {
    let Some(field) = field else { return Some(Vec::new()) };
    let fields = field.list(report, "addresses or networks such as \"10.0.0.0/8\"")?;
    let count = fields.len();
    let proxies: Vec<IpNet> =
        fields.iter().filter_map(|field| read_network(field, report)).collect();
    (proxies.len() == count).then_some(proxies)
}

fn read_network(field: &Field<'_>, report: &mut Report<'_>) -> Option<IpNet> {
    let text = field.text(report, "10.0.0.0/8")?;
    let network = match text.parse::<IpAddr>() {
        Ok(address) => Some(IpNet::from(address.to_canonical())),
        Err(_) => text.parse::<IpNet>().ok(),
    };
    let Some(network) = network else {
        let fix = "write an address such as \"10.0.0.7\" or a network such as \"10.0.0.0/8\"";
        field.wrong(report, &format!("is no address: `{text}`"), Some(fix.to_owned()));
        return None;
    };
    if network.trunc() != network {
        let fix = format!("write \"{}\" for the network", network.trunc());
        field.wrong(report, "has bits behind its mask, which may not be meant", Some(fix));
        return None;
    }
    Some(network)
}
