//! What happens next: a heap of small entries by time, then by the order of planning; what they stand for lies in a slab.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Times and tickets; what they stand for is kept aside, since it need not be ordered and would be costly to move.
#[derive(Debug)]
pub(crate) struct Agenda<T> {
    heap: BinaryHeap<Reverse<(i64, u64, u32)>>,
    items: Vec<Option<T>>,
    free: Vec<u32>,
    next: u64,
}

impl<T> Agenda<T> {
    pub(crate) const fn new() -> Self {
        Self { heap: BinaryHeap::new(), items: Vec::new(), free: Vec::new(), next: 0 }
    }

    pub(crate) fn push(&mut self, at_us: i64, item: T) {
        let slot = match self.free.pop() {
            Some(slot) => {
                self.items[slot as usize] = Some(item);
                slot
            }
            None => {
                self.items.push(Some(item));
                self.items.len() as u32 - 1
            }
        };
        self.heap.push(Reverse((at_us, self.next, slot)));
        self.next += 1;
    }

    /// The next item at or before `until_us`.
    pub(crate) fn pop(&mut self, until_us: i64) -> Option<(i64, T)> {
        let Reverse((at_us, _, slot)) = *self.heap.peek()?;
        if at_us > until_us {
            return None;
        }
        self.heap.pop();
        self.free.push(slot);
        self.items[slot as usize].take().map(|item| (at_us, item))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_come_by_time_and_then_in_the_order_planned() {
        let mut agenda = Agenda::new();
        for (at, item) in [(5, 'c'), (1, 'a'), (5, 'd'), (2, 'b')] {
            agenda.push(at, item);
        }
        assert_eq!(agenda.pop(1), Some((1, 'a')));
        assert_eq!(agenda.pop(1), None);
        agenda.push(5, 'e');
        let rest: String = std::iter::from_fn(|| agenda.pop(9).map(|(_, item)| item)).collect();
        assert_eq!(rest, "bcde");
        assert_eq!(agenda.items.len(), 4);
    }
}
