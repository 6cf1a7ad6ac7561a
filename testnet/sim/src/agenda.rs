//! What happens next: a heap by time, then by the order of planning.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

/// Times and tickets; what they stand for is kept aside, since it need not be ordered.
#[derive(Debug)]
pub(crate) struct Agenda<T> {
    heap: BinaryHeap<Reverse<(i64, u64)>>,
    items: BTreeMap<u64, T>,
    next: u64,
}

impl<T> Agenda<T> {
    pub(crate) fn new() -> Self {
        Self { heap: BinaryHeap::new(), items: BTreeMap::new(), next: 0 }
    }

    pub(crate) fn push(&mut self, at_us: i64, item: T) {
        self.heap.push(Reverse((at_us, self.next)));
        self.items.insert(self.next, item);
        self.next += 1;
    }

    pub(crate) fn pop(&mut self, until_us: i64) -> Option<(i64, T)> {
        let Reverse((at_us, ticket)) = *self.heap.peek()?;
        if at_us > until_us {
            return None;
        }
        self.heap.pop();
        self.items.remove(&ticket).map(|item| (at_us, item))
    }
}
