//! What a validator does with what its tracker decides, and when it proposes.

use std::sync::{Arc, Mutex, PoisonError};

use mesh30k_consensus::finality::sign_file::{DiskSignFile, SignFile};
use mesh30k_consensus::finality::{ChainAction, Decision, Evidence, HaltReport, SignLog, VoteKey};
use mesh30k_ledger::block::{Block, Header, MAX_TRANSACTIONS};
use mesh30k_ledger::execute::{Selection, select};
use mesh30k_ledger::finality::{SignedVote, Vote};
use mesh30k_ledger::keys::SecretKey;
use mesh30k_ledger::query;
use mesh30k_ledger::signing::ChainContext;
use mesh30k_ledger::state::{StateError, StateRead};
use mesh30k_ledger::types::{AccountId, Height, NodeId, TimeMs};

use crate::app::Shared;
use crate::core::{Finalized, StorageFailed};
use crate::mempool::Mempool;
use crate::verdicts::Verdicts;

/// What is left to do outside once an action is carried out.
#[derive(Debug)]
pub enum Effect {
    /// Send this vote to all other validators; one that is lost is asked for again.
    SendVote(Box<SignedVote>),
    /// A block is final and written.
    Finalized(Box<Finalized>),
    /// Ask the other validators for their votes, or the certificate, of this height.
    AskForVotes {
        /// The height.
        height: Height,
        /// Counts from 0, for choosing peers.
        attempt: u32,
    },
    /// Keep and spread.
    Report(Box<Evidence>),
    /// Write the report and stop serving.
    Halt(Box<HaltReport>),
}

/// What a leader does next.
#[derive(Debug)]
pub enum Proposal {
    /// It hands this block to Raft.
    Block(Box<Block>),
    /// It hands leadership on.
    StepDown {
        /// To the next validator after this one.
        to: NodeId,
    },
    /// It waits for a change, at most until then.
    Wait {
        /// When the answer changes by itself.
        until: Option<TimeMs>,
    },
}

/// A validator: the one that signs.
pub struct Validator<F: SignFile = DiskSignFile> {
    me: NodeId,
    key: SecretKey,
    context: ChainContext,
    shared: Arc<Shared>,
    /// `None`: it follows and never signs.
    sign_log: Option<SignLog<F>>,
}

impl<F: SignFile> Validator<F> {
    /// A validator over its core. Without a sign-log it follows and never signs.
    pub const fn new(
        me: NodeId,
        key: SecretKey,
        context: ChainContext,
        shared: Arc<Shared>,
        sign_log: Option<SignLog<F>>,
    ) -> Self {
        Self { me, key, context, shared, sign_log }
    }

    /// Carries out what the tracker decided, in order, until nothing is left that it can do alone. Waits for the disk where a
    /// vote is recorded.
    ///
    /// # Errors
    /// Storage that fails: the process must end.
    pub fn carry_out_next(&mut self) -> Result<Option<Effect>, StorageFailed> {
        loop {
            let action = self.shared.core().next_action();
            let Some(action) = action else { return Ok(None) };
            if let Some(effect) = self.carry_out(action)? {
                return Ok(Some(effect));
            }
        }
    }

    fn carry_out(&mut self, action: ChainAction) -> Result<Option<Effect>, StorageFailed> {
        Ok(match action {
            ChainAction::SignAndSendVote { vote } => self.sign(vote).map(|signed| Effect::SendVote(Box::new(signed))),
            ChainAction::Finalize { height, certificate, .. } => {
                let now = self.shared.now();
                let mut core = self.shared.core();
                core.proposer.on_final(now);
                Some(Effect::Finalized(Box::new(core.finalize(height, certificate)?)))
            }
            ChainAction::RequestVotes { height, attempt } => Some(Effect::AskForVotes { height, attempt }),
            ChainAction::OwnVoteSeen { vote } => {
                if let Some(log) = &mut self.sign_log
                    && let Err(error) = log.witness(VoteKey::of(&vote), vote.signing_hash())
                {
                    tracing::error!(%error, "this validator stops signing");
                    self.shared.core().tracker.stop_voting();
                }
                None
            }
            ChainAction::Report { evidence } => Some(Effect::Report(evidence)),
            ChainAction::Halt { report } => Some(Effect::Halt(report)),
        })
    }

