//! A small client of Redis (RESP2) over a Unix socket: one command at a time, or many in one go.

use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

/// Longest bulk reply that is taken, in bytes.
const MAX_BULK_BYTES: i64 = 16 << 20;
/// Longest array that is taken.
const MAX_ARRAY: i64 = 1 << 20;

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// A status, or nothing.
    Status(String),
    /// A number.
    Integer(i64),
    /// Bytes.
    Bulk(Vec<u8>),
    /// Several answers.
    Array(Vec<Self>),
    /// There is no such thing.
    Nil,
}

impl Reply {
    /// The bytes of a bulk reply.
    #[must_use]
    pub fn bytes(&self) -> Option<&[u8]> {
        if let Self::Bulk(bytes) = self { Some(bytes) } else { None }
    }

    /// The answers of an array; none of anything else.
    #[must_use]
    pub fn items(&self) -> &[Self] {
        if let Self::Array(items) = self { items } else { &[] }
    }
}

/// A connection.
pub struct Client {
    reader: BufReader<UnixStream>,
    writer: UnixStream,
    /// Commands that wait to be sent.
    unsent: Vec<Vec<u8>>,
}

impl Client {
    /// Connects to the server behind a socket.
    ///
    /// # Errors
    /// Nobody listens there.
    pub fn connect(socket: &Path) -> Result<Self> {
        let writer = UnixStream::connect(socket).with_context(|| format!("no Redis at {}", socket.display()))?;
        let reader = BufReader::with_capacity(1 << 16, writer.try_clone()?);
        Ok(Self { reader, writer, unsent: Vec::new() })
    }

    /// Puts a command into the next go.
    pub fn queue(&mut self, command: &[&[u8]]) {
        let mut bytes = Vec::new();
        encode(command, &mut bytes);
        self.unsent.push(bytes);
    }

    /// Sends what is queued, all in one go, and gives the answers in order.
    ///
    /// # Errors
    /// The link breaks or the server refuses a command.
    pub fn flush(&mut self) -> Result<Vec<Reply>> {
        let commands = std::mem::take(&mut self.unsent);
        self.writer.write_all(&commands.concat())?;
        commands.iter().map(|_| self.reply()).collect()
    }

    /// Sends what is queued, each command after the answer to the one before.
    ///
    /// # Errors
    /// As [`Self::flush`].
    pub fn flush_each(&mut self) -> Result<()> {
        for command in std::mem::take(&mut self.unsent) {
            self.writer.write_all(&command)?;
            self.reply()?;
        }
        Ok(())
    }

    /// One command and its answer.
    ///
    /// # Errors
    /// As [`Self::flush`].
    pub fn call(&mut self, command: &[&[u8]]) -> Result<Reply> {
        self.queue(command);
        self.flush()?.pop().context("no answer")
    }

    fn reply(&mut self) -> Result<Reply> {
        read(&mut self.reader)
    }
}

fn encode(command: &[&[u8]], into: &mut Vec<u8>) {
    into.extend_from_slice(format!("*{}\r\n", command.len()).as_bytes());
    for part in command {
        into.extend_from_slice(format!("${}\r\n", part.len()).as_bytes());
        into.extend_from_slice(part);
        into.extend_from_slice(b"\r\n");
    }
}

fn read(reader: &mut impl BufRead) -> Result<Reply> {
    let mut line = String::new();
    reader.by_ref().take(1 << 16).read_line(&mut line)?;
    let Some(text) = line.strip_suffix("\r\n") else { bail!("the server closed the link") };
    let (kind, rest) = text.split_at_checked(1).context("an empty answer")?;
    match kind {
        "+" => Ok(Reply::Status(rest.to_owned())),
        "-" => bail!("Redis refuses: {rest}"),
        ":" => Ok(Reply::Integer(rest.parse()?)),
        "$" => match rest.parse::<i64>()? {
            -1 => Ok(Reply::Nil),
            length @ 0..=MAX_BULK_BYTES => {
                let mut bytes = vec![0; length as usize + 2];
                reader.read_exact(&mut bytes)?;
                bytes.truncate(length as usize);
                Ok(Reply::Bulk(bytes))
            }
            length => bail!("a bulk answer of {length} bytes"),
        },
        "*" => match rest.parse::<i64>()? {
            -1 => Ok(Reply::Nil),
            length @ 0..=MAX_ARRAY => Ok(Reply::Array((0..length).map(|_| read(reader)).collect::<Result<_>>()?)),
            length => bail!("an array of {length} answers"),
        },
        _ => bail!("an answer that begins with {kind:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_and_answers_are_as_the_protocol_has_them() {
        let mut bytes = Vec::new();
        encode(&[b"SET", b"k", b"v\r\n"], &mut bytes);
        assert_eq!(bytes, b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$3\r\nv\r\n\r\n");
        let answer = |text: &str| read(&mut text.as_bytes());
        assert_eq!(answer("+OK\r\n").unwrap(), Reply::Status("OK".to_owned()));
        assert_eq!(answer(":-7\r\n").unwrap(), Reply::Integer(-7));
        let array = answer("*3\r\n$2\r\nab\r\n$-1\r\n*0\r\n").unwrap();
        assert_eq!(array.items(), [Reply::Bulk(b"ab".to_vec()), Reply::Nil, Reply::Array(Vec::new())]);
        assert_eq!(array.items()[0].bytes(), Some(b"ab".as_slice()));
        for bad in ["-ERR no\r\n", "$99999999999\r\n", "?\r\n", "$5\r\nab\r\n", ""] {
            assert!(answer(bad).is_err(), "{bad:?}");
        }
    }
}
