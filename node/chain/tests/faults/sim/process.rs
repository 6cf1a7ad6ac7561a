//! One validator's process: the code a node runs, on a seeded network and a disk in memory.

use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use mesh30k_chain::{
    CatchUp, Core, Effect, Hooks, LedgerApp, LedgerStore, Mempool, Proposal, Shared, StoredBlock, Validator, Wanted,
    order,
};
use mesh30k_consensus::app::{Admission, AppSnapshot, Application, LogPosition, RestoreRefused, Room};
use mesh30k_consensus::finality::{
    ChainTracker, FinalTip, Proposer, SignLog, SignLogExpectation, TrackerConfig, VoteAnswer, VoteKey,
};
use mesh30k_consensus::group::GroupId;
use mesh30k_consensus::raft::{Group, GroupSet};
use mesh30k_consensus::storage::KvStore;
use mesh30k_ledger::codec::{decode, encode};
use mesh30k_ledger::execute::check;
use mesh30k_ledger::finality::ValidatorSet;
use mesh30k_ledger::query;
use mesh30k_ledger::state::StateRead;
use mesh30k_ledger::transaction::SignedTransaction;
use mesh30k_ledger::types::{Epoch, Hash, Height, NodeId, TimeMs, TxId};
use openraft::type_config::AsyncRuntime;
use openraft_rt_sim::SimRuntime;

use super::genesis::{START_MS, validator_key};
use super::ink::Ink;
use super::malice;
use super::net::Net;
use super::now_ms;
use super::truth::Truth;
use super::world::Common;

/// A validator's clock: virtual time and what it is wrong by, ms.
#[derive(Clone, Default)]
pub struct Clock(Arc<AtomicI64>);

impl Clock {
    pub fn set_error_ms(&self, error: i64) {
        self.0.store(error, Ordering::Relaxed);
    }

    pub fn error_ms(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    pub fn now(&self) -> TimeMs {
        TimeMs((START_MS + now_ms()).saturating_add_signed(self.error_ms()))
    }
}

/// What a running validator consists of; clones are handles.
#[derive(Clone)]
pub struct Process {
    pub me: NodeId,
    /// Whose validators it is one of; in another one it is started anew.
    pub epoch: Epoch,
    pub shared: Arc<Shared>,
    pub store: LedgerStore,
    pub pool: Arc<Mutex<Mempool>>,
    pub group: Group<SimRuntime>,
    pub set: GroupSet<SimRuntime>,
    pub clock: Clock,
    /// The process has ended: by a crash, or because its storage failed.
    pub ended: Arc<AtomicBool>,
    woken: Arc<AtomicBool>,
    pub common: Common,
}

/// The ledger's application, watched.
struct Watched {
    app: LedgerApp,
    me: NodeId,
    epoch: Epoch,
    truth: Arc<Mutex<Truth>>,
    ended: Arc<AtomicBool>,
}

impl Application for Watched {
    fn room(&self) -> Option<Room> {
        let (has_room, ended) = (self.app.room()?, Arc::clone(&self.ended));
        Some(Arc::new(move || ended.load(Ordering::Relaxed) || has_room()))
    }

    fn admission(&self) -> Option<Admission> {
        self.app.admission()
    }

    fn apply(&mut self, position: LogPosition, entry: &[u8]) -> Vec<u8> {
        if self.ended.load(Ordering::Relaxed) {
            return Vec::new();
        }
        let answer = self.app.apply(position, entry);
        if !self.ended.load(Ordering::Relaxed) {
            let executed = matches!(decode::<Result<u64, String>>(&answer, 4_096), Ok(Ok(_)));
            self.truth.lock().unwrap().on_applied(self.me, self.epoch, position, Some(entry), executed);
        }
        answer
    }

    fn skip(&mut self, position: LogPosition) {
        self.app.skip(position);
        if !self.ended.load(Ordering::Relaxed) {
            self.truth.lock().unwrap().on_applied(self.me, self.epoch, position, None, true);
        }
    }

    fn durable_position(&self) -> Option<LogPosition> {
        self.app.durable_position()
    }

    fn snapshot(&mut self) -> io::Result<AppSnapshot> {
        self.app.snapshot()
    }

    fn admits(&self, position: LogPosition, bytes: &[u8]) -> Result<(), RestoreRefused> {
        self.app.admits(position, bytes)
    }

