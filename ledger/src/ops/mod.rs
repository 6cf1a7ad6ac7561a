//! Operations: one kind a file. A new kind is a new file, a variant at the end of [`Operation`] and its line in each match.

mod anchor;
pub(crate) mod auction;
mod bond;
pub(crate) mod claim;
mod content;
mod contribution;
mod credits;
mod declare;
mod emergency;
mod escrow_open;
mod escrow_release;
pub mod freeze;
mod hardware;
mod intensity;
mod listing;
mod order;
mod propose;
mod purpose;
mod quota_draw;
mod quota_reserve;
mod quota_trade;
mod register_host;
mod rotate_key;
mod royalty;
mod schedule;
mod slash;
mod task_receipt;
mod transfer;
mod vote;

pub use anchor::Anchor;
pub use auction::{MAX_BIDS, MIN_PHASE_MS, OpenAuction, OpenBid, SealBid, bid_score, sealed_bid};
pub use bond::{Bond, MAX_UNBONDING, Unbond};
pub use claim::{ClaimPart, DisputeClaim, MAJORITY, PANEL, RuleClaim};
pub use content::{
    BuyUse, MAX_LEVELS, MAX_OWNERS, MAX_PARENTS, MAX_REACHED, MAX_ROYALTY_PPM, RateContent, RegisterContent,
};
pub use contribution::{AttestContribution, ClaimContribution};
pub use credits::{AttestSaving, ClaimSaving, MAX_SAVING_UG, RetireCredits, TransferCredits};
pub use declare::{Attest, Declare};
pub use emergency::{MAX_EMERGENCY_MS, MAX_KIND_BYTES, MAX_KINDS, SIGNAL_MS, SignalEmergency};
pub use escrow_open::{EscrowOpen, MAX_ESCROW_MS, MAX_PARTS};
pub use escrow_release::EscrowRelease;
pub use freeze::{Freeze, FreezeOrder, OrderError, Thaw};
pub use hardware::{DeclareHardware, MAX_EMBODIED_G, MAX_LIFESPAN_H, MAX_SLOTS};
pub use intensity::{INTENSITY_FLOOR, MAX_INTENSITY_MG_PER_KWH, ReportIntensity, WINDOW_MS, least_believed};
pub use listing::{
    ChangeListing, CreateListing, ListingTerms, MAX_LISTING_ABOUT_BYTES, MAX_LISTING_MS, MAX_LISTING_TITLE_BYTES,
    MAX_LISTINGS, ReviewListing, WithdrawListing,
};
pub use order::{AcceptDelivery, ClaimDelivery, MAX_OPEN_ORDERS, OrderedWork, PlaceOrder, RateOrder};
pub use propose::{
    CreditImport, MAX_CHANGES, MAX_TITLE_BYTES, OfficeChange, ParameterChange, ProposalKind, Propose, SeatChange,
};
pub use purpose::{DeclarePurpose, ReclassifyPurpose};
pub use quota_draw::{DrawQuota, MAX_DRAWS, MAX_SOURCES};
pub use quota_reserve::{MAX_RESERVED, ReserveQuota};
pub use quota_trade::{MAX_LOAN_PERIODS, MAX_OFFERS, OfferQuota, TakeQuota, WithdrawQuota};
pub use register_host::{
    AgentRegistration, Capabilities, MAX_ADDRESS_BYTES, MAX_ADDRESSES, MAX_AGENTS_PER_BATCH, MAX_TRANSPORT_KEY_BYTES,
    NodeRegistration, RegisterHost,
};
pub use rotate_key::RotateKey;
pub use royalty::{CollectRoyalties, MAX_TASK_ROYALTY_PPM, most_royalty_ppm, quality_ppm};
pub use schedule::{MAX_SCHEDULE_MS, MAX_SCHEDULED, MIN_INTERVAL_MS, Schedule, Unschedule};
pub use slash::ProveEquivocation;
pub use task_receipt::{EnergyMethod, FUEL_PER_UNIT, TaskReceipt, TaskReport, carbon_ug, task_units};
pub use transfer::{BatchTransfer, MAX_MEMO_BYTES, MAX_TRANSFERS, Transfer, TransferItem};
pub use vote::{Choice, ChoiceError, Vote};

