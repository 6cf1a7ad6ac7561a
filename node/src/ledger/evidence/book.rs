//! What this node holds against validators, and when it is to be brought before the ledger: decided from what it is told, and
//! nothing else.

use std::collections::BTreeMap;

use mesh30k_consensus::finality::Evidence;
use mesh30k_ledger::ops::ProveEquivocation;
use mesh30k_ledger::types::{Height, NodeId, TimeMs, TxId};
use serde::{Deserialize, Serialize};

use crate::ledger::own::{RETRY_MAX_MS, TRIES_MAX, pause_ms};

/// Pieces kept, at most; one that is settled makes room, one that finds none is counted.
pub(super) const KEPT_MAX: usize = 256;
/// Who saw it first waits so long for each validator whose turn comes before.
const TURN_MS: u64 = 3_000;

/// What it is about: one piece of each sort against one validator at one height.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) height: Height,
    pub(super) culprit: Option<NodeId>,
    pub(super) sort: EvidenceSort,
}

/// What kind of evidence it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EvidenceSort {
    /// Two votes at one height.
    DoubleVote,
    /// Two headers at one height in one term.
    DoubleHeader,
    /// A vote for a result that execution here refutes.
    RefutedVote,
    /// A certified result that execution here refutes.
    RefutedCertificate,
    /// Two certificates at one height.
    ConflictingFinals,
    /// Votes so divided that nothing can be certified.
    NoQuorum,
}

/// How far a piece has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EvidenceState {
    /// It will be brought before the ledger.
    Waiting,
    /// The ledger punished it.
    Punished(TxId),
    /// The ledger did not take it in so many tries; a restart tries again.
    GivenUp,
    /// No rule of the ledger punishes it by itself: it is for operators to judge.
    ForOperators,
}

/// A piece as it is kept.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) evidence: Evidence,
    pub(super) seen_at: TimeMs,
    pub(super) tries: u32,
    pub(super) state: EvidenceState,
    next_at: TimeMs,
}

/// What came of a piece that was handed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is new and kept.
    New,
    /// It was kept before.
    Known,
    /// There was no room.
    Dropped,
}

/// What the ledger says, when something is due.
pub(super) trait View {
    /// The transaction that punished what was done at the place of these votes.
    fn punished(&self, proof: &ProveEquivocation) -> Option<TxId>;
    /// Whether the node can pay for bringing it in.
    fn can_pay(&self, proof: &ProveEquivocation) -> bool;
}

/// Everything this node holds.
#[derive(Debug, Default)]
pub(super) struct EvidenceBook {
    kept: BTreeMap<Place, Kept>,
    /// This node, and how many validators there are: who comes first is spread over them.
    pub(super) turn: (u64, u64),
}

impl EvidenceBook {
    /// Keeps a piece that was verified.
    pub(super) fn keep(&mut self, at: TimeMs, evidence: Evidence) -> Taken {
        let mut taken = Taken::Known;
        for (place, evidence) in pieces(evidence) {
            if self.kept.contains_key(&place) {
                continue;
            }
            if !self.make_room() {
                return Taken::Dropped;
            }
            let state = match place.sort {
                EvidenceSort::DoubleVote => EvidenceState::Waiting,
                _ => EvidenceState::ForOperators,
            };
            let next_at = at.plus_ms(self.turns_before(place.height).saturating_mul(TURN_MS));
            self.kept.insert(place, Kept { evidence, seen_at: at, tries: 0, state, next_at });
            taken = Taken::New;
        }
        taken
    }

    /// The lowest settled piece goes when the book is full.
    fn make_room(&mut self) -> bool {
        if self.kept.len() < KEPT_MAX {
            return true;
        }
        let settled = |(place, kept): (&Place, &Kept)| {
            matches!(kept.state, EvidenceState::Punished(_) | EvidenceState::GivenUp).then_some(*place)
        };
        let place = self.kept.iter().find_map(settled);
        place.is_some_and(|place| self.kept.remove(&place).is_some())
    }

    /// Validators whose turn at this height comes before this one's.
    fn turns_before(&self, height: Height) -> u64 {
        let (me, of) = self.turn;
        me.wrapping_add(height.0).checked_rem(of).unwrap_or(0)
    }

    /// When something is due next.
    pub(super) fn next_at(&self) -> Option<TimeMs> {
        self.kept.values().filter(|kept| kept.state == EvidenceState::Waiting).map(|kept| kept.next_at).min()
    }

