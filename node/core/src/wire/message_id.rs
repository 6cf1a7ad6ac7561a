//! Ids of mesh messages.

use borsh::{BorshDeserialize, BorshSerialize};
use mesh30k_ledger::types::NodeId;
use serde::{Serialize, Serializer};
use std::fmt;

/// Bits of the id that count messages of one node.
const COUNTER_BITS: u32 = 32;
/// Bits of the id that name the node; ledger node ids are sequence numbers and stay far below 2^48.
const NODE_BITS: u32 = 48;

/// Id of a message: unix milliseconds (48 bits), node (48 bits), counter (32 bits), so that ids sort by time.
///
/// 32 hexadecimal digits in text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct MessageId(pub u128);

impl MessageId {
    /// Joins the three parts; each is cut to its bits.
    #[must_use]
    pub fn from_parts(unix_ms: u64, node: NodeId, counter: u32) -> Self {
        let node = u128::from(node.0 & ((1 << NODE_BITS) - 1));
        let high = u128::from(unix_ms) << (NODE_BITS + COUNTER_BITS);
        Self(high | (node << COUNTER_BITS) | u128::from(counter))
    }

    /// When the id was made, in unix milliseconds by its maker's clock.
    #[must_use]
    pub const fn unix_ms(self) -> u64 {
        (self.0 >> (NODE_BITS + COUNTER_BITS)) as u64
    }

    /// The node that made the id.
    #[must_use]
    pub const fn node(self) -> NodeId {
        NodeId((self.0 >> COUNTER_BITS) as u64 & ((1 << NODE_BITS) - 1))
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl Serialize for MessageId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Makes the ids of one node, rising even when the clock stands still or steps back.
#[derive(Clone, Debug)]
pub struct MessageIdSource {
    node: NodeId,
    last_ms: u64,
    counter: u32,
}

impl MessageIdSource {
    /// A source for `node`. Start `counter` at a random number, so that a restart, or two nodes that have no id
    /// yet and use 0, do not repeat ids within a millisecond.
    #[must_use]
    pub const fn new(node: NodeId, counter: u32) -> Self {
        Self { node, last_ms: 0, counter }
    }

    /// The next id.
    pub fn next_id(&mut self, now_ms: u64) -> MessageId {
        self.last_ms = self.last_ms.max(now_ms);
        self.counter = match self.counter.checked_add(1) {
            Some(counter) => counter,
            None => {
                self.last_ms = self.last_ms.saturating_add(1);
                0
            }
        };
        MessageId::from_parts(self.last_ms, self.node, self.counter)
    }
}
