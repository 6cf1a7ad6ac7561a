//! Signed transfers until they are final, sustained.

use std::net::SocketAddr;
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
/// Accounts that pay as fast as they can; the others pay at a pace.
const SENDERS: usize = 2_000;
/// Transfers in a batch.
const BATCH: usize = 250;
/// Connections that hand in at a pace, and the transfers in each of their batches: many small requests, as of many people.
const PACED_CONNECTIONS: usize = 64;
const PACED_BATCH: usize = 25;
/// What does not count at the beginning.
const WARM_UP: Duration = Duration::from_secs(5);

/// One side's transfers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Transfers {
    /// Copies of the state.
    pub replicas: usize,
    /// What the clients did.
    pub load: Load,
    /// The same at half of that rate, handed in evenly; only of ours.
    pub half: Load,
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
    let (leader, mut payers) = (ours.leader_api()?, ours.payers());
    let for_half = payers.split_off(payers.len().min(SENDERS));
    let runtime = runtime()?;
    let clients = runtime.block_on(connect(leader, &payers, CONNECTIONS, BATCH))?;
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
    let clients = runtime.block_on(connect(leader, &for_half, PACED_CONNECTIONS, PACED_BATCH))?;
    let every = Duration::from_secs_f64(2.0 * (PACED_CONNECTIONS * PACED_BATCH) as f64 / load.per_s().max(1.0));
    let half = runtime.block_on(closed_loop::run_paced(clients, every, WARM_UP, duration))?;
    Ok(Transfers {
        replicas: validators,
        load,
        half,
        servers_cpu_us: each_us(servers.iter().sum()),
        client_cpu_us: each_us(*client),
    })
}

/// Connections to a node, each for some of the accounts.
async fn connect(api: SocketAddr, payers: &[Payer], connections: usize, batch: usize) -> Result<Vec<InBatches>> {
    let mut clients = Vec::with_capacity(connections);
    for some in payers.chunks(payers.len().div_ceil(connections).max(1)) {
        clients.push(InBatches::connect(api, some.to_vec(), batch).await?);
    }
    Ok(clients)
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
