//! The keys of every record. The first byte is the domain; a domain is committed to by a tree of its own.

use crate::codec::encode;
use crate::finality::Vote;
use crate::ops::Capabilities;
use crate::records::{Declared, Due, Office};
use crate::types::{
    AccountId, AgentId, ClusterId, Epoch, EscrowId, Hash, Height, NodeId, ProposalId, Region, Scope, SectorId, TimeMs,
};

/// Accounts.
pub(crate) const ACCOUNTS: u8 = b'a';
/// Chain-wide records: totals, validators, due queue, tables.
pub(crate) const CHAIN: u8 = b'c';
/// Escrows.
pub(crate) const ESCROWS: u8 = b'e';
/// Parameters, proposals, votes, freezes, operators.
pub(crate) const GOVERNANCE: u8 = b'g';
/// Nodes, agents, sectors, clusters.
pub(crate) const TOPOLOGY: u8 = b't';
/// The domains under the state root, in order.
pub(crate) const COMMITTED: [u8; 5] = [ACCOUNTS, CHAIN, ESCROWS, GOVERNANCE, TOPOLOGY];
/// Leaves of the sparse Merkle trees, in buckets (follow from the records).
pub(crate) const LEAVES: u8 = b'L';
/// Nodes of the sparse Merkle trees, in pages (follow from the leaves).
pub(crate) const TREE: u8 = b'S';
/// The mountain range of blocks (follows from the headers).
pub(crate) const BLOCKS: u8 = b'M';

fn key(prefix: &[u8], id: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(prefix.len().saturating_add(id.len()));
    key.extend_from_slice(prefix);
    key.extend_from_slice(id);
    key
}

/// Without an allocation: most of what a block reads are accounts.
pub(crate) fn account(id: &AccountId) -> [u8; 21] {
    let mut key = [ACCOUNTS; 21];
    if let Some(place) = key.last_chunk_mut::<20>() {
        *place = id.0;
    }
    key
}
pub(crate) fn escrow(id: &EscrowId) -> Vec<u8> {
    key(&[ESCROWS], &id.0)
}

