//! Replicated writes, each awaited by its client: ours final, etcd's committed.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Serialize;

use super::closed_loop::{self, Load};
use super::etcd::{Etcd, Putter};
use super::ours::{OneByOne, Ours, Watched};
use super::runtime;

/// Validators: as many as etcd has members.
pub const VALIDATORS: usize = 3;
/// Clients at a time.
pub const CLIENTS: [usize; 3] = [1, 64, 256];
/// Bytes of a transfer's memo: the most there may be.
pub const MEMO_BYTES: usize = mesh30k_ledger::ops::MAX_MEMO_BYTES;
/// What does not count at the beginning.
const WARM_UP: Duration = Duration::from_secs(2);

/// One run of both sides.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Writes {
    /// Canonical bytes of one of our writes.
    pub bytes: usize,
    /// Ours, by number of clients.
    pub ours: Vec<Load>,
    /// etcd's; empty where it is not installed.
    pub etcd: Vec<Load>,
}

/// Measures both sides, one after the other.
///
/// # Errors
/// A write that fails, or servers that don't come up.
pub fn run(dir: &Path, duration: Duration, watched: &Watched) -> Result<Writes> {
    let runtime = runtime()?;
    let mut writes = Writes::default();
    {
        let ours = Ours::start(&dir.join("writes"), VALIDATORS, watched)?;
        let leader = ours.leader_api()?;
        let mut payers = ours.payers().into_iter();
        let first = payers.as_slice().first().context("no payers")?;
        writes.bytes = first.clone().transfer(first.account(), &"m".repeat(MEMO_BYTES)).to_bytes().len();
        for clients in CLIENTS {
            let load = runtime.block_on(async {
                let mut all = Vec::with_capacity(clients);
                for payer in payers.by_ref().take(clients) {
                    all.push(OneByOne::connect(leader, payer, MEMO_BYTES).await?);
                }
                closed_loop::run(all, WARM_UP, duration).await
            })?;
            watched.console.text(&format!("ours: {}", said(&load)));
            writes.ours.push(load);
        }
    }
    let Some(etcd) = runtime.block_on(Etcd::start(&dir.join("etcd")))? else { return Ok(writes) };
    for clients in CLIENTS {
        let load = runtime.block_on(async {
            let leader = etcd.clients().get(etcd.leader().await?).copied().context("an unknown leader")?;
            let mut all = Vec::with_capacity(clients);
            for number in 0..clients {
                all.push(Putter::connect(leader, number).await?);
            }
            closed_loop::run(all, WARM_UP, duration).await
        })?;
        watched.console.text(&format!("etcd: {}", said(&load)));
        writes.etcd.push(load);
    }
    Ok(writes)
}

fn said(load: &Load) -> String {
    let (p50, p99) = (load.latency.p50_us / 1e3, load.latency.p99_us / 1e3);
    format!("{} clients, {:.0} writes/s, p50 {p50:.1} ms, p99 {p99:.1} ms", load.clients, load.per_s())
}