pub(crate) use bond::release as release_unbonded;
pub(crate) use credits::issue as issue_credits;
pub(crate) use escrow_open::refund;
pub(crate) use intensity::in_force as intensity_in_force;
pub(crate) use listing::end_listing;
pub(crate) use quota_draw::end_draw as end_quota_draw;
pub(crate) use quota_trade::give_back as give_quota_back;
pub(crate) use schedule::pay_due;

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::execute::{Stop, Working};
use crate::outcome::Effect;
use crate::records::{Escrow, EscrowStatus};
use crate::rejection::Rejection;
use crate::state::keyspace;
use crate::transaction::SignedTransaction;
use crate::types::{AccountId, EscrowId, TxId};

/// What an operation knows about the transaction that carries it.
pub(crate) struct Call<'a> {
    pub(crate) account: AccountId,
    pub(crate) id: TxId,
    pub(crate) signed: &'a SignedTransaction,
}

/// Refuses a length or number outside its bounds.
pub(crate) fn within(field: &str, found: u64, min: u64, max: u64) -> Result<(), Rejection> {
    if found < min || found > max {
        return Err(Rejection::OutOfBounds { field: field.into(), found, min, max });
    }
    Ok(())
}

/// The escrow of this name, if the transaction's account opened it.
pub(crate) fn own_escrow(working: &Working<'_>, call: &Call<'_>, id: &EscrowId) -> Result<Escrow, Stop> {
    let escrow: Escrow = working.read(&keyspace::escrow(id))?.ok_or(Rejection::UnknownEscrow(*id))?;
    if escrow.opener != call.account {
        return Err(Rejection::NotOpener { opener: escrow.opener }.into());
    }
    Ok(escrow)
}

/// As [`own_escrow`], while it is open.
pub(crate) fn own_open_escrow(working: &Working<'_>, call: &Call<'_>, id: &EscrowId) -> Result<Escrow, Stop> {
    let escrow = own_escrow(working, call, id)?;
    if escrow.status != EscrowStatus::Open {
        return Err(Rejection::EscrowClosed(*id).into());
    }
    Ok(escrow)
}

