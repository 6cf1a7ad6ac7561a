//! Proposals.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use super::{Call, within};
use crate::execute::{Stop, Working};
use crate::governance;
use crate::outcome::Effect;
use crate::parameters::Parameter;

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
