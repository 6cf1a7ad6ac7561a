//! Proposals.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use super::{Call, within};
use crate::execute::{Stop, Working};
use crate::governance;
use crate::keys::PublicKey;
use crate::outcome::Effect;
use crate::parameters::Parameter;
use crate::records::Office;
use crate::types::{AccountId, NodeId};

/// Parameters changed by one proposal, at most.
pub const MAX_CHANGES: usize = 16;
/// Bytes of a title, at most.
pub const MAX_TITLE_BYTES: usize = 200;

/// Opens a vote; its deposit comes back unless it is vetoed.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Propose {
    /// What the proposal is called, at most [`MAX_TITLE_BYTES`].
    pub title: String,
    /// What it does by itself when it passes.
    pub kind: ProposalKind,
}

/// Kinds of proposals; variants are only ever appended.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProposalKind {
    /// Sets parameters: 1 to [`MAX_CHANGES`], each once.
    Parameter(Vec<ParameterChange>),
    /// Begins a term in an office, or ends it.
    Office(OfficeChange),
    /// Imports carbon credits from a registry outside.
    CreditImport(CreditImport),
    /// Gives a seat among the validators, or takes it; needs two thirds of yes.
    Seat(SeatChange),
}

/// Who is to validate, or no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct SeatChange {
    /// Which node.
    pub node: NodeId,
    /// The key its headers and votes are signed with from then on; `None` takes the seat.
    pub key: Option<PublicKey>,
}

/// Who is to hold an office, or no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct OfficeChange {
    /// Which.
    pub office: Office,
    /// Who.
    pub account: AccountId,
    /// A new term of 90 days; otherwise the present one ends.
    pub appointed: bool,
}

/// Credits that another registry has retired in favour of this ledger.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct CreditImport {
    /// Who receives them.
    pub to: AccountId,
    /// Micrograms of CO2e, 1 to [`super::MAX_SAVING_UG`].
    pub amount_ug: u64,
    /// Registry and serial numbers, 1 to [`MAX_TITLE_BYTES`].
    pub source: String,
}

/// One parameter's new value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct ParameterChange {
    /// Which.
    pub parameter: Parameter,
    /// Within its bounds.
    pub value: u64,
}

impl Propose {
    pub(crate) fn apply(&self, working: &mut Working<'_>, call: &Call<'_>) -> Result<Effect, Stop> {
        within("title (bytes)", self.title.len() as u64, 1, MAX_TITLE_BYTES as u64)?;
        self.kind.check()?;
        governance::open(working, call.account, self)
    }
}
