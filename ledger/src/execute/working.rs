//! The state while a block is carried out: decoded accounts and raw changes, in two layers (block, transaction).

use borsh::{BorshDeserialize, BorshSerialize};
use std::borrow::Cow;

use super::BlockError;
use super::accounts::Accounts;
use crate::codec::encode;
use crate::fees::BaseFee;
use crate::finality::ValidatorSet;
use crate::invariants;
use crate::operators::Operators;
use crate::parameters::{Parameter, Parameters};
use crate::records::{Account, Due, Globals, Quarter, Regions, Tip, Totals};
use crate::rejection::Rejection;
use crate::signing::ChainContext;
use crate::state::{
    ChangeSet, Entry as StateEntry, StateError, StateRead, decode_record, keyspace, merged_scan, read, read_or_corrupt,
};
use crate::types::{AccountId, Epoch, Height, TimeMs, Uftns};

/// Why an operation stopped.
#[derive(Debug)]
pub(crate) enum Stop {
    /// By the rules.
    Rejected(Rejection),
    /// State cannot be read: the machine's fault, not the transaction's.
    State(StateError),
}

impl Stop {
    /// For what happens by itself and asks for no more than was set aside for it: a rejection there is a bug, told as damage.
    pub(crate) fn into_damage(self, key: &[u8]) -> StateError {
        match self {
            Self::State(error) => error,
            Self::Rejected(rejection) => StateError::Corrupt { key: hex::encode(key), reason: rejection.to_string() },
        }
    }
}

impl From<Rejection> for Stop {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

impl From<StateError> for Stop {
    fn from(error: StateError) -> Self {
        Self::State(error)
    }
}

/// What stays as it is during a block, but for parameters.
#[derive(Debug, Clone)]
pub(crate) struct Chain {
    pub(crate) context: ChainContext,
    pub(crate) epoch: Epoch,
    pub(crate) validators: ValidatorSet,
    /// Of the block after this one, if they are others.
    pub(crate) next_validators: Option<ValidatorSet>,
    pub(crate) operators: Operators,
    pub(crate) parameters: Parameters,
    /// The same for all transactions of the block.
    pub(crate) base_fee: BaseFee,
}

/// Accounts read ahead, at most: all of a block of single payments. A block of batches may name a hundred times as many.
const MAX_FETCHED: usize = 4 * crate::block::MAX_TRANSACTIONS;

#[derive(Debug, Clone)]
struct Layer {
    raw: ChangeSet,
    globals: Globals,
}

/// State under execution.
pub(crate) struct Working<'a> {
    base: &'a dyn StateRead,
    pub(crate) tip: Tip,
    pub(crate) chain: Chain,
    pub(crate) height: Height,
    pub(crate) now: TimeMs,
    block: Layer,
    tx: Layer,
    accounts: Accounts,
    proposer_fees: Uftns,
    /// Totals before the block.
    opening: Totals,
}

impl<'a> Working<'a> {
    pub(crate) fn open(base: &'a dyn StateRead, height: Height, now: TimeMs) -> Result<Self, StateError> {
        let globals: Globals = read_or_corrupt(base, keyspace::GLOBALS)?;
        let layer = Layer { raw: ChangeSet::new(), globals };
        let parameters: Parameters = read_or_corrupt(base, keyspace::PARAMETERS)?;
        let base_fee = read(base, keyspace::BASE_FEE)?.unwrap_or(BaseFee(0)).within(&parameters);
        let chain = Chain {
            context: read_or_corrupt(base, keyspace::CONTEXT)?,
            epoch: read_or_corrupt(base, keyspace::EPOCH)?,
            validators: read_or_corrupt(base, keyspace::VALIDATORS)?,
            next_validators: read(base, keyspace::NEXT_VALIDATORS)?,
            operators: read_or_corrupt(base, keyspace::OPERATORS)?,
            parameters,
            base_fee,
        };
        let tip = read_or_corrupt(base, keyspace::TIP)?;
        let opening = layer.globals.totals;
        Ok(Self {
            base,
            tip,
            chain,
            height,
            now,
            block: layer.clone(),
            tx: layer,
            accounts: Accounts::default(),
            proposer_fees: Uftns::ZERO,
            opening,
        })
    }

    /// Keeps what was done since the last commit or abort.
    pub(crate) fn commit(&mut self) {
        // `append` would walk the whole block's map for each transaction.
        if !self.tx.raw.is_empty() {
            self.block.raw.extend(std::mem::take(&mut self.tx.raw));
        }
        self.block.globals.clone_from(&self.tx.globals);
        self.accounts.keep();
    }

