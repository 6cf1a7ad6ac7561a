//! The same frames over NATS core: a publisher for each sender, one subscriber, the same window and confirmations.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use mesh30k_core::time::MeshTimeUs;
use mesh30k_ledger::types::NodeId;

use super::child::{CONFIRM_EVERY, Counter, Part, WINDOW, Word, say};
use super::frames::{Desk, answer_batch};
use crate::bench::rival::Rival;

/// Debian's package and program.
const PROGRAM: &str = "nats-server";
/// Written at once, as our lanes write what waits in one go.
const WRITE_BYTES: usize = 32 << 10;
/// Longest line of the protocol.
const MAX_LINE_BYTES: u64 = 64 << 10;

/// A server of our own, ended with us.
pub struct NatsServer {
    process: Rival,
    address: String,
}

impl NatsServer {
    /// Starts one; nothing if the program is not installed.
    ///
    /// # Errors
    /// It is there and does not come up.
    pub fn start() -> Result<Option<Self>> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let address = format!("127.0.0.1:{port}");
        let mut command = Command::new(PROGRAM);
        command.args(["-a", "127.0.0.1", "-p", &port.to_string()]);
        let process = Rival::start(&mut command, || TcpStream::connect(&address).is_ok())?;
        Ok(process.map(|process| Self { process, address }))
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }
}

/// A connection of a client.
struct Client {
    reader: BufReader<TcpStream>,
    writer: TcpStream,
    unsent: Vec<u8>,
}

/// A message that came.
struct Received {
    subject: String,
    body: Vec<u8>,
}

impl Client {
    fn connect(part: &Part) -> Result<Self> {
        let address = part.address.as_deref().context("a client needs the server's address")?;
        let writer = TcpStream::connect(address).with_context(|| format!("no NATS at {address}"))?;
        writer.set_nodelay(true)?;
        let reader = BufReader::with_capacity(64 << 10, writer.try_clone()?);
        let mut client = Self { reader, writer, unsent: Vec::new() };
        client.unsent.extend_from_slice(b"CONNECT {\"verbose\":false,\"pedantic\":false,\"protocol\":1}\r\n");
        Ok(client)
    }

    /// Subscribes, and waits until the server knows.
    fn subscribe(&mut self, subject: &str) -> Result<()> {
        self.unsent.extend_from_slice(format!("SUB {subject} 1\r\nPING\r\n").as_bytes());
        self.flush()?;
        while self.line()? != "PONG" {}
        Ok(())
    }

    fn publish(&mut self, subject: &str, body: &[u8]) -> Result<()> {
        self.unsent.extend_from_slice(format!("PUB {subject} {}\r\n", body.len()).as_bytes());
        self.unsent.extend_from_slice(body);
        self.unsent.extend_from_slice(b"\r\n");
        if self.unsent.len() >= WRITE_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        self.writer.write_all(&self.unsent)?;
        self.unsent.clear();
        Ok(())
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.reader.by_ref().take(MAX_LINE_BYTES).read_line(&mut line)?;
        match line.strip_suffix("\r\n") {
            Some(text) if text.starts_with("-ERR") => bail!("NATS refuses: {text}"),
            Some(text) => Ok(text.to_owned()),
            None => bail!("the server closed the link"),
        }
    }

    fn receive(&mut self) -> Result<Received> {
        loop {
            let line = self.line()?;
            if line == "PING" {
                self.unsent.extend_from_slice(b"PONG\r\n");
                self.flush()?;
            }
            let Some(rest) = line.strip_prefix("MSG ") else { continue };
            let mut words = rest.split(' ');
            let subject = words.next().unwrap_or_default().to_owned();
            let length: usize = words.next_back().unwrap_or_default().parse().context("a message without a length")?;
            let mut body = vec![0; length + 2];
            self.reader.read_exact(&mut body)?;
            body.truncate(length);
            return Ok(Received { subject, body });
        }
    }
}

/// The subscriber: opens, counts, confirms.
///
/// # Errors
/// See [`super::child::run`].
pub fn receive(part: &Part) -> Result<()> {
    let mut client = Client::connect(part)?;
    let mut counter = Counter::new(part)?;
    client.subscribe("answers.*")?;
    say(&Word::Address(part.address.clone().unwrap_or_default()))?;
    let mut taken: HashMap<String, u64> = HashMap::new();
    loop {
        let Received { subject, body } = client.receive()?;
        if counter.take(&body)? {
            return Ok(());
        }
        let frames = taken.entry(subject.clone()).or_insert(0);
        *frames += 1;
        if frames.is_multiple_of(CONFIRM_EVERY) {
            let number = frames.to_be_bytes();
            client.publish(&subject.replace("answers", "confirmed"), &number)?;
            client.flush()?;
        }
    }
}

/// A publisher: seals each batch anew and keeps the window full.
///
/// # Errors
/// See [`super::child::run`].
pub fn send(part: &Part) -> Result<()> {
    let mut client = Client::connect(part)?;
    let subject = format!("answers.{}", part.number);
    client.subscribe(&format!("confirmed.{}", part.number))?;
    let batch = answer_batch(NodeId(u64::from(part.number)), part.per_frame);
    let mut desk = Desk::new(NodeId(u64::from(part.number)))?;
    let (mut sent, mut confirmed) = (0_u64, 0_u64);
    loop {
        while sent < confirmed + WINDOW {
            let frame = desk.seal(MeshTimeUs(1), &batch)?;
            client.publish(&subject, &frame)?;
            sent += 1;
        }
        client.flush()?;
        let word = client.receive()?;
        let number: [u8; 8] = word.body.as_slice().try_into().context("a confirmation of another length")?;
        confirmed = u64::from_be_bytes(number);
    }
}
