//! When a validator proposes a block, and with which time.

use mesh30k_ledger::types::{Height, TimeMs};

/// Ordered blocks that are not final yet, from which on a leader stops proposing.
pub const PIPELINE_DEPTH: usize = 4;
/// Least distance of two proposals, ms.
pub const PROPOSAL_GAP_MS: u64 = 2;
/// Transactions that are worth a block of their own, whatever is under way.
pub const WORTH_A_BLOCK: usize = 500;
/// While a block is on its way to being final, fewer transactions than that gather for so long, ms: every block costs every validator
/// two syncs and a round of votes, however little is in it.
pub const GATHER_MS: u64 = 25;
/// After a block became final, those who waited for it come again: so long is waited for at least half as many, ms.
pub const RETURN_MS: u64 = 4;
/// An idle leader proposes an empty block this long after the last block, ms, to keep block time.
pub const IDLE_BLOCK_MS: u64 = 5_000;
/// A leader that gave up its office and still has it says so again after so long, ms: its word may be lost.
pub const STEP_DOWN_AGAIN_MS: u64 = 500;
/// A halted validator that is made leader again gives up its office after so long, ms. Where every validator has halted, leadership
/// goes round at this pace, which is an idle chain's.
pub const HALTED_PACE_MS: u64 = IDLE_BLOCK_MS;

/// What the proposer needs to see. The caller fills it from its Raft group and its tracker.
#[derive(Clone, Copy, Debug)]
pub struct ProposerView {
    /// This validator leads the global group.
    pub leader: bool,
    /// Its Raft term.
    pub term: u64,
    /// Index of the last entry in its Raft log.
    pub last_log_index: u64,
    /// Term and index of the last entry applied.
    pub applied: (u64, u64),
    /// Height of the last block executed, final or not.
    pub tip_height: Height,
    /// Time of that block.
    pub tip_time: TimeMs,
    /// Executed blocks that are not final.
    pub unfinal: usize,
    /// Transactions that wait in the pool and are in no block yet.
    pub waiting: usize,
    /// Earliest deadline on the ledger at its tip, if there is one.
    pub next_due: Option<TimeMs>,
    /// The chain is halted.
    pub halted: bool,
    /// The last block executed was the last of its epoch: the next is made by another set of validators.
    pub epoch_over: bool,
}

/// What a proposal is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProposalReason {
    /// Transactions wait.
    Work,
    /// A deadline on the ledger is due.
    Due,
    /// Nothing happened for `IDLE_BLOCK_MS`.
    Idle,
}

/// Why there is no proposal now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitReason {
    /// Leadership is on its way to somebody else.
    SteppingDown,
    /// Somebody else leads.
    NotLeader,
    /// The log of earlier terms, or the last entry, is not applied yet.
    LogNotApplied,
    /// The last proposal has not come back from Raft.
    InFlight,
    /// The next block belongs to the next epoch.
    EpochOver,
    /// Too many blocks are not final.
    PipelineFull,
    /// The last proposal is less than `PROPOSAL_GAP_MS` ago.
    Gap,
    /// Nothing to do.
    Idle,
}

/// The answer of [`Proposer::decide`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Build a block on the tip with this time and hand it to Raft; then call `proposed`.
    Propose {
        /// Block time: later than the parent's.
        time: TimeMs,
        /// What it is for.
        reason: ProposalReason,
    },
    /// Hand leadership on, then call `stepped_down`. This validator has halted, which the others may not have: were it to go on
    /// leading, one bad disk would stop them all. Or its own block in this term was ordered but did not extend the chain: another
    /// block at that height would be evidence against it, so that somebody else, or a new term, must go on.
    StepDown,
    /// Ask again on a change, or at `until`.
    Wait {
        /// Time at which the answer changes by itself.
        until: Option<TimeMs>,
        /// Why.
        reason: WaitReason,
    },
}

/// Decides when to propose. One block at a time is in flight, and never two different ones in one
/// term at one height: that would be evidence against this validator (E6).
#[derive(Clone, Copy, Debug)]
pub struct Proposer {
    last_proposal: Option<TimeMs>,
    last_block: TimeMs,
    in_flight: Option<(u64, Height)>,
    rejected: bool,
    /// Transactions in the last proposal.
    last_size: usize,
    last_final: Option<TimeMs>,
    /// Term and time of the last attempt to hand leadership on.
    stepped_down: Option<(u64, TimeMs)>,
}

impl Proposer {
    /// A proposer that starts at `now`.
    pub fn new(now: TimeMs) -> Self {
        Self {
            last_proposal: None,
            last_block: now,
            in_flight: None,
            rejected: false,
            last_size: 0,
            last_final: None,
            stepped_down: None,
        }
    }

