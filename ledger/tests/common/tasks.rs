//! A mesh with agents, an escrow, receipts.

use super::{World, agent_key, agents, alice, key, register};
use mesh30k_ledger::ops::{Capabilities, EnergyMethod, EscrowOpen, Operation, TaskReceipt, TaskReport, carbon_ug};
use mesh30k_ledger::types::{AgentId, EscrowId, Hash, NodeId, Uftns};

/// What a part pays at most.
pub const PART: Uftns = Uftns(10_000);
/// What is held for carbon and premium of a part.
pub const RESERVE: Uftns = Uftns(5_000);

/// Node 1 hosts forty agents.
pub fn mesh(mut world: World) -> World {
    let signed = world.signed(&key(1), register(None, agents(0..40)));
    assert!(world.run(10, vec![signed]).1.outcomes[0].is_executed());
    world
}

pub fn open(world: &mut World, parts: u32, deadline_ms: u64) -> EscrowId {
    let op = Operation::EscrowOpen(EscrowOpen {
        task: Hash::of(b"task"),
        module: Hash::of(b"module"),
        capability: Capabilities::COMPUTE,
        parts,
        amount_per_part: PART,
        reserve_per_part: RESERVE,
        release_deadline: world.now().plus_ms(deadline_ms),
    });
    let signed = world.signed(&alice(), op);
    let escrow = signed.id();
    assert!(world.run(10, vec![signed]).1.outcomes[0].is_executed());
    escrow
}

/// 4.5 million fuel: 5 units.
pub fn report(part: u32) -> TaskReport {
    TaskReport {
        task: Hash::of(b"task"),
        part,
        module: Hash::of(b"module"),
        input: Hash::of(b"in"),
        output: Hash::of(b"out"),
        exit_code: 0,
        fuel: 4_500_000,
        wall_us: 1_000,
        peak_memory_bytes: 65_536,
        energy_mj: 90_000,
        energy_method: EnergyMethod::Fuel,
        intensity_mg_per_kwh: 380_000,
        renewable_ppm: 250_000,
        carbon_ug: carbon_ug(90_000, 380_000, 250_000).unwrap(),
        host: NodeId(1),
        agent: AgentId(1),
    }
}

pub fn receipt(world: &World, report: TaskReport) -> TaskReceipt {
    report.sign(&world.context, &key(1), &agent_key(0))
}
