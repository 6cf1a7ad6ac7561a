//! One tracker at a time: what it admits, when it votes, what makes it halt.

use mesh30k_consensus::finality::chain::{MAX_AHEAD_MS, MAX_UNFINAL, VOTE_WINDOW};
use mesh30k_consensus::finality::{
    ChainAction, ChainError, ChainTracker, Evidence, EvidenceError, HaltCause, HaltReport, Refusal, TrackerConfig,
    VoteAnswer,
};
use mesh30k_ledger::finality::Vote;
use mesh30k_ledger::keys::Signature;
use mesh30k_ledger::types::{Epoch, Hash, Height, NodeId, Round, TimeMs};

use super::fixture::{BLOCK_MS, Executed, Fixture, START_MS, commitment};

const NOW: TimeMs = TimeMs(START_MS + 10_000);
const PEER: NodeId = NodeId(2);

fn tracker(fixture: &Fixture) -> ChainTracker {
    let config = TrackerConfig {
        context: fixture.context,
        validators: fixture.set.clone(),
        epoch: Epoch(0),
        round: Round(0),
        own: Some(NodeId(1)),
    };
    ChainTracker::new(config, fixture.genesis_tip())
}

fn execute(tracker: &mut ChainTracker, now: TimeMs, executed: &Executed) -> Vec<ChainAction> {
    tracker.on_executed(now, executed.height().0, executed.signed_header(), executed.commitment).unwrap()
}

fn votes(actions: &[ChainAction]) -> Vec<Vote> {
    actions
        .iter()
        .filter_map(|one| if let ChainAction::SignAndSendVote { vote } = one { Some(*vote) } else { None })
        .collect()
}

fn finals(actions: &[ChainAction]) -> Vec<u64> {
    let height = |one: &ChainAction| if let ChainAction::Finalize { height, .. } = one { Some(height.0) } else { None };
    actions.iter().filter_map(height).collect()
}

fn halt(actions: &[ChainAction]) -> HaltReport {
    let report =
        |one: &ChainAction| if let ChainAction::Halt { report } = one { Some((**report).clone()) } else { None };
    actions.iter().find_map(report).expect("a halt")
}

#[test]
fn the_third_equal_vote_of_four_makes_it_final_and_in_order() {
    let fixture = Fixture::new(4);
    let chain = fixture.chain(2);
    let mut tracker = tracker(&fixture);
    for executed in &chain {
        let actions = execute(&mut tracker, NOW, executed);
        assert_eq!(votes(&actions), [fixture.vote(1, executed).vote]);
        assert!(tracker.on_signed(NOW, fixture.vote(1, executed)).is_empty());
    }
    // Height 2 has its quorum first, and waits for height 1.
    for node in [2, 3] {
        assert_eq!(finals(&tracker.on_vote(NOW, PEER, fixture.vote(node, &chain[1]))), [0_u64; 0]);
    }
    assert_eq!(finals(&tracker.on_vote(NOW, PEER, fixture.vote(2, &chain[0]))), [0_u64; 0]);
    assert_eq!(finals(&tracker.on_vote(NOW, PEER, fixture.vote(4, &chain[0]))), [1, 2]);
    assert!(matches!(tracker.answer(Height(1)), VoteAnswer::Certificate(_)));
    assert_eq!(tracker.next_wakeup(), None, "nothing is left to ask for");
}

#[test]
fn a_vote_waits_while_its_block_lies_ahead_and_later_ones_wait_behind_it() {
    let fixture = Fixture::new(4);
    let chain = fixture.chain(3);
    let mut tracker = tracker(&fixture);
    let second_ms = START_MS + BLOCK_MS;
    let early = TimeMs(second_ms - MAX_AHEAD_MS - 1);
    let mut seen = Vec::new();
    for executed in &chain {
        seen.extend(votes(&execute(&mut tracker, early, executed)));
    }
    assert_eq!(seen.iter().map(|vote| vote.height.0).collect::<Vec<_>>(), [1]);
    let due = TimeMs(second_ms - MAX_AHEAD_MS);
    assert_eq!(tracker.next_wakeup(), Some(due));
    assert_eq!(votes(&tracker.tick(due)).iter().map(|vote| vote.height.0).collect::<Vec<_>>(), [2]);
    assert!(votes(&tracker.tick(due)).is_empty(), "asked once");
    assert_eq!(votes(&tracker.tick(NOW)).iter().map(|vote| vote.height.0).collect::<Vec<_>>(), [3]);
}

