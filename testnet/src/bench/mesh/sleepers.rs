//! Bare processes that only sleep to one instant: what the machine itself can do.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};
use mesh30k_node::clock::wall_us;
use mesh30k_node::priority::wake_exactly;

/// The instant is so far ahead, for every process to be told of it.
const AHEAD_US: i64 = 1_000_000;
/// The window of a hit.
const WINDOW_US: u64 = 10_000;

struct Sleeper {
    child: Child,
    tell: ChildStdin,
    hear: BufReader<ChildStdout>,
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        // What fails here fails for a process that is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// As many processes as the mesh has nodes.
pub struct Sleepers(Vec<Sleeper>);

impl Sleepers {
    /// Starts them; they wait to be told an instant and use nothing meanwhile.
    ///
    /// # Errors
    /// A process can't be started.
    pub fn start(program: &Path, count: usize) -> Result<Self> {
        let start = |_| -> Result<Sleeper> {
            let mut child = Command::new(program)
                .args(["testnet", "bench", "mesh", "--sleeper"])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .context("a bare process can't be started")?;
            let tell = child.stdin.take().context("a bare process can't be told anything")?;
            let hear = BufReader::new(child.stdout.take().context("a bare process can't be heard")?);
            Ok(Sleeper { child, tell, hear })
        };
        (0..count).map(start).collect::<Result<_>>().map(Self)
    }

    /// Has all of them sleep to one instant: how many did, and how many were awake within 10 ms of it.
    ///
    /// # Errors
    /// A process ended.
    pub fn wake_together(&mut self) -> Result<(u64, u64)> {
        let at_us = wall_us().saturating_add(AHEAD_US);
        for sleeper in &mut self.0 {
            writeln!(sleeper.tell, "{at_us}").context("a bare process has ended")?;
        }
        let mut hits = 0;
        for sleeper in &mut self.0 {
            let mut line = String::new();
            sleeper.hear.read_line(&mut line).context("a bare process has ended")?;
            let late_us: i64 = line.trim().parse().with_context(|| format!("a bare process says {line:?}"))?;
            hits += u64::from(late_us.unsigned_abs() <= WINDOW_US);
        }
        Ok((self.0.len() as u64, hits))
    }
}

/// The part of one process: for each instant on a line of standard input (unix time in microseconds) a line with how late it
/// woke. Its timer is as exact as that of a node's releases.
///
/// # Errors
/// A line that is no instant, or nobody who reads.
pub fn sleep_as_told() -> Result<()> {
    wake_exactly();
    for line in std::io::stdin().lines() {
        let at_us: i64 = line?.trim().parse().context("an instant in microseconds is expected")?;
        let ahead_us = at_us.saturating_sub(wall_us()).max(0).unsigned_abs();
        std::thread::sleep(Duration::from_micros(ahead_us));
        let late_us = wall_us().saturating_sub(at_us);
        writeln!(std::io::stdout(), "{late_us}")?;
    }
    Ok(())
}
