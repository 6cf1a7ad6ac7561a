//! Parts that are done: a repeated request gets the first receipt again.

use std::collections::{BTreeMap, VecDeque};

use mesh30k_ledger::ops::TaskReceipt;
use mesh30k_ledger::types::EscrowId;

use super::wire::WorkId;

/// Receipts kept, at most.
const RECEIPTS_MAX: usize = 4_096;
/// Bytes of outputs kept with them, at most.
const OUTPUT_BYTES_MAX: usize = 16 << 20;

/// A part that is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DonePart {
    pub(super) receipt: TaskReceipt,
    pub(super) output: Vec<u8>,
}

/// The last parts done, oldest forgotten first.
#[derive(Debug, Default)]
pub(super) struct ReceiptBook {
    done: BTreeMap<WorkId, DonePart>,
    order: VecDeque<WorkId>,
    output_bytes: usize,
}

impl ReceiptBook {
    /// The receipt of this work, if it is remembered.
    pub(super) fn get(&self, work: &WorkId) -> Option<&DonePart> {
        self.done.get(work)
    }

    /// Remembers a part; the first receipt stays.
    pub(super) fn insert(&mut self, work: WorkId, part: DonePart) {
        if self.done.contains_key(&work) {
            return;
        }
        self.output_bytes = self.output_bytes.saturating_add(part.output.len());
        self.done.insert(work, part);
        self.order.push_back(work);
        while self.order.len() > RECEIPTS_MAX || self.output_bytes > OUTPUT_BYTES_MAX {
            let Some(oldest) = self.order.pop_front() else { break };
            if let Some(forgotten) = self.done.remove(&oldest) {
                self.output_bytes = self.output_bytes.saturating_sub(forgotten.output.len());
            }
        }
    }

    /// The receipts of an escrow's parts that are remembered, in rising order of part.
    pub(super) fn receipts_of(&self, escrow: &EscrowId) -> Vec<TaskReceipt> {
        let done = self.done.iter().filter(|(work, _)| work.escrow == *escrow);
        done.map(|(_, part)| part.receipt).collect()
    }

    /// The parts of an escrow that are remembered, in rising order, each once.
    pub(super) fn parts_of(&self, escrow: &EscrowId) -> Vec<u32> {
        let mut parts: Vec<u32> =
            self.done.keys().filter(|work| work.escrow == *escrow).map(|work| work.part).collect();
        parts.dedup();
        parts
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use mesh30k_ledger::keys::Signature;
    use mesh30k_ledger::ops::{EnergyMethod, TaskReport};
    use mesh30k_ledger::types::{AgentId, Hash, NodeId};

    pub(in super::super) fn receipt(part: u32) -> TaskReceipt {
        let report = TaskReport {
            task: Hash([1; 32]),
            part,
            module: Hash([2; 32]),
            input: Hash([3; 32]),
            output: Hash([4; 32]),
            exit_code: 0,
            fuel: 10,
            wall_us: 20,
            peak_memory_bytes: 30,
            energy_mj: 1,
            energy_method: EnergyMethod::ClassDefault,
            intensity_mg_per_kwh: 400_000,
            renewable_ppm: 0,
            carbon_ug: 1,
            host: NodeId(4),
            agent: AgentId(5),
        };
        TaskReceipt { report, host_signature: Signature([5; 64]), agent_signature: Signature([6; 64]) }
    }

    fn work(part: u32) -> WorkId {
        WorkId { escrow: Hash([9; 32]), part, input: Hash([3; 32]) }
    }

    fn done(part: u32, bytes: usize) -> DonePart {
        DonePart { receipt: receipt(part), output: vec![0; bytes] }
    }

    #[test]
    fn the_first_receipt_is_the_one_that_counts() {
        let mut book = ReceiptBook::default();
        book.insert(work(1), done(1, 3));
        book.insert(work(1), done(2, 5));
        assert_eq!(book.get(&work(1)), Some(&done(1, 3)));
        assert_eq!(book.output_bytes, 3);
    }

    #[test]
    fn what_is_kept_is_bounded_by_number_and_by_bytes() {
        let mut book = ReceiptBook::default();
        for part in 0..u32::try_from(RECEIPTS_MAX).unwrap() + 10 {
            book.insert(work(part), done(part, 1));
        }
        assert_eq!((book.done.len(), book.output_bytes), (RECEIPTS_MAX, RECEIPTS_MAX));
        assert!(book.get(&work(9)).is_none() && book.get(&work(10)).is_some());
        for part in 10_000..10_020 {
            book.insert(work(part), done(part, 1 << 20));
        }
        assert!(book.output_bytes <= OUTPUT_BYTES_MAX);
        assert!(book.get(&work(10_019)).is_some());
        assert_eq!(book.parts_of(&Hash([9; 32])).len(), 16);
        assert_eq!(book.receipts_of(&Hash([9; 32])).first(), Some(&receipt(10_004)));
        assert!(book.receipts_of(&Hash([8; 32])).is_empty());
    }
}
