//! Thirty thousand agents and what they report: the same on both sides, by seed.

use std::collections::{BTreeMap, BTreeSet};

use mesh30k_core::beat::{AgentReport, BatchKind, CommittedBatch, FULL_EVERY, HostBatch};
use mesh30k_core::lead::{Fencing, SectorNews};
use mesh30k_core::registry::{AgentSeat, AgentState, Capabilities, EnergySource, Impedance};
use mesh30k_core::time::TimeUs;
use mesh30k_core::wire::Hlc;
use mesh30k_ledger::keys::SecretKey;
use mesh30k_ledger::signing::ChainContext;
use mesh30k_ledger::types::{AgentClass, AgentId, ChainId, ClusterId, Hash, NodeId, Region, SectorId};

use crate::bench::tools::Numbers;

/// Sectors of the mesh.
pub const SECTORS: u64 = 100;
/// Hosts of a sector.
pub const HOSTS_PER_SECTOR: u64 = 4;
/// Agents of a host.
pub const AGENTS_PER_HOST: u64 = 75;
/// Agents of a sector.
pub const AGENTS_PER_SECTOR: u64 = HOSTS_PER_SECTOR * AGENTS_PER_HOST;
/// Agents of the mesh.
pub const AGENTS: u64 = SECTORS * AGENTS_PER_SECTOR;
/// Agents that change in one entry of a sector group: 400 entries a second make 6,000 changes.
pub const CHANGES_PER_ENTRY: usize = 15;
/// Capabilities beside the one everybody has; each agent has one of these.
pub const SPECIAL_CAPABILITIES: u64 = 16;
/// The instant everything is read at.
pub const NOW: TimeUs = TimeUs(1_000_000_000);

/// The mesh that both sides hold.
pub struct Population {
    numbers: Numbers,
    context: ChainContext,
    key: SecretKey,
    sequences: BTreeMap<NodeId, u64>,
    reports: BTreeMap<AgentId, AgentReport>,
    index: u64,
}

impl Population {
    /// The population of a seed.
    ///
    /// # Errors
    /// Never in practice: the name of the chain is well formed.
    pub fn new(seed: u64) -> anyhow::Result<Self> {
        let context = ChainContext { chain: ChainId::new("bench")?, genesis: Hash([7; 32]) };
        Ok(Self {
            numbers: Numbers::new(seed),
            context,
            key: SecretKey::from_seed([9; 32]),
            sequences: BTreeMap::new(),
            reports: BTreeMap::new(),
            index: 0,
        })
    }

    /// The chain and the key that all hosts sign with.
    #[must_use]
    pub const fn signer(&self) -> (&ChainContext, &SecretKey) {
        (&self.context, &self.key)
    }

    /// Seats of a sector.
    ///
    /// # Errors
    /// Never in practice: the region is well formed.
    pub fn seats(sector: u64) -> anyhow::Result<Vec<AgentSeat>> {
        let mut numbers = Numbers::new(sector);
        let mut seat = |place: u64| {
            let special = 1 << (1 + numbers.below(SPECIAL_CAPABILITIES));
            let class = AgentClass::ALL.get(numbers.below(5) as usize).copied().unwrap_or(AgentClass::C);
            let region = if numbers.below(3) == 0 { *b"KE" } else { *b"NO" };
            Ok(AgentSeat {
                agent: agent_id(sector, place),
                class,
                host: host_id(sector, place / AGENTS_PER_HOST),
                cluster: ClusterId { sector: SectorId(sector as u32), index: (place / 30) as u32 },
                capabilities: Capabilities(1 | special),
                region: Region::new(region).map_err(anyhow::Error::new)?,
            })
        };
        (0..AGENTS_PER_SECTOR).map(&mut seat).collect()
    }

