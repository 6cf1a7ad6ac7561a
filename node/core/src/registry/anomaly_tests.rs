use super::*;
use crate::time::MeshTimeUs;
use mesh30k_ledger::types::{AgentId, NodeId};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeSet;

const HOSTS: u64 = 10;
const PER_HOST: u64 = 30;
const ROUND_US: i64 = 5_000_000;

/// A mesh of ten hosts with thirty agents each, whose impedances wander by some percent. Hosts 1 and 2 share a prefix.
struct World {
    watch: ShiftWatch,
    rng: ChaCha8Rng,
    now: MeshTimeUs,
}

fn host_of(agent: u64) -> u64 {
    agent / PER_HOST
}

impl World {
    fn new(seed: u64) -> Self {
        let mut watch = ShiftWatch::new();
        watch.set_agents((0..HOSTS * PER_HOST).map(|agent| {
            let host = host_of(agent);
            let prefix = if host == 2 { 1 } else { host };
            (AgentId(agent), vec![Kin::Host(NodeId(host)), Kin::Prefix(prefix)])
        }));
        Self { watch, rng: ChaCha8Rng::seed_from_u64(seed), now: MeshTimeUs(1_000_000_000) }
    }

    /// One round of reports: `factor` in percent, by agent.
    fn round(&mut self, factor: impl Fn(u64) -> u64) -> Vec<ShiftAction> {
        for agent in 0..HOSTS * PER_HOST {
            let z_us = (20_000 + agent * 1_000) * self.rng.random_range(94..106) / 100 * factor(agent) / 100;
            self.watch.on_report(AgentId(agent), z_us);
        }
        self.now = self.now.plus_us(ROUND_US);
        self.watch.poll(self.now)
    }

    fn calm(&mut self, rounds: usize) {
        for _ in 0..rounds {
            assert_eq!(self.round(|_| 100), [], "noise is no anomaly");
        }
    }
}

fn agents_of(hosts: &[u64]) -> Vec<AgentId> {
    (0..HOSTS * PER_HOST).filter(|agent| hosts.contains(&host_of(*agent))).map(AgentId).collect()
}

#[test]
fn a_host_whose_agents_all_slow_down_is_frozen_asked_and_thawed_by_calibration() {
    let mut world = World::new(1);
    world.calm(40);
    let actions = world.round(|agent| if host_of(agent) == 5 { 150 } else { 100 });
    let theirs = agents_of(&[5]);
    assert_eq!(actions[0], ShiftAction::Freeze { kin: Kin::Host(NodeId(5)), agents: theirs.clone(), slower: true });
    assert_eq!(actions[1..], [ShiftAction::Calibrate(theirs.clone())]);
    assert!(theirs.iter().all(|agent| world.watch.is_frozen(*agent)) && !world.watch.is_frozen(AgentId(0)));
    for _ in 0..5 {
        assert_eq!(world.round(|agent| if host_of(agent) == 5 { 150 } else { 100 }), [], "asked every 30 s only");
    }
    assert_eq!(world.round(|_| 100), [ShiftAction::Calibrate(theirs.clone())]);
    // The calibration confirms the slower level: it is the new history.
    theirs.iter().for_each(|agent| world.watch.on_calibrated(*agent, (20_000 + agent.0 * 1_000) * 3 / 2));
    let slow = |agent: u64| if host_of(agent) == 5 { 150 } else { 100 };
    assert_eq!(world.round(slow), [ShiftAction::Thaw(theirs.clone())]);
    for _ in 0..20 {
        assert_eq!(world.round(slow), []);
    }
    assert!(!theirs.iter().any(|agent| world.watch.is_frozen(*agent)));
}

#[test]
fn a_prefix_is_frozen_over_several_hosts_and_everybody_together_is_not() {
    let mut world = World::new(2);
    world.calm(40);
    let both = |agent: u64| if matches!(host_of(agent), 1 | 2) { 70 } else { 100 };
    let frozen: BTreeSet<AgentId> = world
        .round(both)
        .into_iter()
        .flat_map(|action| match action {
            ShiftAction::Freeze { agents, slower: false, .. } => agents,
            _ => Vec::new(),
        })
        .collect();
    assert_eq!(frozen.into_iter().collect::<Vec<_>>(), agents_of(&[1, 2]));
    let mut world = World::new(3);
    world.calm(40);
    assert_eq!(world.round(|_| 150), [], "that is our own clock or link, not a kin");
}

#[test]
fn slow_change_and_single_agents_are_learned_not_frozen() {
    let mut world = World::new(4);
    world.calm(40);
    for step in 0..60 {
        assert_eq!(world.round(|agent| if host_of(agent) == 3 { 100 + step / 2 } else { 100 }), [], "step {step}");
    }
    assert_eq!(world.round(|agent| if agent % PER_HOST < 7 { 200 } else { 100 }), [], "some of every host");
    assert!(!world.watch.is_frozen(AgentId(0)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// A lying host teaches nothing, whatever it reports while frozen; the others never are.
    #[test]
    fn only_the_kin_that_moved_is_frozen(seed in any::<u64>(), liar in 3..HOSTS, factor in 135_u64..800, up in any::<bool>()) {
        let mut world = World::new(seed);
        for _ in 0..40 {
            world.round(|_| 100);
        }
        let factor = if up { factor } else { 10_000 / factor };
        for _ in 0..30 {
            world.round(|agent| if host_of(agent) == liar { factor } else { 100 });
        }
        for agent in 0..HOSTS * PER_HOST {
            prop_assert_eq!(world.watch.is_frozen(AgentId(agent)), host_of(agent) == liar);
        }
    }
}
