//! Final state, blocks and indexes on disk. Nothing that is not final is ever written here.

mod import;

use std::sync::{Arc, RwLock, RwLockReadGuard};

use borsh::{BorshDeserialize, BorshSerialize};
use mesh30k_consensus::app::LogPosition;
use mesh30k_consensus::finality::FinalTip;
use mesh30k_consensus::storage::{KvStore, ScanLimit, StoreError, Table, WriteBatch};
use mesh30k_ledger::block::Block;
use mesh30k_ledger::codec::{decode, encode};
use mesh30k_ledger::finality::{Certificate, Commitment};
use mesh30k_ledger::handover::{Handover, MAX_HANDOVER_BYTES, MAX_HANDOVERS, VotedHandover};
use mesh30k_ledger::outcome::{DueEvent, Outcome};
use mesh30k_ledger::query;
use mesh30k_ledger::seats::{ends_epoch, next_validators};
use mesh30k_ledger::smt::is_page;
use mesh30k_ledger::state::{ChangeSet, Entry, StateError, StateRead};
use mesh30k_ledger::types::{AccountId, Height, TxId};

use crate::resident::{RECORDS_BYTES, Resident};
use crate::restart::{SignedRestart, SignedStatement};

const BLOCK_PREFIX: u8 = b'b';
const TRANSACTION_PREFIX: u8 = b't';
const ACCOUNT_PREFIX: u8 = b'a';
/// Raft position of the last final block: where a restart resumes.
const POSITION_KEY: &[u8] = b"ledger/final-position";
/// The last final block: its height, name, commitment and time.
const TIP_KEY: &[u8] = b"ledger/final-tip";
/// Bytes of one stored block with its outcomes, at most.
pub(crate) const STORED_BLOCK_BYTES_MAX: usize = 16 * 1_024 * 1_024;

/// There once the sign-log was made: from then on a missing log means that it was lost.
const SIGNED_KEY: &[u8] = b"ledger/has-signed";
/// This validator's last word in a round that is to end.
const STATEMENT_KEY: &[u8] = b"ledger/statement";
/// The last order of the operators that was carried out.
const RESTART_KEY: &[u8] = b"ledger/restart";
/// Every hand-over of this chain that is known here, by the epoch and the round it leads to: proofs carry them.
const HANDOVER_PREFIX: &[u8] = b"ledger/handover/";
/// Bytes of an order with its statements, at most.
const RESTART_BYTES_MAX: usize = 256 * 1_024 * 1_024;
/// Entries of state looked at a time.
const STATE_PAGE: usize = 2_048;

/// A final block with everything needed to prove what happened in it.
#[derive(Clone, Debug, BorshSerialize, BorshDeserialize)]
pub struct StoredBlock {
    /// The block.
    pub block: Block,
    /// Why it is final.
    pub certificate: Certificate,
    /// What became of each transaction.
    pub outcomes: Vec<Outcome>,
    /// What fell due in it.
    pub due: Vec<DueEvent>,
    /// What the votes vouch for.
    pub commitment: Commitment,
}

/// One final block on its way to disk.
pub struct FinalBlock<'a> {
    /// The block with its proof.
    pub stored: &'a StoredBlock,
    /// State to write.
    pub changes: &'a ChangeSet,
    /// Names of its transactions.
    pub transactions: &'a [TxId],
    /// Where Raft ordered it; observers have none.
    pub position: Option<LogPosition>,
}

/// Final state over the node's one database.
///
/// Readers see whole blocks: a commit takes the lock for the one batch it writes. What is in memory of it, all its copies share.
#[derive(Clone)]
pub struct LedgerStore {
    kv: Arc<dyn KvStore>,
    commit: Arc<RwLock<()>>,
    resident: Arc<Resident>,
}

impl LedgerStore {
    /// Final state in `kv`, of which so many bytes of records that were read lately are kept in memory.
    #[must_use]
    pub fn with_records(kv: Arc<dyn KvStore>, records_bytes: usize) -> Self {
        Self { kv, commit: Arc::default(), resident: Arc::new(Resident::new(records_bytes)) }
    }