    /// The first, full batches of a sector's hosts, as a voter tells them.
    pub fn first_news(&mut self, sector: u64) -> SectorNews {
        let from = Fencing::NONE;
        let batches: Vec<CommittedBatch> = (0..HOSTS_PER_SECTOR)
            .map(|host| {
                let places = host * AGENTS_PER_HOST..(host + 1) * AGENTS_PER_HOST;
                self.batch(sector, host, &places.collect())
            })
            .collect();
        news(sector, from, batches)
    }

    /// The next entry of a sector: one host reports what changed; and which agents these are.
    pub fn next_news(&mut self, sector: u64, from: Fencing) -> (SectorNews, Vec<AgentId>) {
        let host = self.numbers.below(HOSTS_PER_SECTOR);
        let mut places = BTreeSet::new();
        while places.len() < CHANGES_PER_ENTRY {
            places.insert(host * AGENTS_PER_HOST + self.numbers.below(AGENTS_PER_HOST));
        }
        let batch = self.batch(sector, host, &places);
        let changed = places.iter().map(|place| agent_id(sector, *place)).collect();
        (news(sector, from, vec![batch]), changed)
    }

    /// What an agent reported last.
    #[must_use]
    pub fn report_of(&self, agent: AgentId) -> Option<&AgentReport> {
        self.reports.get(&agent)
    }

    fn batch(&mut self, sector: u64, host: u64, changed: &BTreeSet<u64>) -> CommittedBatch {
        for place in changed {
            let report = self.report(agent_id(sector, *place));
            self.reports.insert(report.agent, report);
        }
        let sequence = self.sequences.entry(host_id(sector, host)).or_insert(0);
        let base = *sequence;
        *sequence += 1;
        // As hosts do: everything at first and every so often, else what changed.
        let is_full = base == 0 || sequence.is_multiple_of(u64::from(FULL_EVERY));
        let (kind, told) = if is_full {
            (BatchKind::Full, (host * AGENTS_PER_HOST..(host + 1) * AGENTS_PER_HOST).collect())
        } else {
            (BatchKind::Delta { base }, changed.clone())
        };
        let reports = told.iter().filter_map(|place| self.reports.get(&agent_id(sector, *place)).copied()).collect();
        let sent = Hlc { wall: NOW, logical: 0 };
        let batch = HostBatch { host: host_id(sector, host), sequence: base + 1, sent, kind, reports };
        self.index += 1;
        let signed = batch.sign(&self.context, &self.key);
        CommittedBatch { position: Fencing::new(1, self.index), signed }
    }

    fn report(&mut self, agent: AgentId) -> AgentReport {
        let numbers = &mut self.numbers;
        let one_way_p50_us = 100 + numbers.below(300_000);
        let processing_p50_us = 1_000 + numbers.below(900_000);
        AgentReport {
            agent,
            impedance: Impedance {
                one_way_p50_us,
                one_way_p95_us: one_way_p50_us + numbers.below(50_000),
                processing_p50_us,
                processing_p95_us: processing_p50_us + numbers.below(100_000),
                queue_depth: numbers.below(8) as u32,
            },
            reliability_ppm: 800_000 + numbers.below(200_000) as u32,
            drift_ppm: numbers.below(500_000) as u32,
            calibration_ppm: 950_000,
            state: AgentState::Active,
            context: Hash([0; 32]),
            energy: if numbers.below(4) == 0 { EnergySource::Wind } else { EnergySource::Grid },
            price_uftns: numbers.below(1_000),
        }
    }
}

fn news(sector: u64, from: Fencing, batches: Vec<CommittedBatch>) -> SectorNews {
    let to = batches.last().map_or(from, |batch| batch.position);
    SectorNews { sector: SectorId(sector as u32), from, to, batches, leases: Vec::new() }
}

/// The agent at a place of a sector; numbers begin at 1.
#[must_use]
pub const fn agent_id(sector: u64, place: u64) -> AgentId {
    AgentId(sector * AGENTS_PER_SECTOR + place + 1)
}

/// A host of a sector; numbers begin at 1.
#[must_use]
pub const fn host_id(sector: u64, host: u64) -> NodeId {
    NodeId(sector * HOSTS_PER_SECTOR + host + 1)
}
