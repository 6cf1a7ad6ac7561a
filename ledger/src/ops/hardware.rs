//! What a node's machine cost to make, as its operator says.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use super::{Call, within};
use crate::execute::{Stop, Working};
use crate::outcome::Effect;
use crate::records::HardwareRecord;
use crate::rejection::Rejection;
use crate::state::keyspace;
use crate::types::NodeId;

/// The most a machine may be said to have cost: a thousand tonnes.
pub const MAX_EMBODIED_G: u64 = 1_000_000_000;
/// The longest it may be said to serve: thirty years.
pub const MAX_LIFESPAN_H: u32 = 30 * 366 * 24;
/// The most tasks it may be said to do at once.
pub const MAX_SLOTS: u32 = 65_536;

/// Declares the machine of the account's node; a later word replaces an earlier one. It is reported and charges nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct DeclareHardware {
    /// What making it, shipping it and taking it apart emit: 1 to [`MAX_EMBODIED_G`] grams of CO2e.
    pub embodied_g: u64,
    /// How long it serves: 1 to [`MAX_LIFESPAN_H`] hours.
    pub lifespan_h: u32,
    /// Tasks it does at once: 1 to [`MAX_SLOTS`].
    pub slots: u32,
}

impl DeclareHardware {
    pub(crate) fn apply(&self, working: &mut Working<'_>, call: &Call<'_>) -> Result<Effect, Stop> {
        within("embodied carbon (g)", self.embodied_g, 1, MAX_EMBODIED_G)?;
        within("lifespan (hours)", u64::from(self.lifespan_h), 1, u64::from(MAX_LIFESPAN_H))?;
        within("slots", u64::from(self.slots), 1, u64::from(MAX_SLOTS))?;
        let node: NodeId =
            working.read(&keyspace::node_of_account(&call.account))?.ok_or(Rejection::NodeMissing(call.account))?;
        let Self { embodied_g, lifespan_h, slots } = *self;
        let record = HardwareRecord { embodied_g, lifespan_h, slots };
        working.write(keyspace::hardware(node), &record);
        Ok(Effect::HardwareDeclared { node, embodied_g })
    }
}
