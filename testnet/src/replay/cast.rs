//! Who takes part, and the genesis of their chain. The traces do not say who asked: that is made up here, by name and by seed.

use mesh30k_ledger::finality::{Validator, ValidatorSet};
use mesh30k_ledger::genesis::{Genesis, GenesisAccount, GenesisNode, GenesisOffice, GenesisPools};
use mesh30k_ledger::key_policy::KeyPolicy;
use mesh30k_ledger::keys::SecretKey;
use mesh30k_ledger::operators::Operators;
use mesh30k_ledger::ops::{EnergyMethod, NodeRegistration};
use mesh30k_ledger::parameters::{Parameter, Parameters};
use mesh30k_ledger::priority::Purpose;
use mesh30k_ledger::records::Office;
use mesh30k_ledger::tables;
use mesh30k_ledger::types::{AccountId, ChainId, Hash, NodeId, Region, TimeMs, Uftns};

use super::day::ReplayError;

/// What everybody who asks or works owns.
pub(super) const BALANCE: Uftns = Uftns::ftns(1_000_000);
/// What each fund begins with.
pub(super) const FUND: Uftns = Uftns::ftns(10);
/// Agents of a host that run requests (class D) and jobs (class C).
pub(super) const AGENTS_PER_CLASS: u64 = 2;

/// Country, weight in the work, what it mostly asks for.
const REQUESTERS: [(&str, u64, &[Purpose]); 12] = [
    ("US", 22, &[Purpose::GeneralResearch, Purpose::Luxury, Purpose::ClimateScience]),
    ("DE", 10, &[Purpose::RenewableOptimisation, Purpose::GeneralResearch]),
    ("GB", 8, &[Purpose::ClimateScience, Purpose::GeneralResearch]),
    ("FR", 7, &[Purpose::SustainableAgriculture, Purpose::Luxury]),
    ("JP", 8, &[Purpose::GeneralResearch, Purpose::RenewableOptimisation]),
    ("IN", 14, &[Purpose::SustainableAgriculture, Purpose::Education]),
    ("BR", 7, &[Purpose::SustainableAgriculture, Purpose::ClimateAdaptation]),
    ("NG", 6, &[Purpose::Education, Purpose::ClimateAdaptation]),
    ("KE", 5, &[Purpose::ClimateAdaptation, Purpose::Education]),
    ("BD", 6, &[Purpose::ClimateAdaptation, Purpose::Education]),
    ("PH", 4, &[Purpose::DisasterResponse, Purpose::Education]),
    ("AU", 3, &[Purpose::ProofOfWork, Purpose::ClimateScience]),
];

