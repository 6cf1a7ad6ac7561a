//! Instants and spans of the mesh, in microseconds.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

/// An instant on some clock, in microseconds since the Unix epoch.
///
/// Which clock it was read on (mesh, this node's, an agent's virtual one) is said by the name of whatever holds it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, BorshSerialize, BorshDeserialize,
)]
#[serde(transparent)]
pub struct TimeUs(pub i64);

impl TimeUs {
    /// This instant moved by `span_us`; saturates at the ends of the range.
    #[must_use]
    pub const fn plus_us(self, span_us: i64) -> Self {
        Self(self.0.saturating_add(span_us))
    }

    /// Microseconds from `earlier` to this instant; negative when `earlier` is later; saturates.
    #[must_use]
    pub const fn since_us(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}
