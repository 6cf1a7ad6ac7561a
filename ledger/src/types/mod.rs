//! The words everything else is said in: identifiers, amounts, places.

mod account_id;
mod amount;
mod chain_id;
mod class;
mod hash;
mod ids;
mod region;
mod scope;

pub use account_id::{AccountId, AddressError};
pub use amount::{AmountError, DecimalError, Uftns, decimal};
pub use chain_id::{ChainId, ChainIdError};
pub use class::{AgentClass, ClassError};
pub use hash::{Hash, HexError};
pub(crate) use hash::{HashContext, PurposeHasher, parse_hex};
pub use ids::{AgentId, ClusterId, Epoch, Height, IdError, NodeId, ProposalId, Round, SectorId, TimeMs};
pub use region::{Region, RegionError};
pub use scope::{Scope, ScopeError};

/// A transaction is named by the hash of its unsigned canonical body.
pub type TxId = Hash;
/// A block is named by the hash of its header.
pub type BlockId = Hash;
/// An escrow is named by the transaction that opened it, so that its opener knows the name beforehand.
pub type EscrowId = Hash;

/// Serialises through `Display` and `FromStr`: the same text in JSON, on the command line and in logs.
macro_rules! serde_as_text {
    ($name:ty) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str> as serde::Deserialize<'de>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use serde_as_text;