    /// Final state in `kv`, with little of it in memory.
    #[must_use]
    pub fn new(kv: Arc<dyn KvStore>) -> Self {
        Self::with_records(kv, RECORDS_BYTES)
    }

    /// Makes what follows from the stored state and is kept in memory, and checks the state's trees by it. Whatever asks first does
    /// so if nobody did before.
    ///
    /// # Errors
    /// Storage that fails, or a tree that does not lead to its root.
    pub fn prepare(&self) -> Result<(), StateError> {
        self.resident.prepare(self)
    }

    /// Writes state that no block here made: genesis, or that of a verified snapshot whose block is `tip`. Whatever
    /// state there was before is gone.
    ///
    /// # Errors
    /// Storage that fails.
    pub fn replace_state(&self, changes: &ChangeSet, tip: Option<&FinalTip>) -> Result<(), StoreError> {
        let mut batch = WriteBatch::new();
        self.delete_state(&mut batch, |_| true)?;
        put_changes(&mut batch, changes);
        if let Some(tip) = tip {
            put_tip(&mut batch, tip);
        }
        let _writing = self.commit.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        self.resident.replace(changes, || self.kv.write(&batch))
    }

    fn delete_state(&self, batch: &mut WriteBatch, goes: impl Fn(&[u8]) -> bool) -> Result<(), StoreError> {
        let mut from = Vec::new();
        loop {
            let page = self.kv.scan(Table::State, &from, None, ScanLimit::entries(STATE_PAGE))?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            from = [last.as_slice(), &[0]].concat();
            for (key, _) in page.into_iter().filter(|(key, _)| goes(key)) {
                batch.delete(Table::State, key);
            }
        }
    }

    /// Writes a final block and the state after it, at once or not at all.
    ///
    /// Not synced: the Raft log (or the other nodes) has it, and one WAL keeps what is written in order.
    ///
    /// # Errors
    /// Storage that fails.
    pub fn commit(&self, block: &FinalBlock<'_>) -> Result<(), StoreError> {
        let mut batch = WriteBatch::new();
        put_changes(&mut batch, block.changes);
        self.commit_with(batch, block)
    }

    /// [`Self::commit`] with a planted mistake: state and tip are two writes, of which a crash may keep only the first.
    ///
    /// # Errors
    /// Storage that fails.
    pub(crate) fn commit_torn(&self, block: &FinalBlock<'_>) -> Result<(), StoreError> {
        let mut state = WriteBatch::new();
        put_changes(&mut state, block.changes);
        self.kv.write(&state)?;
        self.commit_with(WriteBatch::new(), block)
    }

    fn commit_with(&self, mut batch: WriteBatch, block: &FinalBlock<'_>) -> Result<(), StoreError> {
        put_block(&mut batch, block.stored, block.transactions);
        put_tip(&mut batch, &FinalTip::of(&block.stored.block.header, &block.stored.certificate));
        if ends_epoch(block.changes) {
            // The validators of the next epoch have a group of their own, whose log begins with the next block.
            batch.delete(Table::Misc, POSITION_KEY.to_vec());
            if let Some(handover) = self.voted(block)? {
                put_handover(&mut batch, &handover);
            }
        } else if let Some(position) = block.position {
            put_position(&mut batch, position);
        }
        let _writing = self.commit.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        self.resident.change(block.changes, || self.kv.write(&batch))
    }

    /// How the last block of an epoch hands over. Nothing if too few voted for it: then an order of the operators keeps it, and hands
    /// over itself.
    fn voted(&self, block: &FinalBlock<'_>) -> Result<Option<Handover>, StoreError> {
        let (header, certificate) = (block.stored.block.header, &block.stored.certificate);
        let next = next_validators(block.changes).map_err(|error| corrupt("the next validators", &error))?;
        let unread = |error: StateError| StoreError::Corrupt { reason: error.to_string() };
        let before = query::validators_of(self, header.epoch).map_err(unread)?.unwrap_or_default();
        let is_certified = certificate.signatures.len() >= before.quorum();
        let hand_over =
            |validators| Handover::Voted(VotedHandover { header, certificate: certificate.clone(), validators });
        Ok(next.filter(|_| is_certified).map(hand_over))
    }

