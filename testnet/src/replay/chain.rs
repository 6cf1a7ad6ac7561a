//! One chain in memory: the ledger's own code, blocks made here.

use mesh30k_ledger::block::{Block, Header};
use mesh30k_ledger::carbon::CarbonReport;
use mesh30k_ledger::execute::execute;
use mesh30k_ledger::genesis::Genesis;
use mesh30k_ledger::invariants;
use mesh30k_ledger::keys::SecretKey;
use mesh30k_ledger::ops::Operation;
use mesh30k_ledger::outcome::Outcome;
use mesh30k_ledger::query;
use mesh30k_ledger::signing::ChainContext;
use mesh30k_ledger::state::MemoryState;
use mesh30k_ledger::transaction::{SignedTransaction, Transaction};
use mesh30k_ledger::types::{AccountId, Hash, Round, TimeMs, Uftns};
use std::collections::BTreeMap;

use super::cast::account;
use super::day::ReplayError;

/// The most one transaction may cost.
const FEE_LIMIT: Uftns = Uftns::ftns(1);

/// The chain and the sums of its blocks.
pub(super) struct Chain {
    pub(super) genesis: Genesis,
    pub(super) context: ChainContext,
    pub(super) state: MemoryState,
    pub(super) sums: CarbonReport,
    pub(super) transactions: u64,
    validator: SecretKey,
    nonces: BTreeMap<AccountId, u64>,
}

fn broken(error: impl std::error::Error) -> ReplayError {
    ReplayError::Ledger(error.to_string())
}

impl Chain {
    pub(super) fn new(genesis: Genesis, validator: SecretKey) -> Result<Self, ReplayError> {
        let mut state = MemoryState::new();
        state.apply(genesis.initial_changes().map_err(broken)?);
        let (context, sums, nonces) = (genesis.context(), CarbonReport::default(), BTreeMap::new());
        Ok(Self { genesis, context, state, sums, transactions: 0, validator, nonces })
    }

    /// Signs the next transaction of an account.
    pub(super) fn sign(&mut self, who: &SecretKey, op: Operation) -> SignedTransaction {
        let id = account(who);
        let nonce = self.nonces.entry(id).or_default();
        let signed = Transaction::new(&self.context, id, *nonce, TimeMs(u64::MAX), FEE_LIMIT, op).sign(&[who]);
        *nonce += 1;
        signed
    }

    /// Carries out one block, keeps it, counts it.
    pub(super) fn block(
        &mut self,
        time: TimeMs,
        transactions: Vec<SignedTransaction>,
    ) -> Result<Vec<Outcome>, ReplayError> {
        let tip = query::tip(&self.state).map_err(broken)?;
        let header = Header {
            chain: self.context.chain,
            epoch: query::epoch(&self.state).map_err(broken)?,
            round: Round(0),
            height: tip.height.next(),
            parent: tip.block,
            tx_root: Hash::ZERO,
            parent_state_root: tip.state_root,
            next_validators_hash: self.genesis.validators.hash(),
            time,
            term: 1,
            proposer: mesh30k_ledger::types::NodeId(1),
            reset: None,
        };
        let block = Block::sign(header, transactions, &self.context, &self.validator);
        let execution = execute(&self.state, &block).map_err(broken)?;
        self.transactions += block.transactions.len() as u64;
        self.state.apply(execution.changes);
        self.sums.add_block(&self.state, &block, &execution.outcomes, &execution.due).map_err(broken)?;
        Ok(execution.outcomes)
    }

    /// Checks every invariant over the whole state.
    pub(super) fn check(&self) -> Result<(), ReplayError> {
        invariants::check(&self.state).map_err(broken)
    }
}
