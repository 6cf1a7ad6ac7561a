//! What processes use together, by `/proc`.

use std::fmt;
use std::fs;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use crate::bench::tools::{cpu_of, now};

/// Processor time of all processes together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Usage {
    /// How long they were watched, seconds.
    pub seconds: f64,
    /// Processor time they used in it, seconds.
    pub cpu_seconds: f64,
    /// The one over the other: percent of one core.
    pub cpu_percent: f64,
}

/// Memory of all processes together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// Resident, with what they share (the program's code above all) counted once for each, MiB.
    pub rss_mib: u64,
    /// Resident, with what they share counted once in all (Linux's proportional set size), MiB.
    pub pss_mib: u64,
}

impl Usage {
    /// What was used while `work` ran; of processes that ended meanwhile, nothing.
    ///
    /// # Errors
    /// Those of `work`.
    pub fn during<E>(pids: &[u32], work: impl FnOnce() -> Result<(), E>) -> Result<Self, E> {
        let (began, before) = (now(), cpu_of_all(pids));
        work()?;
        Ok(Self::new(now().duration_since(began), cpu_of_all(pids).saturating_sub(before)))
    }

    /// What was used since the processes began, `elapsed` ago.
    #[must_use]
    pub fn since_start(pids: &[u32], elapsed: Duration) -> Self {
        Self::new(elapsed, cpu_of_all(pids))
    }

    fn new(elapsed: Duration, used: Duration) -> Self {
        let (seconds, cpu_seconds) = (elapsed.as_secs_f64(), used.as_secs_f64());
        Self { seconds, cpu_seconds, cpu_percent: cpu_seconds / seconds.max(1e-9) * 100.0 }
    }
}

fn cpu_of_all(pids: &[u32]) -> Duration {
    pids.iter().map(|pid| cpu_of(*pid).unwrap_or_default()).sum()
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} s in {:.1} s, {:.0} % of one core", self.cpu_seconds, self.seconds, self.cpu_percent)
    }
}

impl Memory {
    /// What these processes hold now; those that are gone hold nothing.
    #[must_use]
    pub fn of(pids: &[u32]) -> Self {
        let texts = pids.iter().filter_map(|pid| fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok());
        let (mut rss_kib, mut pss_kib) = (0, 0);
        for text in texts {
            rss_kib += kib_of(&text, "Rss:");
            pss_kib += kib_of(&text, "Pss:");
        }
        Self { rss_mib: rss_kib >> 10, pss_mib: pss_kib >> 10 }
    }
}

fn kib_of(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} MiB resident ({} MiB with shared pages counted once)", self.rss_mib, self.pss_mib)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::tools::spin_until;

    #[test]
    fn work_costs_time_and_a_block_costs_memory() {
        let pids = [std::process::id()];
        let busy = Duration::from_millis(60);
        let usage = Usage::during(&pids, || -> Result<(), ()> {
            spin_until(now() + busy);
            Ok(())
        });
        let usage = usage.unwrap();
        assert!(usage.cpu_seconds > 0.0 && usage.seconds >= busy.as_secs_f64(), "{usage:?}");
        let before = Memory::of(&pids);
        let block = std::hint::black_box(vec![1_u8; 32 << 20]);
        let after = Memory::of(&pids);
        assert!(after.pss_mib >= before.pss_mib + 16, "{} bytes: {before:?} {after:?}", block.len());
        assert!(after.rss_mib >= after.pss_mib);
    }
}