    /// Holds commits back while several reads belong together.
    pub fn reading(&self) -> RwLockReadGuard<'_, ()> {
        self.commit.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The last final block, if there is one above genesis.
    ///
    /// # Errors
    /// Storage that fails or does not hold what it should.
    pub fn final_tip(&self) -> Result<Option<FinalTip>, StoreError> {
        let Some(bytes) = self.kv.get(Table::Misc, TIP_KEY)? else { return Ok(None) };
        let (height, block, commitment, time) =
            decode(&bytes, 256).map_err(|error| corrupt("the last final block", &error))?;
        Ok(Some(FinalTip { height, block, commitment, time }))
    }

    /// Where Raft ordered the last final block.
    ///
    /// # Errors
    /// Storage that fails.
    pub fn final_position(&self) -> Result<Option<LogPosition>, StoreError> {
        let Some(bytes) = self.kv.get(Table::Misc, POSITION_KEY)? else { return Ok(None) };
        let (term, index) = decode(&bytes, 64).map_err(|error| corrupt("the position of the last block", &error))?;
        Ok(Some(LogPosition { term, index }))
    }

    /// Moves the position from which a restart applies the log: the state has come further by another way than the log.
    ///
    /// # Errors
    /// Storage that fails.
    pub fn pass_to(&self, position: LogPosition) -> Result<(), StoreError> {
        if self.final_position()? >= Some(position) {
            return Ok(());
        }
        let mut batch = WriteBatch::new();
        put_position(&mut batch, position);
        self.kv.write(&batch)
    }

    /// Whether this node's sign-log was ever made.
    ///
    /// # Errors
    /// Storage that fails.
    pub fn has_signed(&self) -> Result<bool, StoreError> {
        Ok(self.kv.get(Table::Misc, SIGNED_KEY)?.is_some())
    }

    /// Remembers that the sign-log was made.
    ///
    /// # Errors
    /// Storage that fails.
    pub fn mark_signed(&self) -> Result<(), StoreError> {
        let mut batch = WriteBatch::new();
        batch.put(Table::Misc, SIGNED_KEY.to_vec(), Vec::new());
        self.kv.write(&batch)
    }

    /// Keeps this validator's last word in a round.
    ///
    /// # Errors
    /// Storage that fails.
    pub(crate) fn keep_statement(&self, statement: &SignedStatement) -> Result<(), StoreError> {
        let mut batch = WriteBatch::new();
        batch.put(Table::Misc, STATEMENT_KEY.to_vec(), encode(statement));
        self.kv.write(&batch)
    }

    /// The last statement this validator made.
    ///
    /// # Errors
    /// Storage that fails or does not hold what it should.
    pub fn statement(&self) -> Result<Option<SignedStatement>, StoreError> {
        let Some(bytes) = self.kv.get(Table::Misc, STATEMENT_KEY)? else { return Ok(None) };
        decode(&bytes, RESTART_BYTES_MAX).map(Some).map_err(|error| corrupt("the statement", &error))
    }

    /// Writes what a hand-over changes, with the hand-over, and with the order it came by where this node was given one. The group of
    /// the new round has a log of its own, of which nothing is applied yet.
    ///
    /// # Errors
    /// Storage that fails.
    pub(crate) fn hand_over(
        &self,
        changes: &ChangeSet,
        handover: &Handover,
        order: Option<&SignedRestart>,
    ) -> Result<(), StoreError> {
        let mut batch = WriteBatch::new();
        put_changes(&mut batch, changes);
        batch.delete(Table::Misc, POSITION_KEY.to_vec());
        put_handover(&mut batch, handover);
        if let Some(order) = order {
            batch.put(Table::Misc, RESTART_KEY.to_vec(), encode(order));
        }
        let _writing = self.commit.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        self.resident.change(changes, || self.kv.write(&batch))
    }

