//! Malicious leaders and members on the whole stack, level 1: never two finals, the evidence names who did it, a halt explains
//! itself. The numbers are those of `README.md`.

use std::time::Duration;

use mesh30k_consensus::finality::{Evidence, HaltCause, Refusal};
use openraft::type_config::AsyncRuntime;
use openraft_rt_sim::SimRuntime;

use super::sim::malice::Malice;
use super::sim::observer::OBSERVER;
use super::sim::scene::{Scene, each_seed};

/// 31: the second block is passed over, its header is evidence (E6), the chain goes on.
#[test]
fn two_blocks_at_one_height_convict_their_proposer() {
    each_seed(|seed| async move {
        let scene = Scene::new(seed).await;
        scene.world.common.corrupt(scene.leader, Malice::TwoBlocks);
        scene.attack().await;
        scene.check();
        assert_eq!(scene.named(), [scene.leader].into());
        assert!(scene.has_evidence(|one| matches!(one, Evidence::DoubleHeader { .. })));
        scene.goes_on().await;
    });
}

/// 33, 34: under one index of the log, one validator is given another block than the other two. One of the two is final, the
/// one that was deceived halts and says why.
#[test]
fn a_split_order_never_makes_two_finals() {
    each_seed(|seed| async move {
        let scene = Scene::new(seed).await;
        scene.world.common.corrupt(scene.leader, Malice::SplitOrder);
        scene.attack().await;
        scene.check();
        let truth = scene.world.common.truth.lock().unwrap();
        for (node, report) in truth.halts.iter().filter(|(node, _)| !truth.liars.contains(node)) {
            assert!(report.sentence.contains("halted here after final block"), "{node}: {}", report.sentence);
            assert!(matches!(report.cause, HaltCause::ExecutionDiverged | HaltCause::NoQuorum), "{report:?}");
            assert!(!report.evidence().is_empty());
        }
        assert!(!truth.halts.is_empty(), "somebody was deceived and must notice");
    });
}

/// 39: two of four collude. Two finals can no longer be prevented; both colluders are convicted and every honest validator
/// that sees both sides halts for good.
#[test]
fn colluders_that_fork_are_convicted_and_everybody_halts() {
    each_seed(|seed| async move {
        let scene = Scene::new(seed).await;
        let second = *scene.world.nodes().iter().find(|node| **node != scene.leader).unwrap();
        scene.world.common.corrupt(scene.leader, Malice::VotesTwice);
        scene.world.common.corrupt(second, Malice::VotesTwice);
        scene.wait_for(10_000, |scene| scene.honest().iter().all(|node| scene.halted().contains(node))).await;
        scene.check();
        assert_eq!(scene.named(), [scene.leader, second].into());
        let truth = scene.world.common.truth.lock().unwrap();
        for (node, report) in truth.halts.iter().filter(|(node, _)| !truth.liars.contains(node) && **node != OBSERVER) {
            // Whoever sees both votes of both convicts them; whoever sees the lies first sees votes that make no quorum.
            let told = match report.cause {
                HaltCause::TooManyOffenders => "new chain id",
                HaltCause::NoQuorum => "a new round that leaves the block out",
                _ => panic!("{node}: {report:?}"),
            };
            assert!(report.sentence.contains(told) && !report.evidence().is_empty(), "{}", report.sentence);
        }
    });
}

/// 43: one that votes twice is named, and stops nobody.
#[test]
fn one_equivocator_is_named_and_stops_nobody() {
    each_seed(|seed| async move {
        let scene = Scene::new(seed).await;
        scene.world.common.corrupt(scene.leader, Malice::VotesTwice);
        scene.attack().await;
        scene.check();
        assert_eq!(scene.named(), [scene.leader].into());
        scene.goes_on().await;
    });
}

/// 37: a vote for a wrong result is refuted by executing again (E5).
#[test]
fn a_wrong_root_is_refuted() {
    each_seed(|seed| async move {
        let scene = Scene::new(seed).await;
        scene.world.common.corrupt(scene.leader, Malice::WrongRoot);
        scene.attack().await;
        scene.check();
        assert_eq!(scene.named(), [scene.leader].into());
        assert!(scene.has_evidence(|one| matches!(one, Evidence::RefutedVote { .. })));
        scene.goes_on().await;
    });
}

#[test]
fn withheld_votes_stop_nobody() {
    each_seed(|seed| async move {
        let scene = Scene::new(seed).await;
        scene.world.common.corrupt(scene.leader, Malice::WithholdsVotes);
        scene.goes_on().await;
        scene.check();
        assert_eq!(scene.named(), [].into());
    });
}

/// 36: the client of whom nothing is ordered is served once somebody else leads.
#[test]
fn a_censored_client_is_served_by_the_next_leader() {
    each_seed(|seed| async move {
        let scene = Scene::new(seed).await;
        let served = |scene: &Scene| scene.logs.lock().unwrap().paid.iter().filter(|paid| paid.from == 0).count();
        scene.world.common.corrupt(scene.leader, Malice::Censors(0));
        // What was ordered before may still come through.
        SimRuntime::sleep(Duration::from_millis(500)).await;
        let before = served(&scene);
        scene.attack().await;
        assert_eq!(served(&scene), before, "censored");
        let next = *scene.honest().first().unwrap();
        let process = scene.world.common.process(scene.leader).unwrap();
        process.group.transfer_leader(next.0).await.unwrap();
        scene.wait_for(20_000, |scene| served(scene) > before + 1).await;
        scene.check();
    });
}

/// 32: a height that is final is not voted on again, whatever the term.
#[test]
fn a_final_height_under_a_new_term_is_passed_over() {
    each_seed(|seed| async move {
        let scene = Scene::new(seed).await;
        let process = scene.world.common.process(scene.leader).unwrap();
        let next = *scene.world.nodes().iter().find(|node| **node != scene.leader).unwrap();
        scene.world.common.corrupt(next, Malice::RepeatsHeights);
        process.group.transfer_leader(next.0).await.unwrap();
        scene.wait_for(20_000, |scene| scene.world.common.truth.lock().unwrap().noops > 10).await;
        scene.check();
        scene.goes_on().await;
    });
}

/// 33: votes in the names of others count for nothing.
#[test]
fn forged_votes_are_refused_and_counted() {
    each_seed(|seed| async move {
        let scene = Scene::new(seed).await;
        scene.world.common.corrupt(scene.leader, Malice::ForgesVotes);
        scene.attack().await;
        scene.check();
        for node in scene.honest() {
            let process = scene.world.common.process(node).unwrap();
            let refused = process.shared.core().tracker.refusals().of(scene.leader, Refusal::BadSignature);
            assert!(refused > 0, "{node} counted nothing");
        }
        assert!(scene.named().is_subset(&[scene.leader].into()));
        scene.goes_on().await;
    });
}
