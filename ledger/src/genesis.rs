//! The first state: a file people can read, named by the hash of its canonical bytes.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

use crate::codec::encode;
use crate::finality::ValidatorSet;
use crate::key_policy::KeyPolicy;
use crate::operators::Operators;
use crate::ops::NodeRegistration;
use crate::parameters::{Parameter, Parameters};
use crate::records::{
    Account, Counters, Due, EpochRecord, Globals, Holding, NodeRecord, Office, OfficeRecord, Quarter, Regions, TERM_MS,
    Tip, Totals,
};
use crate::signing::ChainContext;
use crate::smt;
use crate::state::{ChangeSet, MemoryState, StateError, keyspace};
use crate::types::{
    AccountId, AgentId, ChainId, Epoch, Hash, Height, NodeId, ProposalId, Region, Round, SectorId, TimeMs, Uftns,
};

/// What a chain begins with.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Genesis {
    /// Its name.
    pub chain: ChainId,
    /// Block time of the beginning.
    pub time: TimeMs,
    /// The validators of epoch 0.
    pub validators: ValidatorSet,
    /// Nodes 1, 2, 3 ... in order; validators are among them.
    pub nodes: Vec<GenesisNode>,
    /// Who owns what.
    pub accounts: Vec<GenesisAccount>,
    /// Who freezes and thaws.
    pub operators: Operators,
    /// Where they differ from the defaults.
    #[serde(default)]
    pub parameters: Parameters,
    /// Carbon intensities and the access list.
    pub regions: Regions,
    /// What the pools start with.
    #[serde(default)]
    pub pools: GenesisPools,
    /// No path mints above it.
    pub supply_cap: Uftns,
    /// Who holds an office from the beginning.
    #[serde(default)]
    pub offices: Vec<GenesisOffice>,
}

/// An office of the beginning; its term begins with the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct GenesisOffice {
    /// Which.
    pub office: Office,
    /// Whose.
    pub account: AccountId,
}

/// A node of the beginning.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct GenesisNode {
    /// Its account.
    pub account: AccountId,
    /// What it would say about itself when registering.
    #[serde(flatten)]
    pub registration: NodeRegistration,
    /// Attested on-site or contracted renewable share, parts per million.
    #[serde(default)]
    pub renewable_ppm: u32,
}

/// An account of the beginning.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct GenesisAccount {
    /// Who signs for it; its identifier follows.
    pub policy: KeyPolicy,
    /// What it owns.
    pub balance: Uftns,
    /// Where it is, attested by whoever made the genesis.
    #[serde(default)]
    pub region: Option<Region>,
}

/// What the pools start with; counts as minted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct GenesisPools {
    /// Pays green discounts.
    pub carbon_pool: Uftns,
    /// Pays access discounts.
    pub access_fund: Uftns,
    /// Remainders.
    pub treasury: Uftns,
}

/// A genesis that cannot begin a chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "each variant says in its sentence what its fields are")]
pub enum GenesisError {
    #[error("validators must be in ascending order of node, with distinct keys, and at least one")]
    Validators,
    #[error("validator node {0} is not among the {1} nodes")]
    UnknownValidator(NodeId, usize),
    #[error("operators: the threshold must lie between 1 and the number of distinct keys (at most 16)")]
    Operators,
    #[error("the key policy of account {0} cannot be satisfied or is not in order")]
    Policy(AccountId),
    #[error("account {0} stands twice")]
    AccountTwice(AccountId),
    #[error("node {0} repeats the account, store id or transport key of another")]
    NodeTwice(NodeId),
    #[error("node {node}: {reason}")]
    Node { node: NodeId, reason: String },
    #[error("{parameter} is {found}, {min} to {max} are allowed")]
    Parameter { parameter: Parameter, found: u64, min: u64, max: u64 },
    #[error("balances and pools add up to more than the supply cap of {0}")]
    Supply(Uftns),
    #[error("state cannot be used")]
    State(#[from] StateError),
}

impl Genesis {
    /// Names the genesis, and is the parent of block 1.
    #[must_use]
    pub fn hash(&self) -> Hash {
        Hash::derive("mesh30k genesis v1", &[&encode(self)])
    }

    /// What signatures of this chain name.
    #[must_use]
    pub fn context(&self) -> ChainContext {
        ChainContext { chain: self.chain, genesis: self.hash() }
    }

