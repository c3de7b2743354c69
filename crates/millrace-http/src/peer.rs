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
    let lines: Vec<&[u8]> =
        parts.headers.get_all("x-forwarded-for").iter().map(|line| line.as_bytes()).collect();
    let mut client = peer;
    // By bytes: a line that is no text would otherwise hide what the proxy has added to its end.
    for hop in lines.iter().rev().flat_map(|line| line.rsplit(|byte| *byte == b',')) {
        let Some(ip) = address(hop) else {
            break;
        };
        client = ip.to_canonical();
        if !is_trusted(&client) {
            break;
        }
    }
    Some(client)
}

/// An address, as some proxies write it with the port, IPv6 then in brackets.
fn address(hop: &[u8]) -> Option<IpAddr> {
    let hop = std::str::from_utf8(hop).ok()?.trim();
    hop.parse::<IpAddr>().ok().or_else(|| Some(hop.parse::<SocketAddr>().ok()?.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderValue, Request};

    #[test]
    fn only_what_a_trusted_proxy_has_added_counts() {
        let proxies = ["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
        let table: [(&str, &[&[u8]], &str); 12] = [
            ("203.0.113.9", &[b"6.6.6.6"], "203.0.113.9"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &[b"6.6.6.6, 198.51.100.7"], "198.51.100.7"),
            ("10.0.0.1", &[b"6.6.6.6", b"198.51.100.7,10.0.0.2"], "198.51.100.7"),
            ("::ffff:10.0.0.1", &[b"::ffff:198.51.100.7"], "198.51.100.7"),
            ("::1", &[b"[2001:db8::7]:443"], "2001:db8::7"),
            ("10.0.0.1", &[b"198.51.100.7:1234"], "198.51.100.7"),
            ("10.0.0.1", &[b"10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            // What cannot be read ends the search, wherever the client has put it.
            ("10.0.0.1", &[b"6.6.6.6, unknown, 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", &[b"6.6.6.6", b"\xff, 198.51.100.7"], "198.51.100.7"),
            ("10.0.0.1", &[b"6.6.6.6", b"\xff"], "10.0.0.1"),
            ("10.0.0.1", &[b"6.6.6.6", b""], "10.0.0.1"),
        ];
        for (peer, lines, wanted) in table {
            let mut request = Request::new(());
            request.extensions_mut().insert(PeerAddress(peer.parse().unwrap()));
            for line in lines {
                let line = HeaderValue::from_bytes(line).unwrap();
                request.headers_mut().append("x-forwarded-for", line);
            }
            let (parts, ()) = request.into_parts();
            assert_eq!(client_ip(&parts, &proxies), wanted.parse().ok(), "{peer} {lines:?}");
        }
    }
}
