//! How long nothing is acknowledged after a leader was killed without warning.

use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::closed_loop::Client as _;
use super::etcd::{Etcd, Putter};
use super::ours::{OneByOne, Ours, Payer, Watched};
use super::runtime;
use crate::bench::tools::now;

/// Between two tries to write.
const PACE: Duration = Duration::from_millis(20);
/// A gap that is longer ends the measurement.
const GAP_MAX: Duration = Duration::from_secs(20);
/// Between a member that came back and the next kill.
const REST: Duration = Duration::from_secs(2);

/// Gaps of both sides, in the order they came about, microseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Gaps {
    /// From the kill until a transfer that was handed in after it is final at a validator that lives.
    pub ours_us: Vec<u64>,
    /// From the kill until a value that was put after it is acknowledged by a member that lives; empty where etcd is not installed.
    pub etcd_us: Vec<u64>,
}

/// Kills the leader of either side `kills` times.
///
/// # Errors
/// Nothing is acknowledged any more, or a member does not come back.
pub fn run(dir: &Path, validators: usize, kills: usize, watched: &Watched) -> Result<Gaps> {
    let runtime = runtime()?;
    let mut gaps = Gaps::default();
    {
        let mut ours = Ours::start(&dir.join("gaps"), validators, watched)?;
        let mut payers = ours.payers();
        for _ in 0..kills {
            watched.stop.check()?;
            let gap = runtime.block_on(async {
                tokio::time::sleep(REST).await;
                let leader = ours.leader()?;
                let alive = without(&ours.apis(), (leader as usize).saturating_sub(1));
                ours.kill(leader)?;
                let gap = gap(now(), |number| ours_try(alive.get(number % alive.len()).copied(), payers.pop())).await?;
                ours.restart(leader)?;
                Ok::<_, anyhow::Error>(gap)
            })?;
            gaps.ours_us.push(micros(gap));
            watched.console.text(&format!("ours: {gap:?}"));
        }
    }
    let Some(mut etcd) = runtime.block_on(Etcd::start(&dir.join("gaps-etcd")))? else { return Ok(gaps) };
    for _ in 0..kills {
        watched.stop.check()?;
        let gap = runtime.block_on(async {
            tokio::time::sleep(REST).await;
            let leader = etcd.leader().await?;
            let alive = without(&etcd.clients(), leader);
            etcd.kill(leader)?;
            let gap = gap(now(), |number| etcd_try(alive.get(number % alive.len()).copied(), number)).await?;
            etcd.restart(leader).await?;
            Ok::<_, anyhow::Error>(gap)
        })?;
        gaps.etcd_us.push(micros(gap));
        watched.console.text(&format!("etcd: {gap:?}"));
    }
    Ok(gaps)
}

/// Tries to write again and again, each try on its own, until one succeeds.
async fn gap<F>(killed: Instant, mut attempt: impl FnMut(usize) -> F) -> Result<Duration>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut tries = JoinSet::new();
    let first = async {
        let mut number = 0;
        loop {
            tokio::select! {
                _ = pace.tick() => {
                    tries.spawn(attempt(number));
                    number += 1;
                }
                Some(ended) = tries.join_next() => if matches!(ended, Ok(Ok(()))) {
                    return now() - killed;
                }
            }
        }
    };
    match timeout(GAP_MAX, first).await {
        Ok(gap) => Ok(gap),
        Err(_) => bail!("nothing was acknowledged within {GAP_MAX:?} after the leader was killed"),
    }
}

async fn ours_try(api: Option<SocketAddr>, payer: Option<Payer>) -> Result<()> {
    let (api, payer) = (api.context("nobody lives")?, payer.context("no payer is left")?);
    OneByOne::connect(api, payer, 0).await?.once().await.map(drop)
}

async fn etcd_try(member: Option<SocketAddr>, number: usize) -> Result<()> {
    Putter::connect(member.context("nobody lives")?, number).await?.once().await.map(drop)
}

fn without(all: &[SocketAddr], gone: usize) -> Vec<SocketAddr> {
    all.iter().enumerate().filter(|(at, _)| *at != gone).map(|(_, address)| *address).collect()
}

fn micros(gap: Duration) -> u64 {
    u64::try_from(gap.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_success_ends_the_gap() {
        let start = now();
        let gap =
            gap(start, |number| async move { if number < 3 { bail!("no leader") } else { Ok(()) } }).await.unwrap();
        assert!(gap >= PACE * 2 && gap <= now() - start, "{gap:?}");
    }
}
