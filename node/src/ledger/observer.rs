//! A node that does not vote: takes certified blocks, executes them, compares.

use std::time::Duration;

use bytes::Bytes;
use mesh30k_chain::{FinalBlock, StoredBlock};
use mesh30k_consensus::finality::halt::HaltContext;
use mesh30k_consensus::finality::{HaltReport, Observer, ObserverAction, VoteAnswer};
use mesh30k_ledger::block::Block;
use mesh30k_ledger::codec::{decode, encode};
use mesh30k_ledger::execute::{BlockError, execute_with};
use mesh30k_ledger::finality::Certificate;
use mesh30k_ledger::invariants::Breach;
use mesh30k_ledger::seats::ends_epoch;
use mesh30k_ledger::types::{Height, NodeId, TimeMs};
use mesh30k_p2p::Control;
use tokio::sync::mpsc;

use super::driver::Ended;
use super::handle::LedgerHandle;
use super::peers::Peers;
use super::wire::{ANSWER_BYTES_MAX, Announcement, SyncAnswer, SyncRequest};
use crate::clock;
use crate::lanes;
use crate::pulse;

/// Announcements and fetched blocks that wait, at most; what finds no room is fetched again.
pub(crate) const FEED_MAX: usize = 256;
/// How long one fetch may take.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// The loop looks around at least this often; what is to be tried again says when.
const TICK: Duration = Duration::from_secs(5);
/// How often a peer is asked how far it is, in case gossip was lost,
const TIP_EVERY: Duration = Duration::from_secs(2);
/// unless a block came in the last 8 s: one comes every 5 s in a mesh where nothing happens.
const HEARD_MS: u64 = 8_000;

/// What reaches an observer.
pub(crate) enum Feed {
    /// Gossiped.
    Announced(NodeId, Box<Announcement>),
    /// Fetched.
    Blocks(NodeId, Vec<(Block, Certificate)>),
}

/// The observer's loop.
pub(crate) struct ObserverDriver {
    pub(crate) observer: Observer,
    pub(crate) ledger: LedgerHandle,
    pub(crate) peers: Peers,
    pub(crate) control: Control,
    pub(crate) feeder: mpsc::Sender<Feed>,
    /// When a block was last carried out here.
    pub(crate) applied: Option<TimeMs>,
    /// The last block of the epoch was carried out here: others certify the next one.
    pub(crate) is_epoch_over: bool,
}

fn now() -> TimeMs {
    TimeMs(clock::wall_ms())
}

impl ObserverDriver {
    /// Runs until the feed closes, or the epoch is over. What came of the next epoch before is fetched again.
    pub(crate) async fn run(mut self, feed: &mut mpsc::Receiver<Feed>) -> Ended {
        let mut tip_timer = pulse::interval(TIP_EVERY);
        loop {
            let pause = self.pause();
            let actions = tokio::select! {
                fed = feed.recv() => match fed {
                    Some(Feed::Announced(from, announcement)) => self.on_announcement(from, *announcement),
                    Some(Feed::Blocks(from, blocks)) => self.on_blocks(from, blocks),
                    None => return Ended::Closed,
                },
                _ = tip_timer.tick() => {
                    self.ask_ahead();
                    Vec::new()
                }
                () = tokio::time::sleep(pause) => self.observer.tick(now()),
            };
            self.carry_out_all(actions);
            if self.is_epoch_over {
                return Ended::EpochOver;
            }
        }
    }

    fn pause(&self) -> Duration {
        let until = self.observer.next_wakeup();
        until.map_or(TICK, |until| {
            Duration::from_millis(until.0.saturating_sub(now().0)).clamp(Duration::from_millis(1), TICK)
        })
    }

    fn on_announcement(&mut self, from: NodeId, announcement: Announcement) -> Vec<ObserverAction> {
        match announcement.block {
            Some(block) => self.observer.on_block(now(), from, block, announcement.certificate),
            None => self.observer.on_announcement(now(), from, announcement.header, announcement.certificate),
        }
    }

    fn on_blocks(&mut self, from: NodeId, blocks: Vec<(Block, Certificate)>) -> Vec<ObserverAction> {
        let mut actions = Vec::new();
        for (block, certificate) in blocks {
            actions.extend(self.observer.on_block(now(), from, block, certificate));
            // Apply as they come, so that the window above the tip never fills.
            self.carry_out_all(std::mem::take(&mut actions));
        }
        actions
    }

    fn carry_out_all(&mut self, actions: Vec<ObserverAction>) {
        let mut waiting: std::collections::VecDeque<ObserverAction> = actions.into();
        while let Some(action) = waiting.pop_front().filter(|_| !self.is_epoch_over) {
            match action {
                ObserverAction::Apply { block, certificate } => waiting.extend(self.apply(*block, certificate)),
                ObserverAction::FetchBody { height, attempt, .. } => self.fetch(height, height, attempt),
                ObserverAction::FetchRange { from, to, attempt } => self.fetch(from, to, attempt),
                ObserverAction::Halt { report } => {
                    tracing::error!(sentence = %report.sentence, "the chain is halted on this node");
                    self.ledger.halt(&report);
                }
            }
        }
    }