    /// Notes what the ledger has punished, by whomever it was brought in.
    pub(super) fn settle(&mut self, view: &dyn View) {
        for kept in self.kept.values_mut().filter(|kept| kept.state != EvidenceState::ForOperators) {
            if let Some(by) = kept.proof().and_then(|proof| view.punished(&proof)) {
                kept.state = EvidenceState::Punished(by);
            }
        }
    }

    /// What to bring before the ledger now.
    pub(super) fn due(&mut self, now: TimeMs, view: &dyn View) -> Vec<ProveEquivocation> {
        self.settle(view);
        let mut due = Vec::new();
        for kept in self.kept.values_mut().filter(|kept| kept.state == EvidenceState::Waiting && kept.next_at <= now) {
            let Some(proof) = kept.proof() else { continue };
            if kept.tries >= TRIES_MAX {
                kept.state = EvidenceState::GivenUp;
            } else if view.can_pay(&proof) {
                kept.next_at = now.plus_ms(pause_ms(kept.tries));
                kept.tries = kept.tries.saturating_add(1);
                due.push(proof);
            } else {
                // Money may come; another validator may have brought it in by then.
                kept.next_at = now.plus_ms(RETRY_MAX_MS);
            }
        }
        due
    }

    /// Pieces in order of height.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Place, &Kept)> {
        self.kept.iter()
    }

    /// Pieces of which nothing has come yet.
    pub(super) fn unsettled(&self) -> usize {
        self.kept.values().filter(|kept| !matches!(kept.state, EvidenceState::Punished(_))).count()
    }
}

impl Kept {
    /// As the ledger takes it.
    fn proof(&self) -> Option<ProveEquivocation> {
        match self.evidence {
            Evidence::DoubleVote { first, second } => Some(ProveEquivocation { first, second }),
            _ => None,
        }
    }
}