/// What a transaction does. Variants are only ever appended.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Pays one account.
    Transfer(Transfer),
    /// Pays up to 1,000 accounts, all or nothing.
    BatchTransfer(BatchTransfer),
    /// Locks the payment of a task.
    EscrowOpen(EscrowOpen),
    /// Accepts one part of a task and pays it.
    EscrowRelease(EscrowRelease),
    /// Registers a node and agents it hosts.
    RegisterHost(RegisterHost),
    /// Opens a vote.
    Propose(Propose),
    /// Votes.
    Vote(Vote),
    /// Stops a part of the mesh.
    Freeze(Freeze),
    /// Lifts a freeze.
    Thaw(Thaw),
    /// Sets payments aside for later times.
    Schedule(Schedule),
    /// Calls off scheduled payments.
    Unschedule(Unschedule),
    /// Sets money aside to answer for a duty.
    Bond(Bond),
    /// Begins to take bonded money back.
    Unbond(Unbond),
    /// Proves that a validator voted twice at one height.
    ProveEquivocation(ProveEquivocation),
    /// An oracle's word on a grid.
    ReportIntensity(ReportIntensity),
    /// Claims a saving of carbon.
    ClaimSaving(ClaimSaving),
    /// A reviewer's word that a saving is real.
    AttestSaving(AttestSaving),
    /// Gives carbon credits to another account.
    TransferCredits(TransferCredits),
    /// Retires carbon credits for good.
    RetireCredits(RetireCredits),
    /// A worker asks for the payment of a part.
    ClaimPart(ClaimPart),
    /// Disputes a claim.
    DisputeClaim(DisputeClaim),
    /// Rules on a disputed claim.
    RuleClaim(RuleClaim),
    /// Asks for sealed bids on a task.
    OpenAuction(OpenAuction),
    /// Bids without saying what.
    SealBid(SealBid),
    /// Opens a bid.
    OpenBid(OpenBid),
    /// Says what a task is for.
    DeclarePurpose(DeclarePurpose),
    /// A reviewer's word that a purpose is false.
    ReclassifyPurpose(ReclassifyPurpose),
    /// One word on a climate emergency.
    SignalEmergency(SignalEmergency),
    /// Claims payment for a contribution.
    ClaimContribution(ClaimContribution),
    /// A reviewer's word that a contribution is real.
    AttestContribution(AttestContribution),
    /// Registers content with owners and provenance.
    RegisterContent(RegisterContent),
    /// Pays for one use of content.
    BuyUse(BuyUse),
    /// Rates content that was paid for.
    RateContent(RateContent),
    /// Replaces keys.
    RotateKey(RotateKey),
    /// A voter's word on its sector's registry and logs.
    Anchor(Anchor),
    /// Offers quota to lend or to sell.
    OfferQuota(OfferQuota),
    /// Takes quota on offer.
    TakeQuota(TakeQuota),
    /// Calls off an offer of quota.
    WithdrawQuota(WithdrawQuota),
    /// Sets quota aside for a task.
    ReserveQuota(ReserveQuota),
    /// Draws quota for disaster response in an emergency.
    DrawQuota(DrawQuota),
    /// Offers something on the market.
    CreateListing(CreateListing),
    /// Offers the same at other terms.
    ChangeListing(ChangeListing),
    /// Ends an offer.
    WithdrawListing(WithdrawListing),
    /// A reviewer's word on the safety of an offer.
    ReviewListing(ReviewListing),
    /// Orders what is listed.
    PlaceOrder(PlaceOrder),
    /// A seller asks for the price of content.
    ClaimDelivery(ClaimDelivery),
    /// A buyer pays content.
    AcceptDelivery(AcceptDelivery),
    /// Rates an order.
    RateOrder(RateOrder),
    /// Pays out what content earned in tasks.
    CollectRoyalties(CollectRoyalties),
    /// Says what a node's machine cost to make.
    DeclareHardware(DeclareHardware),
    /// Says where an account is, or what share of a node's energy is renewable.
    Declare(Declare),
    /// A reviewer's or an oracle's word that it is true.
    Attest(Attest),
}

impl Operation {
    /// Work it causes beyond the envelope's.
    #[must_use]
    pub fn weight(&self) -> u64 {
        match self {
            Self::Transfer(_) | Self::Vote(_) | Self::Freeze(_) | Self::Thaw(_) => 5,
            Self::BatchTransfer(batch) => (batch.transfers.len() as u64).saturating_mul(3),
            Self::EscrowOpen(_) => 10,
            Self::EscrowRelease(_) => 30,
            Self::RegisterHost(batch) => (batch.agents.len() as u64).saturating_mul(3).saturating_add(10),
            Self::Propose(_) => 50,
            Self::Schedule(_) => 20,
            Self::Unschedule(_) | Self::Bond(_) | Self::TransferCredits(_) | Self::RetireCredits(_) => 5,
            Self::Unbond(_) | Self::ReportIntensity(_) | Self::ClaimSaving(_) | Self::AttestSaving(_) => 10,
            Self::ProveEquivocation(_) => 100,
            Self::ClaimPart(_) | Self::RuleClaim(_) => 40,
            Self::ClaimContribution(_) | Self::RateContent(_) => 10,
            Self::RegisterContent(_) => 30,
            Self::BuyUse(_) => 150,
            Self::AttestContribution(_) => 15,
            Self::DisputeClaim(_) | Self::OpenAuction(_) | Self::SealBid(_) | Self::OpenBid(_) => 20,
            Self::DeclarePurpose(_) | Self::ReclassifyPurpose(_) | Self::SignalEmergency(_) => 10,
            Self::RotateKey(_) | Self::Anchor(_) => 20,
            Self::OfferQuota(_) | Self::WithdrawQuota(_) | Self::ReserveQuota(_) => 10,
            Self::TakeQuota(_) => 20,
            Self::DrawQuota(_) => 150,
            Self::CreateListing(_) | Self::ChangeListing(_) | Self::PlaceOrder(_) => 20,
            Self::WithdrawListing(_) | Self::ReviewListing(_) | Self::RateOrder(_) => 10,
            Self::ClaimDelivery(_) => 40,
            Self::AcceptDelivery(_) | Self::CollectRoyalties(_) => 150,
            Self::DeclareHardware(_) | Self::Declare(_) | Self::Attest(_) => 10,
        }
    }