    fn restore(&mut self, position: LogPosition, bytes: &[u8]) -> Result<(), RestoreRefused> {
        self.app.restore(position, bytes)
    }
}

/// What a start needs of the machine.
pub struct Machine {
    pub me: NodeId,
    pub kv: Arc<dyn KvStore>,
    pub ink: Ink,
    pub clock: Clock,
    pub set: GroupSet<SimRuntime>,
    pub durability: mesh30k_consensus::raft::Durability,
}

impl Process {
    /// Brings a validator up as a node does: genesis or what is on disk, sign-log, tracker, group.
    pub async fn start(machine: Machine, common: Common) -> Result<Self, String> {
        let Machine { me, kv, ink, clock, set, durability } = machine;
        let store = LedgerStore::new(kv);
        let (core, sign_log) = open(me, &store, ink, &clock, &common)?;
        let failed = |error: mesh30k_ledger::state::StateError| error.to_string();
        let (epoch, round) = (query::epoch(&store).map_err(failed)?, query::tip(&store).map_err(failed)?.round);
        let (ended, woken) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(true)));
        let hooks = {
            let (clock, woken, ended) = (clock.clone(), Arc::clone(&woken), Arc::clone(&ended));
            Hooks {
                now: Box::new(move || clock.now()),
                wake: Box::new(move || woken.store(true, Ordering::Relaxed)),
                storage_failed: Box::new(move |_| ended.store(true, Ordering::Relaxed)),
            }
        };
        let shared = Arc::new(Shared::new(core, hooks));
        let app = Watched {
            app: LedgerApp::new(Arc::clone(&shared), store.clone()),
            me,
            epoch,
            truth: Arc::clone(&common.truth),
            ended: Arc::clone(&ended),
        };
        let mut config = set.preset(GroupId::global(epoch.0, round.0));
        config.durability = durability;
        config.retention = common.retention;
        let group = set.start(config, Box::new(app)).await.map_err(|error| format!("{error:?}"))?;
        let seats = query::validator_set(&store).map_err(failed)?;
        let members: BTreeSet<u64> = seats.0.iter().map(|seat| seat.node.0).collect();
        group.initialize(&members).await.map_err(|error| error.to_string())?;
        let pool = Arc::new(Mutex::new(Mempool::default()));
        let validator =
            Validator::new(me, validator_key(me.0), common.genesis.context(), Arc::clone(&shared), sign_log);
        let process = Self { me, epoch, shared, store, pool, group, set, clock, ended, woken, common };
        SimRuntime::spawn(process.clone().drive(validator));
        Ok(process)
    }

    pub fn is_up(&self) -> bool {
        !self.ended.load(Ordering::Relaxed)
    }

    /// The epoch it was a validator of is over.
    pub fn is_epoch_over(&self) -> bool {
        self.shared.core().has_ended()
    }

    /// And it has no seat in the next one.
    pub fn has_left(&self) -> bool {
        let seated = |set: ValidatorSet| set.get(self.me).is_some();
        self.is_epoch_over() && !query::validator_set(&self.store).is_ok_and(seated)
    }

    fn net(&self) -> &Net {
        &self.common.net
    }

    fn truth(&self) -> std::sync::MutexGuard<'_, Truth> {
        self.common.truth.lock().unwrap()
    }

    /// The validator's loop, as the node's driver has it.
    async fn drive(self, mut validator: Validator<Ink>) {
        let mut last_resend = 0;
        let mut catch_up = CatchUp::new(self.clock.now());
        while self.is_up() {
            SimRuntime::sleep(Duration::from_millis(1)).await;
            if self.net().is_frozen(self.me.0) || !self.is_up() {
                continue;
            }
            let now = self.clock.now();
            let due = self.shared.core().tracker.next_wakeup().is_some_and(|at| at <= now);
            let tick = now_ms() % 4 == self.me.0 % 4;
            if now_ms() >= last_resend + 1_000 {
                last_resend = now_ms();
                self.forward();
            }
            if !self.woken.swap(false, Ordering::Relaxed) && !due && !tick {
                continue;
            }
            let tip = self.shared.core().tracker.executed_tip().0;
            if let Some(wanted) = catch_up.due(now, tip, self.group.is_leader()) {
                self.ask_for_blocks(wanted);
            }
            self.shared.core().push(|tracker| tracker.tick(now));
            if !self.carry_out_all(&mut validator) || !self.propose(&validator) {
                self.ended.store(true, Ordering::Relaxed);
            }
            if self.has_left() {
                return;
            }
            if self.is_epoch_over() {
                self.ended.store(true, Ordering::Relaxed);
            }
        }
    }

    /// False when storage failed.
    fn carry_out_all(&self, validator: &mut Validator<Ink>) -> bool {
        loop {
            match validator.carry_out_next() {
                Ok(Some(effect)) => self.carry_out(effect),
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
    }

    fn carry_out(&self, effect: Effect) {
        match effect {
            Effect::SendVote(signed) => {
                self.truth().on_vote(self.me, &signed);
                for said in malice::votes(self.common.malice_of(self.me), *signed, &validator_key(self.me.0)) {
                    self.to_others(move |peer, from| peer.on_vote(from, said));
                }
            }
            Effect::Finalized(finalized) => {
                self.truth().on_final(self.me, &finalized);
                self.advance_pool(&finalized.stored);
                self.common.announce(self.me, &finalized.stored);
            }
            Effect::AskForVotes { height, attempt } => self.ask_for_votes(height, attempt),
            Effect::Report(evidence) => self.truth().on_evidence(self.me, *evidence),
            Effect::Halt(report) => self.truth().on_halt(self.me, *report),
        }
    }

    fn advance_pool(&self, stored: &StoredBlock) {
        let mut pool = self.pool.lock().unwrap();
        for signed in &stored.block.transactions {
            if let Ok(nonce) = query::next_nonce(&self.store, &signed.tx.account) {
                pool.advance(&signed.tx.account, nonce);
            }
        }
        pool.expire(stored.block.header.time);
    }

    fn ask_for_votes(&self, height: Height, attempt: u32) {
        let others = self.common.others(self.me);
        let Some(to) = others.get(attempt as usize % others.len()).copied() else { return };
        let (common, me) = (self.common.clone(), self.me);
        self.net().send(me.0, to.0, move || {
            if let Some(peer) = common.process(to) {
                peer.answer_votes(me, height);
            }
        });
    }

    fn ask_for_blocks(&self, wanted: Wanted) {
        let others = self.common.others(self.me);
        let Some(to) = others.get(wanted.attempt as usize % others.len()).copied() else { return };
        let (common, me) = (self.common.clone(), self.me);
        self.net().send(me.0, to.0, move || {
            let Some(peer) = common.process(to) else { return };
            let heights = wanted.from.0..=wanted.to.0;
            let stored = heights.map_while(|height| peer.store.block(Height(height)).ok().flatten());
            let blocks: Vec<_> = stored.map(|stored| (stored.block, stored.certificate)).collect();
            let common = common.clone();
            common.clone().net.send(to.0, me.0, move || {
                if let Some(asker) = common.process(me).filter(|_| !blocks.is_empty()) {
                    asker.shared.adopt(to, blocks.clone());
                }
            });
        });
    }

    /// What this validator knows about the finality of a height, sent to whoever asked.
    fn answer_votes(&self, asker: NodeId, height: Height) {
        let answer = self.shared.core().tracker.answer(height);
        let stored = || self.store.block(height).ok().flatten().map(|stored| stored.certificate);
        let (common, me) = (self.common.clone(), self.me);
        let certificate = match &answer {
            VoteAnswer::Certificate(certificate) => Some((**certificate).clone()),
            VoteAnswer::Votes(votes) if votes.is_empty() => stored(),
            VoteAnswer::Votes(_) => None,
        };
        let votes = if let VoteAnswer::Votes(votes) = answer { votes } else { Vec::new() };
        self.net().send(me.0, asker.0, move || {
            let Some(peer) = common.process(asker) else { return };
            let now = peer.clock.now();
            if let Some(certificate) = certificate.clone() {
                peer.shared.core().push(|tracker| tracker.on_certificate(now, me, certificate));
            }
            for vote in &votes {
                peer.shared.core().push(|tracker| tracker.on_vote(now, me, *vote));
            }
            peer.shared.wake();
        });
    }

    pub fn on_vote(&self, from: NodeId, vote: mesh30k_ledger::finality::SignedVote) {
        let now = self.clock.now();
        self.shared.core().push(|tracker| tracker.on_vote(now, from, vote));
        self.shared.wake();
    }

    fn to_others(&self, deliver: impl Fn(&Self, NodeId) + Clone + Send + Sync + 'static) {
        for to in self.common.others(self.me) {
            let (common, me, deliver) = (self.common.clone(), self.me, deliver.clone());
            self.net().send(me.0, to.0, move || {
                if let Some(peer) = common.process(to) {
                    deliver(&peer, me);
                }
            });
        }
    }

    /// False when storage failed.
    fn propose(&self, validator: &Validator<Ink>) -> bool {
        if !self.group.is_leader() {
            return true;
        }
        malice::censor(self);
        let term = self.group.term();
        match validator.propose(term, &self.pool, &self.common.verdicts) {
            Ok(Proposal::Block(block)) => {
                self.truth().on_leader(self.me, self.epoch, term);
                for block in malice::blocks(self, *block) {
                    let bytes = Bytes::from(encode(&block));
                    SimRuntime::spawn(order(self.group.clone(), Arc::clone(&self.shared), bytes, term));
                }
                true
            }
            Ok(Proposal::StepDown { to }) => {
                let group = self.group.clone();
                SimRuntime::spawn(async move { group.transfer_leader(to.0).await });
                true
            }
            Ok(Proposal::Wait { .. }) => true,
            Err(_) => false,
        }
    }

    /// Takes a transaction in, from a client or another validator.
    pub fn submit(&self, signed: &SignedTransaction) -> Result<(), String> {
        let verdict = check(&self.store, self.clock.now(), signed, self.common.verdicts.as_ref());
        match verdict.map_err(|error| error.to_string())? {
            Ok(()) | Err(mesh30k_ledger::rejection::Rejection::NonceAhead { .. }) => {}
            Err(rejection) => return Err(rejection.to_string()),
        }
        let mut pool = self.pool.lock().unwrap();
        let is_new =
            pool.insert(self.clock.now(), signed.id(), signed.clone()).map_err(|refusal| refusal.to_string())?;
        drop(pool);
        if is_new {
            self.shared.wake();
            self.send_on(vec![signed.clone()]);
        }
        Ok(())
    }

    fn send_on(&self, batch: Vec<SignedTransaction>) {
        let batch = Arc::new(batch);
        self.to_others(move |peer, _| {
            for signed in batch.iter() {
                peer.submit_forwarded(signed);
            }
        });
    }

    fn submit_forwarded(&self, signed: &SignedTransaction) {
        let verdict = check(&self.store, self.clock.now(), signed, self.common.verdicts.as_ref());
        let fits = matches!(verdict, Ok(Ok(()) | Err(mesh30k_ledger::rejection::Rejection::NonceAhead { .. })));
        if fits && self.pool.lock().unwrap().insert(self.clock.now(), signed.id(), signed.clone()) == Ok(true) {
            self.shared.wake();
        }
    }

    fn forward(&self) {
        let batch: Vec<SignedTransaction> = self.pool.lock().unwrap().overdue(self.clock.now(), 64).cloned().collect();
        if !batch.is_empty() {
            self.send_on(batch);
        }
    }

    /// Height at which a transaction is ordered here, final or not.
    pub fn ordered(&self, id: &TxId) -> bool {
        self.shared.core().ordered(id).is_some() || self.final_height(id).is_some()
    }

    pub fn final_height(&self, id: &TxId) -> Option<Height> {
        self.store.transaction(id).ok().flatten().map(|(height, _)| height)
    }
}

fn open(
    me: NodeId,
    store: &LedgerStore,
    ink: Ink,
    clock: &Clock,
    common: &Common,
) -> Result<(Core, Option<SignLog<Ink>>), String> {
    let failed = |error: &dyn std::fmt::Display| error.to_string();
    if !query::is_initialized(store).map_err(|e| failed(&e))? {
        let changes = common.genesis.initial_changes().map_err(|e| failed(&e))?;
        store.replace_state(&changes, None).map_err(|e| failed(&e))?;
    }
    let at = query::tip(store as &dyn StateRead).map_err(|e| failed(&e))?;
    let genesis = FinalTip { height: at.height, block: at.block, commitment: Hash::ZERO, time: at.time };
    let tip = store.final_tip().map_err(|e| failed(&e))?.unwrap_or(genesis);
    let validators = query::validator_set(store).map_err(|e| failed(&e))?;
    let config = TrackerConfig {
        context: common.genesis.context(),
        validators,
        epoch: query::epoch(store).map_err(|e| failed(&e))?,
        round: at.round,
        own: Some(me),
    };
    let mut tracker = ChainTracker::new(config, tip);
    let log = open_sign_log(me, store, ink, &tip)?;
    if log.is_none() {
        tracker.stop_voting();
    }
    let mut core = Core::new(tracker, Proposer::new(clock.now()), store.clone(), Arc::clone(&common.verdicts));
    if let Some(mistake) = common.mistake {
        core.plant(mistake);
    }
    Ok((core, log))
}

pub fn open_sign_log(
    me: NodeId,
    store: &LedgerStore,
    ink: Ink,
    tip: &FinalTip,
) -> Result<Option<SignLog<Ink>>, String> {
    let forgetful = matches!(ink, Ink::Forgetful);
    let expected = if !forgetful && store.has_signed().map_err(|e| e.to_string())? {
        let last = store.block(tip.height).map_err(|e| e.to_string())?.map(|stored| stored.certificate);
        let own = last.filter(|certificate| certificate.signatures.iter().any(|one| one.node == me));
        SignLogExpectation::Existing { at_least: own.map(|certificate| VoteKey::of(&certificate.vote_of(me))) }
    } else {
        SignLogExpectation::Fresh { first_epoch: Epoch(0) }
    };
    let log = SignLog::over(ink, validator_key(me.0).public(), expected).ok();
    if log.is_some() {
        store.mark_signed().map_err(|e| e.to_string())?;
    }
    Ok(log)
}
