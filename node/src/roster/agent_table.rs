//! Agents by number, in blocks that one reading of the roster shares with the next: after a registration only the blocks
//! it touched are new.

use std::sync::Arc;

use mesh30k_ledger::records::AgentRecord;
use mesh30k_ledger::types::AgentId;

/// Agents of a block; one that grew to twice as many is cut in two.
const BLOCK: usize = 512;

/// All agents, in rising order of their numbers. A clone shares its blocks.
#[derive(Clone, Debug, Default)]
pub struct AgentTable {
    /// None is empty, and each begins after the end of the one before.
    blocks: Vec<Arc<Vec<AgentRecord>>>,
}

impl AgentTable {
    /// The record of an agent.
    #[must_use]
    pub fn get(&self, agent: &AgentId) -> Option<&AgentRecord> {
        let block = self.blocks.get(self.block_of(*agent))?;
        let at = block.binary_search_by_key(agent, |record| record.id).ok()?;
        block.get(at)
    }

    /// All records, in rising order.
    pub fn values(&self) -> impl Iterator<Item = &AgentRecord> {
        self.blocks.iter().flat_map(|block| block.iter())
    }

    /// Puts a record in its place, instead of the one that is there.
    pub fn insert(&mut self, record: AgentRecord) {
        let at = self.block_of(record.id);
        let Some(block) = self.blocks.get_mut(at) else {
            self.blocks.push(Arc::new(vec![record]));
            return;
        };
        let records = Arc::make_mut(block);
        match records.binary_search_by_key(&record.id, |known| known.id) {
            Ok(at) => {
                if let Some(known) = records.get_mut(at) {
                    *known = record;
                }
            }
            // Numbers are given in rising order: nearly every new agent comes last.
            Err(place) if place == records.len() && place >= BLOCK => {
                self.blocks.insert(at.saturating_add(1), Arc::new(vec![record]));
            }
            Err(place) => {
                records.insert(place, record);
                if records.len() >= BLOCK.saturating_mul(2) {
                    let second = records.split_off(BLOCK);
                    self.blocks.insert(at.saturating_add(1), Arc::new(second));
                }
            }
        }
    }

    /// The block that holds an agent, or would.
    fn block_of(&self, agent: AgentId) -> usize {
        let begins_by = |block: &Arc<Vec<AgentRecord>>| block.first().is_some_and(|first| first.id <= agent);
        self.blocks.partition_point(begins_by).saturating_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use mesh30k_ledger::keys::PublicKey;
    use mesh30k_ledger::ops::Capabilities;
    use mesh30k_ledger::types::{AgentClass, ClusterId, NodeId, SectorId};
    use proptest::prelude::*;

    use super::*;

    fn record(id: u64, node: u64) -> AgentRecord {
        AgentRecord {
            id: AgentId(id),
            key: PublicKey([0; 32]),
            class: AgentClass::A,
            capabilities: Capabilities::SENSE,
            node: NodeId(node),
            cluster: ClusterId { sector: SectorId(0), index: 0 },
        }
    }

    proptest! {
        #[test]
        fn it_is_a_sorted_map(inserts in prop::collection::vec((0..4_000_u64, 0..3_u64), 0..400), from in 0..2_000_u64) {
            let (mut table, mut map) = (AgentTable::default(), BTreeMap::new());
            // First in rising order, as the ledger gives numbers, then anywhere.
            let rising = (from..from + 1_300).map(|id| (id, 9));
            for (id, node) in rising.chain(inserts) {
                table.insert(record(id, node));
                map.insert(id, node);
            }
            let shown: Vec<(u64, u64)> = table.values().map(|record| (record.id.0, record.node.0)).collect();
            prop_assert_eq!(shown, map.iter().map(|(id, node)| (*id, *node)).collect::<Vec<_>>());
            for id in 0..4_000 {
                prop_assert_eq!(table.get(&AgentId(id)).map(|record| record.node.0), map.get(&id).copied());
            }
        }
    }

    #[test]
    fn a_clone_is_not_changed_and_shares_what_did_not_change() {
        let mut table = AgentTable::default();
        (0..3_000).for_each(|id| table.insert(record(id, 1)));
        let before = table.clone();
        table.insert(record(3_000, 2));
        table.insert(record(10, 2));
        assert_eq!((before.values().count(), table.values().count()), (3_000, 3_001));
        assert_eq!(before.get(&AgentId(10)).unwrap().node, NodeId(1));
        let shared = before.blocks.iter().zip(&table.blocks).filter(|(old, new)| Arc::ptr_eq(old, new)).count();
        assert_eq!(shared, before.blocks.len() - 2);
    }
}