    /// Keeps hand-overs that were checked and led to state that others made.
    ///
    /// # Errors
    /// Storage that fails.
    pub fn keep_handovers(&self, handovers: &[Handover]) -> Result<(), StoreError> {
        let mut batch = WriteBatch::new();
        handovers.iter().for_each(|handover| put_handover(&mut batch, handover));
        self.kv.write(&batch)
    }

    /// The chain's hand-overs, in order, as far as this node knows.
    ///
    /// # Errors
    /// Storage that fails or does not hold what it should.
    pub fn handovers(&self) -> Result<Vec<Handover>, StoreError> {
        let limit = ScanLimit::entries(MAX_HANDOVERS);
        let found = self.kv.scan_prefix(Table::Misc, HANDOVER_PREFIX, HANDOVER_PREFIX, limit)?;
        let read = |(_, bytes): &(_, Vec<u8>)| {
            decode(bytes, MAX_HANDOVER_BYTES).map_err(|error| corrupt("a hand-over", &error))
        };
        found.iter().map(read).collect()
    }

    /// The last order of the operators that was carried out here.
    ///
    /// # Errors
    /// Storage that fails or does not hold what it should.
    pub fn obeyed(&self) -> Result<Option<SignedRestart>, StoreError> {
        let Some(bytes) = self.kv.get(Table::Misc, RESTART_KEY)? else { return Ok(None) };
        decode(&bytes, RESTART_BYTES_MAX).map(Some).map_err(|error| corrupt("the operators' order", &error))
    }

    /// A final block.
    ///
    /// # Errors
    /// Storage that fails or does not hold what it should.
    pub fn block(&self, height: Height) -> Result<Option<StoredBlock>, StoreError> {
        let Some(bytes) = self.kv.get(Table::Blocks, &block_key(height))? else { return Ok(None) };
        decode(&bytes, STORED_BLOCK_BYTES_MAX).map(Some).map_err(|error| corrupt("a block", &error))
    }

    /// Height and index in its block of a final transaction.
    ///
    /// # Errors
    /// Storage that fails or does not hold what it should.
    pub fn transaction(&self, id: &TxId) -> Result<Option<(Height, usize)>, StoreError> {
        let Some(bytes) = self.kv.get(Table::Blocks, &prefixed(TRANSACTION_PREFIX, id.as_bytes()))? else {
            return Ok(None);
        };
        let (height, index): (u64, u32) = decode(&bytes, 64).map_err(|error| corrupt("an index entry", &error))?;
        Ok(Some((Height(height), index as usize)))
    }

    /// The last `limit` transactions signed by `account` or paying it, newest first.
    ///
    /// # Errors
    /// Storage that fails or does not hold what it should.
    pub fn history(&self, account: &AccountId, limit: usize) -> Result<Vec<(Height, usize)>, StoreError> {
        let prefix = prefixed(ACCOUNT_PREFIX, &account.0);
        let found = self.kv.scan_prefix(Table::Blocks, &prefix, &prefix, ScanLimit::entries(limit))?;
        Ok(found.iter().filter_map(|(key, _)| history_place(key)).collect())
    }
}

impl StateRead for LedgerStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        let mut found = None;
        self.view(key, &mut |value| found = Some(value.to_vec()))?;
        Ok(found)
    }

    fn view(&self, key: &[u8], see: &mut dyn FnMut(&[u8])) -> Result<(), StateError> {
        if is_page(key) {
            return self.resident.view_page(self, key, see);
        }
        let stored = || self.kv.get(Table::State, key).map_err(|error| StateError::Storage(error.to_string()));
        self.resident.view_record(key, see, stored)
    }

    fn view_many(&self, keys: &[&[u8]], see: &mut dyn FnMut(usize, &[u8])) -> Result<(), StateError> {
        let (mut records, mut places) = (Vec::with_capacity(keys.len()), Vec::with_capacity(keys.len()));
        for (place, key) in keys.iter().enumerate() {
            if is_page(key) {
                self.view(key, &mut |page| see(place, page))?;
            } else {
                records.push(*key);
                places.push(place);
            }
        }
        let see = &mut |at: usize, value: &[u8]| {
            if let Some(place) = places.get(at) {
                see(*place, value);
            }
        };
        self.resident.view_records(&records, see, |missing| {
            self.kv.get_many(Table::State, missing).map_err(|error| StateError::Storage(error.to_string()))
        })
    }

    fn scan(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Vec<Entry>, StateError> {
        let from = if from > prefix { from } else { prefix };
        self.kv
            .scan_prefix(Table::State, prefix, from, ScanLimit::entries(limit))
            .map_err(|error| StateError::Storage(error.to_string()))
    }
}

