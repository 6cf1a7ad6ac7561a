//! Names of Raft groups and of their members.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A node's id on the ledger, as Raft sees it. Never reused.
pub type MemberId = u64;

/// The random id of a data directory, registered on the ledger: the only way to notice a wiped disk under an old name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StoreId(pub [u8; 32]);

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreId({self})")
    }
}

/// What a group orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum GroupKind {
    /// Blocks of the ledger; voters are the validators.
    Global,
    /// The registry of one sector.
    Sector,
}

/// Identity of a Raft group. Another epoch or round is another group, with a log of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GroupId {
    /// What it orders.
    pub kind: GroupKind,
    /// The sector; 0 in the global group.
    pub sector: u32,
    /// Validator set or voter set.
    pub epoch: u32,
    /// Restart within the epoch.
    pub round: u32,
}

impl GroupId {
    /// Bytes of [`Self::key`].
    pub const KEY_BYTES: usize = 13;

    /// The global group.
    #[must_use]
    pub const fn global(epoch: u32, round: u32) -> Self {
        Self { kind: GroupKind::Global, sector: 0, epoch, round }
    }

    /// The group of a sector.
    #[must_use]
    pub const fn sector(sector: u32, epoch: u32, round: u32) -> Self {
        Self { kind: GroupKind::Sector, sector, epoch, round }
    }

    /// Fixed-width big-endian form: the prefix of the group's keys, and its name on the wire.
    #[must_use]
    pub fn key(&self) -> [u8; Self::KEY_BYTES] {
        let mut key = [0; Self::KEY_BYTES];
        key[0] = match self.kind {
            GroupKind::Global => 0,
            GroupKind::Sector => 1,
        };
        key[1..5].copy_from_slice(&self.sector.to_be_bytes());
        key[5..9].copy_from_slice(&self.epoch.to_be_bytes());
        key[9..].copy_from_slice(&self.round.to_be_bytes());
        key
    }

    /// Reads [`Self::key`]; `None` unless the bytes are exactly what it writes.
    #[must_use]
    pub fn from_key(key: &[u8]) -> Option<Self> {
        let key: &[u8; Self::KEY_BYTES] = key.try_into().ok()?;
        let number = |at: usize| key[at..at + 4].iter().fold(0_u32, |n, byte| (n << 8) | u32::from(*byte));
        let kind = match key[0] {
            0 => GroupKind::Global,
            1 => GroupKind::Sector,
            _ => return None,
        };
        let id = Self { kind, sector: number(1), epoch: number(5), round: number(9) };
        (id.key() == *key && (kind == GroupKind::Sector || id.sector == 0)).then_some(id)
    }
}

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            GroupKind::Global => write!(f, "global")?,
            GroupKind::Sector => write!(f, "sector-{}", self.sector)?,
        }
        write!(f, ".e{}.r{}", self.epoch, self.round)
    }
}

/// Text that does not name a group.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is no group; expected \"global.e0.r0\" or \"sector-3.e0.r0\"")]
pub struct GroupIdError {
    /// What was given.
    pub text: String,
}

impl FromStr for GroupId {
    type Err = GroupIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = || {
            let mut parts = text.split('.');
            let name = parts.next()?;
            let epoch = parts.next()?.strip_prefix('e')?.parse().ok()?;
            let round = parts.next()?.strip_prefix('r')?.parse().ok()?;
            let id = match name.strip_prefix("sector-") {
                Some(sector) => Self::sector(sector.parse().ok()?, epoch, round),
                None if name == "global" => Self::global(epoch, round),
                None => return None,
            };
            // Only what Display writes: no "+3", no leading zeros, nothing after the round.
            (id.to_string() == text).then_some(id)
        };
        read().ok_or_else(|| GroupIdError { text: text.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_stable() {
        assert_eq!(GroupId::global(0, 0).to_string(), "global.e0.r0");
        assert_eq!(GroupId::sector(3, 1, 2).to_string(), "sector-3.e1.r2");
        assert_eq!(GroupId::sector(1, 2, 3).key(), [1, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3]);
        for wrong in ["", "global", "sector-.e0.r0", "sector-+3.e0.r0", "global.e0.r0.x", "global.e00.r0"] {
            assert!(wrong.parse::<GroupId>().is_err(), "{wrong}");
        }
        let mut forged = GroupId::global(0, 0).key();
        forged[4] = 1;
        assert_eq!(GroupId::from_key(&forged), None);
    }

    proptest! {
        #[test]
        fn names_and_keys_round_trip(global: bool, sector: u32, epoch: u32, round: u32) {
            let id = if global { GroupId::global(epoch, round) } else { GroupId::sector(sector, epoch, round) };
            prop_assert_eq!(id.to_string().parse::<GroupId>(), Ok(id));
            prop_assert_eq!(GroupId::from_key(&id.key()), Some(id));
        }
    }
}
