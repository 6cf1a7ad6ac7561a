//! Real openraft on its simulated runtime: seeded delay, loss, partitions, crashes that lose unsynced writes.
//!
//! `MESH30K_SIM_SEEDS` sets how many seeds each test runs (default 4), `MESH30K_SIM_FIRST_SEED` where they begin; a
//! failing seed is named in the panic.

pub(crate) mod cluster;
#[allow(dead_code, reason = "shared with node/chain/tests/faults, which use more of it")]
pub(crate) mod net;
mod scenario;

use cluster::Faults;
use scenario::{Outcome, Plan, run};

use crate::recorder::Keeps;

fn seeds() -> std::ops::Range<u64> {
    let number = |name: &str, default| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    let first = number("MESH30K_SIM_FIRST_SEED", 1);
    first..first + number("MESH30K_SIM_SEEDS", 4)
}

/// Runs every seed twice: same invariants, same trace.
fn explore(plan: impl Fn(u64) -> Plan) {
    let mut total = Outcome::default();
    for seed in seeds() {
        let first = run(seed, &plan(seed));
        let second = run(seed, &plan(seed));
        assert_eq!(first, second, "seed {seed} is not deterministic");
        assert!(first.acknowledged > 0, "seed {seed} ordered nothing");
        eprintln!("seed {seed}: {first:?}");
        total.add(&first);
    }
    // Seeds that never met a fault would prove nothing.
    assert!(total.crashes > 0 && total.elections > seeds().count() as u64, "{total:?}");
}

#[test]
fn four_synced_members_survive_power_cuts() {
    explore(|seed| Plan { members: 4, faults: Faults::PowerCut, keeps: Keeps::State { lag: (seed % 4) as usize } });
}

#[test]
fn three_synced_members_without_stored_state_survive_power_cuts() {
    explore(|_| Plan { members: 3, faults: Faults::PowerCut, keeps: Keeps::Nothing });
}

#[test]
fn three_unsynced_members_survive_killed_processes() {
    explore(|_| Plan { members: 3, faults: Faults::Kill, keeps: Keeps::State { lag: 1 } });
}

/// The checks themselves: a group that acknowledges before its disk does is caught within a few power cuts.
#[test]
fn acknowledging_before_the_disk_does_is_noticed() {
    let plan = Plan { members: 3, faults: Faults::PowerCutUnsynced, keeps: Keeps::State { lag: 1 } };
    let caught = (1..20).any(|seed| std::panic::catch_unwind(|| run(seed, &plan)).is_err());
    assert!(caught, "no seed lost anything");
}