pub(crate) const GLOBALS: &[u8] = b"cg";
pub(crate) const VALIDATORS: &[u8] = b"cv";
pub(crate) const EPOCH: &[u8] = b"cn";
/// The set after the next block, while a change is under way.
pub(crate) const NEXT_VALIDATORS: &[u8] = b"cw";
pub(crate) const CONTEXT: &[u8] = b"cx";
pub(crate) const REGIONS: &[u8] = b"cr";
pub(crate) const BASE_FEE: &[u8] = b"cb";
pub(crate) const SCHEDULES: &[u8] = b"cp";
pub(crate) fn schedule(id: &Hash) -> Vec<u8> {
    key(SCHEDULES, &id.0)
}
pub(crate) const CLAIMS: &[u8] = b"cl";
pub(crate) fn claims(escrow: &EscrowId) -> Vec<u8> {
    key(CLAIMS, &escrow.0)
}
pub(crate) fn claim(escrow: &EscrowId, part: u32) -> Vec<u8> {
    key(&claims(escrow), &part.to_be_bytes())
}
pub(crate) const CONTRIBUTIONS: &[u8] = b"cm";
pub(crate) fn contribution(evidence: &Hash) -> Vec<u8> {
    key(CONTRIBUTIONS, &evidence.0)
}
pub(crate) const EMISSION: &[u8] = b"cM";
pub(crate) const CONTENTS: &[u8] = b"co";
pub(crate) fn content(id: &Hash) -> Vec<u8> {
    key(CONTENTS, &id.0)
}
pub(crate) fn purchase(content: &Hash, buyer: &AccountId) -> Vec<u8> {
    key(&key(b"cU", &content.0), &buyer.0)
}
pub(crate) const AUCTIONS: &[u8] = b"ca";
pub(crate) fn auction(id: &Hash) -> Vec<u8> {
    key(AUCTIONS, &id.0)
}
pub(crate) fn reputation(account: &AccountId) -> Vec<u8> {
    key(b"cR", &account.0)
}
/// How well an account predicts what its work emits.
pub(crate) fn calibration(account: &AccountId) -> Vec<u8> {
    key(b"cP", &account.0)
}
pub(crate) fn purpose(escrow: &EscrowId) -> Vec<u8> {
    key(b"cu", &escrow.0)
}
pub(crate) const EMERGENCIES: &[u8] = b"cE";
pub(crate) fn emergency(region: Region) -> Vec<u8> {
    key(EMERGENCIES, region.as_str().as_bytes())
}
pub(crate) fn capability(capability: Capabilities) -> Vec<u8> {
    key(b"cA", &capability.0.to_be_bytes())
}
pub(crate) fn volume(account: &AccountId) -> Vec<u8> {
    key(b"cV", &account.0)
}
pub(crate) const ANCHORS: &[u8] = b"ch";
pub(crate) fn anchor(period: u64, sector: SectorId) -> Vec<u8> {
    key(&key(ANCHORS, &period.to_be_bytes()), &sector.0.to_be_bytes())
}
pub(crate) const DIVIDENDS: &[u8] = b"cq";
pub(crate) fn dividend(quarter: u32) -> Vec<u8> {
    key(DIVIDENDS, &quarter.to_be_bytes())
}
pub(crate) const BONDS: &[u8] = b"ck";
pub(crate) fn bond(account: &AccountId) -> Vec<u8> {
    key(BONDS, &account.0)
}
/// One offence: a validator's votes at one place, whatever they say.
pub(crate) fn offence(vote: &Vote) -> Vec<u8> {
    key(b"cy", &encode(&(vote.validator, vote.phase, vote.epoch, vote.round, vote.height)))
}
/// The validators of each epoch that still answers.
pub(crate) const EPOCHS: &[u8] = b"cN";
pub(crate) fn epoch(epoch: Epoch) -> Vec<u8> {
    key(EPOCHS, &epoch.0.to_be_bytes())
}
pub(crate) const JAILS: &[u8] = b"cj";
pub(crate) fn jail(account: &AccountId) -> Vec<u8> {
    key(JAILS, &account.0)
}
/// What an account declared of one sort and nobody, or not enough, attested yet.
pub(crate) fn declaration(account: &AccountId, what: &Declared) -> Vec<u8> {
    let sort = match what {
        Declared::Region(_) => 0,
        Declared::RenewablePpm(_) => 1,
    };
    key(&key(b"cG", &account.0), &[sort])
}
pub(crate) const INTENSITIES: &[u8] = b"ci";
pub(crate) fn intensity(region: Region) -> Vec<u8> {
    key(INTENSITIES, region.as_str().as_bytes())
}
pub(crate) const CREDITS: &[u8] = b"cc";
pub(crate) fn credits(account: &AccountId) -> Vec<u8> {
    key(CREDITS, &account.0)
}
/// What a worker owes in retired credits.
pub(crate) fn retirement(worker: &AccountId) -> Vec<u8> {
    key(b"cC", &worker.0)
}
pub(crate) const CREDIT_TOTALS: &[u8] = b"ct";
pub(crate) const SAVINGS: &[u8] = b"ce";
pub(crate) fn saving(evidence: &Hash) -> Vec<u8> {
    key(SAVINGS, &evidence.0)
}
pub(crate) const DUE: &[u8] = b"cd";
pub(crate) fn due(at: TimeMs, due: &Due) -> Vec<u8> {
    let mut bytes = key(DUE, &at.0.to_be_bytes());
    bytes.extend_from_slice(&encode(due));
    bytes
}
/// Quota by account and capability.
pub(crate) const QUOTAS: &[u8] = b"cQ";
pub(crate) fn quota(account: &AccountId, capability: Capabilities) -> Vec<u8> {
    key(&key(QUOTAS, &account.0), &capability.0.to_be_bytes())
}
pub(crate) const QUOTA_OFFERS: &[u8] = b"cO";
pub(crate) fn quota_offer(id: &Hash) -> Vec<u8> {
    key(QUOTA_OFFERS, &id.0)
}
/// Tasks that yield their quota in an emergency, least urgent first.
pub(crate) fn yielding_tasks(capability: Capabilities) -> Vec<u8> {
    key(b"cJ", &capability.0.to_be_bytes())
}
pub(crate) fn yielding_task(capability: Capabilities, rank: u8, task: &EscrowId) -> Vec<u8> {
    key(&key(&yielding_tasks(capability), &[rank]), &task.0)
}
pub(crate) const QUOTA_DRAWS: &[u8] = b"cD";
pub(crate) fn quota_draw(task: &EscrowId) -> Vec<u8> {
    key(QUOTA_DRAWS, &task.0)
}
pub(crate) const LISTINGS: &[u8] = b"cL";
pub(crate) fn listing(id: &Hash) -> Vec<u8> {
    key(LISTINGS, &id.0)
}
/// How many listings of an account stand.
pub(crate) fn standing_listings(seller: &AccountId) -> Vec<u8> {
    key(b"cS", &seller.0)
}
pub(crate) const ORDERS: &[u8] = b"cT";
pub(crate) fn order(escrow: &EscrowId) -> Vec<u8> {
    key(ORDERS, &escrow.0)
}
pub(crate) fn sponsorship(sponsor: &AccountId) -> Vec<u8> {
    key(b"cs", &sponsor.0)
}

