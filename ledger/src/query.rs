//! Reading the state: what nodes, the API and the CLI ask for.

mod trade;

pub use trade::{
    Found, auctions, claims_of, contents_of, contributions, emission, open_claims, quota_draws_by_task, savings,
};

use crate::fees::BaseFee;
use crate::finality::{ValidatorSet, Vote};
use crate::operators::Operators;
use crate::ops::Capabilities;
use crate::parameters::{Parameter, Parameters};
use crate::priority::{Purpose, Standing};
use crate::records::{
    Account, AgentRecord, AnchorRecord, AuctionRecord, BondRecord, CalibrationRecord, CapabilityRecord, ClaimRecord,
    ClusterRecord, ContentRecord, ContributionRecord, CreditRecord, CreditTotals, DeclarationRecord, Declared,
    DividendRecord, EmergencyRecord, EpochRecord, Escrow, FreezeRecord, Globals, HardwareRecord, IntensityRecord,
    JailRecord, ListingRecord, MAX_HOLDERS, NodeRecord, Office, OfficeRecord, OrderRecord, Proposal, PurchaseRecord,
    PurposeRecord, QuotaDraw, QuotaOffer, QuotaRecord, Regions, ReputationRecord, RetirementRecord, SavingRecord,
    ScheduleRecord, SectorRecord, Tip, Totals, VolumeRecord, VoteRecord,
};
use crate::signing::ChainContext;
use crate::state::{StateError, StateRead, decode_record, keyspace, read, read_or_corrupt};
use crate::types::{
    AccountId, AgentId, ClusterId, Epoch, EscrowId, Hash, NodeId, ProposalId, Region, Scope, SectorId, TimeMs, TxId,
};
use borsh::{BorshDeserialize, BorshSerialize};

type Answer<T> = Result<T, StateError>;
type State<'a> = &'a dyn StateRead;

/// Entries one list returns, at most, unless its function takes a limit.
const LIST_MAX: usize = 100_000;

fn list<T: BorshDeserialize + BorshSerialize>(
    state: State<'_>,
    prefix: &[u8],
    from: &[u8],
    limit: usize,
) -> Answer<Vec<T>> {
    state.scan(prefix, from, limit)?.iter().map(|(key, value)| decode_record(key, value)).collect()
}

/// Records that are named by a hash, each with its name.
fn named<T: BorshDeserialize + BorshSerialize>(
    state: State<'_>,
    prefix: &[u8],
    from: &[u8],
    limit: usize,
) -> Answer<Vec<(Hash, T)>> {
    Ok(keyed(state, prefix, from, limit)?.into_iter().map(|(name, record)| (Hash(name), record)).collect())
}

/// Records of accounts, each with its account.
fn owned<T: BorshDeserialize + BorshSerialize>(
    state: State<'_>,
    prefix: &[u8],
    from: &[u8],
    limit: usize,
) -> Answer<Vec<(AccountId, T)>> {
    Ok(keyed(state, prefix, from, limit)?.into_iter().map(|(id, record)| (AccountId(id), record)).collect())
}

/// Records with what their key says after the prefix.
fn keyed<const LENGTH: usize, T: BorshDeserialize + BorshSerialize>(
    state: State<'_>,
    prefix: &[u8],
    from: &[u8],
    limit: usize,
) -> Answer<Vec<([u8; LENGTH], T)>> {
    let corrupt =
        |key: &[u8]| StateError::Corrupt { key: hex::encode(key), reason: "its key does not end with a name".into() };
    let entry = |(key, value): &(Vec<u8>, Vec<u8>)| {
        let name = key.strip_prefix(prefix).and_then(|name| name.try_into().ok()).ok_or_else(|| corrupt(key))?;
        Ok((name, decode_record(key, value)?))
    };
    state.scan(prefix, from, limit)?.iter().map(entry).collect()
}

/// The last block this state is after.
///
/// # Errors
/// State that cannot be read (so for every function here).
pub fn tip(state: State<'_>) -> Answer<Tip> {
    read_or_corrupt(state, keyspace::TIP)
}

