//! What happened, as sentences people read.

use crate::ops::{ProposalKind, SeatChange};
use crate::outcome::{Effect, Outcome};
use crate::parameters::Parameters;
use crate::pricing::Price;

impl Outcome {
    /// One line: what it did, or why it did nothing.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self {
            Self::Rejected { rejection, .. } => rejection.to_string(),
            Self::Executed { effect, .. } => effect.sentence(),
        }
    }
}

impl Effect {
    /// One line.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self {
            Self::Transferred { amount, transfers: 1 } => format!("{amount} transferred"),
            Self::Transferred { amount, transfers } => format!("{amount} transferred to {transfers} receivers"),
            Self::EscrowOpened { escrow, locked } => format!("{locked} locked in escrow {escrow}"),
            Self::PartReleased { part, worker, price, returned, .. } => format!(
                "part {part} paid: {} to {worker}, {} for carbon, {}{} in all, {returned} returned",
                price.payout(),
                price.carbon,
                price.extras(),
                price.total
            ),
            Self::HostRegistered { node, agents, sector, .. } => match sector {
                Some(sector) => format!("node {node} registered with {agents} agents in sector {sector}"),
                None => format!("node {node} registered"),
            },
            Self::Proposed { proposal, voting_ends } => {
                format!("proposal {proposal} opened, counted at {voting_ends} ms")
            }
            Self::Voted { proposal, weight } => format!("vote on proposal {proposal} counted with {weight}"),
            Self::Frozen { scope, until } => format!("{scope} frozen until {until} ms"),
            Self::Thawed { scope } => format!("{scope} thawed"),
            Self::Scheduled { schedule, locked } => format!("{locked} set aside for schedule {schedule}"),
            Self::Unscheduled { schedule, returned } => format!("schedule {schedule} called off, {returned} returned"),
            Self::Bonded { duty, bonded } => format!("{bonded} bonded as {duty}"),
            Self::UnbondingBegan { duty, amount, until } => {
                format!("{amount} come free at {until} ms and answer as {duty} until then")
            }
            Self::Slashed { account, amount, reward, jailed_until } => format!(
                "{account} locked out until {jailed_until} ms; {amount} taken from its bond, {reward} of it as a reward, the rest \
                 burned"
            ),
            Self::IntensityReported { region, words, in_force } => {
                format!("{words} fresh reports for {region}, {in_force} mg/kWh in force")
            }
            _ => self.carbon_sentence(),
        }
    }

    fn carbon_sentence(&self) -> String {
        match self {
            Self::SavingClaimed { evidence, saved_ug } => format!("saving of {saved_ug} ug claimed by {evidence}"),
            Self::SavingAttested { evidence, attestations, issued_ug: 0 } => {
                format!("saving {evidence} attested by {attestations} so far")
            }
            Self::SavingAttested { evidence, issued_ug, .. } => {
                format!("saving {evidence} attested, {issued_ug} ug of credits issued")
            }
            Self::CreditsTransferred { to, amount_ug } => format!("{amount_ug} ug of credits given to {to}"),
            Self::CreditsRetired { amount_ug, retired_ug } => {
                format!("{amount_ug} ug of credits retired, {retired_ug} ug by this account so far")
            }
            Self::PurposeSet { escrow, purpose } => format!("task of escrow {escrow} counts as {purpose}"),
            Self::PurposeFalse { escrow, purpose, account, difference, penalty } => format!(
                "task of escrow {escrow} counts as {purpose}; {account} pays {difference} for the difference and {penalty} on top"
            ),
            Self::EmergencySignalled { region, signals, until: None } => {
                format!("{signals} signals alike for {region}, no emergency in force")
            }
            Self::EmergencySignalled { region, until: Some(until), .. } => {
                format!("emergency in {region} until {until} ms")
            }
            Self::Declared { account, what, in_force: false } => {
                format!("{what} declared of {account}, to be attested")
            }
            Self::Declared { account, what, in_force: true } => format!("{what} of {account} is in force"),
            Self::Attested { account, what, attestations, in_force: false } => {
                format!("{what} of {account} attested by {attestations} so far")
            }
            Self::Attested { account, what, in_force: true, .. } => {
                format!("{what} of {account} attested and in force")
            }
            _ => self.market_sentence(),
        }
    }

    fn market_sentence(&self) -> String {
        match self {
            Self::PartClaimed { escrow, part, ends } => {
                format!("part {part} of escrow {escrow} claimed, paid at {ends} ms unless disputed")
            }
            Self::ClaimDisputed { escrow, part, bond } => {
                format!("claim on part {part} of escrow {escrow} disputed with a bond of {bond}")
            }
            Self::ClaimRuled { escrow, part, pay, decided, .. } => format!(
                "ruled on part {part} of escrow {escrow} for the {}{}",
                if *pay { "worker" } else { "opener" },
                if *decided { ", which decides it" } else { "" }
            ),
            Self::AuctionOpened { auction, locked } => format!("auction {auction} opened, {locked} set aside"),
            Self::BidSealed { auction, bond } => format!("bid on auction {auction} sealed with a bond of {bond}"),
            Self::BidOpened { auction, price } => format!("bid of {price} on auction {auction} opened"),
            Self::ContentRegistered { content, depth } => {
                format!("content {content} registered at level {depth} of its provenance")
            }
            Self::UseBought { content, price, reached } => {
                format!("a use of content {content} paid with {price}, {reached} contents earned by it")
            }
            Self::Anchored { sector, period, words, anchored } => format!(
                "{words} voters of sector {sector} say the same of period {period}{}",
                if *anchored { ", which anchors it" } else { "" }
            ),
            Self::AccountKeysRotated { account, threshold, keys } => {
                format!("{threshold} of {keys} new keys sign for {account} from now on")
            }
            Self::HostKeyRotated { node, key } => format!("node {node} signs with {key} from now on"),
            Self::AgentKeyRotated { agent, key } => format!("agent {agent} signs with {key} from now on"),
            Self::ContentRated { content, stars } => format!("content {content} rated with {stars} of 5"),
            Self::ContributionClaimed { evidence, kind, amount } => {
                format!("{amount} claimed for a contribution of {kind}, {evidence}")
            }
            Self::ContributionAttested { evidence, attestations, paid } => {
                format!("contribution {evidence} attested by {attestations}, {paid} paid")
            }
            _ => self.quota_sentence(),
        }
    }

    fn quota_sentence(&self) -> String {
        match self {
            Self::QuotaOffered { offer, units } => format!("{units} units of quota offered as {offer}"),
            Self::QuotaTaken { offer, units, price, until: None } => {
                format!("{units} units of quota bought for {price}, offer {offer}")
            }
            Self::QuotaTaken { offer, units, price, until: Some(until) } => {
                format!("{units} units of quota borrowed until {until} ms for {price}, offer {offer}")
            }
            Self::QuotaWithdrawn { offer, units } => format!("offer {offer} of {units} units of quota called off"),
            Self::QuotaReserved { escrow, units, free } => {
                format!("{units} units of quota set aside for escrow {escrow}, {free} still free")
            }
            Self::QuotaDrawn { escrow, units, tasks, until } => {
                format!("{units} units of quota of {tasks} less urgent tasks lent to escrow {escrow} until {until} ms")
            }
            _ => self.order_sentence(),
        }
    }

    fn order_sentence(&self) -> String {
        match self {
            Self::Listed { listing, price, until } => format!("listing {listing} stands at {price} until {until} ms"),
            Self::ListingWithdrawn { listing, open_orders } => {
                format!("listing {listing} withdrawn, {open_orders} orders of it go on")
            }
            Self::ListingReviewed { listing, words, safety } => {
                format!("listing {listing} counts as {safety}, {words} reviewers said the same as this one")
            }
            Self::Ordered { order, listing, seller, locked } => {
                format!("{locked} locked in escrow {order} for listing {listing} of {seller}")
            }
            Self::DeliveryAccepted { order, price, fee } => {
                format!("delivery of order {order} accepted, {price} paid, {fee} of it to the market")
            }
            Self::OrderRated { order, seller, stars } => {
                format!("order {order} of {seller} rated with {stars} of 5")
            }
            Self::RoyaltiesCollected { content, amount, uses, reached } => {
                format!(
                    "{amount} of royalties that {uses} parts of tasks paid for content {content} went to {reached} contents"
                )
            }
            Self::HardwareDeclared { node, embodied_g } => {
                format!("node {node} runs on a machine that cost {embodied_g} g of CO2e to make")
            }
            _ => String::new(),
        }
    }

    /// Names of what it made, for whoever refers to it next.
    #[must_use]
    pub fn created(&self) -> Vec<String> {
        match self {
            Self::EscrowOpened { escrow, .. } => vec![escrow.to_string()],
            Self::Proposed { proposal, .. } => vec![proposal.to_string()],
            Self::HostRegistered { node, .. } => vec![node.to_string()],
            Self::Scheduled { schedule, .. } => vec![schedule.to_string()],
            Self::AuctionOpened { auction, .. } => vec![auction.to_string()],
            Self::QuotaOffered { offer, .. } => vec![offer.to_string()],
            Self::Listed { listing, .. } => vec![listing.to_string()],
            Self::Ordered { order, .. } => vec![order.to_string()],
            _ => Vec::new(),
        }
    }
}