#[test]
fn what_does_not_belong_is_dropped_and_counted_by_sender() {
    let fixture = Fixture::new(4);
    let chain = fixture.chain(VOTE_WINDOW + 1);
    let mut tracker = tracker(&fixture);
    let good = fixture.vote(3, &chain[0]);
    let mut forged = good;
    forged.signature = Signature([7; 64]);
    let mut stranger = good;
    stranger.vote.validator = NodeId(9);
    let mut round = good.vote;
    round.round = Round(1);
    let mut elsewhere = good.vote;
    elsewhere.context.genesis = Hash::of(b"another chain");
    let key = fixture.key(NodeId(3));
    let cases = [
        (forged, Refusal::BadSignature),
        (stranger, Refusal::UnknownValidator),
        (round.sign(key), Refusal::OtherRound),
        (elsewhere.sign(key), Refusal::BadSignature),
        (fixture.vote(3, chain.last().unwrap()), Refusal::TooFarAhead),
    ];
    for (vote, refusal) in cases {
        let before = tracker.refusals().of(PEER, refusal);
        assert!(tracker.on_vote(NOW, PEER, vote).is_empty());
        assert_eq!(tracker.refusals().of(PEER, refusal), before + 1, "{refusal}");
    }
    // None of these took the place of the good vote.
    tracker.on_vote(NOW, PEER, good);
    assert_eq!(tracker.answer(Height(1)), VoteAnswer::Votes(vec![good]));
    tracker.on_vote(NOW, PEER, good);
    assert_eq!(tracker.refusals().of(PEER, Refusal::Duplicate), 1);
    let mut certificate = fixture.certificate(&[2, 3, 4], &chain[0]);
    certificate.signatures.pop();
    assert!(tracker.on_certificate(NOW, PEER, certificate).is_empty());
    assert_eq!(tracker.refusals().of(PEER, Refusal::BadCertificate), 1);
    assert_eq!(tracker.refusals().of(NodeId(3), Refusal::BadSignature), 0, "senders are told apart");
}

#[test]
fn depth_is_bounded_and_gaps_are_refused() {
    let fixture = Fixture::new(4);
    let chain = fixture.chain(MAX_UNFINAL as u64 + 1);
    let mut tracker = tracker(&fixture);
    let skipped = &chain[1];
    let refused = tracker.on_executed(NOW, 2, skipped.signed_header(), skipped.commitment);
    assert!(matches!(refused, Err(ChainError::NotExtending { .. })));
    for executed in &chain[..MAX_UNFINAL] {
        execute(&mut tracker, NOW, executed);
    }
    let last = &chain[MAX_UNFINAL];
    let refused = tracker.on_executed(NOW, 65, last.signed_header(), last.commitment);
    assert_eq!(refused, Err(ChainError::TooDeep { depth: MAX_UNFINAL }));
    tracker.on_certificate(NOW, PEER, fixture.certificate(&[2, 3, 4], &chain[0]));
    execute(&mut tracker, NOW, last);
}

