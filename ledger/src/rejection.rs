//! Why a transaction is not carried out. Order of the variants is order of precedence: the first that applies is told.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::keys::PublicKey;
use crate::parameters::Parameter;
use crate::records::{Duty, Office};
use crate::types::{AccountId, AgentId, ChainId, EscrowId, Hash, NodeId, ProposalId, Scope, SectorId, TimeMs, Uftns};

/// One reason, with the field, the value and the limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "each variant says in its sentence what its fields are")]
pub enum Rejection {
    // Not validly signed for this chain: such a transaction may not even stand in a block.
    #[error("transaction is for chain {found} (or another genesis), this is {expected}")]
    WrongChain { found: ChainId, expected: ChainId },
    #[error("transaction has {bytes} bytes, at most {max} are taken")]
    TooLarge { bytes: u64, max: u64 },
    #[error("transaction carries {found} signatures, at most {max} are taken")]
    TooManySignatures { found: u64, max: u64 },
    #[error("signatures are not in strictly ascending order of key at {0}")]
    SignatureOrder(PublicKey),
    #[error("account {0} has not signed before and its key policy is missing or belongs to another account")]
    UnknownPolicy(AccountId),
    #[error("key {key} may not sign for {account}")]
    StrangerKey { key: PublicKey, account: AccountId },
    #[error("{found} keys signed for {account}, {threshold} are needed")]
    BelowThreshold { account: AccountId, found: u64, threshold: u64 },
    #[error("a {0} cannot be sponsored; only a host registration can")]
    SponsorNotAllowed(String),
    #[error("signature of key {0} is not valid")]
    BadSignature(PublicKey),

    // Signed, and without effect: neither nonce nor fee is taken, else anybody could make an account pay again.
    #[error("transaction was valid until {valid_until} ms, the block's time is {time} ms")]
    Expired { valid_until: TimeMs, time: TimeMs },
    #[error("account {0} does not exist; it must receive something first")]
    UnknownAccount(AccountId),
    #[error("sponsor {0} does not exist")]
    UnknownSponsor(AccountId),
    #[error("nonce {found} was used already, the next is {expected}")]
    Replayed { found: u64, expected: u64 },
    #[error("nonce {found} is ahead, the next is {expected}")]
    NonceAhead { found: u64, expected: u64 },

    // Signed and due: nonce and fee are taken.
    #[error("fee of {fee} exceeds the limit of {limit}")]
    FeeLimit { fee: Uftns, limit: Uftns },
    #[error("fee of {fee} exceeds the balance of {balance}")]
    FeeUnaffordable { fee: Uftns, balance: Uftns },
    #[error("{scope} is frozen until {until} ms")]
    Frozen { scope: Scope, until: TimeMs },
    #[error("{field} has {found}, {min} to {max} are taken")]
    OutOfBounds { field: String, found: u64, min: u64, max: u64 },
    #[error("amount is nothing; send at least 0.000001 FTNS")]
    ZeroAmount,
    #[error("amounts add up to more than can exist")]
    AmountOverflow,
    #[error("{needed} are needed, the free balance is {balance}")]
    Overdrawn { needed: Uftns, balance: Uftns },
    #[error("deadline {deadline} ms is not after the block's time {time} ms")]
    DeadlinePassed { deadline: TimeMs, time: TimeMs },
    #[error("deadline {deadline} ms is later than the latest allowed, {latest} ms")]
    DeadlineTooFar { deadline: TimeMs, latest: TimeMs },

    // Escrows.
    #[error("capability {found:#x} is not exactly one of {known:#x}")]
    BadCapability { found: u64, known: u64 },
    #[error("agent {agent} cannot do what the escrow asks for")]
    NotCapable { agent: AgentId },
    #[error("escrow {0} does not exist")]
    UnknownEscrow(EscrowId),
    #[error("escrow {0} is closed")]
    EscrowClosed(EscrowId),
    #[error("escrow belongs to {opener}; only its opener accepts parts of it")]
    NotOpener { opener: AccountId },
    #[error("receipt names {field} {found}, the escrow names {expected}")]
    ReceiptMismatch { field: String, found: Hash, expected: Hash },
    #[error("part {part} does not exist, the task has {parts} parts")]
    UnknownPart { part: u32, parts: u32 },
    #[error("part {0} was released already")]
    PartReleased(u32),
    #[error("the task ended with code {0}; only 0 is paid")]
    TaskFailed(i32),
    #[error("agent {agent} is hosted by node {host}, the receipt names node {found}")]
    WrongHost { agent: AgentId, host: NodeId, found: NodeId },
    #[error("receipt is not signed by the {0}")]
    ReceiptSignature(String),
    #[error("grid intensity of {found} mg/kWh is below {min}, the least believed of the host's region")]
    IntensityTooLow { found: u64, min: u64 },
    #[error("renewable share of {found} ppm exceeds the {attested} ppm attested for node {host}")]
    RenewableNotAttested { host: NodeId, found: u32, attested: u32 },
    #[error("receipt states {found} ug of CO2e, its energy and intensity give {expected} ug")]
    CarbonMismatch { found: u64, expected: u64 },

