//! What happens by itself because its time has come.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::codec::encode;
use crate::pricing::Price;
use crate::records::ProposalStatus;
use crate::types::{AccountId, EscrowId, Hash, ProposalId, Scope, Uftns};

/// What happened by itself in a block because its time had come.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DueEvent {
    /// A proposal moved on.
    Proposal {
        /// Which.
        proposal: ProposalId,
        /// To where.
        status: ProposalStatus,
    },
    /// An escrow's rest went back.
    EscrowRefunded {
        /// Which.
        escrow: EscrowId,
        /// To its opener.
        opener: AccountId,
        /// How much.
        amount: Uftns,
    },
    /// A freeze ended.
    FreezeEnded {
        /// Of what.
        scope: Scope,
    },
    /// A scheduled payment was made.
    SchedulePaid {
        /// Of which schedule.
        schedule: Hash,
        /// To whom.
        to: AccountId,
        /// How much.
        amount: Uftns,
        /// Payments still to come.
        left: u32,
    },
    /// A panel was drawn.
    PanelDrawn {
        /// For which escrow.
        escrow: EscrowId,
        /// Which part.
        part: u32,
        /// Who rules; fewer than three when there are no more reviewers.
        panel: Vec<AccountId>,
    },
    /// A claim that nobody disputed was paid.
    ClaimPaid {
        /// Of which escrow.
        escrow: EscrowId,
        /// Which part.
        part: u32,
        /// To whom.
        worker: AccountId,
        /// How the price came about; nothing when the opener had paid it meanwhile.
        price: Option<Price>,
    },
    /// A disputed claim was not ruled on in time.
    ClaimLapsed {
        /// Of which escrow.
        escrow: EscrowId,
        /// Which part.
        part: u32,
    },
    /// An auction ended.
    AuctionClosed {
        /// Which.
        auction: Hash,
        /// Who works for it, if a bid was fit.
        winner: Option<AccountId>,
        /// At what price.
        price: Uftns,
    },
    /// A quarter ended.
    QuarterEnded {
        /// Which.
        quarter: u32,
        /// What its holders are paid, each when something touches it next.
        pool: Uftns,
    },
    /// Nobody came for the rest of a dividend; it went to the treasury.
    DividendLapsed {
        /// Of which quarter.
        quarter: u32,
        /// How much.
        amount: Uftns,
    },
    /// An account that was touched got what ended quarters owed it.
    DividendPaid {
        /// Which.
        account: AccountId,
        /// How much, of all of them.
        amount: Uftns,
    },
    /// Bonded money came free.
    Unbonded {
        /// Whose.
        account: AccountId,
        /// How much.
        amount: Uftns,
    },
    /// Lent quota went back.
    QuotaReturned {
        /// Which offer it was.
        offer: Hash,
        /// Whose it is.
        owner: AccountId,
        /// Who had it.
        borrower: AccountId,
        /// Units a period.
        units: u64,
    },
    /// What an emergency took for a task went back.
    QuotaDrawEnded {
        /// Which task.
        escrow: EscrowId,
        /// Units.
        units: u64,
        /// To so many others.
        tasks: u64,
    },
    /// A listing takes no more orders.
    ListingEnded {
        /// Which.
        listing: Hash,
        /// Whose.
        seller: AccountId,
    },
}

impl DueEvent {
    /// The leaf that stands for it in the outcomes root.
    #[must_use]
    pub fn leaf(&self) -> Hash {
        Hash::derive("mesh30k due leaf v1", &[&encode(self)])
    }
}
