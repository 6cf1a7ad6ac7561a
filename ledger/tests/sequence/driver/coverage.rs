//! What a history reached: every kind of operation, every way each can come out that matters, and everything that falls due.

use mesh30k_ledger::outcome::{DueEvent, Effect};
use mesh30k_ledger::pricing::Price;
use mesh30k_ledger::records::{ProposalStatus, Safety};
use mesh30k_ledger::types::Uftns;
use std::collections::BTreeMap;

/// After so many steps a history has reached everything, whatever its seed.
pub const COMPLETE_AFTER: u64 = 25_000;

/// How often each was reached.
#[derive(Default)]
pub struct Coverage(BTreeMap<&'static str, u64>);

impl Coverage {
    pub fn carried_out(&mut self, effect: &Effect) {
        self.count(of_effect(effect));
    }

    pub fn fell_due(&mut self, event: &DueEvent) {
        self.count(of_event(event));
    }

    /// What orders that auctions filled came to.
    pub fn learned(&mut self, label: &'static str) {
        self.count(label);
    }

    fn count(&mut self, label: &'static str) {
        assert!(ALL.contains(&label), "`{label}` is missing in the list of what is to be reached");
        *self.0.entry(label).or_default() += 1;
    }

    /// What was never reached.
    pub fn missing(&self) -> Vec<&'static str> {
        ALL.iter().copied().filter(|label| !SELDOM.contains(label) && !self.0.contains_key(label)).collect()
    }

    pub fn figures(&self) -> impl Iterator<Item = (&'static str, u64)> {
        ALL.iter().map(|label| (*label, self.0.get(label).copied().unwrap_or_default()))
    }
}

/// Everything there is to reach. A new kind of effect or event does not compile before it is named below.
const ALL: &[&str] = &[
    "payment",
    "escrow opened",
    "part released",
    "part released, credits withheld",
    "host registered",
    "proposed",
    "voted",
    "frozen",
    "thawed",
    "scheduled",
    "unscheduled",
    "bonded",
    "unbonding began",
    "slashed",
    "intensity reported",
    "saving claimed",
    "saving attested",
    "credits issued",
    "credits transferred",
    "credits retired",
    "part claimed",
    "claim disputed",
    "first ruling, for the worker",
    "first ruling, for the opener",
    "decided for the worker",
    "decided for the opener",
    "auction opened",
    "bid sealed",
    "bid opened",
    "purpose set",
    "emergency signalled",
    "emergency in force",
    "contribution claimed",
    "contribution attested",
    "content registered",
    "use bought",
    "content rated",
    "account keys rotated",
    "host key rotated",
    "agent key rotated",
    "anchored",
    "purpose found false",
    "quota offered",
    "quota bought",
    "quota borrowed",
    "quota withdrawn",
    "quota reserved",
    "quota set free",
    "quota drawn",
    "listed",
    "listing withdrawn",
    "listing reviewed",
    "listing found unsafe",
    "ordered",
    "delivery accepted",
    "order rated",
    "royalty set aside",
    "royalties collected",
    "hardware declared",
    "declared",
    "declared, at once in force",
    "attested",
    "attested, now in force",
    "due: proposal queued",
    "due: proposal executed",
    "due: proposal defeated",
    "due: proposal vetoed",
    "due: escrow refunded",
    "due: freeze ended",
    "due: schedule paid",
    "due: panel drawn",
    "due: claim paid undisputed",
    "due: claim lapsed without decision",
    "due: auction won",
    "due: auction without winner",
    "due: quarter ended",
    "due: dividend paid",
    "due: dividend lapsed",
    "due: unbonded",
    "due: quota returned",
    "due: quota draw ended",
    "due: listing ended",
    "order served as expected",
    "order served unexpectedly",
    "order served, contested",
    "order never served",
    "order never served, excused",
];

/// What the draw does not reach reliably yet: hosts' and agents' keys are only ever rotated by strangers, too few vote, and few auctions'
/// orders are claimed, disputed and paid all the same (`tests/calibration.rs` has one).
const SELDOM: &[&str] = &[
    "host key rotated",
    "agent key rotated",
    "due: proposal queued",
    "due: proposal executed",
    "due: proposal vetoed",
    "order served, contested",
];

