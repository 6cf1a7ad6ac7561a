//! Anchoring a sector's registry and logs.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use super::{Call, within};
use crate::execute::{Stop, Working};
use crate::outcome::Effect;
use crate::records::{AnchorHeads, AnchorRecord, SectorRecord};
use crate::rejection::Rejection;
use crate::state::keyspace;
use crate::types::{NodeId, Scope, SectorId};
use crate::unit_price::period_of;

/// A voter's word on its sector in a period. More than half of the sector's voters alike anchor it for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Anchor {
    /// Which sector.
    pub sector: SectorId,
    /// The running period or the one before, counted in days of block time from 1970.
    pub period: u64,
    /// What its registry and logs were.
    pub heads: AnchorHeads,
}

impl Anchor {
    pub(crate) fn apply(&self, working: &mut Working<'_>, call: &Call<'_>) -> Result<Effect, Stop> {
        let now = period_of(working.now);
        within("period", self.period, now.saturating_sub(1), now)?;
        let unknown = Rejection::UnknownScope(Scope::Sector(self.sector));
        let sector: SectorRecord = working.read(&keyspace::sector(self.sector))?.ok_or(unknown)?;
        let node: NodeId =
            working.read(&keyspace::node_of_account(&call.account))?.ok_or(Rejection::NodeMissing(call.account))?;
        if !sector.voters.contains(&node) {
            return Err(Rejection::NotVoter { node, sector: self.sector }.into());
        }
        let key = keyspace::anchor(self.period, self.sector);
        let mut record: AnchorRecord = working.read(&key)?.unwrap_or_default();
        // Whoever says two things of one period is not believed twice.
        if record.words.contains_key(&node) {
            return Err(Rejection::AlreadyDone("this node anchored the period".into()).into());
        }
        record.words.insert(node, self.heads);
        let alike = record.words.values().filter(|heads| **heads == self.heads).count();
        if record.anchored.is_none() && alike.saturating_mul(2) > sector.voters.len() {
            record.anchored = Some(self.heads);
        }
        working.write(key, &record);
        Ok(Effect::Anchored {
            sector: self.sector,
            period: self.period,
            words: alike as u64,
            anchored: record.anchored == Some(self.heads),
        })
    }
}
