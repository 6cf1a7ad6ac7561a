//! A node that does not vote: takes announcements as they come, asks for what it misses, executes and compares.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mesh30k_chain::{FinalBlock, Finalized, LedgerStore, StoredBlock, obey};
use mesh30k_consensus::finality::{FinalTip, Observer, ObserverAction};
use mesh30k_consensus::storage::{FlushMode, MemDisk};
use mesh30k_ledger::block::Block;
use mesh30k_ledger::execute::execute_with;
use mesh30k_ledger::finality::Certificate;
use mesh30k_ledger::query;
use mesh30k_ledger::seats::ends_epoch;
use mesh30k_ledger::types::{Hash, Height, NodeId, TimeMs};
use openraft::type_config::AsyncRuntime;
use openraft_rt_sim::SimRuntime;

use super::genesis::START_MS;
use super::now_ms;
use super::world::Common;

/// Its number on the network; no validator has it.
pub const OBSERVER: NodeId = NodeId(100);
/// How often it asks for the block after its tip, ms.
const ASK_AHEAD_MS: u64 = 2_000;
/// Blocks in one answer.
const BLOCKS_PER_ANSWER: u64 = 32;

/// What reaches it.
pub type Feed = Arc<Mutex<VecDeque<(NodeId, Block, Certificate)>>>;

pub struct Follower {
    observer: Observer,
    store: LedgerStore,
    feed: Feed,
    common: Common,
}

impl Follower {
    pub fn new(common: Common, feed: Feed) -> Self {
        let store = LedgerStore::new(Arc::new(MemDisk::new(FlushMode::Immediate).open()));
        store.replace_state(&common.genesis.initial_changes().unwrap(), None).unwrap();
        let at = query::tip(&store).unwrap();
        let tip = FinalTip { height: at.height, block: at.block, commitment: Hash::ZERO, time: at.time };
        let context = common.genesis.context();
        let observer = Observer::new(context, common.genesis.validators.clone(), tip, Some(OBSERVER));
        Self { observer, store, feed, common }
    }

    pub async fn run(mut self) {
        let mut asked = 0;
        loop {
            SimRuntime::sleep(Duration::from_millis(4)).await;
            let now = TimeMs(START_MS + now_ms());
            self.obey(now);
            loop {
                let fed = self.feed.lock().unwrap().pop_front();
                let Some((from, block, certificate)) = fed else { break };
                let actions = self.observer.on_block(now, from, block, certificate);
                self.carry_out(now, actions);
            }
            let actions = self.observer.tick(now);
            self.carry_out(now, actions);
            if now_ms() >= asked + ASK_AHEAD_MS {
                asked = now_ms();
                let next = self.observer.tip().height.next();
                self.fetch(next, Height(next.0 + BLOCKS_PER_ANSWER - 1), u32::try_from(asked / 1_000).unwrap());
            }
        }
    }

    /// Carries the operators' order out once this node is as far as it begins.
    fn obey(&mut self, now: TimeMs) {
        let order = self.common.order.lock().unwrap().clone();
        let Some(order) = order.filter(|order| self.store.obeyed().unwrap().as_ref() != Some(order)) else { return };
        let Ok(tip) = obey(&self.store, &order, None, now) else { return };
        let context = self.common.genesis.context();
        self.observer = Observer::new(context, order.order.validators, tip, Some(OBSERVER));
    }

    fn carry_out(&mut self, now: TimeMs, actions: Vec<ObserverAction>) {
        let mut waiting: VecDeque<ObserverAction> = actions.into();
        while let Some(action) = waiting.pop_front() {
            match action {
                ObserverAction::Apply { block, certificate } => waiting.extend(self.apply(now, *block, certificate)),
                ObserverAction::FetchBody { height, attempt, .. } => self.fetch(height, height, attempt),
                ObserverAction::FetchRange { from, to, attempt } => self.fetch(from, to, attempt),
                ObserverAction::Halt { report } => self.common.truth.lock().unwrap().on_halt(OBSERVER, *report),
            }
        }
    }

    fn apply(&mut self, now: TimeMs, block: Block, certificate: Certificate) -> Vec<ObserverAction> {
        let height = block.header.height;
        let Ok(execution) = execute_with(&self.store, &block, self.common.verdicts.as_ref()) else {
            return self.observer.on_refused(now, height);
        };
        let commitment = execution.commitment;
        let next = ends_epoch(&execution.changes).then(|| FinalTip::of(&block.header, &certificate));
        if commitment.hash() == certificate.commitment {
            let stored =
                StoredBlock { block, certificate, outcomes: execution.outcomes, due: execution.due, commitment };
            let (changes, transactions) = (execution.changes, execution.transactions);
            let written =
                FinalBlock { stored: &stored, changes: &changes, transactions: &transactions, position: None };
            self.store.commit(&written).unwrap();
            self.common
                .truth
                .lock()
                .unwrap()
                .on_final(OBSERVER, &Finalized { stored, changes: changes.into(), transactions });
        }
        let actions = self.observer.on_applied(now, height, commitment);
        let Some(tip) = next.filter(|_| self.observer.halted().is_none()) else { return actions };
        // As a node does: one for each epoch. What came of the next one before is asked for again.
        let validators = query::validator_set(&self.store).unwrap();
        self.observer = Observer::new(self.common.genesis.context(), validators, tip, Some(OBSERVER));
        Vec::new()
    }

    fn fetch(&self, from: Height, to: Height, attempt: u32) {
        let all = self.common.others(OBSERVER);
        let to_ask = all[attempt as usize % all.len()];
        let (common, feed) = (self.common.clone(), Arc::clone(&self.feed));
        self.common.net.send(OBSERVER.0, to_ask.0, move || {
            let Some(peer) = common.process(to_ask) else { return };
            let last = to.0.min(from.0 + BLOCKS_PER_ANSWER - 1);
            let stored = (from.0..=last).map_while(|height| peer.store.block(Height(height)).ok().flatten());
            let blocks: Arc<Vec<StoredBlock>> = Arc::new(stored.collect());
            let feed = Arc::clone(&feed);
            common.net.send(to_ask.0, OBSERVER.0, move || {
                for stored in blocks.iter() {
                    feed.lock().unwrap().push_back((to_ask, stored.block.clone(), stored.certificate.clone()));
                }
            });
        });
    }
}