    // Topology.
    #[error("node {0} does not exist")]
    UnknownNode(NodeId),
    #[error("node {node} does not vote in sector {sector}")]
    NotVoter { node: NodeId, sector: SectorId },
    #[error("agent {0} does not exist")]
    UnknownAgent(AgentId),
    #[error("account {account} has node {node} already")]
    NodeExists { account: AccountId, node: NodeId },
    #[error("account {0} has no node yet; the first registration must bring one")]
    NodeMissing(AccountId),
    #[error("{field} is registered already, by node {node}")]
    NodeKeyTaken { field: String, node: NodeId },
    #[error("agent key {key} is registered already, by agent {agent}")]
    AgentKeyTaken { key: PublicKey, agent: AgentId },
    #[error("sponsor {sponsor} has sponsored {limit} registrations in this minute, which is the most")]
    SponsorLimit { sponsor: AccountId, limit: u64 },

    // Governance.
    #[error("parameter {parameter} would become {found}, {min} to {max} are allowed")]
    ParameterBounds { parameter: Parameter, found: u64, min: u64, max: u64 },
    #[error("parameter {0} is set twice")]
    ParameterTwice(Parameter),
    #[error("{open} proposals are open, at most {max} may be")]
    TooManyProposals { open: u64, max: u64 },
    #[error("proposal {0} does not exist")]
    UnknownProposal(ProposalId),
    #[error("proposal {proposal} takes no votes: {why}")]
    NotVoting { proposal: ProposalId, why: String },
    #[error("account {0} held nothing when voting opened")]
    NoVotingPower(AccountId),
    #[error("{found} operators signed, {threshold} are needed")]
    NotEnoughOperators { found: u64, threshold: u64 },
    #[error("{0} does not exist")]
    UnknownScope(Scope),
    #[error("{0} is not frozen")]
    NotFrozen(Scope),

    // Said of many kinds.
    #[error("{what} {id} does not exist")]
    Unknown { what: String, id: String },
    #[error("{what} belongs to {owner}")]
    NotOwner { what: String, owner: AccountId },
    #[error("the {0} may not be the account itself")]
    SelfReference(String),
    #[error("{0} already")]
    AlreadyDone(String),
    #[error("there are {found} {what}, at most {max} may be")]
    TooMany { what: String, found: u64, max: u64 },
    #[error("account {account} is no {office} now")]
    NotInOffice { office: Office, account: AccountId },
    #[error("evidence proves nothing: {0}")]
    BadEvidence(String),
    #[error("{needed} bonded as {duty} are needed, {bonded} are")]
    BondTooSmall { duty: Duty, needed: Uftns, bonded: Uftns },
    #[error("{needed_ug} ug of credits are needed, {held_ug} ug are held")]
    CreditsShort { needed_ug: u64, held_ug: u64 },
    #[error("account {0} was not drawn for this dispute")]
    NotDrawn(AccountId),
    #[error("key {0} is not above the one before it; keys stand in ascending order, each once")]
    KeyOrder(PublicKey),
    #[error("{0} is no Ed25519 key")]
    BadKey(PublicKey),
    #[error("this may be done after {from} ms, the block's time is {time} ms")]
    TooEarly { from: TimeMs, time: TimeMs },
    #[error("{needed} units of quota are needed, {free} are free")]
    QuotaShort { needed: u64, free: u64 },
    #[error("no emergency lends quota to this task: {0}")]
    NoEmergency(String),
    #[error("listing {0} was found unsafe by reviewers and takes no orders")]
    UnsafeListing(Hash),
    #[error("{field} is {found}, the listing's seller has {expected}")]
    ListingMismatch { field: String, found: String, expected: String },
    #[error(
        "a reserve of {needed} a part is needed for its charges, {reserved} is set aside; reserve at least {needed}"
    )]
    ReserveShort { needed: Uftns, reserved: Uftns },
    #[error("account {account} was proven an offence and is locked out until {until} ms")]
    Jailed { account: AccountId, until: TimeMs },
}

/// What a rejection does to the block and to the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The block that holds it is void.
    Void,
    /// Neither nonce nor fee is taken.
    Uncharged,
    /// Nonce and fee are taken.
    Charged,
}

impl Rejection {
    /// What it does to the block and to the account.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        match self {
            Self::WrongChain { .. }
            | Self::TooLarge { .. }
            | Self::TooManySignatures { .. }
            | Self::SignatureOrder(_)
            | Self::UnknownPolicy(_)
            | Self::StrangerKey { .. }
            | Self::BelowThreshold { .. }
            | Self::SponsorNotAllowed(_)
            | Self::BadSignature(_) => Severity::Void,
            Self::Expired { .. }
            | Self::UnknownAccount(_)
            | Self::UnknownSponsor(_)
            | Self::Replayed { .. }
            | Self::NonceAhead { .. } => Severity::Uncharged,
            _ => Severity::Charged,
        }
    }

    /// Whether it may pass later as it is: its nonce is ahead, or its account is still to be created.
    #[must_use]
    pub const fn is_premature(&self) -> bool {
        matches!(self, Self::NonceAhead { .. } | Self::UnknownAccount(_) | Self::UnknownSponsor(_))
    }
}