#[test]
fn lost_votes_are_asked_for_again_with_growing_pauses() {
    let fixture = Fixture::new(4);
    let chain = fixture.chain(1);
    let mut tracker = tracker(&fixture);
    execute(&mut tracker, NOW, &chain[0]);
    let mut asked = Vec::new();
    for ms in 0..8_000 {
        let now = NOW.plus_ms(ms);
        for action in tracker.tick(now) {
            assert!(matches!(action, ChainAction::RequestVotes { height: Height(1), .. }));
            asked.push(ms);
        }
    }
    assert_eq!(asked, [400, 800, 1_600, 3_200, 6_400]);
    let actions = tracker.on_certificate(NOW, PEER, fixture.certificate(&[2, 3, 4], &chain[0]));
    assert_eq!(finals(&actions), [1]);
    assert_eq!(tracker.next_wakeup(), None);
}

#[test]
fn a_validator_that_stopped_voting_follows() {
    let fixture = Fixture::new(4);
    let chain = fixture.chain(1);
    let mut tracker = tracker(&fixture);
    tracker.stop_voting();
    assert!(execute(&mut tracker, NOW, &chain[0]).is_empty());
    assert_eq!(finals(&tracker.on_certificate(NOW, PEER, fixture.certificate(&[2, 3, 4], &chain[0]))), [1]);
}

#[test]
fn a_vote_of_the_own_key_from_outside_is_shown() {
    let fixture = Fixture::new(4);
    let chain = fixture.chain(1);
    let mut tracker = tracker(&fixture);
    let own = fixture.vote(1, &chain[0]);
    assert_eq!(tracker.on_vote(NOW, PEER, own), [ChainAction::OwnVoteSeen { vote: own.vote }]);
    let mut other = own.vote;
    other.commitment = Hash::of(b"other");
    let other = other.sign(fixture.key(NodeId(1)));
    let actions = tracker.on_vote(NOW, PEER, other);
    assert_eq!(actions[0], ChainAction::OwnVoteSeen { vote: other.vote });
}

#[test]
fn two_certificates_for_one_height_halt_for_good() {
    let fixture = Fixture::new(4);
    let chain = fixture.chain(1);
    let mut other = chain[0].clone();
    other.commitment = commitment(1, 9);
    for finalised in [false, true] {
        let mut tracker = tracker(&fixture);
        if finalised {
            execute(&mut tracker, NOW, &chain[0]);
        }
        tracker.on_certificate(NOW, PEER, fixture.certificate(&[1, 3, 4], &chain[0]));
        let report = halt(&tracker.on_certificate(NOW, PEER, fixture.certificate(&[2, 3, 4], &other)));
        assert_eq!((report.cause, &report.culprits[..]), (HaltCause::ConflictingFinals, &[NodeId(3), NodeId(4)][..]));
        assert!(report.sentence.contains("validators 3, 4"), "{}", report.sentence);
        assert!(tracker.on_vote(NOW, PEER, fixture.vote(2, &chain[0])).is_empty());
        assert!(tracker.tick(NOW).is_empty() && tracker.next_wakeup().is_none());
        let next = &fixture.chain(2)[1];
        let refused = tracker.on_executed(NOW, 9, next.signed_header(), next.commitment);
        assert_eq!(refused, Err(ChainError::Halted));
    }
}

#[test]
fn proof_against_as_many_as_can_fork_halts() {
    let fixture = Fixture::new(4);
    let chain = fixture.chain(1);
    let mut other = chain[0].clone();
    other.commitment = commitment(1, 9);
    let mut tracker = tracker(&fixture);
    for node in [3, 4] {
        tracker.on_vote(NOW, PEER, fixture.vote(node, &chain[0]));
    }
    let first = tracker.on_vote(NOW, PEER, fixture.vote(3, &other));
    assert!(matches!(first[..], [ChainAction::Report { .. }]) && tracker.halted().is_none(), "one does not stop it");
    let report = halt(&tracker.on_vote(NOW, PEER, fixture.vote(4, &other)));
    assert_eq!(report.cause, HaltCause::TooManyOffenders);
    assert_eq!(report.culprits, [NodeId(3), NodeId(4)]);
    assert_eq!(report.evidence().len(), 2);
}

