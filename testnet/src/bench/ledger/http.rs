//! One keep-alive HTTP/1.1 connection, for our API and etcd's alike: the client must cost both sides the same and little.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long an answer may take: longer than anybody is asked to wait.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(40);
/// Bytes of an answer, at most.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// A connection.
#[derive(Debug)]
pub struct Http {
    stream: TcpStream,
    host: SocketAddr,
    read: Vec<u8>,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its status code.
    pub status: u16,
    /// Its body.
    pub body: Vec<u8>,
}

/// What the head of an answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    body_at: usize,
    length: usize,
}

impl Http {
    /// Connects.
    ///
    /// # Errors
    /// Nobody listens there.
    pub async fn connect(host: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(host).await.with_context(|| format!("nobody listens at {host}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, host, read: Vec::new() })
    }

    /// Posts JSON and waits for the answer.
    ///
    /// # Errors
    /// The connection breaks, the answer can't be read or does not come.
    pub async fn post(&mut self, path: &str, body: &str) -> Result<Answer> {
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.host,
            body.len()
        );
        self.exchange(&request).await
    }

    /// Gets.
    ///
    /// # Errors
    /// As [`Self::post`].
    pub async fn get(&mut self, path: &str) -> Result<Answer> {
        self.exchange(&format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.host)).await
    }

    async fn exchange(&mut self, request: &str) -> Result<Answer> {
        timeout(ANSWER_TIMEOUT, async {
            self.stream.write_all(request.as_bytes()).await?;
            self.answer().await
        })
        .await
        .with_context(|| format!("{} did not answer within {ANSWER_TIMEOUT:?}", self.host))?
    }

    async fn answer(&mut self) -> Result<Answer> {
        self.read.clear();
        loop {
            if let Some(head) = parse_head(&self.read)?
                && let Some(body) = self.read.get(head.body_at..head.body_at + head.length)
            {
                return Ok(Answer { status: head.status, body: body.to_vec() });
            }
            if self.read.len() > ANSWER_BYTES_MAX {
                bail!("an answer of {} is longer than {ANSWER_BYTES_MAX} bytes", self.host);
            }
            if self.stream.read_buf(&mut self.read).await? == 0 {
                bail!("{} closed the connection", self.host);
            }
        }
    }
}

/// The head, once all of it is there.
fn parse_head(read: &[u8]) -> Result<Option<Head>> {
    let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(read.get(..end).unwrap_or_default()).context("the head of an answer is not text")?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
    let length = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    match (status, length) {
        (Some(status), Some(length)) => Ok(Some(Head { status, body_at: end + 4, length })),
        _ => bail!("an answer without status or length: {head}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_once_it_is_whole() {
        let answer = b"HTTP/1.1 202 Accepted\r\nX: 1\r\ncontent-LENGTH: 3\r\n\r\nabc";
        for cut in 0..answer.len() - 3 {
            assert_eq!(parse_head(&answer[..cut]).unwrap(), None, "{cut}");
        }
        assert_eq!(parse_head(answer).unwrap(), Some(Head { status: 202, body_at: answer.len() - 3, length: 3 }));
        assert!(parse_head(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").is_err());
        assert!(parse_head(b"nonsense\r\n\r\n").is_err());
    }
}