    /// The record is on disk before the vote leaves.
    fn sign(&mut self, vote: Vote) -> Option<SignedVote> {
        let log = self.sign_log.as_mut()?;
        if let Err(error) = log.record(VoteKey::of(&vote), vote.signing_hash()) {
            tracing::error!(%error, "this validator stops signing");
            self.shared.core().tracker.stop_voting();
            return None;
        }
        let signed = vote.sign(&self.key);
        let now = self.shared.now();
        self.shared.core().push(|tracker| tracker.on_signed(now, signed));
        Some(signed)
    }

    /// A block, when it is time for one and this node leads in `term`. It counts as proposed: hand it to Raft.
    ///
    /// # Errors
    /// Storage that fails: the process must end.
    pub fn propose(&self, term: u64, pool: &Mutex<Mempool>, verdicts: &Verdicts) -> Result<Proposal, StorageFailed> {
        let failed = |error: StateError| StorageFailed(error.to_string());
        let now = self.shared.now();
        let mut core = self.shared.core();
        if core.is_read_only() {
            return Ok(Proposal::Wait { until: None });
        }
        let next_due = query::next_due(core.state()).map_err(failed)?;
        let pause = |until| Ok(Proposal::Wait { until });
        // Asked twice: gathering candidates is work, and what waits may be ordered already, here or by another leader.
        let pooled = pool.lock().unwrap_or_else(PoisonError::into_inner).len();
        let waiting = pooled.saturating_sub(core.unfinal_transactions()).max(pooled.min(1));
        match core.decide(now, term, true, waiting, next_due) {
            Decision::Propose { .. } => {}
            Decision::Wait { until, .. } => return pause(until),
            Decision::StepDown => {
                core.proposer.stepped_down(now, term);
                let next = self.next_validator(core.state()).map_err(failed)?;
                return next.map_or_else(|| pause(None), |to| Ok(Proposal::StepDown { to }));
            }
        }
        let candidates = {
            let state = core.state();
            let next_nonce = |account: &AccountId| query::next_nonce(state, account).unwrap_or(0);
            pool.lock().unwrap_or_else(PoisonError::into_inner).candidates(MAX_TRANSACTIONS, next_nonce)
        };
        let time = match core.decide(now, term, true, candidates.len(), next_due) {
            Decision::Propose { time, .. } => time,
            Decision::Wait { until, .. } => return pause(until),
            // Asked a moment ago, and the core was not let go of.
            Decision::StepDown => return pause(None),
        };
        let chosen = select(core.state(), time, candidates, verdicts).map_err(failed)?;
        drop_hopeless(&chosen, pool);
        let block = self.build(core.state(), chosen, term, time).map_err(failed)?;
        core.proposer.proposed(now, term, block.header.height, block.transactions.len());
        Ok(Proposal::Block(Box::new(block)))
    }

    /// In the order of the set, round and round: were all to hand on to the same one, two that have halted would keep leadership
    /// between them.
    fn next_validator(&self, state: &dyn StateRead) -> Result<Option<NodeId>, StateError> {
        let nodes: Vec<NodeId> = query::validator_set(state)?.0.iter().map(|validator| validator.node).collect();
        let after_me = nodes.iter().skip_while(|node| **node != self.me).skip(1);
        Ok(after_me.chain(&nodes).find(|node| **node != self.me).copied())
    }

    fn build(&self, state: &dyn StateRead, chosen: Selection, term: u64, time: TimeMs) -> Result<Block, StateError> {
        let tip = query::tip(state)?;
        let header = Header {
            chain: self.context.chain,
            epoch: query::epoch(state)?,
            round: tip.round,
            height: tip.height.next(),
            parent: tip.block,
            tx_root: Block::transactions_root(&chosen.included),
            parent_state_root: tip.state_root,
            next_validators_hash: query::next_validator_set(state)?.hash(),
            time,
            term,
            proposer: self.me,
            reset: None,
        };
        Ok(Block::sign(header, chosen.included, &self.context, &self.key))
    }
}

/// Takes out of the pool what can never be ordered.
fn drop_hopeless(chosen: &Selection, pool: &Mutex<Mempool>) {
    for (signed, rejection) in chosen.refused.iter().filter(|(_, rejection)| !rejection.is_premature()) {
        tracing::info!(id = %signed.id(), %rejection, "a transaction can never be ordered and is dropped");
        pool.lock().unwrap_or_else(PoisonError::into_inner).remove(&signed.tx.account, signed.tx.nonce);
    }
}