    fn apply(&mut self, block: Block, certificate: Certificate) -> Vec<ObserverAction> {
        let height = block.header.height;
        let store = self.ledger.store().clone();
        let execution = match execute_with(&store, &block, self.ledger.verdicts().as_ref()) {
            Ok(execution) => execution,
            Err(BlockError::Broken(breach)) => return vec![self.books_broken(height, &breach)],
            Err(error) if error.is_deterministic() => {
                tracing::error!(%height, %error, "a certified block was refused by execution");
                return self.observer.on_refused(now(), height);
            }
            Err(error) => super::stop_process(&error),
        };
        let commitment = execution.commitment;
        self.applied = Some(now());
        if commitment.hash() == certificate.commitment {
            let stored =
                StoredBlock { block, certificate, outcomes: execution.outcomes, due: execution.due, commitment };
            let transactions = execution.transactions;
            let changes = execution.changes;
            let written = store.commit(&FinalBlock {
                stored: &stored,
                changes: &changes,
                transactions: &transactions,
                position: None,
            });
            if let Err(error) = written {
                super::stop_process(&error);
            }
            self.ledger.publish(&stored, &changes, &transactions, false);
            self.is_epoch_over = ends_epoch(&changes);
        }
        let mut actions = self.observer.on_applied(now(), height, commitment);
        actions.extend(self.observer.tick(now()));
        actions
    }

    /// Nothing is built on books that do not balance.
    fn books_broken(&mut self, height: Height, breach: &Breach) -> ObserverAction {
        let (tip, context) = (self.observer.tip(), self.ledger.context());
        let at = HaltContext {
            context: &context,
            last_final: (tip.height, tip.block),
            reporter: self.ledger.roster().node_of(&self.control.local_peer_id()),
            now: now(),
        };
        let report = HaltReport::books_broken(height, &breach.to_string(), &at);
        self.observer.resume_halt(report.clone());
        ObserverAction::Halt { report: Box::new(report) }
    }

    /// Asks a peer for the block after the tip, in case every announcement was lost.
    fn ask_ahead(&self) {
        let is_silent = self.applied.is_none_or(|at| now().0.saturating_sub(at.0) >= HEARD_MS);
        if is_silent && self.observer.halted().is_none() {
            let next = self.observer.tip().height.next();
            let last = Height(next.0.saturating_add(super::wire::BLOCKS_PER_ANSWER - 1));
            let attempt = u32::try_from(now().0 / 1_000 % 1_000).unwrap_or(0);
            self.fetch(next, last, attempt);
        }
    }

    fn fetch(&self, from: Height, to: Height, attempt: u32) {
        let Some((node, peer)) = self.peers.to_ask(attempt as usize) else { return };
        let (control, feeder) = (self.control.clone(), self.feeder.clone());
        tokio::spawn(async move {
            let body = Bytes::from(encode(&SyncRequest::Blocks { from, to }));
            let Ok(answer) = control.request(peer, lanes::SYNC, body, FETCH_TIMEOUT).await else { return };
            if let Ok(SyncAnswer::Blocks(blocks)) = decode::<SyncAnswer>(&answer, ANSWER_BYTES_MAX)
                && !blocks.is_empty()
            {
                // A full feed means that there is work enough; the observer asks again.
                let _ = feeder.try_send(Feed::Blocks(node, blocks));
            }
        });
    }
}

/// Where announcements go: to the observer's loop, or to the tracker of a validator, which hears of what is final by itself.
#[derive(Clone)]
pub(crate) struct AnnouncementSink {
    pub(crate) ledger: LedgerHandle,
    pub(crate) feeder: mpsc::Sender<Feed>,
}

impl AnnouncementSink {
    /// Whether this very certificate's block is final here, which a validator told the network itself.
    pub(crate) fn knows(&self, certificate: &Certificate) -> bool {
        let Some(side) = self.ledger.validator() else { return false };
        let names = |one: &Certificate| (one.height, one.block, one.commitment);
        let answer = side.shared.core().tracker.answer(certificate.height);
        matches!(answer, VoteAnswer::Certificate(own) if names(&own) == names(certificate))
    }

    /// Hands over an announcement from `from`.
    pub(crate) fn take(&self, from: NodeId, announcement: Announcement) {
        let Some(side) = self.ledger.validator() else {
            // A full feed means that there is work enough; what is missing is asked for.
            let _ = self.feeder.try_send(Feed::Announced(from, Box::new(announcement)));
            return;
        };
        side.shared.core().push(|tracker| tracker.on_certificate(now(), from, announcement.certificate));
        side.shared.wake();
    }
}