    /// Everything there is to write before block 1.
    ///
    /// # Errors
    /// A genesis that contradicts itself.
    pub fn initial_changes(&self) -> Result<ChangeSet, GenesisError> {
        self.check()?;
        let mut changes = ChangeSet::new();
        let mut put = |key: Vec<u8>, value: Vec<u8>| changes.insert(key, Some(value));
        let mut totals = self.pool_totals()?;
        for entry in &self.accounts {
            totals.balances =
                totals.balances.checked_add(entry.balance).ok_or(GenesisError::Supply(self.supply_cap))?;
            let account = Account {
                policy: Some(entry.policy.clone()),
                balance: entry.balance,
                region: entry.region,
                region_attested: entry.region.is_some(),
                holding: Holding { low: entry.balance, ..Holding::default() },
                ..Account::default()
            };
            put(keyspace::account(&entry.policy.account()).to_vec(), encode(&account));
        }
        totals.minted = u64::try_from(totals.held()).map(Uftns).map_err(|_| GenesisError::Supply(self.supply_cap))?;
        if totals.minted > self.supply_cap {
            return Err(GenesisError::Supply(self.supply_cap));
        }
        let mut next_node = NodeId(1);
        for node in &self.nodes {
            let record = node.record(next_node);
            put(keyspace::node_of_account(&node.account), encode(&record.id));
            put(keyspace::node_of_store(&record.store_id), encode(&record.id));
            put(keyspace::node_of_transport(&record.transport_key), encode(&record.id));
            put(keyspace::node(record.id), encode(&record));
            next_node = next_node.next();
        }
        let counters =
            Counters { next_node, next_agent: AgentId(1), next_proposal: ProposalId(1), next_sector: SectorId(0) };
        let ends = self.time.plus_ms(self.parameters.get(Parameter::DividendQuarterMs));
        let quarter = Quarter { ends, low: totals.balances, ..Quarter::default() };
        let (open_votes, frozen_since) = (Vec::new(), None);
        let globals = Globals { totals, counters, open_votes, frozen_since, frozen_ms: 0, quarter };
        put(keyspace::due(ends, &Due::QuarterEnds), encode(&()));
        put(keyspace::GLOBALS.to_vec(), encode(&globals));
        put(keyspace::CONTEXT.to_vec(), encode(&self.context()));
        put(keyspace::EPOCH.to_vec(), encode(&Epoch(0)));
        put(keyspace::VALIDATORS.to_vec(), encode(&self.validators));
        let first = EpochRecord { validators: self.validators.clone(), ended: None };
        put(keyspace::epoch(Epoch(0)), encode(&first));
        put(keyspace::OPERATORS.to_vec(), encode(&self.operators));
        put(keyspace::PARAMETERS.to_vec(), encode(&self.parameters));
        put(keyspace::REGIONS.to_vec(), encode(&self.regions));
        for entry in &self.offices {
            let record = OfficeRecord { since: self.time, until: self.time.plus_ms(TERM_MS) };
            put(keyspace::office(entry.office, &entry.account), encode(&record));
        }
        let state_root = smt::update(&MemoryState::new(), &mut changes)?;
        let tip = Tip { height: Height(0), block: self.hash(), time: self.time, state_root, round: Round(0) };
        changes.insert(keyspace::TIP.to_vec(), Some(encode(&tip)));
        Ok(changes)
    }

    fn pool_totals(&self) -> Result<Totals, GenesisError> {
        Ok(Totals {
            supply_cap: self.supply_cap,
            carbon_pool: self.pools.carbon_pool,
            access_fund: self.pools.access_fund,
            treasury: self.pools.treasury,
            ..Totals::default()
        })
    }

    fn check(&self) -> Result<(), GenesisError> {
        if self.validators.is_empty() || !self.validators.is_well_formed() {
            return Err(GenesisError::Validators);
        }
        let nodes = self.nodes.len();
        for validator in &self.validators.0 {
            if validator.node.0 == 0 || validator.node.0 > nodes as u64 {
                return Err(GenesisError::UnknownValidator(validator.node, nodes));
            }
        }
        if !self.operators.is_well_formed() {
            return Err(GenesisError::Operators);
        }
        let mut accounts = BTreeSet::new();
        for account in &self.accounts {
            let id = account.policy.account();
            if !account.policy.is_well_formed() {
                return Err(GenesisError::Policy(id));
            }
            if !accounts.insert(id) {
                return Err(GenesisError::AccountTwice(id));
            }
        }
        self.check_nodes()?;
        for (parameter, found) in self.parameters.all() {
            let (min, max) = parameter.bounds();
            if !parameter.allows(found) {
                return Err(GenesisError::Parameter { parameter, found, min, max });
            }
        }
        Ok(())
    }

    fn check_nodes(&self) -> Result<(), GenesisError> {
        let (mut owners, mut stores, mut transports) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let mut id = NodeId(1);
        for node in &self.nodes {
            let registration = &node.registration;
            registration.check().map_err(|error| GenesisError::Node { node: id, reason: error.to_string() })?;
            let fresh = owners.insert(node.account)
                && stores.insert(registration.store_id)
                && transports.insert(&registration.transport_key);
            if !fresh {
                return Err(GenesisError::NodeTwice(id));
            }
            id = id.next();
        }
        Ok(())
    }
}

impl GenesisNode {
    fn record(&self, id: NodeId) -> NodeRecord {
        let registration = self.registration.clone();
        NodeRecord {
            id,
            transport_key: registration.transport_key,
            account: self.account,
            host_key: registration.host_key,
            store_id: registration.store_id,
            addresses: registration.addresses,
            region: registration.region,
            renewable_ppm: self.renewable_ppm,
            sector: None,
            voter_seats: 0,
            agents: Vec::new(),
        }
    }
}