    /// Its name as operators read it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Transfer(_) => "transfer",
            Self::BatchTransfer(_) => "batch transfer",
            Self::EscrowOpen(_) => "escrow open",
            Self::EscrowRelease(_) => "escrow release",
            Self::RegisterHost(_) => "register host",
            Self::Propose(_) => "propose",
            Self::Vote(_) => "vote",
            Self::Freeze(_) => "freeze",
            Self::Thaw(_) => "thaw",
            Self::Schedule(_) => "schedule",
            Self::Unschedule(_) => "unschedule",
            Self::Bond(_) => "bond",
            Self::Unbond(_) => "unbond",
            Self::ProveEquivocation(_) => "prove equivocation",
            Self::ReportIntensity(_) => "report intensity",
            Self::ClaimSaving(_) => "claim saving",
            Self::AttestSaving(_) => "attest saving",
            Self::TransferCredits(_) => "transfer credits",
            Self::RetireCredits(_) => "retire credits",
            Self::ClaimPart(_) => "claim part",
            Self::DisputeClaim(_) => "dispute claim",
            Self::RuleClaim(_) => "rule claim",
            Self::OpenAuction(_) => "open auction",
            Self::SealBid(_) => "seal bid",
            Self::OpenBid(_) => "open bid",
            Self::DeclarePurpose(_) => "declare purpose",
            Self::ReclassifyPurpose(_) => "reclassify purpose",
            Self::SignalEmergency(_) => "signal emergency",
            Self::ClaimContribution(_) => "claim contribution",
            Self::AttestContribution(_) => "attest contribution",
            Self::RegisterContent(_) => "register content",
            Self::BuyUse(_) => "buy use",
            Self::RateContent(_) => "rate content",
            Self::RotateKey(_) => "rotate key",
            Self::Anchor(_) => "anchor",
            Self::OfferQuota(_) => "offer quota",
            Self::TakeQuota(_) => "take quota",
            Self::WithdrawQuota(_) => "withdraw quota",
            Self::ReserveQuota(_) => "reserve quota",
            Self::DrawQuota(_) => "draw quota",
            Self::CreateListing(_) => "create listing",
            Self::ChangeListing(_) => "change listing",
            Self::WithdrawListing(_) => "withdraw listing",
            Self::ReviewListing(_) => "review listing",
            Self::PlaceOrder(_) => "place order",
            Self::ClaimDelivery(_) => "claim delivery",
            Self::AcceptDelivery(_) => "accept delivery",
            Self::RateOrder(_) => "rate order",
            Self::CollectRoyalties(_) => "collect royalties",
            Self::DeclareHardware(_) => "declare hardware",
            Self::Declare(_) => "declare",
            Self::Attest(_) => "attest",
        }
    }

    /// The accounts that a payment pays, in order.
    pub fn receivers(&self) -> impl Iterator<Item = AccountId> {
        let (one, many) = match self {
            Self::Transfer(transfer) => (Some(transfer.to), [].as_slice()),
            Self::BatchTransfer(batch) => (None, batch.transfers.as_slice()),
            _ => (None, [].as_slice()),
        };
        one.into_iter().chain(many.iter().map(|item| item.to))
    }

    /// Whether it passes while everything is frozen: governance and operators only.
    #[must_use]
    pub const fn passes_global_freeze(&self) -> bool {
        matches!(self, Self::Propose(_) | Self::Vote(_) | Self::Freeze(_) | Self::Thaw(_))
    }

    /// Whether operators sign it too.
    #[must_use]
    pub const fn needs_operators(&self) -> bool {
        matches!(self, Self::Freeze(_) | Self::Thaw(_))
    }

    /// Carries it out; the caller forgets what it did when it stops.
    pub(crate) fn apply(&self, working: &mut Working<'_>, call: &Call<'_>) -> Result<Effect, Stop> {
        match self {
            Self::Transfer(op) => op.apply(working, call),
            Self::BatchTransfer(op) => op.apply(working, call),
            Self::EscrowOpen(op) => op.apply(working, call),
            Self::EscrowRelease(op) => op.apply(working, call),
            Self::RegisterHost(op) => op.apply(working, call),
            Self::Propose(op) => op.apply(working, call),
            Self::Vote(op) => op.apply(working, call),
            Self::Freeze(op) => op.apply(working, call),
            Self::Thaw(op) => op.apply(working, call),
            Self::Schedule(op) => op.apply(working, call),
            Self::Unschedule(op) => op.apply(working, call),
            Self::Bond(op) => op.apply(working, call),
            Self::Unbond(op) => op.apply(working, call),
            Self::ProveEquivocation(op) => op.apply(working, call),
            Self::ReportIntensity(op) => op.apply(working, call),
            Self::ClaimSaving(op) => op.apply(working, call),
            Self::AttestSaving(op) => op.apply(working, call),
            Self::TransferCredits(op) => op.apply(working, call),
            Self::RetireCredits(op) => op.apply(working, call),
            Self::ClaimPart(op) => op.apply(working, call),
            Self::DisputeClaim(op) => op.apply(working, call),
            Self::RuleClaim(op) => op.apply(working, call),
            Self::OpenAuction(op) => op.apply(working, call),
            Self::SealBid(op) => op.apply(working, call),
            Self::OpenBid(op) => op.apply(working, call),
            Self::DeclarePurpose(op) => op.apply(working, call),
            Self::ReclassifyPurpose(op) => op.apply(working, call),
            Self::SignalEmergency(op) => op.apply(working, call),
            Self::ClaimContribution(op) => op.apply(working, call),
            Self::AttestContribution(op) => op.apply(working, call),
            Self::RegisterContent(op) => op.apply(working, call),
            Self::BuyUse(op) => op.apply(working, call),
            Self::RateContent(op) => op.apply(working, call),
            Self::RotateKey(op) => op.apply(working, call),
            Self::Anchor(op) => op.apply(working, call),
            Self::OfferQuota(op) => op.apply(working, call),
            Self::TakeQuota(op) => op.apply(working, call),
            Self::WithdrawQuota(op) => op.apply(working, call),
            Self::ReserveQuota(op) => op.apply(working, call),
            Self::DrawQuota(op) => op.apply(working, call),
            Self::CreateListing(op) => op.apply(working, call),
            Self::ChangeListing(op) => op.apply(working, call),
            Self::WithdrawListing(op) => op.apply(working, call),
            Self::ReviewListing(op) => op.apply(working, call),
            Self::PlaceOrder(op) => op.apply(working, call),
            Self::ClaimDelivery(op) => op.apply(working, call),
            Self::AcceptDelivery(op) => op.apply(working, call),
            Self::RateOrder(op) => op.apply(working, call),
            Self::CollectRoyalties(op) => op.apply(working, call),
            Self::DeclareHardware(op) => op.apply(working, call),
            Self::Declare(op) => op.apply(working, call),
            Self::Attest(op) => op.apply(working, call),
        }
    }
}
