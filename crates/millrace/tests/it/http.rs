//! A small blocking HTTP/1.1 client for loopback: enough for tests, and nothing of the binary's.

#![expect(clippy::expect_used, clippy::panic, reason = "helper functions of tests")]

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// A server that says nothing for so long has failed the test.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connection that is kept open.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
    host: String,
}

impl Connection {
    /// Connects to a base address such as `http://127.0.0.1:1234`.
    pub(crate) fn open(base: &str) -> io::Result<Connection> {
        let host = base.strip_prefix("http://").unwrap_or(base).trim_end_matches('/').to_owned();
        let stream = TcpStream::connect(&host)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream: BufReader::new(stream), host })
    }

    /// Posts JSON as an SDK does, the write key as user of Basic authentication. Gives status and body.
    pub(crate) fn post(
        &mut self,
        path: &str,
        write_key: &str,
        body: &str,
    ) -> io::Result<(u16, String)> {
        let authorization = basic(write_key, "");
        self.exchange("POST", path, Some(&authorization), Some(body))
    }

    /// Sends one request with these headers. Gives status and body.
    pub(crate) fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&str>,
    ) -> io::Result<(u16, String)> {
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.host);
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str(&format!("Content-Length: {}\r\n\r\n", body.map_or(0, str::len)));
        request.push_str(body.unwrap_or_default());
        self.stream.get_mut().write_all(request.as_bytes())?;
        self.answer()
    }

    /// The same with any bytes.
    pub(crate) fn post_bytes(
        &mut self,
        path: &str,
        write_key: &str,
        body: &[u8],
    ) -> io::Result<(u16, String)> {
        let (host, length, authorization) = (&self.host, body.len(), basic(write_key, ""));
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: {authorization}\r\n\
             Content-Length: {length}\r\n\r\n"
        );
        self.stream.get_mut().write_all(head.as_bytes())?;
        self.stream.get_mut().write_all(body)?;
        self.answer()
    }

    /// Sends one request and reads its answer.
    fn exchange(
        &mut self,
        method: &str,
        path: &str,
        authorization: Option<&str>,
        body: Option<&str>,
    ) -> io::Result<(u16, String)> {
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.host);
        if let Some(authorization) = authorization {
            request.push_str(&format!("Authorization: {authorization}\r\n"));
        }
        if let Some(body) = body {
            let length = body.len();
            request.push_str("Content-Type: application/json\r\n");
            request.push_str(&format!("Content-Length: {length}\r\n"));
        }
        request.push_str("\r\n");
        request.push_str(body.unwrap_or_default());
        self.stream.get_mut().write_all(request.as_bytes())?;
        self.answer()
    }

    fn answer(&mut self) -> io::Result<(u16, String)> {
        let status_line = self.line()?;
        let status = status_line.split(' ').nth(1).and_then(|text| text.parse().ok());
        let status = status.ok_or_else(|| broken(&status_line))?;
        let (mut length, mut chunked) = (None, false);
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(':') else { break };
            let value = value.trim();
            if name.eq_ignore_ascii_case("content-length") {
                length = Some(value.parse().map_err(|_| broken(&line))?);
            }
            chunked |= name.eq_ignore_ascii_case("transfer-encoding")
                && value.eq_ignore_ascii_case("chunked");
        }
        let bytes = match length {
            _ if chunked => self.chunks()?,
            Some(length) => self.bytes(length)?,
            None => Vec::new(),
        };
        Ok((status, String::from_utf8_lossy(&bytes).into_owned()))
    }

    fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        loop {
            let line = self.line()?;
            let length = usize::from_str_radix(&line, 16).map_err(|_| broken(&line))?;
            all.extend(self.bytes(length)?);
            self.line()?;
            if length == 0 {
                return Ok(all);
            }
        }
    }

    fn bytes(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// The next line without its end; an error when the connection has ended.
    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }
}

/// The JSON behind an address, which must answer 200; `token` goes as bearer.
pub(crate) fn get_json(url: &str, token: Option<&str>) -> Value {
    let authorization = token.map(|token| format!("Bearer {token}"));
    let (status, body) = get(url, authorization.as_deref());
    assert_eq!(status, 200, "GET {url}: {body}");
    serde_json::from_str(&body).unwrap_or_else(|error| panic!("GET {url}: {error}: {body}"))
}

/// Status and body behind an address that asks for a bearer token.
pub(crate) fn get_bearer(url: &str, token: &str) -> (u16, String) {
    get(url, Some(&format!("Bearer {token}")))
}

/// Status and body behind an address that asks for Basic authentication.
pub(crate) fn get_basic(url: &str, user: &str, password: &str) -> (u16, String) {
    get(url, Some(&basic(user, password)))
}

fn get(url: &str, authorization: Option<&str>) -> (u16, String) {
    let rest = url.strip_prefix("http://").expect("an http address");
    let at = rest.find('/').unwrap_or(rest.len());
    let (host, path) = rest.split_at(at);
    let answer = Connection::open(host)
        .and_then(|mut connection| connection.exchange("GET", path, authorization, None));
    answer.unwrap_or_else(|error| panic!("GET {url}: {error}"))
}

pub(crate) fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

fn broken(line: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not HTTP: {line}"))
}
