//! What one process of the measurement of links is told, and what it says.

use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::Result;
use mesh30k_core::event::HostReply;
use serde::{Deserialize, Serialize};

use super::frames::Desk;
use super::{link_mesh, link_nats};
use crate::bench::tools::now;
use mesh30k_core::time::MeshTimeUs;
use mesh30k_ledger::types::NodeId;

/// Frames of one sender that may be on their way: enough to fill the link, few enough that no queue on it overflows.
pub const WINDOW: u64 = 256;
/// The receiver confirms so many frames of a sender at once.
pub const CONFIRM_EVERY: u64 = 32;
/// Traffic before the measurement begins.
const WARM: Duration = Duration::from_millis(500);

/// What carries the frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Carrier {
    /// Our lanes: TCP, Noise, Yamux, our frames; no server between.
    Mesh,
    /// NATS core: TCP, no encryption, a server between.
    Nats,
}

impl std::fmt::Display for Carrier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Mesh => "mesh lanes",
            Self::Nats => "NATS",
        })
    }
}

/// The part of one process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// What carries.
    pub carrier: Carrier,
    /// Number of the sender; 0 is the receiver.
    pub number: u8,
    /// Answers in a frame.
    pub per_frame: usize,
    /// Where to go: the receiver's address, or the server's.
    pub address: Option<String>,
    /// Length of the measurement, milliseconds.
    pub duration_ms: u64,
}

/// What the receiver says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Word {
    /// It listens here.
    Address(String),
    /// From here it counts.
    Begin,
    /// What it counted.
    End {
        /// Answers that came.
        messages: u64,
        /// Frames that came.
        frames: u64,
        /// In which time, microseconds.
        took_us: u64,
    },
}

/// Does the part; a sender goes on until it is killed.
///
/// # Errors
/// The link can't be made, or a frame is not what was sent.
pub fn run(part: &Part) -> Result<()> {
    match (part.carrier, part.number) {
        (Carrier::Mesh, 0) => link_mesh::receive(part),
        (Carrier::Mesh, _) => link_mesh::send(part),
        (Carrier::Nats, 0) => link_nats::receive(part),
        (Carrier::Nats, _) => link_nats::send(part),
    }
}

/// Says a word to the parent: one line on the standard output.
pub fn say(word: &Word) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", serde_json::to_string(word)?)?;
    Ok(out.flush()?)
}

/// The receiver's count: opens every frame as a lead does.
pub struct Counter {
    desk: Desk,
    first: Option<Instant>,
    begun: Option<Instant>,
    duration: Duration,
    messages: u64,
    frames: u64,
}

impl Counter {
    /// Counts for as long as the part says.
    ///
    /// # Errors
    /// None in practice.
    pub fn new(part: &Part) -> Result<Self> {
        let duration = Duration::from_millis(part.duration_ms);
        Ok(Self { desk: Desk::new(NodeId(0))?, first: None, begun: None, duration, messages: 0, frames: 0 })
    }

    /// Takes in a frame; true when the time is over and the end was told.
    ///
    /// # Errors
    /// It is not what was sent.
    pub fn take(&mut self, frame: &[u8]) -> Result<bool> {
        let reply: HostReply = self.desk.open(MeshTimeUs(1), frame)?;
        let at = now();
        let first = *self.first.get_or_insert(at);
        let Some(begun) = self.begun else {
            if at - first >= WARM {
                self.begun = Some(at);
                say(&Word::Begin)?;
            }
            return Ok(false);
        };
        self.frames += 1;
        self.messages += reply.answers.len() as u64;
        let took = at - begun;
        if took < self.duration {
            return Ok(false);
        }
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        say(&Word::End { messages: self.messages, frames: self.frames, took_us })?;
        Ok(true)
    }
}