impl Price {
    /// What not every part pays, each with a comma behind it.
    fn extras(&self) -> String {
        let extras =
            [("to the market", self.fee), ("withheld for credits", self.withheld), ("of royalty", self.royalty)];
        let paid = extras.into_iter().filter(|(_, amount)| !amount.is_zero());
        paid.map(|(what, amount)| format!("{amount} {what}, ")).collect()
    }
}

impl ProposalKind {
    /// What it would do, a line each; beside what is in force, where that is still to change.
    #[must_use]
    pub fn sentences(&self, in_force: Option<&Parameters>) -> Vec<String> {
        match self {
            Self::Parameter(changes) => changes
                .iter()
                .map(|change| match in_force {
                    Some(now) => format!("{}: {} -> {}", change.parameter, now.get(change.parameter), change.value),
                    None => format!("{} = {}", change.parameter, change.value),
                })
                .collect(),
            Self::Office(change) if change.appointed => vec![format!("{} becomes {}", change.account, change.office)],
            Self::Office(change) => vec![format!("{} is {} no longer", change.account, change.office)],
            Self::CreditImport(import) => {
                vec![format!("{} ug of carbon credits to {}, from {}", import.amount_ug, import.to, import.source)]
            }
            Self::Seat(SeatChange { node, key: Some(key) }) => {
                vec![format!("node {node} becomes a validator, with key {key}")]
            }
            Self::Seat(SeatChange { node, key: None }) => vec![format!("node {node} is a validator no longer")],
        }
    }
}
