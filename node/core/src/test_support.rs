//! What several tests of this crate need.

use crate::beat::{AgentReport, BatchKind, HostBatch};
use crate::registry::{AgentSeat, AgentState, Capabilities, EnergySource, Impedance};
use crate::time::MeshTimeUs;
use crate::wire::Hlc;
use mesh30k_ledger::keys::SecretKey;
use mesh30k_ledger::signing::ChainContext;
use mesh30k_ledger::types::{AgentClass, AgentId, ChainId, ClusterId, Hash, NodeId, Region, SectorId};

pub(crate) fn context() -> ChainContext {
    ChainContext { chain: ChainId::new("test").unwrap(), genesis: Hash([7; 32]) }
}

pub(crate) fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed([seed; 32])
}

pub(crate) fn seat(agent: u64, host: u64, class: AgentClass) -> AgentSeat {
    AgentSeat {
        agent: AgentId(agent),
        class,
        host: NodeId(host),
        cluster: ClusterId { sector: SectorId(0), index: 0 },
        capabilities: Capabilities(1),
        region: Region::new(*b"KE").unwrap(),
    }
}

pub(crate) fn report(agent: u64, z_us: u64) -> AgentReport {
    AgentReport {
        agent: AgentId(agent),
        impedance: Impedance { one_way_p50_us: z_us, one_way_p95_us: z_us, ..Impedance::default() },
        reliability_ppm: 900_000,
        drift_ppm: 0,
        calibration_ppm: 950_000,
        state: AgentState::Active,
        context: Hash([0; 32]),
        energy: EnergySource::Grid,
        price_uftns: 100,
    }
}

pub(crate) fn batch(
    host: u64,
    sequence: u64,
    kind: BatchKind,
    sent: MeshTimeUs,
    reports: Vec<AgentReport>,
) -> HostBatch {
    HostBatch { host: NodeId(host), sequence, sent: Hlc { wall: sent, logical: 0 }, kind, reports }
}
