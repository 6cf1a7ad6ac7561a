//! A validator's loop: carries out what the tracker wants, proposes when it is time.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mesh30k_consensus::finality::{ChainAction, Decision, SignLog, VoteAnswer, VoteKey};
use mesh30k_consensus::raft::{Group, ProposeError};
use mesh30k_ledger::block::{Block, Header, MAX_TRANSACTIONS};
use mesh30k_ledger::codec::{decode, encode};
use mesh30k_ledger::execute::select;
use mesh30k_ledger::finality::{SignedVote, Vote};
use mesh30k_ledger::keys::SecretKey;
use mesh30k_ledger::query;
use mesh30k_ledger::transaction::SignedTransaction;
use mesh30k_ledger::types::{Height, NodeId, TimeMs};
use mesh30k_p2p::{Control, Inbox};
use openraft::impls::TokioRuntime;

use super::app::Shared;
use super::core::StorageFailed;
use super::halt;
use super::handle::LedgerHandle;
use super::peers::Peers;
use super::wire::{SyncAnswer, SyncRequest};
use crate::clock;
use crate::lanes;

/// Bytes of one vote, at most.
const VOTE_BYTES_MAX: usize = 1_024;
/// How long one question about votes may take.
const VOTES_TIMEOUT: Duration = Duration::from_millis(500);
/// How long Raft may take to order a block before the answer is given up; the block may still be ordered.
const ORDER_TIMEOUT: Duration = Duration::from_secs(5);
/// Pause before the same block is handed in again.
const ORDER_PAUSE: Duration = Duration::from_millis(100);
/// The loop looks around at least this often.
const TICK: Duration = Duration::from_millis(250);

/// What a validator's loop works with.
pub(crate) struct ValidatorDriver {
    pub(crate) me: NodeId,
    pub(crate) key: SecretKey,
    pub(crate) shared: Arc<Shared>,
    pub(crate) group: Group<TokioRuntime>,
    pub(crate) sign_log: Option<SignLog>,
    pub(crate) ledger: LedgerHandle,
    pub(crate) peers: Peers,
    pub(crate) control: Control,
    pub(crate) votes: Inbox,
}

fn now() -> TimeMs {
    TimeMs(clock::wall_ms())
}

impl ValidatorDriver {
    /// Runs until the node's network closes.
    pub(crate) async fn run(mut self) {
        loop {
            self.carry_out_all();
            self.propose();
            let pause = self.pause();
            tokio::select! {
                () = self.shared.wake.notified() => {}
                () = self.ledger.pool_changed() => {}
                inbound = self.votes.recv() => match inbound {
                    Some(inbound) => self.on_vote(inbound.peer, &inbound.body),
                    None => return,
                },
                () = tokio::time::sleep(pause) => {}
            }
            let at = now();
            self.shared.core().push(|tracker| tracker.tick(at));
        }
    }

    fn on_vote(&self, peer: mesh30k_p2p::PeerId, body: &[u8]) {
        let Ok(vote) = decode::<SignedVote>(body, VOTE_BYTES_MAX) else {
            tracing::debug!(%peer, "a vote that can't be read was dropped");
            return;
        };
        let from = self.peers.node_of(&peer).unwrap_or(NodeId(0));
        self.shared.core().push(|tracker| tracker.on_vote(now(), from, vote));
    }

    fn carry_out_all(&mut self) {
        loop {
            let action = self.shared.core().next_action();
            let Some(action) = action else { return };
            self.carry_out(action);
        }
    }

    fn carry_out(&mut self, action: ChainAction) {
        match action {
            ChainAction::SignAndSendVote { vote } => self.sign_and_send(vote),
            ChainAction::Finalize { height, certificate, .. } => {
                let finalized = self.shared.core().finalize(height, certificate);
                self.shared.made_room();
                match finalized {
                    Ok(done) => self.ledger.publish(&done.stored, &done.changes, &done.transactions, true),
                    Err(error) => super::stop_process(&error),
                }
            }
            ChainAction::RequestVotes { height, attempt } => self.ask_for_votes(height, attempt),
            ChainAction::OwnVoteSeen { vote } => {
                if let Some(log) = &mut self.sign_log
                    && let Err(error) = log.witness(VoteKey::of(&vote), vote.signing_hash())
                {
                    tracing::error!(%error, "this validator stops signing");
                    self.shared.core().tracker.stop_voting();
                }
            }
            ChainAction::Report { evidence } => {
                tracing::error!(?evidence, "a validator broke the rules; the evidence is kept");
            }
            ChainAction::Halt { report } => {
                tracing::error!(sentence = %report.sentence, "the chain is halted on this node");
                halt::write(&self.ledger.halt_path(), &report);
                self.ledger.set_halted(&report);
            }
        }
    }

    fn sign_and_send(&mut self, vote: Vote) {
        let Some(log) = &mut self.sign_log else { return };
        // The record is on disk before the vote leaves; the other tasks go on meanwhile.
        let recorded = tokio::task::block_in_place(|| log.record(VoteKey::of(&vote), vote.signing_hash()));
        if let Err(error) = recorded {
            tracing::error!(%error, "this validator stops signing");
            self.shared.core().tracker.stop_voting();
            return;
        }
        let signed = vote.sign(&self.key);
        let body = Bytes::from(encode(&signed));
        for peer in self.peers.validators().filter(|(node, _)| *node != self.me).map(|(_, peer)| peer) {
            // A vote that is lost is asked for again.
            let _ = self.control.notify(peer, lanes::VOTE, body.clone());
        }
        self.shared.core().push(|tracker| tracker.on_signed(now(), signed));
    }