    /// Forgets it.
    pub(crate) fn abort(&mut self) {
        self.tx.raw.clear();
        self.tx.globals.clone_from(&self.block.globals);
        self.accounts.forget();
    }

    /// All changes of the block, if they keep what must hold.
    pub(crate) fn finish(mut self) -> Result<ChangeSet, BlockError> {
        self.close_openings()?;
        self.commit();
        let closing = self.block.globals.totals;
        invariants::check_block(self.base, [&self.opening, &closing], self.accounts.moved(), &self.block.raw)?;
        let mut changes = self.accounts.records();
        changes.extend(self.block.raw);
        changes.insert(keyspace::GLOBALS.to_vec(), Some(encode(&self.block.globals)));
        Ok(changes)
    }

    /// Gives votes opened in this block the weight of its end, fees included.
    fn close_openings(&mut self) -> Result<(), StateError> {
        let totals = self.tx.globals.totals;
        let weight = Uftns(totals.balances.0.saturating_add(totals.stakes.0));
        for open in self.tx.globals.open_votes.clone() {
            if open.snapshot == self.height {
                let key = keyspace::proposal(open.proposal);
                let mut proposal: crate::records::Proposal = self.must_read(&key)?;
                proposal.snapshot_weight = weight;
                self.write(key, &proposal);
            }
        }
        Ok(())
    }

    /// Totals before the block.
    pub(super) const fn opening(&self) -> &Totals {
        &self.opening
    }

    /// An account as it was before the block.
    pub(super) fn before(&self, id: &AccountId) -> Result<Option<Account>, StateError> {
        read(self.base, &keyspace::account(id))
    }

    /// The accounts the block changed, to be changed once more for good, and the quarter whose sums they are part of.
    pub(super) fn changed_accounts(&mut self) -> (&mut Quarter, impl Iterator<Item = (&AccountId, &mut Account)>) {
        (&mut self.tx.globals.quarter, self.accounts.changed())
    }

    pub(crate) fn globals(&self) -> &Globals {
        &self.tx.globals
    }

    pub(crate) fn globals_mut(&mut self) -> &mut Globals {
        &mut self.tx.globals
    }

    pub(crate) fn parameter(&self, parameter: Parameter) -> u64 {
        self.chain.parameters.get(parameter)
    }