/// Whether there is any state yet: [`crate::genesis::Genesis::initial_changes`] was written.
#[allow(missing_docs, clippy::missing_errors_doc)]
pub fn is_initialized(state: State<'_>) -> Answer<bool> {
    Ok(state.get(keyspace::TIP)?.is_some())
}

macro_rules! singles {
    ($($(#[$doc:meta])* $name:ident: $kind:ty = $key:expr;)*) => {$(
        $(#[$doc])*
        ///
        /// # Errors
        /// State that cannot be read.
        pub fn $name(state: State<'_>) -> Answer<$kind> {
            read_or_corrupt(state, $key)
        }
    )*};
}

singles! {
    /// Chain and genesis.
    context: ChainContext = keyspace::CONTEXT;
    /// The number of the validator set.
    epoch: Epoch = keyspace::EPOCH;
    /// The validators.
    validator_set: ValidatorSet = keyspace::VALIDATORS;
    /// The operators.
    operators: Operators = keyspace::OPERATORS;
    /// The parameters in force.
    parameters: Parameters = keyspace::PARAMETERS;
    /// Intensities and the access list.
    regions: Regions = keyspace::REGIONS;
    /// Totals, counters, open votes.
    globals: Globals = keyspace::GLOBALS;
}

/// The validators of the block after the next: those that the header of the next has to name.
///
/// # Errors
/// State that cannot be read.
pub fn next_validator_set(state: State<'_>) -> Answer<ValidatorSet> {
    read(state, keyspace::NEXT_VALIDATORS)?.map_or_else(|| validator_set(state), Ok)
}

/// Who certifies the blocks of an epoch; nothing of one that has not begun or is forgotten.
///
/// # Errors
/// State that cannot be read.
pub fn validators_of(state: State<'_>, asked: Epoch) -> Answer<Option<ValidatorSet>> {
    if asked == epoch(state)? {
        return validator_set(state).map(Some);
    }
    Ok(epoch_validators(state, asked)?.map(|record| record.validators))
}

macro_rules! lookups {
    ($($(#[$doc:meta])* $name:ident($($arg:ident: $arg_kind:ty),*) -> $kind:ty = $key:expr;)*) => {$(
        $(#[$doc])*
        ///
        /// # Errors
        /// State that cannot be read.
        pub fn $name(state: State<'_>, $($arg: $arg_kind),*) -> Answer<Option<$kind>> {
            read(state, &$key)
        }
    )*};
}

lookups! {
    /// An account.
    account(id: &AccountId) -> Account = keyspace::account(id);
    /// An escrow.
    escrow(id: &EscrowId) -> Escrow = keyspace::escrow(id);
    /// A worker's claim on a part.
    claim(escrow: &EscrowId, part: u32) -> ClaimRecord = keyspace::claim(escrow, part);
    /// A claimed contribution.
    contribution(evidence: &Hash) -> ContributionRecord = keyspace::contribution(evidence);
    /// Content.
    content(id: &Hash) -> ContentRecord = keyspace::content(id);
    /// What an account has paid for content.
    purchase(content: &Hash, buyer: &AccountId) -> PurchaseRecord = keyspace::purchase(content, buyer);
    /// An auction.
    auction(id: &Hash) -> AuctionRecord = keyspace::auction(id);
    /// An account's reputation; nothing when it never changed.
    reputation(id: &AccountId) -> ReputationRecord = keyspace::reputation(id);
    /// How well an account predicts what its work emits; nothing when it never served an auction's order.
    calibration(id: &AccountId) -> CalibrationRecord = keyspace::calibration(id);
    /// What a task is for, if that was declared.
    purpose(escrow: &EscrowId) -> PurposeRecord = keyspace::purpose(escrow);
    /// What is signalled about a region.
    emergency(region: Region) -> EmergencyRecord = keyspace::emergency(region);
    /// A capability's price and use, as last written; [`CapabilityRecord::at`] brings it to a time.
    capability(capability: Capabilities) -> CapabilityRecord = keyspace::capability(capability);
    /// What a requester has used lately.
    volume(account: &AccountId) -> VolumeRecord = keyspace::volume(account);
    /// An account's quota of a capability, as last written; what was used counts in its period only.
    quota(account: &AccountId, capability: Capabilities) -> QuotaRecord = keyspace::quota(account, capability);
    /// Quota on offer or lent.
    quota_offer(id: &Hash) -> QuotaOffer = keyspace::quota_offer(id);
    /// What an emergency took for a task.
    quota_draw(escrow: &EscrowId) -> QuotaDraw = keyspace::quota_draw(escrow);
    /// Something on the market.
    listing(id: &Hash) -> ListingRecord = keyspace::listing(id);
    /// An order of something listed; its money is in the escrow of the same name.
    order(escrow: &EscrowId) -> OrderRecord = keyspace::order(escrow);
    /// What a sector's voters say of a period.
    anchor(period: u64, sector: SectorId) -> AnchorRecord = keyspace::anchor(period, sector);
    /// What a quarter that ended still owes.
    dividend(quarter: u32) -> DividendRecord = keyspace::dividend(quarter);
    /// Payments to come.
    schedule(id: &Hash) -> ScheduleRecord = keyspace::schedule(id);
    /// What an account has bonded.
    bond(id: &AccountId) -> BondRecord = keyspace::bond(id);
    /// Whether, and since when, an account is locked out for an offence.
    jail(id: &AccountId) -> JailRecord = keyspace::jail(id);
    /// The validators of an epoch that runs or still answers.
    epoch_validators(epoch: Epoch) -> EpochRecord = keyspace::epoch(epoch);
    /// The transaction that proved what a validator did at the place of this vote.
    punished(vote: &Vote) -> TxId = keyspace::offence(vote);
    /// What an account declared, of the sort of `like`, and what waits for attestations.
    declaration(id: &AccountId, like: &Declared) -> DeclarationRecord = keyspace::declaration(id, like);
    /// An account's carbon credits.
    credits(id: &AccountId) -> CreditRecord = keyspace::credits(id);
    /// What a worker owes in retired credits, as last written; [`RetirementRecord::at`] brings it to a period.
    retirement(worker: &AccountId) -> RetirementRecord = keyspace::retirement(worker);
    /// A claimed saving.
    saving(evidence: &Hash) -> SavingRecord = keyspace::saving(evidence);
    /// What oracles say of a region's grid.
    reported_intensity(region: Region) -> IntensityRecord = keyspace::intensity(region);
    /// A term in an office.
    office(office: Office, account: &AccountId) -> OfficeRecord = keyspace::office(office, account);
    /// A proposal.
    proposal(id: ProposalId) -> Proposal = keyspace::proposal(id);
    /// An account's vote on a proposal.
    vote(id: ProposalId, voter: &AccountId) -> VoteRecord = keyspace::vote(id, voter);
    /// A node.
    node(id: NodeId) -> NodeRecord = keyspace::node(id);
    /// What a node's machine cost to make, if its operator said so.
    hardware(node: NodeId) -> HardwareRecord = keyspace::hardware(node);
    /// The node of an account.
    node_of_account(id: &AccountId) -> NodeId = keyspace::node_of_account(id);
    /// The node whose data directory has this random name.
    node_of_store(store_id: &Hash) -> NodeId = keyspace::node_of_store(store_id);
    /// The node with this peer id (in bytes).
    node_of_transport(transport_key: &[u8]) -> NodeId = keyspace::node_of_transport(transport_key);
    /// An agent.
    agent(id: AgentId) -> AgentRecord = keyspace::agent(id);
    /// The agent with this key.
    agent_of_key(key: &crate::keys::PublicKey) -> AgentId = keyspace::agent_of_key(&key.0);
    /// A sector.
    sector(id: SectorId) -> SectorRecord = keyspace::sector(id);
    /// A cluster.
    cluster(id: ClusterId) -> ClusterRecord = keyspace::cluster(id);
    /// The freeze of exactly this scope.
    freeze(scope: &Scope) -> FreezeRecord = keyspace::freeze(scope);
}

/// One parameter's value in force.
///
/// # Errors
/// State that cannot be read.
pub fn parameter(state: State<'_>, parameter: Parameter) -> Answer<u64> {
    Ok(parameters(state)?.get(parameter))
}

/// All carbon credits.
///
/// # Errors
/// State that cannot be read.
pub fn credit_totals(state: State<'_>) -> Answer<CreditTotals> {
    Ok(read(state, keyspace::CREDIT_TOTALS)?.unwrap_or_default())
}

/// What a unit of weight costs in the next block.
///
/// # Errors
/// State that cannot be read.
pub fn base_fee(state: State<'_>) -> Answer<BaseFee> {
    Ok(read(state, keyspace::BASE_FEE)?.unwrap_or(BaseFee(0)).within(&parameters(state)?))
}

/// Where all money is.
///
/// # Errors
/// State that cannot be read.
pub fn totals(state: State<'_>) -> Answer<Totals> {
    Ok(globals(state)?.totals)
}

/// Milligrams of CO2e a kilowatt-hour of a region's grid: by oracles while their median is fresh, else by the table.
///
/// # Errors
/// State that cannot be read.
pub fn intensity_mg_per_kwh(state: State<'_>, region: Region) -> Answer<u64> {
    Ok(crate::carbon::intensity(state, region)?.mg_per_kwh)
}

/// The number an account's next transaction carries; 0 when it does not exist.
///
/// # Errors
/// State that cannot be read.
pub fn next_nonce(state: State<'_>, id: &AccountId) -> Answer<u64> {
    Ok(account(state, id)?.map_or(0, |account| account.nonce))
}

/// Up to `limit` proposals in order of number.
///
/// # Errors
/// State that cannot be read.
pub fn proposals(state: State<'_>, limit: usize) -> Answer<Vec<Proposal>> {
    list(state, keyspace::PROPOSALS, &[], limit)
}

/// Everything that emergencies took and have not given back.
///
/// # Errors
/// State that cannot be read.
pub fn quota_draws(state: State<'_>) -> Answer<Vec<QuotaDraw>> {
    list(state, keyspace::QUOTA_DRAWS, &[], LIST_MAX)
}

/// Up to `limit` listings in order of name, beginning with `from`.
///
/// # Errors
/// State that cannot be read.
pub fn listings(state: State<'_>, from: &Hash, limit: usize) -> Answer<Vec<(Hash, ListingRecord)>> {
    named(state, keyspace::LISTINGS, &keyspace::listing(from), limit)
}

/// Up to `limit` offers and loans of quota in order of name.
///
/// # Errors
/// State that cannot be read.
pub fn quota_offers(state: State<'_>, limit: usize) -> Answer<Vec<(Hash, QuotaOffer)>> {
    named(state, keyspace::QUOTA_OFFERS, &[], limit)
}

/// Up to `limit` accounts with what they have bonded, in order of account, beginning with `from`.
///
/// # Errors
/// State that cannot be read.
pub fn bonds(state: State<'_>, from: &AccountId, limit: usize) -> Answer<Vec<(AccountId, BondRecord)>> {
    owned(state, keyspace::BONDS, &keyspace::bond(from), limit)
}

/// Up to `limit` schedules of payments in order of name, beginning with `from`.
///
/// # Errors
/// State that cannot be read.
pub fn schedules(state: State<'_>, from: &Hash, limit: usize) -> Answer<Vec<(Hash, ScheduleRecord)>> {
    named(state, keyspace::SCHEDULES, &keyspace::schedule(from), limit)
}

/// Terms in an office in order of account, those that are over and not yet cleared away included.
///
/// # Errors
/// State that cannot be read.
pub fn terms(state: State<'_>, office: Office) -> Answer<Vec<(AccountId, OfficeRecord)>> {
    owned(state, &keyspace::offices(office), &[], MAX_HOLDERS)
}

/// Every node in order of number.
///
/// # Errors
/// State that cannot be read.
pub fn nodes(state: State<'_>) -> Answer<Vec<NodeRecord>> {
    list(state, keyspace::NODES, &[], LIST_MAX)
}

/// Up to `limit` agents in order of number, beginning with `from`.
///
/// # Errors
/// State that cannot be read.
pub fn agents(state: State<'_>, from: AgentId, limit: usize) -> Answer<Vec<AgentRecord>> {
    list(state, keyspace::AGENTS, &keyspace::agent(from), limit)
}

/// The agents of a node in order of number.
///
/// # Errors
/// State that cannot be read.
pub fn agents_of_node(state: State<'_>, id: NodeId) -> Answer<Vec<AgentRecord>> {
    let ranges = node(state, id)?.map(|node| node.agents).unwrap_or_default();
    let mut found = Vec::new();
    for range in ranges {
        let count = usize::try_from(range.count).unwrap_or(usize::MAX);
        found.extend(agents(state, range.first, count)?);
    }
    Ok(found)
}

/// The agents of a cluster in order of seating.
///
/// # Errors
/// State that cannot be read.
pub fn agents_of_cluster(state: State<'_>, id: ClusterId) -> Answer<Vec<AgentRecord>> {
    let members = cluster(state, id)?.map(|cluster| cluster.agents).unwrap_or_default();
    members.into_iter().map(|agent| read_or_corrupt(state, &keyspace::agent(agent))).collect()
}

/// The agents of a sector, cluster by cluster.
///
/// # Errors
/// State that cannot be read.
pub fn agents_of_sector(state: State<'_>, id: SectorId) -> Answer<Vec<AgentRecord>> {
    let mut found = Vec::new();
    for cluster in clusters(state, id)? {
        found.extend(agents_of_cluster(state, cluster.id)?);
    }
    Ok(found)
}

/// Every sector in order of number.
///
/// # Errors
/// State that cannot be read.
pub fn sectors(state: State<'_>) -> Answer<Vec<SectorRecord>> {
    list(state, keyspace::SECTORS, &[], LIST_MAX)
}

/// The clusters of a sector in order of index.
///
/// # Errors
/// State that cannot be read.
pub fn clusters(state: State<'_>, sector: SectorId) -> Answer<Vec<ClusterRecord>> {
    list(state, &keyspace::clusters(sector), &[], LIST_MAX)
}

/// The voters of a sector's group; none when it does not exist.
///
/// # Errors
/// State that cannot be read.
pub fn sector_voters(state: State<'_>, id: SectorId) -> Answer<Vec<NodeId>> {
    Ok(sector(state, id)?.map(|sector| sector.voters).unwrap_or_default())
}

/// Every freeze in force.
///
/// # Errors
/// State that cannot be read.
pub fn freezes(state: State<'_>) -> Answer<Vec<FreezeRecord>> {
    list(state, keyspace::FREEZES, &[], LIST_MAX)
}

/// When something next falls due: a proposer makes a block then even without transactions.
///
/// # Errors
/// State that cannot be read.
pub fn next_due(state: State<'_>) -> Answer<Option<TimeMs>> {
    match state.scan(keyspace::DUE, &[], 1)?.first() {
        Some((key, _)) => Ok(Some(crate::execute::parse_due(key)?.0)),
        None => Ok(None),
    }
}

/// The key an account is stored under, for proofs.
#[must_use]
pub fn account_key(id: &AccountId) -> Vec<u8> {
    keyspace::account(id).to_vec()
}

/// The key an escrow is stored under, for proofs.
#[must_use]
pub fn escrow_key(id: &EscrowId) -> Vec<u8> {
    keyspace::escrow(id)
}

/// The key a proposal is stored under, for proofs.
#[must_use]
pub fn proposal_key(id: ProposalId) -> Vec<u8> {
    keyspace::proposal(id)
}

/// What decides the turn of a task's parts on a host. A task that declared nothing counts as general research.
///
/// # Errors
/// State that cannot be read.
pub fn standing(state: State<'_>, task: &EscrowId, host: &NodeRecord) -> Answer<Standing> {
    let purpose = purpose(state, task)?.map_or(Purpose::GeneralResearch, |record| record.in_force);
    let opener = escrow(state, task)?.map(|escrow| account(state, &escrow.opener)).transpose()?.flatten();
    let region = opener.and_then(|account| account.region.filter(|_| account.region_attested));
    let lists = regions(state)?;
    let now = tip(state)?.time;
    let declared = region.map(|region| emergency(state, region)).transpose()?.flatten();
    Ok(Standing {
        purpose,
        access: region.is_some_and(|region| lists.access_list.contains(&region)),
        vulnerable: region.is_some_and(|region| lists.vulnerable_list.contains(&region)),
        emergency: declared.is_some_and(|record| record.is_in_force(now)),
        renewable_ppm: host.renewable_ppm,
        waited_ms: 0,
    })
}