const fn of_effect(effect: &Effect) -> &'static str {
    match effect {
        Effect::Transferred { .. } => "payment",
        Effect::EscrowOpened { .. } => "escrow opened",
        Effect::PartReleased { price: Price { withheld: Uftns(1..), .. }, .. } => "part released, credits withheld",
        Effect::PartReleased { price: Price { royalty: Uftns(1..), .. }, .. } => "royalty set aside",
        Effect::PartReleased { .. } => "part released",
        Effect::HostRegistered { .. } => "host registered",
        Effect::Proposed { .. } => "proposed",
        Effect::Voted { .. } => "voted",
        Effect::Frozen { .. } => "frozen",
        Effect::Thawed { .. } => "thawed",
        Effect::Scheduled { .. } => "scheduled",
        Effect::Unscheduled { .. } => "unscheduled",
        Effect::Bonded { .. } => "bonded",
        Effect::UnbondingBegan { .. } => "unbonding began",
        Effect::Slashed { .. } => "slashed",
        Effect::IntensityReported { .. } => "intensity reported",
        Effect::SavingClaimed { .. } => "saving claimed",
        Effect::SavingAttested { issued_ug: 0, .. } => "saving attested",
        Effect::SavingAttested { .. } => "credits issued",
        Effect::CreditsTransferred { .. } => "credits transferred",
        Effect::CreditsRetired { .. } => "credits retired",
        Effect::PartClaimed { .. } => "part claimed",
        Effect::ClaimDisputed { .. } => "claim disputed",
        Effect::ClaimRuled { pay: true, decided: false, .. } => "first ruling, for the worker",
        Effect::ClaimRuled { pay: false, decided: false, .. } => "first ruling, for the opener",
        Effect::ClaimRuled { pay: true, decided: true, .. } => "decided for the worker",
        Effect::ClaimRuled { pay: false, decided: true, .. } => "decided for the opener",
        Effect::AuctionOpened { .. } => "auction opened",
        Effect::BidSealed { .. } => "bid sealed",
        Effect::BidOpened { .. } => "bid opened",
        Effect::PurposeSet { .. } => "purpose set",
        Effect::EmergencySignalled { until: None, .. } => "emergency signalled",
        Effect::EmergencySignalled { .. } => "emergency in force",
        Effect::ContributionClaimed { .. } => "contribution claimed",
        Effect::ContributionAttested { .. } => "contribution attested",
        Effect::ContentRegistered { .. } => "content registered",
        Effect::UseBought { .. } => "use bought",
        Effect::ContentRated { .. } => "content rated",
        Effect::AccountKeysRotated { .. } => "account keys rotated",
        Effect::HostKeyRotated { .. } => "host key rotated",
        Effect::AgentKeyRotated { .. } => "agent key rotated",
        Effect::Anchored { .. } => "anchored",
        Effect::PurposeFalse { .. } => "purpose found false",
        Effect::QuotaOffered { .. } => "quota offered",
        Effect::QuotaTaken { until: None, .. } => "quota bought",
        Effect::QuotaTaken { .. } => "quota borrowed",
        Effect::QuotaWithdrawn { .. } => "quota withdrawn",
        Effect::QuotaReserved { units: 0, .. } => "quota set free",
        Effect::QuotaReserved { .. } => "quota reserved",
        Effect::QuotaDrawn { .. } => "quota drawn",
        Effect::Listed { .. } => "listed",
        Effect::ListingWithdrawn { .. } => "listing withdrawn",
        Effect::ListingReviewed { safety: Safety::Unsafe, .. } => "listing found unsafe",
        Effect::ListingReviewed { .. } => "listing reviewed",
        Effect::Ordered { .. } => "ordered",
        Effect::DeliveryAccepted { .. } => "delivery accepted",
        Effect::OrderRated { .. } => "order rated",
        Effect::RoyaltiesCollected { .. } => "royalties collected",
        Effect::HardwareDeclared { .. } => "hardware declared",
        Effect::Declared { in_force: false, .. } => "declared",
        Effect::Declared { in_force: true, .. } => "declared, at once in force",
        Effect::Attested { in_force: false, .. } => "attested",
        Effect::Attested { in_force: true, .. } => "attested, now in force",
    }
}

const fn of_event(event: &DueEvent) -> &'static str {
    match event {
        DueEvent::Proposal { status, .. } => match status {
            // A proposal passes these two at once; it never falls due in them.
            ProposalStatus::Active | ProposalStatus::Succeeded | ProposalStatus::Queued => "due: proposal queued",
            // The changes that are proposed here are all within their bounds: none fails.
            ProposalStatus::Executed | ProposalStatus::Failed => "due: proposal executed",
            ProposalStatus::Defeated => "due: proposal defeated",
            ProposalStatus::Vetoed => "due: proposal vetoed",
        },
        DueEvent::EscrowRefunded { .. } => "due: escrow refunded",
        DueEvent::FreezeEnded { .. } => "due: freeze ended",
        DueEvent::SchedulePaid { .. } => "due: schedule paid",
        DueEvent::PanelDrawn { .. } => "due: panel drawn",
        DueEvent::ClaimPaid { .. } => "due: claim paid undisputed",
        DueEvent::ClaimLapsed { .. } => "due: claim lapsed without decision",
        DueEvent::AuctionClosed { winner: Some(_), .. } => "due: auction won",
        DueEvent::AuctionClosed { winner: None, .. } => "due: auction without winner",
        DueEvent::QuarterEnded { .. } => "due: quarter ended",
        DueEvent::DividendPaid { .. } => "due: dividend paid",
        DueEvent::DividendLapsed { .. } => "due: dividend lapsed",
        DueEvent::Unbonded { .. } => "due: unbonded",
        DueEvent::QuotaReturned { .. } => "due: quota returned",
        DueEvent::QuotaDrawEnded { .. } => "due: quota draw ended",
        DueEvent::ListingEnded { .. } => "due: listing ended",
    }
}