type HostRow = (&'static str, Option<(&'static str, &'static str)>, u32, EnergyMethod);

/// Country, grid of the hourly series, contracted renewable share, how it measures. Antarctica has no grid average: its host
/// shows what a fallback looks like.
const HOSTS: [HostRow; 12] = [
    ("US", Some(("AZPS", "US-SW-AZPS")), 0, EnergyMethod::ClassDefault),
    ("US", Some(("BPAT", "US-NW-BPAT")), 0, EnergyMethod::Rapl),
    ("US", Some(("CISO", "US-CAL-CISO")), 600_000, EnergyMethod::Rapl),
    ("US", Some(("ERCO", "US-TEX-ERCO")), 250_000, EnergyMethod::Fuel),
    ("US", Some(("NYIS", "US-NY-NYIS")), 0, EnergyMethod::Fuel),
    ("US", Some(("PJM", "US-MIDA-PJM")), 0, EnergyMethod::ClassDefault),
    ("DE", None, 800_000, EnergyMethod::Rapl),
    ("FR", None, 0, EnergyMethod::Fuel),
    ("KE", None, 400_000, EnergyMethod::ClassDefault),
    ("IN", None, 0, EnergyMethod::Fuel),
    ("ZA", None, 100_000, EnergyMethod::ClassDefault),
    ("AQ", None, 0, EnergyMethod::ClassDefault),
];

/// Who asks for work.
pub(super) struct Requester {
    pub(super) name: String,
    pub(super) key: SecretKey,
    pub(super) id: AccountId,
    pub(super) weight: u64,
    pub(super) purposes: &'static [Purpose],
    pub(super) region: Region,
}

/// Who works.
pub(super) struct Host {
    pub(super) name: String,
    pub(super) key: SecretKey,
    pub(super) id: AccountId,
    pub(super) node: NodeId,
    pub(super) region: Region,
    /// Name in the series and zone of its own source.
    pub(super) grid: Option<(&'static str, &'static str)>,
    pub(super) renewable_ppm: u32,
    pub(super) method: EnergyMethod,
}

/// Everybody.
pub(super) struct Cast {
    pub(super) requesters: Vec<Requester>,
    pub(super) hosts: Vec<Host>,
    /// Oracles, reviewers and guardians at once.
    pub(super) officers: Vec<SecretKey>,
    pub(super) validator: SecretKey,
}

/// A key that follows from a name.
pub(super) fn key(name: &str) -> SecretKey {
    SecretKey::from_seed(Hash::derive("mesh30k carbon replay key v1", &[name.as_bytes()]).0)
}

/// The account of a key.
pub(super) fn account(key: &SecretKey) -> AccountId {
    KeyPolicy::single(key.public()).account()
}

fn region(letters: &str) -> Result<Region, ReplayError> {
    letters.parse().map_err(|_| ReplayError::Data { set: "cast", reason: format!("{letters} is no country") })
}

impl Cast {
    pub(super) fn new() -> Result<Self, ReplayError> {
        let mut requesters = Vec::new();
        for (country, weight, purposes) in REQUESTERS {
            let name = format!("user-{country}");
            let key = key(&name);
            let (id, region) = (account(&key), region(country)?);
            requesters.push(Requester { name, key, id, weight, purposes, region });
        }
        let mut hosts = Vec::new();
        for (number, (country, grid, renewable_ppm, method)) in (1..).zip(HOSTS) {
            let name = grid.map_or_else(|| format!("host-{country}"), |(grid, _)| format!("host-{grid}"));
            let key = key(&name);
            let (id, region, node) = (account(&key), region(country)?, NodeId(number));
            hosts.push(Host { name, key, id, node, region, grid, renewable_ppm, method });
        }
        let officers = ["officer-1", "officer-2", "officer-3"].map(key).to_vec();
        Ok(Self { requesters, hosts, officers, validator: key("validator") })
    }

    /// The first state: real tables, empty-handed funds, prices at the scale of the traces.
    pub(super) fn genesis(&self, time: TimeMs) -> Result<Genesis, ReplayError> {
        let person = |key: &SecretKey, region| GenesisAccount {
            policy: KeyPolicy::single(key.public()),
            balance: BALANCE,
            region,
        };
        let mut accounts: Vec<_> = self.requesters.iter().map(|who| person(&who.key, Some(who.region))).collect();
        accounts.extend(self.hosts.iter().map(|host| person(&host.key, None)));
        accounts.extend(self.officers.iter().map(|officer| person(officer, None)));
        accounts.push(person(&self.validator, None));
        let offices = [Office::Oracle, Office::Reviewer, Office::Guardian];
        let office = |officer| offices.map(|office| GenesisOffice { office, account: account(officer) });
        let data = |reason: String| ReplayError::Data { set: "tables", reason };
        Ok(Genesis {
            chain: ChainId::new("carbon-replay").map_err(|error| data(error.to_string()))?,
            time,
            validators: ValidatorSet(vec![Validator {
                node: NodeId(1),
                key: self.validator.public(),
                account: account(&self.validator),
            }]),
            nodes: self.hosts.iter().map(Host::genesis).collect(),
            accounts,
            operators: Operators { threshold: 1, keys: vec![self.validator.public()] },
            // A unit is a tenth of a joule here; the clusters use about a hundred million an hour.
            parameters: Parameters([(Parameter::TaskUnitPrice, 10), (Parameter::AgentStepUnits, 500_000)].into()),
            regions: tables::regions().map_err(|error| data(error.to_string()))?,
            pools: GenesisPools { carbon_pool: FUND, access_fund: FUND, treasury: Uftns::ZERO },
            supply_cap: Uftns::ftns(1_000_000_000),
            offices: self.officers.iter().flat_map(office).collect(),
        })
    }
}

impl Host {
    fn genesis(&self) -> GenesisNode {
        let registration = NodeRegistration {
            transport_key: self.id.0.to_vec(),
            host_key: self.key.public(),
            store_id: Hash::of(self.name.as_bytes()),
            addresses: vec!["/ip4/127.0.0.1/tcp/7430".to_owned()],
            region: self.region,
        };
        GenesisNode { account: self.id, registration, renewable_ppm: self.renewable_ppm }
    }

    /// The key of its nth agent.
    pub(super) fn agent_key(&self, nth: u64) -> SecretKey {
        key(&format!("{} agent {nth}", self.name))
    }
}
