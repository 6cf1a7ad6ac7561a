//! A validator's loop: carries out what the tracker wants, proposes when it is time.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mesh30k_chain::{CatchUp, Effect, Proposal, Shared, Validator, Wanted, order};
use mesh30k_consensus::finality::VoteAnswer;
use mesh30k_consensus::raft::Group;
use mesh30k_ledger::codec::{decode, encode};
use mesh30k_ledger::finality::SignedVote;
use mesh30k_ledger::types::{Height, NodeId, TimeMs};
use mesh30k_p2p::{Control, Inbox};
use tokio::sync::Notify;

use super::handle::LedgerHandle;
use super::peers::Peers;
use super::wire::{SyncAnswer, SyncRequest};
use crate::clock;
use crate::lanes;
use crate::raft_runtime::RaftRuntime;

/// Bytes of one vote, at most.
const VOTE_BYTES_MAX: usize = 1_024;
/// How long one question about votes may take.
const VOTES_TIMEOUT: Duration = Duration::from_millis(500);
/// How long one question about blocks may take.
const BLOCKS_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a chain that stands still is told of.
const STILL_EVERY: Duration = Duration::from_secs(60);
/// The loop looks around at least this often.
const TICK: Duration = Duration::from_millis(250);

/// What a validator's loop works with.
pub(crate) struct ValidatorDriver {
    pub(crate) me: NodeId,
    pub(crate) validator: Validator,
    pub(crate) shared: Arc<Shared>,
    pub(crate) woken: Arc<Notify>,
    pub(crate) group: Group<RaftRuntime>,
    pub(crate) ledger: LedgerHandle,
    pub(crate) peers: Peers,
    pub(crate) control: Control,
}

/// Why a loop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The node closes.
    Closed,
    /// The last block of the epoch is final here.
    EpochOver,
}

fn now() -> TimeMs {
    TimeMs(clock::wall_ms())
}

