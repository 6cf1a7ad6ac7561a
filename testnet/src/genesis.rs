//! The genesis of a local network: its founders, its people, its tables.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, anyhow};
use mesh30k_ledger::finality::{Validator, ValidatorSet};
use mesh30k_ledger::genesis::{Genesis, GenesisAccount, GenesisNode, GenesisOffice, GenesisPools};
use mesh30k_ledger::key_policy::KeyPolicy;
use mesh30k_ledger::keys::PublicKey;
use mesh30k_ledger::operators::Operators;
use mesh30k_ledger::ops::NodeRegistration;
use mesh30k_ledger::parameters::{Parameter, Parameters};
use mesh30k_ledger::records::Office;
use mesh30k_ledger::tables;
use mesh30k_ledger::types::{ChainId, NodeId, Region, TimeMs, Uftns};

use crate::size::Size;

/// Name of the chain of every local network; the genesis tells them apart.
pub const CHAIN: &str = "mesh30k-local";
/// Agents a sector takes: two sectors of four nodes for 600 agents on 8 nodes.
const SECTOR_CAPACITY: u64 = 300;
/// How long a vote stays open here, milliseconds: long enough to be seen, short enough to be watched.
const VOTING_MS: u64 = 5_000;
/// How long a passed vote waits here, milliseconds.
const TIMELOCK_MS: u64 = 2_000;
/// Registrations a validator sponsors in a minute here: all nodes of a local network start at once.
const SPONSORED_PER_MINUTE: u64 = 1_000;
/// In a crowd everybody is ready this much earlier, milliseconds: getting ready takes both cores of the machine for a second, and at T
/// they are for those who release.
const CROWD_HOLD_MARGIN_MS: u64 = 1_000;
/// What a user owns at the beginning; users hold the votes.
const USER_BALANCE: Uftns = Uftns::ftns(1_000_000);
/// What the operator owns: fees, and a vote.
const OPERATOR_BALANCE: Uftns = Uftns::ftns(100_000);
/// What a validator owns: it pays for the newcomers it sponsors.
const VALIDATOR_BALANCE: Uftns = Uftns::ftns(1_000);
/// What the fund for access discounts and the pool for green discounts begin with.
const POOL_BALANCE: Uftns = Uftns::ftns(10_000);
/// No path mints above it.
const SUPPLY_CAP: Uftns = Uftns::ftns(1_000_000_000);

/// A validator as the genesis registers it.
#[derive(Clone, Debug)]
pub struct Founder {
    /// Key of its account; signs its host batches too.
    pub account: PublicKey,
    /// Key it votes with.
    pub validator: PublicKey,
    /// What it would say of itself when registering.
    pub registration: NodeRegistration,
}

/// Somebody with an account.
#[derive(Clone, Debug)]
pub struct Person {
    /// The account's key.
    pub key: PublicKey,
    /// Where they are, attested.
    pub region: Option<Region>,
}

/// Puts a genesis together; `operator` alone freezes and thaws.
///
/// # Errors
/// When an embedded table can't be read or the parts contradict each other.
pub fn compose(
    time: TimeMs,
    founders: &[Founder],
    operator: PublicKey,
    users: &[Person],
    size: Size,
) -> Result<Genesis> {
    let account = |key, balance, region| GenesisAccount { policy: KeyPolicy::single(key), balance, region };
    let mut accounts = vec![account(operator, OPERATOR_BALANCE, None)];
    accounts.extend(users.iter().map(|user| account(user.key, USER_BALANCE, user.region)));
    accounts.extend(founders.iter().map(|founder| account(founder.account, VALIDATOR_BALANCE, None)));
    let numbered = || (1_u64..).map(NodeId).zip(founders);
    let validators = numbered().map(|(node, founder)| Validator {
        node,
        key: founder.validator,
        account: KeyPolicy::single(founder.account).account(),
    });
    let nodes = founders.iter().map(|founder| GenesisNode {
        account: KeyPolicy::single(founder.account).account(),
        registration: founder.registration.clone(),
        renewable_ppm: 0,
    });
    // On a local network the founders watch over each other.
    let offices = founders.iter().flat_map(|founder| {
        let account = KeyPolicy::single(founder.account).account();
        [Office::Oracle, Office::Reviewer, Office::Guardian].map(|office| GenesisOffice { office, account })
    });
    let genesis = Genesis {
        chain: ChainId::new(CHAIN).map_err(|error| anyhow!("{error}"))?,
        time,
        validators: ValidatorSet(validators.collect()),
        nodes: nodes.collect(),
        accounts,
        operators: Operators { threshold: 1, keys: vec![operator] },
        parameters: parameters(size),
        regions: tables::regions()?,
        pools: GenesisPools { access_fund: POOL_BALANCE, carbon_pool: POOL_BALANCE, treasury: Uftns::ZERO },
        supply_cap: SUPPLY_CAP,
        offices: offices.collect(),
    };
    genesis.initial_changes().context("the genesis of the local network contradicts itself")?;
    Ok(genesis)
}