    /// Says whether to propose now.
    pub fn decide(&self, now: TimeMs, view: &ProposerView) -> Decision {
        let wait = |reason, until| Decision::Wait { until, reason };
        if !view.leader {
            return wait(WaitReason::NotLeader, None);
        }
        if view.halted || self.is_spent(view.term) {
            let last = self.stepped_down.filter(|(term, _)| view.halted || *term == view.term);
            let gap_ms = |term: u64| if term == view.term { STEP_DOWN_AGAIN_MS } else { HALTED_PACE_MS };
            let again = last.and_then(|(term, at)| still_ahead(now, at, gap_ms(term)));
            return again.map_or(Decision::StepDown, |again| wait(WaitReason::SteppingDown, Some(again)));
        }
        // The blank entry that opens a term is applied only after everything before it.
        if view.applied.0 != view.term || view.applied.1 < view.last_log_index {
            return wait(WaitReason::LogNotApplied, None);
        }
        if self.in_flight.is_some_and(|(term, height)| term == view.term && height > view.tip_height) {
            return wait(WaitReason::InFlight, None);
        }
        if view.epoch_over {
            return wait(WaitReason::EpochOver, None);
        }
        if view.unfinal >= PIPELINE_DEPTH {
            return wait(WaitReason::PipelineFull, None);
        }
        let due = view.next_due.is_some_and(|due| due <= now);
        // A block later than now: the clock was set back, and says nothing about how long ago that was.
        let idle_at = if self.last_block > now { now } else { self.last_block.plus_ms(IDLE_BLOCK_MS) };
        let reason = if view.waiting > 0 {
            ProposalReason::Work
        } else if due {
            ProposalReason::Due
        } else if now >= idle_at {
            ProposalReason::Idle
        } else {
            let next = view.next_due.map_or(idle_at, |due| due.min(idle_at));
            return wait(WaitReason::Idle, Some(next));
        };
        let (since, gap_ms) = self.gap(reason, view);
        if let Some(until) = since.and_then(|since| still_ahead(now, since, gap_ms)) {
            return wait(WaitReason::Gap, Some(until));
        }
        Decision::Propose { time: block_time(now, view.tip_time), reason }
    }

    /// How long after what the next proposal is due.
    fn gap(&self, reason: ProposalReason, view: &ProposerView) -> (Option<TimeMs>, u64) {
        let is_alone = view.unfinal == 0;
        if reason != ProposalReason::Work || view.waiting >= WORTH_A_BLOCK {
            (self.last_proposal, PROPOSAL_GAP_MS)
        } else if !is_alone {
            (self.last_proposal, GATHER_MS)
        } else if view.waiting.saturating_mul(2) < self.last_size {
            (self.last_final, RETURN_MS)
        } else {
            (self.last_proposal, PROPOSAL_GAP_MS)
        }
    }

    /// A block became final here.
    pub fn on_final(&mut self, now: TimeMs) {
        self.last_final = Some(now);
    }

    /// A block of `size` transactions for `height` was handed to Raft in `term`.
    pub fn proposed(&mut self, now: TimeMs, term: u64, height: Height, size: usize) {
        self.last_size = size;
        self.last_proposal = Some(now);
        self.in_flight = Some((term, height));
        self.rejected = false;
    }

    /// Raft refused the proposal *without having stored it* (it is no leader). After an answer that
    /// leaves this open, a timeout for example, hand in the same block again instead: Raft may order
    /// it twice, and the second copy does not extend the tip.
    pub fn refused(&mut self) {
        self.in_flight = None;
    }

    /// Leadership was handed on in `term`; whether it has moved is seen later.
    pub fn stepped_down(&mut self, now: TimeMs, term: u64) {
        self.stepped_down = Some((term, now));
    }

    /// A committed block, of anybody, was applied. One that was a no-op leaves its height taken in its term; if it was our own,
    /// leadership has to move, see [`Decision::StepDown`].
    pub fn on_block(&mut self, now: TimeMs, executed: bool, term: u64, height: Height) {
        let own = self.in_flight == Some((term, height));
        if executed {
            self.last_block = now;
        }
        match (own, executed) {
            (true, true) => self.in_flight = None,
            (true, false) => self.rejected = true,
            (false, _) => {}
        }
    }

    /// Our own block in `term` was ordered but did not extend the chain.
    fn is_spent(&self, term: u64) -> bool {
        self.rejected && self.in_flight.is_some_and(|(built, _)| built == term)
    }
}

/// When `gap_ms` after `since` is over, if that is still to come. A time further ahead was taken before the clock was set back.
fn still_ahead(now: TimeMs, since: TimeMs, gap_ms: u64) -> Option<TimeMs> {
    Some(since.plus_ms(gap_ms)).filter(|until| now < *until && until.0 <= now.0.saturating_add(gap_ms))
}

/// Block time: the leader's clock, strictly rising.
pub fn block_time(now: TimeMs, parent: TimeMs) -> TimeMs {
    now.max(parent.plus_ms(1))
}
