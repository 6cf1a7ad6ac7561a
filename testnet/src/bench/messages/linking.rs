//! Messages a second over real sockets: senders and a receiver, each a process of its own.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde::Serialize;

use super::child::{Carrier, Part, Word};
use super::frames::CLUSTER_AGENTS;
use super::link_nats::NatsServer;
use crate::bench::tools::cpu_of;

/// Senders beside the one receiver: two processes, and ten.
const SENDERS: [u8; 2] = [1, 9];

/// What one measurement gave.
#[derive(Clone, Debug, Serialize)]
pub struct LinkRate {
    /// What carried.
    pub carrier: Carrier,
    /// Processes, without a server between them.
    pub processes: u8,
    /// Answers in a frame.
    pub per_frame: usize,
    /// Answers that came a second.
    pub messages_per_s: f64,
    /// Frames that came a second.
    pub frames_per_s: f64,
    /// What all processes, a server included, used: share of one core, in ppm.
    pub cpu_ppm: u64,
}

/// Processes that end with us.
struct Children(Vec<Child>);

impl Drop for Children {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // What fails here fails for a process that is gone already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Both carriers, two and ten processes, batched and one by one; ours alone where NATS is not installed.
///
/// # Errors
/// A process failed: a figure would mean nothing.
pub fn rates(duration: Duration, mut progress: impl FnMut(&str)) -> Result<Vec<LinkRate>> {
    let mut rates = Vec::new();
    for per_frame in [CLUSTER_AGENTS as usize, 1] {
        for senders in SENDERS {
            for carrier in [Carrier::Mesh, Carrier::Nats] {
                progress(&format!("{carrier}, {} processes, {per_frame} a frame", senders + 1));
                rates.extend(rate(carrier, senders, per_frame, duration)?);
            }
        }
    }
    Ok(rates)
}

fn rate(carrier: Carrier, senders: u8, per_frame: usize, duration: Duration) -> Result<Option<LinkRate>> {
    let server = match carrier {
        Carrier::Mesh => None,
        Carrier::Nats => match NatsServer::start()? {
            Some(server) => Some(server),
            None => return Ok(None),
        },
    };
    let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let address = server.as_ref().map(|server| server.address().to_owned());
    let mut part = Part { carrier, number: 0, per_frame, address, duration_ms };
    let mut children = Children(vec![start(&part, Stdio::piped())?]);
    let out =
        children.0.first_mut().and_then(|receiver| receiver.stdout.take()).context("no output of the receiver")?;
    let mut words = BufReader::new(out).lines();
    let mut next = || -> Result<Word> {
        let line = words.next().context("the receiver ended early")??;
        serde_json::from_str(&line).with_context(|| format!("the receiver says {line:?}"))
    };
    let Word::Address(address) = next()? else { bail!("the receiver does not say where it is") };
    part.address = Some(address);
    for number in 1..=senders {
        part.number = number;
        children.0.push(start(&part, Stdio::null())?);
    }
    let pids: Vec<u32> = children.0.iter().map(Child::id).chain(server.as_ref().map(NatsServer::pid)).collect();
    let cpu = || pids.iter().map(|pid| cpu_of(*pid).unwrap_or_default()).sum::<Duration>();
    let Word::Begin = next()? else { bail!("the receiver does not begin") };
    let before = cpu();
    // Halfway, since the receiver is gone when it has told the end.
    std::thread::sleep(duration / 2);
    let used = cpu().saturating_sub(before);
    let Word::End { messages, frames, took_us } = next()? else { bail!("the receiver does not end") };
    let seconds = took_us as f64 / 1e6;
    Ok(Some(LinkRate {
        carrier,
        processes: senders + 1,
        per_frame,
        messages_per_s: messages as f64 / seconds,
        frames_per_s: frames as f64 / seconds,
        cpu_ppm: (used.as_secs_f64() / (duration / 2).as_secs_f64() * 1e6) as u64,
    }))
}

fn start(part: &Part, out: Stdio) -> Result<Child> {
    let program = std::env::current_exe().context("this program's file can't be found")?;
    Command::new(program)
        .args(["testnet", "bench", "messages", "--part"])
        .arg(serde_json::to_string(part)?)
        .stdin(Stdio::null())
        .stdout(out)
        .spawn()
        .context("a process of the measurement can't be started")
}
