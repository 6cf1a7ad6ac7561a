//! Many schedules: agreement always, finality once the network heals, culprits named.

use std::collections::BTreeSet;

use mesh30k_consensus::finality::{Evidence, HaltCause};
use mesh30k_ledger::types::{Height, NodeId};

use super::network::{Conduct, Network};

const HEIGHTS: u64 = 24;

fn honest(count: usize) -> Vec<Conduct> {
    vec![Conduct::Honest; count]
}

#[test]
fn honest_validators_agree_and_finish_after_healing() {
    for (validators, seeds) in [(4, 40), (7, 12)] {
        for seed in 0..seeds {
            let mut network = Network::new(seed, &honest(validators), HEIGHTS);
            network.run(1_000, 0.4, 0.002);
            network.run(9_000, 0.0, 0.0);
            assert_eq!(network.final_heights(), vec![HEIGHTS; validators], "n {validators}, seed {seed}");
            assert!(network.halts.is_empty() && network.evidence.is_empty(), "n {validators}, seed {seed}");
        }
    }
}

#[test]
fn nothing_is_final_without_a_quorum() {
    let mut network = Network::new(1, &honest(4), HEIGHTS);
    network.run(2_000, 1.0, 0.0);
    assert_eq!(network.final_heights(), [0, 0, 0, 0]);
    network.run(9_000, 0.0, 0.0);
    assert_eq!(network.final_heights(), [HEIGHTS; 4]);
}

#[test]
fn a_validator_that_votes_twice_is_named_and_changes_nothing() {
    for (validators, seeds) in [(4, 12), (7, 4)] {
        for seed in 0..seeds {
            let mut conducts = honest(validators);
            conducts[2] = Conduct::VotesTwice;
            let mut network = Network::new(seed, &conducts, HEIGHTS);
            network.run(500, 0.2, 0.0);
            network.run(9_000, 0.0, 0.0);
            let finals = network.final_heights();
            let honest_finals = finals.iter().enumerate().filter(|(index, _)| *index != 2).map(|(_, height)| *height);
            assert_eq!(honest_finals.collect::<Vec<_>>(), vec![HEIGHTS; validators - 1], "seed {seed}");
            assert_eq!(network.culprits(), BTreeSet::from([NodeId(3)]), "seed {seed}");
            let double = network.evidence.iter().filter(|(_, one)| matches!(one, Evidence::DoubleVote { .. }));
            assert!(double.count() >= validators - 1, "every honest validator noticed, seed {seed}");
        }
    }
}

#[test]
fn a_diverging_executor_halts_and_the_others_name_it() {
    for seed in 0..12 {
        let mut conducts = honest(4);
        conducts[3] = Conduct::DivergesAt(9);
        let mut network = Network::new(seed, &conducts, HEIGHTS);
        network.run(500, 0.2, 0.001);
        network.run(9_000, 0.0, 0.0);
        assert_eq!(network.final_heights(), [HEIGHTS, HEIGHTS, HEIGHTS, 8], "seed {seed}");
        let report = network.halts.get(&NodeId(4)).expect("the diverging one halts");
        assert_eq!((report.cause, report.height), (HaltCause::ExecutionDiverged, Height(9)));
        assert_eq!(report.final_height, Height(8));
        assert!(report.sentence.contains("node (4)"), "{}", report.sentence);
        let [evidence] = report.evidence().try_into().expect("one piece of evidence");
        evidence.verify(&network.fixture.set, &network.fixture.context).unwrap();
        assert_eq!(network.halts.len(), 1, "the others go on");
        assert_eq!(network.culprits(), BTreeSet::from([NodeId(4)]), "seed {seed}");
    }
}

#[test]
fn votes_that_cannot_agree_halt_everybody_at_the_same_block() {
    for seed in 0..8 {
        let conducts = [Conduct::Honest, Conduct::Honest, Conduct::DivergesAt(6), Conduct::DivergesAt(6)];
        let mut network = Network::new(seed, &conducts, HEIGHTS);
        network.run(9_000, 0.1, 0.0);
        assert_eq!(network.final_heights(), [5; 4], "seed {seed}");
        assert_eq!(network.halts.len(), 4, "seed {seed}");
        for report in network.halts.values() {
            assert_eq!((report.cause, report.height), (HaltCause::NoQuorum, Height(6)));
            let [evidence] = report.evidence().try_into().expect("one piece of evidence");
            evidence.verify(&network.fixture.set, &network.fixture.context).unwrap();
        }
    }
}

#[test]
fn two_liars_of_four_halt_the_chain() {
    let conducts = [Conduct::Honest, Conduct::Honest, Conduct::VotesTwice, Conduct::VotesTwice];
    for seed in 0..12 {
        let mut network = Network::new(seed, &conducts, HEIGHTS);
        network.run(9_000, 0.0, 0.0);
        for honest in [NodeId(1), NodeId(2)] {
            let report = network.halts.get(&honest).expect("honest validators halt");
            assert!([HaltCause::TooManyOffenders, HaltCause::NoQuorum].contains(&report.cause), "seed {seed}");
        }
        assert!(network.culprits().is_subset(&BTreeSet::from([NodeId(3), NodeId(4)])), "seed {seed}");
    }
}