    fn ask_for_votes(&self, height: Height, attempt: u32) {
        let others: Vec<_> = self.peers.validators().filter(|(node, _)| *node != self.me).collect();
        let Some((from, peer)) = others.get(attempt as usize % others.len().max(1)).copied() else { return };
        let (control, shared) = (self.control.clone(), Arc::clone(&self.shared));
        tokio::spawn(async move {
            let body = Bytes::from(encode(&SyncRequest::Votes { height }));
            let Ok(answer) = control.request(peer, lanes::SYNC, body, VOTES_TIMEOUT).await else { return };
            match decode::<SyncAnswer>(&answer, super::wire::ANSWER_BYTES_MAX) {
                Ok(SyncAnswer::Certificate(certificate)) => {
                    shared.core().push(|tracker| tracker.on_certificate(now(), from, certificate));
                }
                Ok(SyncAnswer::Votes(votes)) => {
                    for vote in votes {
                        shared.core().push(|tracker| tracker.on_vote(now(), from, vote));
                    }
                }
                _ => {}
            }
            shared.wake.notify_one();
        });
    }

    fn pause(&self) -> Duration {
        let core = self.shared.core();
        let until = core.tracker.next_wakeup();
        until.map_or(TICK, |until| {
            Duration::from_millis(until.0.saturating_sub(now().0)).clamp(Duration::from_millis(1), TICK)
        })
    }

    /// Hands a block to Raft when it is time for one.
    fn propose(&self) {
        if !self.group.is_ready_leader() {
            return;
        }
        let term = self.group.term();
        let block = {
            let mut core = self.shared.core();
            if core.proposer.must_step_down(term) {
                drop(core);
                self.step_down();
                return;
            }
            let next_due = query::next_due(core.state()).ok().flatten();
            // Asked twice: gathering candidates is work, and what waits may be ordered already.
            if !matches!(core.decide(now(), term, true, true, next_due), Decision::Propose { .. }) {
                return;
            }
            let candidates = self.ledger.candidates(MAX_TRANSACTIONS, core.state());
            let work = !candidates.is_empty();
            let Decision::Propose { time, .. } = core.decide(now(), term, true, work, next_due) else { return };
            let block = match self.build(core.state(), candidates, term, time) {
                Ok(block) => block,
                Err(error) => super::stop_process(&error),
            };
            core.proposer.proposed(now(), term, block.header.height);
            block
        };
        tokio::spawn(order(self.group.clone(), Arc::clone(&self.shared), Bytes::from(encode(&block)), term));
    }

    fn build(
        &self,
        state: &dyn mesh30k_ledger::state::StateRead,
        candidates: Vec<SignedTransaction>,
        term: u64,
        time: TimeMs,
    ) -> Result<Block, StorageFailed> {
        let failed = |error: mesh30k_ledger::state::StateError| StorageFailed(error.to_string());
        let tip = query::tip(state).map_err(failed)?;
        let chosen = select(state, time, candidates, self.ledger.verdicts().as_ref()).map_err(failed)?;
        for (signed, rejection) in chosen.refused.iter().filter(|(_, rejection)| !rejection.is_premature()) {
            tracing::info!(id = %signed.id(), %rejection, "a transaction can never be ordered and is dropped");
            self.ledger.pool().remove(&signed.tx.account, signed.tx.nonce);
        }
        let validators = query::validator_set(state).map_err(failed)?;
        let context = self.ledger.context();
        let header = Header {
            chain: context.chain,
            epoch: query::epoch(state).map_err(failed)?,
            round: tip.round,
            height: tip.height.next(),
            parent: tip.block,
            tx_root: Block::transactions_root(&chosen.included),
            parent_state_root: tip.state_root,
            next_validators_hash: validators.hash(),
            time,
            term,
            proposer: self.me,
            reset: None,
        };
        Ok(Block::sign(header, chosen.included, &context, &self.key))
    }

    fn step_down(&self) {
        let group = self.group.clone();
        let others: BTreeSet<NodeId> =
            self.peers.validators().map(|(node, _)| node).filter(|node| *node != self.me).collect();
        let Some(to) = others.first().copied() else { return };
        tokio::spawn(async move {
            tracing::warn!(%to, "this validator's block was ordered too late; leadership moves on");
            if let Err(error) = group.transfer_leader(to.0).await {
                tracing::warn!(%error, "leadership could not be moved");
            }
        });
    }
}

/// Sees a block through Raft. An answer that leaves open whether it was stored is followed by the same block again:
/// another one at its height would be evidence against this validator, and a second copy changes nothing.
async fn order(group: Group<TokioRuntime>, shared: Arc<Shared>, block: Bytes, term: u64) {
    loop {
        let proposed = tokio::time::timeout(ORDER_TIMEOUT, group.propose(block.clone())).await;
        let is_refused = match proposed {
            Ok(Ok(_)) => break,
            Ok(Err(ProposeError::Uncertain { .. })) | Err(_) => false,
            Ok(Err(error)) => {
                tracing::debug!(%error, "a block was not ordered");
                true
            }
        };
        if is_refused || !group.is_leader() || group.term() != term {
            if is_refused {
                shared.core().proposer.refused();
            }
            break;
        }
        tokio::time::sleep(ORDER_PAUSE).await;
    }
    shared.wake.notify_one();
}

/// What this validator knows about the finality of a height, for a peer that asks.
pub(crate) fn votes_answer(shared: &Shared, height: Height) -> Option<SyncAnswer> {
    match shared.core().tracker.answer(height) {
        VoteAnswer::Certificate(certificate) => Some(SyncAnswer::Certificate(*certificate)),
        VoteAnswer::Votes(votes) if votes.is_empty() => None,
        VoteAnswer::Votes(votes) => Some(SyncAnswer::Votes(votes)),
    }
}
