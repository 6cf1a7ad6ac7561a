//! What became of each transaction, and of what fell due.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

pub use crate::due_event::DueEvent;
use crate::keys::PublicKey;
use crate::pricing::Price;
use crate::priority::Purpose;
use crate::records::{Contribution, Declared, Duty, Safety};
use crate::rejection::Rejection;
use crate::types::{AccountId, AgentId, EscrowId, Hash, NodeId, ProposalId, Region, Scope, SectorId, TimeMs, Uftns};

/// What became of a transaction in a block.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Carried out.
    Executed {
        /// What was paid for it.
        fee: Uftns,
        /// What it did.
        effect: Effect,
    },
    /// Not carried out.
    Rejected {
        /// What was paid all the same.
        fee: Uftns,
        /// Why.
        rejection: Rejection,
    },
}

/// What a transaction did.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Money moved.
    Transferred {
        /// In all.
        amount: Uftns,
        /// To so many receivers.
        transfers: u32,
    },
    /// Money was locked.
    EscrowOpened {
        /// Its name.
        escrow: EscrowId,
        /// How much.
        locked: Uftns,
    },
    /// A part was paid.
    PartReleased {
        /// Of which escrow.
        escrow: EscrowId,
        /// Which part.
        part: u32,
        /// Who was paid.
        worker: AccountId,
        /// How the price came about.
        price: Price,
        /// What went back to the opener.
        returned: Uftns,
    },
    /// A host registered.
    HostRegistered {
        /// Its node.
        node: NodeId,
        /// The first of its new agents; the rest follow.
        first_agent: Option<AgentId>,
        /// How many.
        agents: u32,
        /// Where the node is placed.
        sector: Option<SectorId>,
    },
    /// A vote was opened.
    Proposed {
        /// Its number.
        proposal: ProposalId,
        /// When it is counted.
        voting_ends: TimeMs,
    },
    /// A vote was counted in.
    Voted {
        /// On what.
        proposal: ProposalId,
        /// With so much weight, before the cap.
        weight: Uftns,
    },
    /// A scope was frozen.
    Frozen {
        /// Which.
        scope: Scope,
        /// Until when.
        until: TimeMs,
    },
    /// A scope was thawed.
    Thawed {
        /// Which.
        scope: Scope,
    },
    /// Payments were set aside.
    Scheduled {
        /// Its name.
        schedule: Hash,
        /// How much in all.
        locked: Uftns,
    },
    /// Payments were called off.
    Unscheduled {
        /// Which.
        schedule: Hash,
        /// What came back.
        returned: Uftns,
    },
    /// Money answers for a duty.
    Bonded {
        /// Which.
        duty: Duty,
        /// How much now.
        bonded: Uftns,
    },
    /// Bonded money was asked back.
    UnbondingBegan {
        /// What it answers for until then.
        duty: Duty,
        /// How much.
        amount: Uftns,
        /// When it is free.
        until: TimeMs,
    },
    /// A proven offence was punished.
    Slashed {
        /// Whose.
        account: AccountId,
        /// What was taken.
        amount: Uftns,
        /// What of it went to whoever proved it; the rest is burned.
        reward: Uftns,
        /// It is locked out until then.
        jailed_until: TimeMs,
    },
    /// An oracle's word was counted.
    IntensityReported {
        /// Where.
        region: Region,
        /// Fresh words there are.
        words: u64,
        /// Milligrams of CO2e a kilowatt-hour in force now.
        in_force: u64,
    },
    /// A saving was claimed.
    SavingClaimed {
        /// Names it.
        evidence: Hash,
        /// Micrograms.
        saved_ug: u64,
    },
    /// A saving was attested.
    SavingAttested {
        /// Names it.
        evidence: Hash,
        /// Reviewers so far.
        attestations: u64,
        /// Micrograms of credits issued by this; nothing before the last word.
        issued_ug: u64,
    },
    /// Credits moved.
    CreditsTransferred {
        /// To whom.
        to: AccountId,
        /// Micrograms.
        amount_ug: u64,
    },
    /// Credits were retired.
    CreditsRetired {
        /// Micrograms by this.
        amount_ug: u64,
        /// By this account so far.
        retired_ug: u64,
    },
    /// A part was claimed.
    PartClaimed {
        /// Of which escrow.
        escrow: EscrowId,
        /// Which part.
        part: u32,
        /// It may be disputed until then.
        ends: TimeMs,
    },
    /// A claim was disputed.
    ClaimDisputed {
        /// Of which escrow.
        escrow: EscrowId,
        /// Which part.
        part: u32,
        /// What the opener answers with.
        bond: Uftns,
    },
    /// One of a panel ruled.
    ClaimRuled {
        /// On which escrow.
        escrow: EscrowId,
        /// Which part.
        part: u32,
        /// Whether for the worker.
        pay: bool,
        /// Whether that decided it.
        decided: bool,
        /// How the price came about, if that paid it.
        price: Option<Price>,
    },
    /// An auction was opened.
    AuctionOpened {
        /// Its name.
        auction: Hash,
        /// What was set aside.
        locked: Uftns,
    },
    /// A bid was sealed.
    BidSealed {
        /// On which auction.
        auction: Hash,
        /// What the bidder answers with.
        bond: Uftns,
    },
    /// A bid was opened.
    BidOpened {
        /// On which auction.
        auction: Hash,
        /// What was bid.
        price: Uftns,
    },
    /// A purpose was declared, or is said to be another.
    PurposeSet {
        /// Of which task.
        escrow: EscrowId,
        /// In force now.
        purpose: Purpose,
    },
    /// A signal on an emergency was counted.
    EmergencySignalled {
        /// Where.
        region: Region,
        /// Signals that say the same.
        signals: u64,
        /// In force until then, if it is.
        until: Option<TimeMs>,
    },
    /// A contribution was claimed.
    ContributionClaimed {
        /// Names it.
        evidence: Hash,
        /// Of what kind.
        kind: Contribution,
        /// What is asked.
        amount: Uftns,
    },
    /// A contribution was attested.
    ContributionAttested {
        /// Names it.
        evidence: Hash,
        /// Reviewers so far.
        attestations: u64,
        /// What was minted for it by this; nothing before the last word.
        paid: Uftns,
    },
    /// Content was registered.
    ContentRegistered {
        /// Names it.
        content: Hash,
        /// Its level of provenance.
        depth: u32,
    },
    /// A use was paid.
    UseBought {
        /// Of which content.
        content: Hash,
        /// What it cost.
        price: Uftns,
        /// Contents that earned by it.
        reached: u32,
    },
    /// Content was rated.
    ContentRated {
        /// Which.
        content: Hash,
        /// 1 to 5.
        stars: u8,
    },
    /// Other keys sign for an account.
    AccountKeysRotated {
        /// Which.
        account: AccountId,
        /// So many of them together.
        threshold: u8,
        /// How many there are.
        keys: u8,
    },
    /// A host signs with another key.
    HostKeyRotated {
        /// Its node.
        node: NodeId,
        /// Its key now.
        key: PublicKey,
    },
    /// A sector's registry and logs were told.
    Anchored {
        /// Which sector.
        sector: SectorId,
        /// Which period.
        period: u64,
        /// Voters who say the same.
        words: u64,
        /// Whether that is what is anchored.
        anchored: bool,
    },
    /// An agent signs with another key.
    AgentKeyRotated {
        /// Which.
        agent: AgentId,
        /// Its key now.
        key: PublicKey,
    },
    /// Quota was offered.
    QuotaOffered {
        /// Names the offer.
        offer: Hash,
        /// Units a period.
        units: u64,
    },
    /// Quota was lent or sold.
    QuotaTaken {
        /// Which offer.
        offer: Hash,
        /// Units a period.
        units: u64,
        /// What was paid for it.
        price: Uftns,
        /// When it goes back; nothing when it was sold.
        until: Option<TimeMs>,
    },
    /// An offer of quota was called off.
    QuotaWithdrawn {
        /// Which.
        offer: Hash,
        /// What is free again.
        units: u64,
    },
    /// Quota was set aside for a task.
    QuotaReserved {
        /// Which task.
        escrow: EscrowId,
        /// What it has now.
        units: u64,
        /// What is still free.
        free: u64,
    },
    /// Quota was drawn for a task in an emergency.
    QuotaDrawn {
        /// Which task.
        escrow: EscrowId,
        /// Units.
        units: u64,
        /// From so many others.
        tasks: u64,
        /// It goes back then, or when the task ends before.
        until: TimeMs,
    },
    /// Reviewers found a declared purpose too high.
    PurposeFalse {
        /// Of which task.
        escrow: EscrowId,
        /// In force now.
        purpose: Purpose,
        /// Who had declared it, and pays.
        account: AccountId,
        /// What it pretended of the task's size.
        difference: Uftns,
        /// What it costs on top.
        penalty: Uftns,
    },
    /// Something was offered on the market, or is at other terms.
    Listed {
        /// Names it.
        listing: Hash,
        /// For one use or one part.
        price: Uftns,
        /// It takes orders until then.
        until: TimeMs,
    },
    /// An offer was withdrawn.
    ListingWithdrawn {
        /// Which.
        listing: Hash,
        /// Orders of it that go on.
        open_orders: u32,
    },
    /// A reviewer spoke on the safety of an offer.
    ListingReviewed {
        /// Which.
        listing: Hash,
        /// Reviewers who say the same.
        words: u64,
        /// In force now.
        safety: Safety,
    },
    /// Something listed was ordered.
    Ordered {
        /// Names the order and its escrow.
        order: EscrowId,
        /// What.
        listing: Hash,
        /// From whom.
        seller: AccountId,
        /// What was locked.
        locked: Uftns,
    },
    /// A buyer accepted content.
    DeliveryAccepted {
        /// Which order.
        order: EscrowId,
        /// What was paid.
        price: Uftns,
        /// The market's share of it.
        fee: Uftns,
    },
    /// An order was rated.
    OrderRated {
        /// Which.
        order: EscrowId,
        /// Whose reputation moved.
        seller: AccountId,
        /// 1 to 5.
        stars: u8,
    },
    /// What content earned in tasks was paid out.
    RoyaltiesCollected {
        /// Of which content.
        content: Hash,
        /// How much.
        amount: Uftns,
        /// By so many paid parts of tasks.
        uses: u64,
        /// Contents that were paid, itself included.
        reached: u32,
    },
    /// A node's machine was declared.
    HardwareDeclared {
        /// Whose.
        node: NodeId,
        /// What it cost to make, grams of CO2e.
        embodied_g: u64,
    },
    /// An account said something of itself.
    Declared {
        /// Which.
        account: AccountId,
        /// What.
        what: Declared,
        /// Whether it counts already.
        in_force: bool,
    },
    /// What an account said of itself was attested.
    Attested {
        /// Which.
        account: AccountId,
        /// What.
        what: Declared,
        /// By so many.
        attestations: u64,
        /// Whether it counts now.
        in_force: bool,
    },
}
