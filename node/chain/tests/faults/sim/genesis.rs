//! The chain the simulation begins with: four validators and a few accounts.

use mesh30k_ledger::finality::{Validator, ValidatorSet};
use mesh30k_ledger::genesis::{Genesis, GenesisAccount, GenesisNode, GenesisPools};
use mesh30k_ledger::key_policy::KeyPolicy;
use mesh30k_ledger::keys::SecretKey;
use mesh30k_ledger::operators::Operators;
use mesh30k_ledger::ops::NodeRegistration;
use mesh30k_ledger::parameters::{Parameter, Parameters};
use mesh30k_ledger::records::Regions;
use mesh30k_ledger::types::{AccountId, ChainId, Hash, NodeId, TimeMs, Uftns};

/// Wall-clock time at which virtual time begins, Unix ms.
pub const START_MS: u64 = 1_800_000_000_000;
/// What each client's account owns at the beginning, uFTNS.
pub const ENDOWMENT: u64 = 1_000_000_000;

pub fn key(kind: &str, n: u64) -> SecretKey {
    SecretKey::from_seed(Hash::of(format!("{kind} {n}").as_bytes()).0)
}

pub fn validator_key(node: u64) -> SecretKey {
    key("validator", node)
}

pub fn account_of(key: &SecretKey) -> AccountId {
    KeyPolicy::single(key.public()).account()
}

pub fn genesis(validators: u64, accounts: u64) -> Genesis {
    let seats = (1..=validators).map(|n| Validator {
        node: NodeId(n),
        key: validator_key(n).public(),
        account: account_of(&key("host", n)),
    });
    let nodes = (1..=validators).map(|n| GenesisNode {
        account: account_of(&key("host", n)),
        registration: NodeRegistration {
            transport_key: vec![u8::try_from(n).unwrap(); 38],
            host_key: key("host", n).public(),
            store_id: Hash::of(&n.to_le_bytes()),
            addresses: vec![format!("/ip4/127.0.0.1/tcp/{}", 7_400 + n)],
            region: "DE".parse().unwrap(),
        },
        renewable_ppm: 0,
    });
    let owner = |key: SecretKey| GenesisAccount {
        policy: KeyPolicy::single(key.public()),
        balance: Uftns(ENDOWMENT),
        region: None,
    };
    let mut owners: Vec<GenesisAccount> = (0..accounts).map(|n| owner(key("client", n))).collect();
    owners.extend((1..=validators).map(|n| owner(key("host", n))));
    // As much as all others together, so that it decides what passes.
    let decides = ENDOWMENT * (accounts + validators);
    owners.push(GenesisAccount { balance: Uftns(decides), ..owner(key("voter", 0)) });
    Genesis {
        chain: ChainId::new("faults").unwrap(),
        time: TimeMs(START_MS),
        validators: ValidatorSet(seats.collect()),
        nodes: nodes.collect(),
        accounts: owners,
        operators: Operators { threshold: 2, keys: (0..3).map(|n| key("operator", n).public()).collect() },
        // Votes end while things go wrong.
        parameters: Parameters([(Parameter::VotingMs, 1_500), (Parameter::TimelockMs, 500)].into()),
        regions: Regions {
            intensities_mg_per_kwh: [("DE".parse().unwrap(), 380_000)].into(),
            default_intensity_mg_per_kwh: 480_000,
            ..Regions::default()
        },
        pools: GenesisPools::default(),
        supply_cap: Uftns(ENDOWMENT * 1_000),
        offices: Vec::new(),
    }
}