pub(crate) const PARAMETERS: &[u8] = b"gP";
pub(crate) const OPERATORS: &[u8] = b"gO";
pub(crate) const PROPOSALS: &[u8] = b"gp";
pub(crate) fn proposal(id: ProposalId) -> Vec<u8> {
    key(PROPOSALS, &id.0.to_be_bytes())
}
pub(crate) fn votes(id: ProposalId) -> Vec<u8> {
    key(b"gv", &id.0.to_be_bytes())
}
pub(crate) fn vote(id: ProposalId, voter: &AccountId) -> Vec<u8> {
    key(&votes(id), &voter.0)
}
pub(crate) fn offices(office: Office) -> Vec<u8> {
    key(b"go", &encode(&office))
}
pub(crate) fn office(office: Office, account: &AccountId) -> Vec<u8> {
    key(&offices(office), &account.0)
}
pub(crate) const FREEZES: &[u8] = b"gf";
pub(crate) fn freeze(scope: &Scope) -> Vec<u8> {
    key(FREEZES, &encode(scope))
}

pub(crate) const NODES: &[u8] = b"tn";
pub(crate) fn node(id: NodeId) -> Vec<u8> {
    key(NODES, &id.0.to_be_bytes())
}
pub(crate) fn hardware(node: NodeId) -> Vec<u8> {
    key(b"th", &node.0.to_be_bytes())
}
pub(crate) fn node_of_account(id: &AccountId) -> Vec<u8> {
    key(b"to", &id.0)
}
pub(crate) fn node_of_store(store: &Hash) -> Vec<u8> {
    key(b"ti", &store.0)
}
pub(crate) fn node_of_transport(transport: &[u8]) -> Vec<u8> {
    key(b"tx", transport)
}
pub(crate) const AGENTS: &[u8] = b"ta";
pub(crate) fn agent(id: AgentId) -> Vec<u8> {
    key(AGENTS, &id.0.to_be_bytes())
}
pub(crate) fn agent_of_key(public: &[u8; 32]) -> Vec<u8> {
    key(b"tk", public)
}
pub(crate) const SECTORS: &[u8] = b"ts";
pub(crate) fn sector(id: SectorId) -> Vec<u8> {
    key(SECTORS, &id.0.to_be_bytes())
}
pub(crate) const CLUSTERS: &[u8] = b"tc";
pub(crate) fn clusters(sector: SectorId) -> Vec<u8> {
    key(CLUSTERS, &sector.0.to_be_bytes())
}
pub(crate) fn cluster(id: ClusterId) -> Vec<u8> {
    key(&clusters(id.sector), &id.index.to_be_bytes())
}

// What follows from the last header is kept beside the state, under `m`, and not committed to.
pub(crate) const TIP: &[u8] = b"mt";
pub(crate) const DOMAIN_ROOTS: &[u8] = b"mr";
pub(crate) const BLOCK_PEAKS: &[u8] = b"mp";
pub(crate) fn block_node(level: u8, index: u64) -> Vec<u8> {
    let mut bytes = vec![BLOCKS, level];
    bytes.extend_from_slice(&index.to_be_bytes());
    bytes
}
pub(crate) fn block_leaf_index(height: Height) -> Option<u64> {
    height.0.checked_sub(1)
}