impl ValidatorDriver {
    /// Runs until the node's network closes, or the epoch is over. A vote of the next epoch that comes before is asked for again.
    pub(crate) async fn run(mut self, votes: &mut Inbox) -> Ended {
        let mut catch_up = CatchUp::new(now());
        let mut still = tokio::time::interval(STILL_EVERY);
        loop {
            self.carry_out_all();
            if self.shared.core().has_ended() {
                return Ended::EpochOver;
            }
            let propose_at = self.propose();
            let tip = self.shared.core().tracker.executed_tip().0;
            let wanted = catch_up.due(now(), tip, self.group.is_leader());
            if let Some(wanted) = wanted.filter(|_| !self.ledger.disk().is_read_only()) {
                self.ask_for_blocks(wanted);
            }
            let pause = self.pause(propose_at);
            tokio::select! {
                () = self.woken.notified() => {}
                () = self.ledger.pool_changed() => {}
                inbound = votes.recv() => match inbound {
                    Some(inbound) => self.on_vote(inbound.peer, &inbound.body),
                    None => return Ended::Closed,
                },
                _ = still.tick() => if let Some(sentence) = self.ledger.stalled() {
                    tracing::warn!("{sentence}");
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
        while self.shared.core().has_actions() {
            // Recording a vote waits for the disk; the other tasks go on meanwhile.
            let effect = tokio::task::block_in_place(|| self.validator.carry_out_next());
            match effect {
                Ok(Some(effect)) => self.carry_out(effect),
                Ok(None) => return,
                Err(error) => super::stop_process(&error),
            }
        }
    }

    fn carry_out(&self, effect: Effect) {
        match effect {
            Effect::SendVote(signed) => self.send(&signed),
            Effect::Finalized(done) => self.ledger.publish(&done.stored, &done.changes, &done.transactions, true),
            Effect::AskForVotes { height, attempt } => self.ask_for_votes(height, attempt),
            Effect::Report(evidence) => {
                tracing::error!(?evidence, "a validator broke the rules; the evidence is kept");
                tokio::task::block_in_place(|| self.ledger.keep_evidence(&evidence));
            }
            Effect::Halt(report) => {
                tracing::error!(sentence = %report.sentence, "the chain is halted on this node");
                self.ledger.halt(&report);
            }
        }
    }

    fn send(&self, signed: &SignedVote) {
        let body = Bytes::from(encode(signed));
        for peer in self.peers.validators().filter(|(node, _)| *node != self.me).map(|(_, peer)| peer) {
            // A vote that is lost is asked for again.
            let _ = self.control.notify(peer, lanes::VOTE, body.clone());
        }
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
            shared.wake();
        });
    }

    /// Asks a peer for certified blocks, in case this validator was away for longer than the log reaches back.
    fn ask_for_blocks(&self, wanted: Wanted) {
        let others: Vec<_> = self.peers.validators().filter(|(node, _)| *node != self.me).collect();
        let Some((from, peer)) = others.get(wanted.attempt as usize % others.len().max(1)).copied() else { return };
        let (control, shared) = (self.control.clone(), Arc::clone(&self.shared));
        tokio::spawn(async move {
            let (mut first, last) = (wanted.from, wanted.to);
            loop {
                let request =
                    SyncRequest::Blocks { from: first, to: Height(first.0.saturating_add(last.0 - wanted.from.0)) };
                let Ok(answer) =
                    control.request(peer, lanes::SYNC, Bytes::from(encode(&request)), BLOCKS_TIMEOUT).await
                else {
                    return;
                };
                let Ok(SyncAnswer::Blocks(blocks)) = decode::<SyncAnswer>(&answer, super::wire::ANSWER_BYTES_MAX)
                else {
                    return;
                };
                if blocks.is_empty() {
                    return;
                }
                tokio::task::block_in_place(|| shared.adopt(from, blocks));
                // The peer goes on as long as its blocks are what is missing here.
                let next = shared.core().tracker.executed_tip().0.next();
                if next <= first {
                    return;
                }
                first = next;
            }
        });
    }

    fn pause(&self, propose_at: Option<TimeMs>) -> Duration {
        let until = self.shared.core().tracker.next_wakeup().into_iter().chain(propose_at).min();
        until.map_or(TICK, |until| {
            Duration::from_millis(until.0.saturating_sub(now().0)).clamp(Duration::from_millis(1), TICK)
        })
    }

    /// Hands a block to Raft when it is time for one; tells when it may be time.
    fn propose(&self) -> Option<TimeMs> {
        if !self.group.is_leader() {
            return None;
        }
        let term = self.group.term();
        match self.validator.propose(term, self.ledger.shared_pool(), self.ledger.verdicts()) {
            Ok(Proposal::Block(block)) => {
                tokio::spawn(order(self.group.clone(), Arc::clone(&self.shared), Bytes::from(encode(&*block)), term));
                None
            }
            Ok(Proposal::StepDown { to }) => {
                self.step_down(to);
                None
            }
            Ok(Proposal::Wait { until }) => until,
            Err(error) => super::stop_process(&error),
        }
    }

    fn step_down(&self, to: NodeId) {
        let group = self.group.clone();
        tokio::spawn(async move {
            tracing::warn!(%to, "this validator can't lead any more; leadership moves on");
            if let Err(error) = group.transfer_leader(to.0).await {
                tracing::warn!(%error, "leadership could not be moved");
            }
        });
    }
}

/// What this validator knows about the finality of a height, for a peer that asks.
pub(crate) fn votes_answer(shared: &Shared, height: Height) -> Option<SyncAnswer> {
    match shared.core().tracker.answer(height) {
        VoteAnswer::Certificate(certificate) => Some(SyncAnswer::Certificate(*certificate)),
        VoteAnswer::Votes(votes) if votes.is_empty() => None,
        VoteAnswer::Votes(votes) => Some(SyncAnswer::Votes(votes)),
    }
}
