//! The address of the client: the connection's, or what a trusted proxy says it was.

use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use axum::http::request::Parts;
use ipnet::IpNet;

/// The address at the other end of the connection. [`server::serve`](crate::server::serve) puts it
/// among the extensions of every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAddress(pub IpAddr);

/// The client's address. `X-Forwarded-For` counts only on a connection from a trusted proxy, and
/// then from its end: the last address that is no trusted proxy itself. What stands before it was
/// written by the client and may be anything.
pub(crate) fn client_ip(parts: &Parts, trusted_proxies: &[IpNet]) -> Option<IpAddr> {
    let peer = match parts.extensions.get::<PeerAddress>() {
        Some(PeerAddress(ip)) => *ip,
        None => parts.extensions.get::<ConnectInfo<SocketAddr>>()?.0.ip(),
    }
    .to_canonical();
    let is_trusted = |ip: &IpAddr| trusted_proxies.iter().any(|network| network.contains(ip));
    if !is_trusted(&peer) {
        return Some(peer);
    }
    let lines: Vec<&str> = parts
        .headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|line| line.to_str().ok())
        .collect();
    let mut client = peer;
    for hop in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
        let Ok(ip) = hop.trim().parse::<IpAddr>() else {
            break;
        };
        client = ip.to_canonical();
        if !is_trusted(&client) {
            break;
        }
    }
    Some(client)
}