    // Raw records.

    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        match self.tx.raw.get(key).or_else(|| self.block.raw.get(key)) {
            Some(value) => Ok(value.clone()),
            None => self.base.get(key),
        }
    }

    pub(crate) fn read<T: BorshDeserialize + BorshSerialize>(&self, key: &[u8]) -> Result<Option<T>, StateError> {
        self.get(key)?.map(|bytes| decode_record(key, &bytes)).transpose()
    }

    /// Reads a record that another one refers to.
    pub(crate) fn must_read<T: BorshDeserialize + BorshSerialize>(&self, key: &[u8]) -> Result<T, StateError> {
        self.read(key)?.ok_or_else(|| StateError::Corrupt {
            key: hex::encode(key),
            reason: "it is referred to and missing".into(),
        })
    }

    pub(crate) fn write<T: BorshSerialize>(&mut self, key: Vec<u8>, value: &T) {
        self.tx.raw.insert(key, Some(encode(value)));
    }

    pub(crate) fn remove(&mut self, key: Vec<u8>) {
        self.tx.raw.insert(key, None);
    }

    pub(crate) fn scan(&self, prefix: &[u8], limit: usize) -> Result<Vec<StateEntry>, StateError> {
        merged_scan(self.base, &[&self.block.raw, &self.tx.raw], prefix, &[], limit)
    }

    pub(crate) fn schedule(&mut self, at: TimeMs, due: &Due) {
        self.write(keyspace::due(at, due), &());
    }

    // Accounts and money. Every change of a balance goes through here, so that totals and checkpoints follow.

    pub(crate) fn account(&self, id: &AccountId) -> Result<Option<Account>, StateError> {
        Ok(self.look(id)?.map(Cow::into_owned))
    }

    /// As [`Working::account`], without a copy where the account is at hand.
    pub(crate) fn look(&self, id: &AccountId) -> Result<Option<Cow<'_, Account>>, StateError> {
        self.accounts.look(self.base, id)
    }

    /// Whether an account's region is attested and in the access list.
    pub(crate) fn has_access(&self, id: &AccountId) -> Result<bool, StateError> {
        let regions: Regions = self.must_read(keyspace::REGIONS)?;
        let account = self.look(id)?;
        let region = account.and_then(|account| account.attested_region());
        Ok(region.is_some_and(|region| regions.access_list.contains(&region)))
    }

    /// Has these accounts at hand, which takes less time than to read each when it is needed; of very many, the first.
    pub(super) fn fetch(&mut self, ids: impl Iterator<Item = AccountId>) -> Result<(), StateError> {
        self.accounts.fetch(self.base, ids.take(MAX_FETCHED).collect())
    }

    /// Has the account of a transaction at hand, which is asked for again and again.
    pub(super) fn begin(&mut self, own: &AccountId) -> Result<(), StateError> {
        self.accounts.begin(self.base, own)
    }

    /// An account to be changed in place; made when missing. Its balance is not to be changed: totals would not follow.
    pub(crate) fn account_mut(&mut self, id: &AccountId) -> Result<&mut Account, StateError> {
        self.accounts.change(self.base, id)
    }

    /// As [`Working::account_mut`], for what holds whatever becomes of the transaction.
    pub(super) fn account_for_good(&mut self, id: &AccountId) -> Result<&mut Account, StateError> {
        self.accounts.change_for_good(self.base, id)
    }

    /// Adds to an account, which is created when missing.
    pub(crate) fn credit(&mut self, id: &AccountId, amount: Uftns) -> Result<(), Stop> {
        let totals = &mut self.tx.globals.totals;
        totals.balances = totals.balances.checked_add(amount).ok_or(Rejection::AmountOverflow)?;
        let (height, (oldest, newest)) = (self.height, self.tx.globals.snapshots());
        let account = self.account_mut(id)?;
        account.checkpoint(height, oldest, newest);
        account.balance = account.balance.checked_add(amount).ok_or(Rejection::AmountOverflow)?;
        Ok(())
    }

    /// Takes from an account that has it.
    pub(crate) fn debit(&mut self, id: &AccountId, amount: Uftns) -> Result<(), Stop> {
        let (height, (oldest, newest)) = (self.height, self.tx.globals.snapshots());
        // Whoever is refused forgets what it did, a record made here included.
        let account = self.account_mut(id)?;
        let balance = account.balance;
        let overdrawn = || Rejection::Overdrawn { needed: amount, balance };
        let rest = balance.checked_sub(amount).ok_or_else(overdrawn)?;
        account.checkpoint(height, oldest, newest);
        account.balance = rest;
        let totals = &mut self.tx.globals.totals;
        totals.balances = totals.balances.checked_sub(amount).ok_or_else(overdrawn)?;
        Ok(())
    }

    pub(super) fn keep_weight(&self, account: &mut Account) {
        let (oldest, newest) = self.tx.globals.snapshots();
        account.checkpoint(self.height, oldest, newest);
    }

    /// Takes a fee: half is burned (rounded up), half is collected for the proposer.
    pub(crate) fn take_fee(&mut self, payer: &AccountId, fee: Uftns) -> Result<(), Stop> {
        if fee.is_zero() {
            return Ok(());
        }
        self.debit(payer, fee)?;
        let share = Uftns(fee.0 >> 1);
        let burned = Uftns(fee.0.saturating_sub(share.0));
        let totals = &mut self.tx.globals.totals;
        totals.burned = totals.burned.checked_add(burned).ok_or(Rejection::AmountOverflow)?;
        self.proposer_fees = self.proposer_fees.checked_add(share).ok_or(Rejection::AmountOverflow)?;
        Ok(())
    }

    /// Sets the price of the next block by the weight of this one.
    pub(crate) fn move_base_fee(&mut self, weight: u64) {
        let next = self.chain.base_fee.after(weight, &self.chain.parameters);
        // A price that never left its floor needs no record.
        if next != self.chain.base_fee {
            self.write(keyspace::BASE_FEE.to_vec(), &next);
        }
    }

    /// Pays the collected share of the fees; that of a proposer who is locked out goes to the treasury.
    pub(crate) fn pay_proposer(&mut self, account: AccountId) -> Result<(), StateError> {
        let fees = std::mem::take(&mut self.proposer_fees);
        if fees.is_zero() {
            return Ok(());
        }
        if self.jailed_until(&account)?.is_some() {
            let treasury = &mut self.tx.globals.totals.treasury;
            let sum = treasury.checked_add(fees).ok_or(Rejection::AmountOverflow);
            *treasury = sum.map_err(|rejection| Stop::from(rejection).into_damage(keyspace::GLOBALS))?;
            return Ok(());
        }
        // Fees come from balances, and all balances together fit.
        self.credit(&account, fees).map_err(|stop| stop.into_damage(keyspace::GLOBALS))
    }
}