/// A node's agents share one sector, so a sector must take at least those of the largest node, the first.
fn parameters(size: Size) -> Parameters {
    Parameters(BTreeMap::from([
        (Parameter::SectorCapacity, SECTOR_CAPACITY.max(u64::from(size.agents_of(1)))),
        (Parameter::HoldMarginMs, if size.is_crowd() { CROWD_HOLD_MARGIN_MS } else { 0 }),
        (Parameter::VotingMs, VOTING_MS),
        (Parameter::TimelockMs, TIMELOCK_MS),
        (Parameter::SponsoredPerMinute, SPONSORED_PER_MINUTE),
    ]))
}

/// A region by its two letters.
///
/// # Errors
/// Anything else than two capital letters.
pub fn region(letters: &str) -> Result<Region> {
    letters.parse().map_err(|error| anyhow!("{error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh30k_ledger::keys::SecretKey;
    use mesh30k_ledger::types::Hash;

    fn key(seed: u8) -> PublicKey {
        SecretKey::from_seed([seed; 32]).public()
    }

    fn founder(seed: u8) -> Founder {
        let registration = NodeRegistration {
            transport_key: vec![seed; 32],
            host_key: key(seed),
            store_id: Hash([seed; 32]),
            addresses: vec!["/ip4/127.0.0.1/tcp/7430".to_owned()],
            region: region("KE").unwrap(),
        };
        Founder { account: key(seed), validator: key(seed + 100), registration }
    }

    fn example(agents: u32) -> Genesis {
        let users =
            [Person { key: key(51), region: None }, Person { key: key(52), region: Some(region("BD").unwrap()) }];
        compose(TimeMs(1), &[founder(1), founder(2)], key(50), &users, Size::new(1, 1, agents).unwrap()).unwrap()
    }

    #[test]
    fn two_founders_and_two_users_begin_a_chain() {
        let genesis = example(75);
        assert!(!genesis.initial_changes().unwrap().is_empty());
        assert_eq!(genesis.validators.0.len(), 2);
        let read: Genesis = serde_json::from_str(&serde_json::to_string(&genesis).unwrap()).unwrap();
        assert_eq!(read.hash(), genesis.hash());
    }

    #[test]
    fn the_users_alone_reach_the_quorum() {
        let genesis = example(75);
        let total: u64 = genesis.accounts.iter().map(|account| account.balance.0).sum();
        let quorum = u128::from(total) * u128::from(genesis.parameters.get(Parameter::QuorumPpm)) / 1_000_000;
        assert!(u128::from(USER_BALANCE.0) > quorum);
    }

    #[test]
    fn a_sector_takes_the_largest_node() {
        assert_eq!(example(75).parameters.get(Parameter::SectorCapacity), 300);
        assert_eq!(example(900).parameters.get(Parameter::SectorCapacity), 900);
    }

    #[test]
    fn a_crowd_is_ready_earlier() {
        let margin = |nodes| parameters(Size::new(nodes, 1, 3_000).unwrap()).get(Parameter::HoldMarginMs);
        assert_eq!((margin(8), margin(32), margin(33)), (0, 0, CROWD_HOLD_MARGIN_MS));
    }

    #[test]
    fn the_tables_come_from_public_data_with_their_sources() {
        let regions = example(75).regions;
        assert_eq!(regions.intensities_mg_per_kwh.get(&region("US").unwrap()), Some(&410_390));
        assert!(regions.access_list.contains(&region("BD").unwrap()));
        assert_eq!(regions.sources.len(), 3);
    }

    #[test]
    fn a_founder_twice_is_refused() {
        let result = compose(TimeMs(1), &[founder(1), founder(1)], key(50), &[], Size::new(2, 2, 2).unwrap());
        assert!(result.is_err());
    }
}
