//! The little HTTP/1.1 that load needs: whole messages with a Content-Length over one connection.

use anyhow::{Context as _, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A connection with what was read beyond the last message.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// A message: its first line and header fields as text, and its body.
#[derive(Debug)]
pub(crate) struct Message {
    /// Request line or status line.
    pub(crate) first_line: String,
    /// The body.
    pub(crate) body: Vec<u8>,
}

impl Message {
    /// The status code of a response.
    pub(crate) fn status(&self) -> u16 {
        self.first_line.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0)
    }
}

impl Connection {
    /// Opens a connection.
    pub(crate) async fn open(address: &str) -> anyhow::Result<Connection> {
        let stream = TcpStream::connect(address).await.context("connect")?;
        stream.set_nodelay(true)?;
        Ok(Connection::over(stream))
    }

    /// Takes an accepted connection.
    pub(crate) fn over(stream: TcpStream) -> Connection {
        Connection { stream, buffer: Vec::with_capacity(64 * 1024) }
    }

    /// Writes a whole message.
    pub(crate) async fn write(&mut self, message: &[u8]) -> anyhow::Result<()> {
        Ok(self.stream.write_all(message).await?)
    }

    /// Reads a whole message; nothing at the end of the connection.
    pub(crate) async fn read(&mut self) -> anyhow::Result<Option<Message>> {
        let head_end = loop {
            if let Some(at) = memchr::memmem::find(&self.buffer, b"\r\n\r\n") {
                break at + 4;
            }
            if self.buffer.len() > 64 * 1024 {
                bail!("header too large");
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return if self.buffer.is_empty() { Ok(None) } else { bail!("cut off") };
            }
        };
        let head =
            String::from_utf8_lossy(self.buffer.get(..head_end).unwrap_or_default()).into_owned();
        let mut lines = head.split("\r\n");
        let first_line = lines.next().unwrap_or_default().to_owned();
        let length: usize = lines
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .and_then(|(_, value)| value.trim().parse().ok())
            .unwrap_or(0);
        let end = head_end + length;
        self.buffer.reserve(end.saturating_sub(self.buffer.len()));
        while self.buffer.len() < end {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                bail!("cut off");
            }
        }
        let rest = self.buffer.split_off(end);
        let mut whole = std::mem::replace(&mut self.buffer, rest);
        whole.drain(..head_end);
        Ok(Some(Message { first_line, body: whole }))
    }
}

/// One GET over a connection of its own; the body as JSON.
pub(crate) async fn get_json(
    address: &str,
    path: &str,
    bearer: Option<&str>,
) -> anyhow::Result<serde_json::Value> {
    let mut connection = Connection::open(address).await?;
    let auth = bearer.map_or_else(String::new, |key| format!("authorization: Bearer {key}\r\n"));
    let request =
        format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n{auth}connection: close\r\n\r\n");
    connection.write(request.as_bytes()).await?;
    let message = connection.read().await?.context("no answer")?;
    if message.status() != 200 {
        bail!("GET {path}: {} {}", message.first_line, String::from_utf8_lossy(&message.body));
    }
    Ok(serde_json::from_slice(&message.body)?)
}