/// A piece of evidence and what follows from it: two certificates of one round hold two votes of everybody in both.
fn pieces(evidence: Evidence) -> Vec<(Place, Evidence)> {
    let (sort, culprit) = match &evidence {
        Evidence::DoubleVote { first, .. } => (EvidenceSort::DoubleVote, Some(first.vote.validator)),
        Evidence::DoubleHeader { first, .. } => (EvidenceSort::DoubleHeader, Some(first.header.proposer)),
        Evidence::RefutedVote { vote, .. } => (EvidenceSort::RefutedVote, Some(vote.vote.validator)),
        Evidence::RefutedCertificate { .. } => (EvidenceSort::RefutedCertificate, None),
        Evidence::ConflictingFinals { .. } => (EvidenceSort::ConflictingFinals, None),
        Evidence::NoQuorum { .. } => (EvidenceSort::NoQuorum, None),
    };
    let height = evidence.height();
    let mut pieces = Vec::new();
    if let Evidence::ConflictingFinals { .. } = &evidence {
        for (first, second) in evidence.double_votes() {
            let place = Place { height, culprit: Some(first.vote.validator), sort: EvidenceSort::DoubleVote };
            pieces.push((place, Evidence::DoubleVote { first, second }));
        }
    }
    pieces.push((Place { height, culprit, sort }, evidence));
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh30k_ledger::finality::{Certificate, Phase, SignedVote, Vote};
    use mesh30k_ledger::keys::SecretKey;
    use mesh30k_ledger::signing::ChainContext;
    use mesh30k_ledger::types::{ChainId, Epoch, Hash, Round};

    const NOW: TimeMs = TimeMs(1_000_000);

    fn vote(node: u64, height: u64, block: &[u8]) -> SignedVote {
        let vote = Vote {
            phase: Phase::First,
            context: ChainContext { chain: ChainId::new("test").unwrap(), genesis: Hash::ZERO },
            epoch: Epoch(0),
            round: Round(0),
            height: Height(height),
            block: Hash::of(block),
            parent: Hash::ZERO,
            commitment: Hash::ZERO,
            lock: None,
            validator: NodeId(node),
        };
        vote.sign(&SecretKey::from_seed([node as u8; 32]))
    }

    fn double(node: u64, height: u64) -> Evidence {
        Evidence::DoubleVote { first: vote(node, height, b"one"), second: vote(node, height, b"other") }
    }

    fn certificate(block: &[u8]) -> Certificate {
        Certificate::assemble(&[1, 2, 3].map(|node| vote(node, 7, block))).unwrap()
    }

    /// Whom the ledger has punished, and whether this node has money.
    struct Ledger(Vec<NodeId>, bool);

    impl View for Ledger {
        fn punished(&self, proof: &ProveEquivocation) -> Option<TxId> {
            self.0.contains(&proof.first.vote.validator).then_some(Hash::ZERO)
        }
        fn can_pay(&self, _: &ProveEquivocation) -> bool {
            self.1
        }
    }

    fn states(book: &EvidenceBook) -> Vec<EvidenceState> {
        book.iter().map(|(_, kept)| kept.state).collect()
    }

    #[test]
    fn one_piece_against_a_validator_at_a_height_is_enough() {
        let mut book = EvidenceBook::default();
        assert_eq!(book.keep(NOW, double(2, 9)), Taken::New);
        assert_eq!(book.keep(NOW, double(2, 9)), Taken::Known);
        assert_eq!(book.keep(NOW, double(2, 10)), Taken::New);
        assert_eq!(book.keep(NOW, double(3, 9)), Taken::New);
        assert_eq!(book.iter().count(), 3);
    }

    #[test]
    fn it_is_brought_in_at_a_slow_pace_until_the_ledger_took_it_or_so_often() {
        let mut book = EvidenceBook::default();
        book.keep(NOW, double(2, 9));
        let nobody = Ledger(Vec::new(), true);
        let (mut at, mut pauses) = (NOW, Vec::new());
        for _ in 0..TRIES_MAX {
            assert_eq!(book.next_at(), Some(at));
            assert_eq!(book.due(at, &nobody).len(), 1);
            assert!(book.due(at.plus_ms(1), &nobody).is_empty(), "once a pause");
            let next = book.next_at().unwrap();
            pauses.push(next.since_ms(at));
            at = next;
        }
        assert_eq!(pauses[..6], [30_000, 60_000, 120_000, 240_000, 480_000, 600_000]);
        assert!(book.due(at, &nobody).is_empty());
        assert_eq!((states(&book), book.next_at()), (vec![EvidenceState::GivenUp], None));
        // Somebody else brought it in after all.
        book.settle(&Ledger(vec![NodeId(2)], true));
        assert_eq!((states(&book), book.unsettled()), (vec![EvidenceState::Punished(Hash::ZERO)], 0));
    }

    #[test]
    fn a_validator_without_money_waits_and_tries_nothing() {
        let mut book = EvidenceBook::default();
        book.keep(NOW, double(2, 9));
        assert!(book.due(NOW, &Ledger(Vec::new(), false)).is_empty());
        let later = NOW.plus_ms(RETRY_MAX_MS);
        assert_eq!((book.next_at(), book.iter().next().unwrap().1.tries), (Some(later), 0));
        assert_eq!(book.due(later, &Ledger(Vec::new(), true)).len(), 1);
    }

    #[test]
    fn validators_take_turns_so_that_one_pays_the_fee() {
        let firsts: Vec<u64> = (1..=4)
            .map(|me| {
                let mut book = EvidenceBook { turn: (me, 4), ..EvidenceBook::default() };
                book.keep(NOW, double(2, 9));
                book.next_at().unwrap().since_ms(NOW)
            })
            .collect();
        assert_eq!(firsts, [6_000, 9_000, 0, 3_000]);
        let mut last = EvidenceBook { turn: (2, 4), ..EvidenceBook::default() };
        last.keep(NOW, double(2, 9));
        assert!(last.due(NOW.plus_ms(9_000), &Ledger(vec![NodeId(2)], true)).is_empty(), "it was punished meanwhile");
    }

    #[test]
    fn two_certificates_convict_everybody_who_signed_both() {
        let mut book = EvidenceBook::default();
        book.keep(NOW, Evidence::ConflictingFinals { first: certificate(b"one"), second: certificate(b"other") });
        let against: Vec<_> = book.iter().map(|(place, kept)| (place.culprit, kept.state)).collect();
        let waiting = [1, 2, 3].map(|node| (Some(NodeId(node)), EvidenceState::Waiting));
        assert_eq!(against.iter().filter(|one| waiting.contains(one)).count(), 3);
        assert!(against.contains(&(None, EvidenceState::ForOperators)));
        for proof in book.due(NOW, &Ledger(Vec::new(), true)) {
            let key = SecretKey::from_seed([proof.first.vote.validator.0 as u8; 32]).public();
            assert!(proof.first.is_signed_by(&key) && proof.second.is_signed_by(&key));
        }
    }

    #[test]
    fn a_full_book_drops_what_is_new_unless_something_is_settled() {
        let mut book = EvidenceBook::default();
        for height in 0..KEPT_MAX as u64 {
            assert_eq!(book.keep(NOW, double(2, height)), Taken::New);
        }
        assert_eq!(book.keep(NOW, double(3, 1)), Taken::Dropped);
        book.settle(&Ledger(vec![NodeId(2)], true));
        assert_eq!(book.keep(NOW, double(3, 1)), Taken::New);
        assert_eq!(book.iter().count(), KEPT_MAX);
    }
}
