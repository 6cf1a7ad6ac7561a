//! Clients that each do one thing after the other, as fast as they can or at a pace: the same loop for every side.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Serialize;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::bench::tools::{Spread, now};

/// Something that can be done again and again.
pub trait Client: Send + 'static {
    /// Does it once and gives how many writes that were.
    fn once(&mut self) -> impl Future<Output = Result<u64>> + Send;
}

/// What clients did in the time that counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Load {
    /// Clients.
    pub clients: usize,
    /// Writes that ended in it.
    pub writes: u64,
    /// How long it was, microseconds.
    pub duration_us: u64,
    /// How long one request took.
    pub latency: Spread,
}

impl Load {
    /// Writes a second.
    #[must_use]
    pub fn per_s(&self) -> f64 {
        if self.duration_us == 0 { 0.0 } else { self.writes as f64 * 1e6 / self.duration_us as f64 }
    }
}

/// Lets all clients work at once, each as fast as it can; what ends during `warm_up` does not count.
///
/// # Errors
/// The first error of a client: a figure without all of them would mean nothing.
pub async fn run<C: Client>(clients: Vec<C>, warm_up: Duration, duration: Duration) -> Result<Load> {
    work(clients, None, warm_up, duration).await
}

/// As [`run`], but each client begins something once in `every`, all of them spread evenly over that time. Latency counts from when
/// it should have begun: a client that is held up does not hide what would have waited behind it.
///
/// # Errors
/// As [`run`].
pub async fn run_paced<C: Client>(
    clients: Vec<C>,
    every: Duration,
    warm_up: Duration,
    duration: Duration,
) -> Result<Load> {
    work(clients, Some(every), warm_up, duration).await
}

async fn work<C: Client>(
    clients: Vec<C>,
    every: Option<Duration>,
    warm_up: Duration,
    duration: Duration,
) -> Result<Load> {
    let count = clients.len();
    let barrier = Arc::new(Barrier::new(count));
    let mut tasks = JoinSet::new();
    for (place, mut client) in (0..).zip(clients) {
        let barrier = Arc::clone(&barrier);
        tasks.spawn(async move {
            barrier.wait().await;
            let begin = now() + warm_up;
            let end = begin + duration;
            let (mut writes, mut taken) = (0_u64, Vec::new());
            let mut due = every.map(|every| now() + every * place / u32::try_from(count).unwrap_or(u32::MAX).max(1));
            loop {
                let start = due.unwrap_or_else(now);
                if let (Some(at), Some(every)) = (&mut due, every) {
                    tokio::time::sleep_until(start.into()).await;
                    *at += every;
                }
                if start >= end {
                    return Ok::<_, anyhow::Error>((writes, taken));
                }
                let done = client.once().await?;
                let finish = now();
                if finish >= begin && finish < end {
                    writes += done;
                    taken.push(finish - start);
                }
            }
        });
    }
    let (mut writes, mut taken) = (0, Vec::new());
    while let Some(ended) = tasks.join_next().await {
        let (own, durations) = ended.context("a client ended badly")??;
        writes += own;
        taken.extend(durations);
    }
    let duration_us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    Ok(Load { clients: count, writes, duration_us, latency: Spread::of(taken) })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Sleeper(Duration);

    impl Client for Sleeper {
        async fn once(&mut self) -> Result<u64> {
            tokio::time::sleep(self.0).await;
            Ok(3)
        }
    }

    struct Broken;

    impl Client for Broken {
        async fn once(&mut self) -> Result<u64> {
            anyhow::bail!("broken")
        }
    }

    #[tokio::test]
    async fn what_ends_in_the_window_counts_and_errors_end_it() {
        let (warm_up, duration) = (Duration::from_millis(30), Duration::from_millis(300));
        let clients = (0..4).map(|_| Sleeper(Duration::from_millis(10))).collect();
        let load = run(clients, warm_up, duration).await.unwrap();
        assert_eq!((load.clients, load.writes), (4, 3 * load.latency.count));
        // At most one every 10 ms; a busy machine does fewer.
        assert!(load.latency.count > 0 && load.latency.count <= 4 * 31, "{load:?}");
        assert!(load.latency.p50_us >= 10_000.0);
        assert!(run(vec![Broken], warm_up, duration).await.is_err());
    }

    #[tokio::test]
    async fn a_pace_is_kept_and_what_waits_for_a_slow_client_counts() {
        let (warm_up, duration) = (Duration::ZERO, Duration::from_millis(400));
        let idle = run_paced(vec![Sleeper(Duration::from_millis(1))], Duration::from_millis(50), warm_up, duration);
        let idle = idle.await.unwrap();
        assert!(idle.latency.count > 0 && idle.latency.count <= 8, "{idle:?}");
        // Each takes twice the time there is: the last begins some 190 ms late, and says so.
        let slow = run_paced(vec![Sleeper(Duration::from_millis(40))], Duration::from_millis(20), warm_up, duration);
        let slow = slow.await.unwrap();
        assert!(slow.latency.max_us > 150_000.0, "{slow:?}");
    }

    #[test]
    fn a_rate_is_by_the_time_that_counts() {
        let load = Load { writes: 500, duration_us: 250_000, ..Load::default() };
        assert!((load.per_s() - 2_000.0).abs() < 1e-9);
        assert!(Load::default().per_s().abs() < 1e-9);
    }
}
