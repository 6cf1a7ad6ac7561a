//! What every measurement needs: the clock, the cost, the spread.
#![expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde::Serialize;

/// The machine's monotonic clock.
#[must_use]
pub fn now() -> Instant {
    Instant::now()
}

/// Waits for an instant by looking at the clock all the time: a timer would be late by more than what is measured.
pub fn spin_until(at: Instant) {
    while now() < at {
        std::hint::spin_loop();
    }
}

/// Processor time that the living threads of a process have used, user and system together.
///
/// # Errors
/// No such process.
pub fn cpu_of(pid: u32) -> Result<Duration> {
    let mut sum = Duration::ZERO;
    for thread in fs::read_dir(format!("/proc/{pid}/task")).with_context(|| format!("process {pid} is gone"))? {
        sum += cpu_in(&thread?.path().join("schedstat").display().to_string()).unwrap_or_default();
    }
    Ok(sum)
}

/// Processor time that the calling thread has used.
///
/// # Errors
/// `/proc` can't be read.
pub fn cpu_of_thread() -> Result<Duration> {
    cpu_in("/proc/thread-self/schedstat")
}

fn cpu_in(path: &str) -> Result<Duration> {
    let text = fs::read_to_string(path).with_context(|| format!("{path} can't be read"))?;
    let nanos = text.split_whitespace().next().and_then(|nanos| nanos.parse().ok());
    nanos.map(Duration::from_nanos).with_context(|| format!("{path} holds no time"))
}

/// Memory of a process that is in RAM, in bytes.
///
/// # Errors
/// No such process.
pub fn rss_of(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&path).with_context(|| format!("{path} can't be read"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("a process without memory")?;
    let kib: u64 = line.split_whitespace().next().and_then(|kib| kib.parse().ok()).context("no number of KiB")?;
    Ok(kib << 10)
}

/// How durations are spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Spread {
    /// How many were measured.
    pub count: u64,
    /// Median, microseconds.
    pub p50_us: f64,
    /// 99th percentile (nearest rank), microseconds.
    pub p99_us: f64,
    /// The longest, microseconds.
    pub max_us: f64,
}

impl Spread {
    /// The spread of these; zeros when there are none.
    #[must_use]
    pub fn of(mut taken: Vec<Duration>) -> Self {
        taken.sort_unstable();
        let rank = |percent: usize| {
            let at = (taken.len() * percent).div_ceil(100).saturating_sub(1);
            taken.get(at).map_or(0.0, |duration| duration.as_nanos() as f64 / 1e3)
        };
        Self { count: taken.len() as u64, p50_us: rank(50), p99_us: rank(99), max_us: rank(100) }
    }
}

/// The middle one of an odd number of figures, the higher middle one of an even number; 0 of none.
#[must_use]
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(0.0)
}

/// A small generator of reproducible numbers (SplitMix64): the same records for both sides, every time.
#[derive(Clone, Debug)]
pub struct Numbers(u64);

impl Numbers {
    /// Begins with this seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `bound`; 0 for a bound of 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)).checked_rem(bound).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreads_are_by_nearest_rank_and_own_costs_are_seen() {
        let spread = Spread::of((1..=200).rev().map(Duration::from_micros).collect());
        assert_eq!((spread.count, spread.p50_us, spread.p99_us, spread.max_us), (200, 100.0, 198.0, 200.0));
        assert_eq!(Spread::of(Vec::new()), Spread::default());
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        let block = std::hint::black_box(vec![1_u8; 8 << 20]);
        assert!(rss_of(std::process::id()).unwrap() > block.len() as u64);
        let start = cpu_of_thread().unwrap();
        spin_until(now() + Duration::from_millis(60));
        assert!(cpu_of_thread().unwrap() > start);
        assert!(cpu_of(std::process::id()).unwrap() >= cpu_of_thread().unwrap() - Duration::from_millis(20));
        let mut numbers = Numbers::new(1);
        assert!((0..1_000).all(|_| numbers.below(7) < 7) && numbers.below(0) == 0);
    }
}
