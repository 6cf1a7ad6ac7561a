//! When a leader proposes, and with which time.

use mesh30k_consensus::finality::proposer::{
    Decision, GATHER_MS, HALTED_PACE_MS, IDLE_BLOCK_MS, PIPELINE_DEPTH, PROPOSAL_GAP_MS, ProposalReason, Proposer,
    ProposerView, RETURN_MS, STEP_DOWN_AGAIN_MS, WORTH_A_BLOCK, WaitReason,
};
use mesh30k_ledger::types::{Height, TimeMs};
use proptest::prelude::*;

const NOW: TimeMs = TimeMs(1_000_000);

fn ready() -> ProposerView {
    ProposerView {
        leader: true,
        term: 3,
        last_log_index: 40,
        applied: (3, 40),
        tip_height: Height(9),
        tip_time: TimeMs(NOW.0 - 100),
        unfinal: 0,
        waiting: 1,
        next_due: None,
        halted: false,
        epoch_over: false,
    }
}

fn waits(proposer: &Proposer, view: &ProposerView) -> WaitReason {
    match proposer.decide(NOW, view) {
        Decision::Wait { reason, .. } => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_condition_alone_holds_a_proposal_back() {
    let proposer = Proposer::new(NOW);
    let ready = ready();
    assert_eq!(proposer.decide(NOW, &ready), Decision::Propose { time: NOW, reason: ProposalReason::Work });
    assert_eq!(waits(&proposer, &ProposerView { leader: false, ..ready }), WaitReason::NotLeader);
    assert_eq!(waits(&proposer, &ProposerView { epoch_over: true, ..ready }), WaitReason::EpochOver);
    // An old term's log is applied, this term's first entry is not.
    assert_eq!(waits(&proposer, &ProposerView { applied: (2, 40), ..ready }), WaitReason::LogNotApplied);
    assert_eq!(waits(&proposer, &ProposerView { applied: (3, 39), ..ready }), WaitReason::LogNotApplied);
    assert_eq!(waits(&proposer, &ProposerView { unfinal: PIPELINE_DEPTH, ..ready }), WaitReason::PipelineFull);
    assert_eq!(waits(&proposer, &ProposerView { waiting: 0, ..ready }), WaitReason::Idle);
}

#[test]
fn proposals_keep_their_distance() {
    let mut proposer = Proposer::new(NOW);
    proposer.proposed(NOW, 3, Height(10), 1);
    assert_eq!(waits(&proposer, &ready()), WaitReason::InFlight);
    proposer.on_block(NOW, true, 3, Height(10));
    let view = ProposerView { tip_height: Height(10), ..ready() };
    let until = Some(NOW.plus_ms(PROPOSAL_GAP_MS));
    assert_eq!(proposer.decide(NOW, &view), Decision::Wait { until, reason: WaitReason::Gap });
    assert!(matches!(proposer.decide(NOW.plus_ms(PROPOSAL_GAP_MS), &view), Decision::Propose { .. }));
}

#[test]
fn little_work_gathers_while_a_block_is_under_way_and_much_does_not() {
    let mut proposer = Proposer::new(NOW);
    proposer.proposed(NOW, 3, Height(10), 60);
    proposer.on_block(NOW, true, 3, Height(10));
    let at = NOW.plus_ms(PROPOSAL_GAP_MS);
    let under_way = ProposerView { tip_height: Height(10), unfinal: 1, waiting: 59, ..ready() };
    let until = Some(NOW.plus_ms(GATHER_MS));
    assert_eq!(proposer.decide(at, &under_way), Decision::Wait { until, reason: WaitReason::Gap });
    assert!(matches!(proposer.decide(NOW.plus_ms(GATHER_MS), &under_way), Decision::Propose { .. }));
    let much = ProposerView { waiting: WORTH_A_BLOCK, ..under_way };
    assert!(matches!(proposer.decide(at, &much), Decision::Propose { .. }));
    // Final: whoever waited for it comes again, but nobody waits long for them.
    proposer.on_final(at);
    let first = ProposerView { unfinal: 0, waiting: 1, ..under_way };
    let until = Some(at.plus_ms(RETURN_MS));
    assert_eq!(proposer.decide(at, &first), Decision::Wait { until, reason: WaitReason::Gap });
    assert!(matches!(proposer.decide(at.plus_ms(RETURN_MS), &first), Decision::Propose { .. }));
    let half = ProposerView { waiting: 30, ..first };
    assert!(matches!(proposer.decide(at, &half), Decision::Propose { .. }));
}

#[test]
fn an_idle_leader_proposes_at_deadlines_and_every_five_seconds() {
    let proposer = Proposer::new(NOW);
    let idle = ProposerView { waiting: 0, ..ready() };
    let idle_at = NOW.plus_ms(IDLE_BLOCK_MS);
    assert_eq!(proposer.decide(NOW, &idle), Decision::Wait { until: Some(idle_at), reason: WaitReason::Idle });
    let proposal = proposer.decide(idle_at, &idle);
    assert_eq!(proposal, Decision::Propose { time: idle_at, reason: ProposalReason::Idle });
    let due_at = NOW.plus_ms(300);
    let due = ProposerView { next_due: Some(due_at), ..idle };
    assert_eq!(proposer.decide(NOW, &due), Decision::Wait { until: Some(due_at), reason: WaitReason::Idle });
    assert_eq!(proposer.decide(due_at, &due), Decision::Propose { time: due_at, reason: ProposalReason::Due });
}

#[test]
fn one_height_is_built_once_in_a_term() {
    let mut proposer = Proposer::new(NOW);
    proposer.proposed(NOW, 3, Height(10), 1);
    assert_eq!(waits(&proposer, &ready()), WaitReason::InFlight);
    // Ordered, but it did not extend the chain: somebody else has to go on.
    proposer.on_block(NOW, false, 3, Height(10));
    assert_eq!(proposer.decide(NOW, &ready()), Decision::StepDown);
    proposer.stepped_down(NOW, 3);
    assert_eq!(waits(&proposer, &ready()), WaitReason::SteppingDown);
    assert_eq!(proposer.decide(NOW.plus_ms(STEP_DOWN_AGAIN_MS), &ready()), Decision::StepDown);
    let later = ProposerView { term: 4, applied: (4, 40), ..ready() };
    assert!(matches!(proposer.decide(NOW.plus_ms(10), &later), Decision::Propose { .. }));
    // Raft never stored it: the height is free.
    let mut proposer = Proposer::new(NOW);
    proposer.proposed(NOW, 3, Height(10), 1);
    proposer.refused();
    assert!(matches!(proposer.decide(NOW.plus_ms(10), &ready()), Decision::Propose { .. }));
}

#[test]
fn a_halted_leader_hands_on_at_once_and_in_later_terms_at_the_pace_of_an_idle_chain() {
    let mut proposer = Proposer::new(NOW);
    let halted = ProposerView { halted: true, ..ready() };
    assert_eq!(waits(&proposer, &ProposerView { leader: false, ..halted }), WaitReason::NotLeader);
    assert_eq!(proposer.decide(NOW, &halted), Decision::StepDown);
    proposer.stepped_down(NOW, 3);
    assert_eq!(waits(&proposer, &halted), WaitReason::SteppingDown);
    assert_eq!(proposer.decide(NOW.plus_ms(STEP_DOWN_AGAIN_MS), &halted), Decision::StepDown, "its word was lost");
    let again = ProposerView { term: 5, applied: (5, 41), ..halted };
    let until = Some(NOW.plus_ms(HALTED_PACE_MS));
    assert_eq!(proposer.decide(NOW.plus_ms(1), &again), Decision::Wait { until, reason: WaitReason::SteppingDown });
    assert_eq!(proposer.decide(NOW.plus_ms(HALTED_PACE_MS), &again), Decision::StepDown);
    // The clock was set back in between.
    assert_eq!(proposer.decide(TimeMs(NOW.0 - 900_000), &again), Decision::StepDown);
    // Operators had it go on.
    assert!(matches!(proposer.decide(NOW.plus_ms(1), &ready()), Decision::Propose { .. }));
}

proptest! {
    #[test]
    fn block_time_rises_and_is_never_behind_the_clock(now in 0_u64..1 << 50, tip in 0_u64..1 << 50) {
        let view = ProposerView { tip_time: TimeMs(tip), ..ready() };
        let decision = Proposer::new(TimeMs(now)).decide(TimeMs(now), &view);
        let Decision::Propose { time, .. } = decision else { return Err(TestCaseError::fail("no proposal")) };
        prop_assert!(time.0 > tip && time.0 >= now && time.0 <= now.max(tip + 1));
    }
}

#[test]
fn a_clock_that_is_set_back_stops_no_leader() {
    let mut proposer = Proposer::new(NOW);
    proposer.proposed(NOW, 3, Height(10), 1);
    proposer.on_block(NOW, true, 3, Height(10));
    let back = TimeMs(NOW.0 - 900_000);
    let view = ProposerView { tip_height: Height(10), tip_time: NOW, ..ready() };
    let time = NOW.plus_ms(1);
    assert_eq!(proposer.decide(back, &view), Decision::Propose { time, reason: ProposalReason::Work });
    let idle = ProposerView { waiting: 0, ..view };
    assert_eq!(proposer.decide(back, &idle), Decision::Propose { time, reason: ProposalReason::Idle });
    proposer.on_block(back, true, 2, Height(11));
    assert!(matches!(proposer.decide(back, &idle), Decision::Wait { reason: WaitReason::Idle, .. }));
}