#[test]
fn a_block_refused_here_and_certified_elsewhere_halts() {
    let fixture = Fixture::new(4);
    let chain = fixture.chain(1);
    let mut tracker = tracker(&fixture);
    assert!(tracker.on_noop(NOW, 1, Some(chain[0].signed_header())).is_empty());
    let report = halt(&tracker.on_certificate(NOW, PEER, fixture.certificate(&[2, 3, 4], &chain[0])));
    assert_eq!((report.cause, report.height), (HaltCause::ExecutionDiverged, Height(1)));
}

#[test]
fn a_late_double_vote_is_noticed_after_the_height_is_final() {
    let fixture = Fixture::new(4);
    let chain = fixture.chain(1);
    let mut tracker = tracker(&fixture);
    execute(&mut tracker, NOW, &chain[0]);
    tracker.on_certificate(NOW, PEER, fixture.certificate(&[2, 3, 4], &chain[0]));
    let mut other = chain[0].clone();
    other.commitment = commitment(1, 9);
    let actions = tracker.on_vote(NOW, PEER, fixture.vote(4, &other));
    let [ChainAction::Report { evidence }] = &actions[..] else { panic!("{actions:?}") };
    assert_eq!(evidence.verify(&fixture.set, &fixture.context).unwrap().culprits, [NodeId(4)]);
    assert!(tracker.on_vote(NOW, PEER, fixture.vote(4, &other)).is_empty(), "reported once");
}

#[test]
fn a_second_header_of_one_term_is_evidence_but_a_forged_one_is_not() {
    let fixture = Fixture::new(4);
    let chain = fixture.chain(1);
    let second = fixture.block(1, fixture.context.genesis, START_MS + 5, 1, 1);
    let mut forged = second.clone();
    forged.proposer_signature = Signature([1; 64]);
    let other_term = fixture.block(1, fixture.context.genesis, START_MS + 5, 2, 1);
    let header = mesh30k_consensus::finality::SignedHeader::of;
    let mut tracker = tracker(&fixture);
    execute(&mut tracker, NOW, &chain[0]);
    assert!(tracker.on_noop(NOW, 2, Some(header(&forged))).is_empty());
    assert!(tracker.on_noop(NOW, 3, Some(header(&other_term))).is_empty());
    assert!(tracker.on_noop(NOW, 4, Some(chain[0].signed_header())).is_empty(), "the same block ordered twice");
    let actions = tracker.on_noop(NOW, 5, Some(header(&second)));
    let [ChainAction::Report { evidence }] = &actions[..] else { panic!("{actions:?}") };
    assert_eq!(evidence.verify(&fixture.set, &fixture.context).unwrap().culprits, [NodeId(1)]);
    let Evidence::DoubleHeader { first, .. } = **evidence else { panic!("{evidence:?}") };
    let same = Evidence::DoubleHeader { first, second: first };
    let refused = same.verify(&fixture.set, &fixture.context);
    assert!(matches!(refused, Err(EvidenceError::NoContradiction { .. })));
    assert_eq!(tracker.applied(), 5);
}

#[test]
fn false_evidence_is_refused() {
    let fixture = Fixture::new(4);
    let chain = fixture.chain(2);
    let (a, b) = (fixture.vote(2, &chain[0]), fixture.vote(2, &chain[1]));
    let check = |evidence: Evidence| evidence.verify(&fixture.set, &fixture.context).unwrap_err();
    assert!(matches!(check(Evidence::DoubleVote { first: a, second: b }), EvidenceError::Unrelated { .. }));
    assert!(matches!(check(Evidence::DoubleVote { first: a, second: a }), EvidenceError::NoContradiction { .. }));
    let mut forged = a;
    forged.vote.commitment = Hash::of(b"put in his mouth");
    assert!(matches!(check(Evidence::DoubleVote { first: a, second: forged }), EvidenceError::Unsigned { .. }));
    let votes = vec![a, fixture.vote(3, &chain[0])];
    assert!(matches!(check(Evidence::NoQuorum { votes }), EvidenceError::NoContradiction { .. }));
}