/// All but the pages of the trees, which are not stored.
fn put_changes(batch: &mut WriteBatch, changes: &ChangeSet) {
    for (key, value) in changes.iter().filter(|(key, _)| !is_page(key)) {
        match value {
            Some(value) => batch.put(Table::State, key.clone(), value.clone()),
            None => batch.delete(Table::State, key.clone()),
        };
    }
}

fn put_tip(batch: &mut WriteBatch, tip: &FinalTip) {
    batch.put(Table::Misc, TIP_KEY.to_vec(), encode(&(tip.height, tip.block, tip.commitment, tip.time)));
}

fn put_position(batch: &mut WriteBatch, position: LogPosition) {
    batch.put(Table::Misc, POSITION_KEY.to_vec(), encode(&(position.term, position.index)));
}

fn put_handover(batch: &mut WriteBatch, handover: &Handover) {
    let (epoch, round) = handover.leads_to();
    let key = [HANDOVER_PREFIX, &epoch.0.to_be_bytes(), &round.0.to_be_bytes()].concat();
    batch.put(Table::Misc, key, encode(handover));
}

fn put_block(batch: &mut WriteBatch, stored: &StoredBlock, transactions: &[TxId]) {
    let height = stored.block.header.height;
    batch.put(Table::Blocks, block_key(height), encode(stored));
    let mut index_entries = Vec::new();
    for (index, (id, signed)) in transactions.iter().zip(&stored.block.transactions).enumerate() {
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        index_entries.push((prefixed(TRANSACTION_PREFIX, id.as_bytes()), encode(&(height.0, index))));
        let accounts = touched(signed).into_iter();
        index_entries.extend(accounts.map(|account| (history_key(&account, height, index), Vec::new())));
    }
    // In order, each is put right after the one before it, and not searched for a place.
    index_entries.sort_unstable();
    for (key, value) in index_entries {
        batch.put(Table::Blocks, key, value);
    }
}

/// Accounts whose history a transaction belongs to.
fn touched(signed: &mesh30k_ledger::transaction::SignedTransaction) -> Vec<AccountId> {
    let mut accounts = vec![signed.tx.account];
    accounts.extend(signed.tx.op.receivers());
    accounts.sort_unstable();
    accounts.dedup();
    accounts
}

fn prefixed(prefix: u8, rest: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(rest.len() + 1);
    key.push(prefix);
    key.extend_from_slice(rest);
    key
}

fn block_key(height: Height) -> Vec<u8> {
    prefixed(BLOCK_PREFIX, &height.0.to_be_bytes())
}

/// Height and index are stored inverted, so that a forward scan gives the newest first.
fn history_key(account: &AccountId, height: Height, index: u32) -> Vec<u8> {
    let mut key = prefixed(ACCOUNT_PREFIX, &account.0);
    key.extend_from_slice(&(!height.0).to_be_bytes());
    key.extend_from_slice(&(!index).to_be_bytes());
    key
}

fn history_place(key: &[u8]) -> Option<(Height, usize)> {
    let place = key.get(key.len().checked_sub(12)?..)?;
    let height = u64::from_be_bytes(place.get(..8)?.try_into().ok()?);
    let index = u32::from_be_bytes(place.get(8..)?.try_into().ok()?);
    Some((Height(!height), (!index) as usize))
}

fn corrupt(what: &str, error: &mesh30k_ledger::codec::CodecError) -> StoreError {
    StoreError::Corrupt { reason: format!("{what} can't be read back: {error}") }
}
