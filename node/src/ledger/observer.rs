//! A node that does not vote: takes certified blocks, executes them, compares.

use std::time::Duration;

use bytes::Bytes;
use mesh30k_chain::{FinalBlock, StoredBlock, Succession, Successor};
use mesh30k_consensus::finality::halt::HaltContext;
use mesh30k_consensus::finality::{FinalTip, HaltReport, Observer, ObserverAction, VoteAnswer};
use mesh30k_ledger::block::Block;
use mesh30k_ledger::codec::{decode, encode};
use mesh30k_ledger::execute::{BlockError, execute_with};
use mesh30k_ledger::finality::{Certificate, Commitment};
use mesh30k_ledger::invariants::Breach;
use mesh30k_ledger::query;
use mesh30k_ledger::seats::ends_epoch;
use mesh30k_ledger::state::{StateError, StateRead};
use mesh30k_ledger::types::{Epoch, Height, NodeId, Round, TimeMs};
use mesh30k_p2p::Control;
use tokio::sync::mpsc;

use super::driver::Ended;
use super::handle::LedgerHandle;
use super::peers::Peers;
use super::succession;
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
    /// How the right to certify passed on, as a peer shows it.
    Succession(NodeId, Box<Succession>),
}

/// The observer's loop.
pub(crate) struct ObserverDriver {
    pub(crate) observer: Observer,
    pub(crate) successor: Successor,
    /// This node's number, where it has one.
    pub(crate) own: Option<NodeId>,
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
            if self.ledger.disk().is_read_only() && !self.wait_for_room(feed).await {
                return Ended::Closed;
            }
            let pause = self.pause();
            let actions = tokio::select! {
                fed = feed.recv() => match fed {
                    Some(Feed::Announced(from, announcement)) => self.on_announcement(from, *announcement),
                    Some(Feed::Blocks(from, blocks)) => self.on_blocks(from, blocks),
                    Some(Feed::Succession(from, shown)) => self.on_succession(from, &shown),
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

    /// Takes nothing in while there is no room on the disk; what is missed is fetched afterwards. False once the feed has closed.
    async fn wait_for_room(&self, feed: &mut mpsc::Receiver<Feed>) -> bool {
        let disk = self.ledger.disk().clone();
        loop {
            tokio::select! {
                () = disk.writable() => return true,
                fed = feed.recv() => if fed.is_none() {
                    return false;
                }
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
        let (_, round) = self.place();
        if blocks.iter().any(|(_, certificate)| certificate.round > round) {
            // By validators whom this node does not know: the chain was handed over.
            self.fetch_succession(0);
        }
        for (block, certificate) in blocks {
            if self.is_epoch_over {
                break;
            }
            if self.successor.keeps(self.observer.tip(), &block, &certificate) {
                actions.extend(self.keep(block, certificate));
            } else {
                actions.extend(self.observer.on_block(now(), from, block, certificate));
            }
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
        let commitment = match self.execute(block, certificate) {
            Ok(Some(commitment)) => commitment,
            Ok(None) => return self.observer.on_refused(now(), height),
            Err(report) => return vec![ObserverAction::Halt { report }],
        };
        let mut actions = self.observer.on_applied(now(), height, commitment);
        actions.extend(self.observer.tick(now()));
        self.hand_over();
        actions
    }

    /// Executes a block, and makes it final if it leads to what its certificate says; nothing where execution refuses it.
    ///
    /// # Errors
    /// Why this node halts, where the books do not balance after it.
    fn execute(&mut self, block: Block, certificate: Certificate) -> Result<Option<Commitment>, Box<HaltReport>> {
        let height = block.header.height;
        let store = self.ledger.store().clone();
        let execution = match execute_with(&store, &block, self.ledger.verdicts().as_ref()) {
            Ok(execution) => execution,
            Err(BlockError::Broken(breach)) => return Err(self.books_broken(height, &breach)),
            Err(BlockError::State(error)) => super::stop_process(&error),
            Err(error) => {
                tracing::error!(%height, %error, "a certified block was refused by execution");
                return Ok(None);
            }
        };
        let commitment = execution.commitment;
        self.applied = Some(now());
        if commitment.hash() == certificate.commitment {
            let stored =
                StoredBlock { block, certificate, outcomes: execution.outcomes, due: execution.due, commitment };
            let (changes, transactions) = (execution.changes, execution.transactions);
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
        Ok(Some(commitment))
    }

    /// Nothing is built on books that do not balance.
    fn books_broken(&mut self, height: Height, breach: &Breach) -> Box<HaltReport> {
        let (tip, context) = (self.observer.tip(), self.ledger.context());
        let at = HaltContext {
            context: &context,
            last_final: (tip.height, tip.block),
            reporter: self.ledger.roster().node_of(&self.control.local_peer_id()),
            now: now(),
        };
        let report = HaltReport::books_broken(height, &breach.to_string(), &at);
        self.observer.resume_halt(report.clone());
        Box::new(report)
    }

    /// The epoch and the round this node is in.
    fn place(&self) -> (Epoch, Round) {
        let place = |state: &dyn StateRead| Ok::<_, StateError>((query::epoch(state)?, query::tip(state)?.round));
        match self.ledger.read(place) {
            Ok(place) => place,
            Err(error) => super::stop_process(&error),
        }
    }

    /// A peer shows who certifies now. What is missing until then is asked for at once.
    fn on_succession(&mut self, from: NodeId, shown: &Succession) -> Vec<ObserverAction> {
        if self.observer.halted().is_some() {
            return Vec::new();
        }
        let place = self.place();
        match self.successor.on_succession(shown, self.ledger.genesis(), self.observer.tip(), place) {
            Ok(true) => {
                self.hand_over();
                self.fetch_ahead(0);
            }
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, %from, "what this peer shows of the validators is not followed"),
        }
        Vec::new()
    }

    /// A block that stays by the operators' word: it becomes final here if it leads to the result they name.
    fn keep(&mut self, block: Block, certificate: Certificate) -> Vec<ObserverAction> {
        let tip = FinalTip::of(&block.header, &certificate);
        let voted = certificate.commitment;
        match self.execute(block, certificate) {
            Ok(Some(own)) if own.hash() == voted => {
                match self.ledger.read(|state| query::validator_set(state)) {
                    Ok(validators) => {
                        self.observer = Observer::new(self.ledger.context(), validators, tip, self.own);
                    }
                    Err(error) => super::stop_process(&error),
                }
                self.hand_over();
            }
            Ok(_) => tracing::error!(
                height = %tip.height,
                "a block that the operators kept has another result here: this node's state or build is faulty; move its data \
                 directory away and join as a new node"
            ),
            Err(report) => return vec![ObserverAction::Halt { report }],
        }
        Vec::new()
    }

    /// Ends this round, if this is the last block before the operators' hand-over: others certify the next one.
    fn hand_over(&mut self) {
        let Some(handover) = self.successor.due(self.observer.tip()) else { return };
        if let Err(error) = self.ledger.store().carry_out(&handover) {
            super::stop_process(&error);
        }
        let (epoch, round) = handover.leads_to();
        let height = self.observer.tip().height;
        tracing::info!(%height, %epoch, %round, "the operators handed the chain over: this node follows");
        self.is_epoch_over = true;
    }

    /// Asks a peer for the block after the tip, in case every announcement was lost, and who certifies now, in case nobody whom this
    /// node knows does.
    fn ask_ahead(&self) {
        let is_silent = self.applied.is_none_or(|at| now().0.saturating_sub(at.0) >= HEARD_MS);
        if is_silent && self.observer.halted().is_none() {
            let attempt = u32::try_from(now().0 / 1_000 % 1_000).unwrap_or(0);
            self.fetch_ahead(attempt);
            self.fetch_succession(attempt);
        }
    }

    fn fetch_ahead(&self, attempt: u32) {
        let next = self.observer.tip().height.next();
        let last = Height(next.0.saturating_add(super::wire::BLOCKS_PER_ANSWER - 1));
        self.fetch(next, last, attempt);
    }

    fn fetch_succession(&self, attempt: u32) {
        let Some((node, peer)) = self.peers.to_ask(attempt as usize) else { return };
        let (control, feeder) = (self.control.clone(), self.feeder.clone());
        tokio::spawn(async move {
            if let Some(shown) = succession::ask(&control, peer).await.filter(|shown| !shown.handovers.is_empty()) {
                // A full feed means that blocks come in: then nobody waits for this.
                let _ = feeder.try_send(Feed::Succession(node, Box::new(shown)));
            }
        });
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
