//! Signed transfers until they are final, sustained.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Serialize;

use super::closed_loop::{self, Load};
use super::ours::{InBatches, Ours, Payer, Watched};
use super::postgres::{self, Postgres, Transferrer};
use super::runtime;
use crate::bench::tools::cpu_of;

/// Connections that hand in batches.
const CONNECTIONS: usize = 16;
/// Connections to PostgreSQL, each with one transaction at a time.
const POSTGRES_CONNECTIONS: usize = 64;
/// Transfers in a batch.
const BATCH: usize = 250;
/// What does not count at the beginning.
const WARM_UP: Duration = Duration::from_secs(5);

/// One side's transfers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Transfers {
    /// Copies of the state.
    pub replicas: usize,
    /// What the clients did.
    pub load: Load,
    /// Processor time of all servers for one transfer, microseconds; only of ours.
    pub servers_cpu_us: f64,
    /// Processor time of the client program for one transfer, signing included, microseconds; only of ours.
    pub client_cpu_us: f64,
}

/// Our transfers: signed in the run by the client program, handed in to the leader in batches, final when certified.
///
/// # Errors
/// A transfer that does not become final, or validators that don't come up.
pub fn ours(dir: &Path, validators: usize, duration: Duration, watched: &Watched) -> Result<Transfers> {
    let ours = Ours::start(&dir.join("ours"), validators, watched)?;
    let (leader, payers) = (ours.leader_api()?, ours.payers());
    let runtime = runtime()?;
    let clients = runtime.block_on(async {
        let mut clients = Vec::with_capacity(CONNECTIONS);
        for some in payers.chunks(payers.len().div_ceil(CONNECTIONS)) {
            let some: Vec<Payer> = some.to_vec();
            clients.push(InBatches::connect(leader, some, BATCH).await?);
        }
        Ok::<_, anyhow::Error>(clients)
    })?;
    let mut pids = ours.pids();
    pids.push(std::process::id());
    let before = cpu_of_all(&pids)?;
    let load = runtime.block_on(closed_loop::run(clients, WARM_UP, duration))?;
    let used = cpu_of_all(&pids)?.into_iter().zip(before).map(|(after, before)| after.saturating_sub(before));
    let used: Vec<Duration> = used.collect();
    let (client, servers) = used.split_last().context("no processes")?;
    // The warm-up costs as much as what counts.
    let all = load.writes as f64 * (WARM_UP + duration).as_secs_f64() / duration.as_secs_f64();
    let each_us = |time: Duration| time.as_secs_f64() * 1e6 / all.max(1.0);
    Ok(Transfers {
        replicas: validators,
        load,
        servers_cpu_us: each_us(servers.iter().sum()),
        client_cpu_us: each_us(*client),
    })
}

/// PostgreSQL's transfers, each a transaction that both standbys have on disk when it is answered; `None` where it is not installed.
///
/// # Errors
/// A transaction that fails, or servers that don't come up.
pub fn postgres(dir: &Path, duration: Duration) -> Result<Option<Transfers>> {
    let runtime = runtime()?;
    let Some(postgres) = runtime.block_on(Postgres::start(&dir.join("postgres")))? else { return Ok(None) };
    let load = runtime.block_on(async {
        let mut clients = Vec::with_capacity(POSTGRES_CONNECTIONS);
        for seed in 0..POSTGRES_CONNECTIONS as u64 {
            clients.push(Transferrer::new(postgres.connect().await?, seed).await?);
        }
        closed_loop::run(clients, WARM_UP, duration).await
    })?;
    Ok(Some(Transfers { replicas: postgres::REPLICAS, load, ..Transfers::default() }))
}

fn cpu_of_all(pids: &[u32]) -> Result<Vec<Duration>> {
    pids.iter().map(|pid| cpu_of(*pid)).collect()
}
