//! As much of PostgreSQL's protocol (version 3) as one kind of transaction needs: prepared statements, all of them sent in one go.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long an answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(40);
/// Version 3.0.
const PROTOCOL: u32 = 196_608;
/// Bytes of one message, at most.
const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// A connection whose user needs no password.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
}

/// What was said so far.
#[derive(Debug, PartialEq, Eq)]
enum Progress {
    /// More is to come.
    Open,
    /// Ready for the next; so many bytes were read.
    Ready(usize),
}

impl Connection {
    /// Connects to database and user `postgres`.
    ///
    /// # Errors
    /// It does not listen, or wants a password.
    pub async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("nobody listens at {address}"))?;
        stream.set_nodelay(true)?;
        let mut connection = Self { stream, read: Vec::new() };
        let mut body = PROTOCOL.to_be_bytes().to_vec();
        body.extend_from_slice(b"user\0postgres\0database\0postgres\0\0");
        let mut startup = length(&body);
        startup.extend_from_slice(&body);
        connection.exchange(&startup).await?;
        Ok(connection)
    }

    /// Runs statements in text.
    ///
    /// # Errors
    /// The server refuses one.
    pub async fn simple(&mut self, sql: &str) -> Result<()> {
        let mut bytes = Vec::new();
        message(&mut bytes, b'Q', &[sql.as_bytes(), b"\0"]);
        self.exchange(&bytes).await
    }

    /// Prepares a statement under a name.
    ///
    /// # Errors
    /// The server refuses it.
    pub async fn prepare(&mut self, name: &str, sql: &str) -> Result<()> {
        let mut bytes = Vec::new();
        message(&mut bytes, b'P', &[name.as_bytes(), b"\0", sql.as_bytes(), b"\0\0\0"]);
        message(&mut bytes, b'S', &[]);
        self.exchange(&bytes).await
    }

    /// Runs prepared statements with their parameters as text, in one go.
    ///
    /// # Errors
    /// The server refuses one.
    pub async fn execute(&mut self, statements: &[(&str, &[String])]) -> Result<()> {
        self.exchange(&executions(statements)).await
    }

    async fn exchange(&mut self, bytes: &[u8]) -> Result<()> {
        timeout(ANSWER_TIMEOUT, async {
            self.stream.write_all(bytes).await?;
            self.read.clear();
            loop {
                if let Progress::Ready(_) = progress(&self.read)? {
                    return Ok(());
                }
                if self.stream.read_buf(&mut self.read).await? == 0 {
                    bail!("PostgreSQL closed the connection");
                }
            }
        })
        .await
        .with_context(|| format!("PostgreSQL did not answer within {ANSWER_TIMEOUT:?}"))?
    }
}

fn executions(statements: &[(&str, &[String])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, parameters) in statements {
        let count = u16::try_from(parameters.len()).unwrap_or(u16::MAX).to_be_bytes();
        let mut bound = vec![0];
        bound.extend_from_slice(name.as_bytes());
        bound.extend_from_slice(&[0, 0, 0]);
        bound.extend_from_slice(&count);
        for parameter in *parameters {
            bound.extend_from_slice(&u32::try_from(parameter.len()).unwrap_or(u32::MAX).to_be_bytes());
            bound.extend_from_slice(parameter.as_bytes());
        }
        bound.extend_from_slice(&[0, 0]);
        message(&mut bytes, b'B', &[&bound]);
        message(&mut bytes, b'E', &[b"\0", &[0; 4]]);
    }
    message(&mut bytes, b'S', &[]);
    bytes
}

fn message(to: &mut Vec<u8>, kind: u8, parts: &[&[u8]]) {
    let body = parts.concat();
    to.push(kind);
    to.extend(length(&body));
    to.extend(body);
}

fn length(body: &[u8]) -> Vec<u8> {
    u32::try_from(body.len() + 4).unwrap_or(u32::MAX).to_be_bytes().to_vec()
}

/// Looks through what was read.
fn progress(read: &[u8]) -> Result<Progress> {
    let mut at = 0;
    loop {
        let Some((kind, sized)) = read.get(at..).and_then(<[u8]>::split_first) else { return Ok(Progress::Open) };
        let Some(length) = sized.first_chunk::<4>().map(|four| u32::from_be_bytes(*four) as usize) else {
            return Ok(Progress::Open);
        };
        if !(4..=MESSAGE_BYTES_MAX).contains(&length) {
            bail!("PostgreSQL sent a message of {length} bytes");
        }
        let Some(body) = sized.get(4..length) else { return Ok(Progress::Open) };
        at += 1 + length;
        match kind {
            b'Z' => return Ok(Progress::Ready(at)),
            b'E' => bail!("PostgreSQL: {}", sentence(body)),
            b'R' if body != [0; 4] => bail!("PostgreSQL wants a password; it should trust this machine"),
            _ => {}
        }
    }
}

/// The sentence of an error, which has the field `M`.
fn sentence(body: &[u8]) -> String {
    let mut fields = body.split(|byte| *byte == 0);
    let sentence = fields.find_map(|field| field.strip_prefix(b"M"));
    String::from_utf8_lossy(sentence.unwrap_or(b"an error without words")).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_when_the_server_is_ready() {
        let mut read = Vec::new();
        message(&mut read, b'R', &[&[0; 4]]);
        message(&mut read, b'S', &[b"a\0b\0"]);
        for cut in 0..=read.len() {
            assert_eq!(progress(&read[..cut]).unwrap(), Progress::Open);
        }
        message(&mut read, b'Z', &[b"I"]);
        assert_eq!(progress(&read).unwrap(), Progress::Ready(read.len()));
        let mut refused = Vec::new();
        message(&mut refused, b'E', &[b"SERROR\0C40P01\0Mdeadlock detected\0\0"]);
        assert_eq!(progress(&refused).unwrap_err().to_string(), "PostgreSQL: deadlock detected");
        let mut locked = Vec::new();
        message(&mut locked, b'R', &[&[0, 0, 0, 3]]);
        assert!(progress(&locked).is_err() && progress(&[b'Z', 0, 0, 0, 1]).is_err());
    }

    #[test]
    fn executions_are_framed_as_the_protocol_says() {
        let parameters = ["7".to_owned()];
        let bytes = executions(&[("u", &parameters)]);
        let bind: &[u8] = b"B\0\0\0\x12\0u\0\0\0\0\x01\0\0\0\x017\0\0";
        assert_eq!(bytes, [bind, b"E\0\0\0\x09\0\0\0\0\0", b"S\0\0\0\x04"].concat());
    }
}
