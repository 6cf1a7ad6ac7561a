//! Whether a history of one account is linearizable: the algorithm of Wing and Gong with Lowe's memory.
//!
//! The account is a register that holds the number of its next transaction. A payment with number n is a compare-and-set from
//! n to n + 1; a look at the account reads it. Some order of the operations, each between its call and its answer, must
//! explain every answer.

use std::collections::BTreeSet;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Took the number: the payment with it is this one.
    Took(u64),
    /// Did not take the number: another payment has it.
    Lost(u64),
    /// Saw this next number.
    Saw(u64),
}

/// One operation. `end` is `u64::MAX` while nobody knows.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    pub start: u64,
    pub end: u64,
    pub op: Op,
}

impl Op {
    fn apply(self, value: u64) -> Option<u64> {
        match self {
            Self::Took(n) if n == value => Some(n + 1),
            Self::Lost(n) if value > n => Some(value),
            Self::Saw(n) if n == value => Some(value),
            _ => None,
        }
    }
}

/// Whether some order explains the history, beginning with the value 0.
pub fn is_linearizable(history: &[Call]) -> bool {
    let mut calls = history.to_vec();
    calls.sort_by_key(|call| (call.start, call.end));
    let all = calls.len();
    let mut seen = BTreeSet::new();
    let mut open = vec![(Done::default(), 0_u64)];
    while let Some((done, value)) = open.pop() {
        if done.first == all {
            return true;
        }
        // Whatever has not ended before the earliest unanswered end may be next.
        let pending = (done.first..all).filter(|index| !done.has(*index));
        let deadline = pending.clone().map(|index| calls[index].end).min().unwrap_or(u64::MAX);
        for index in pending.take_while(|index| calls[*index].start <= deadline) {
            if let Some(after) = calls[index].op.apply(value) {
                let next = (done.with(index), after);
                if seen.insert(next.clone()) {
                    open.push(next);
                }
            }
        }
    }
    all == 0
}

/// Which calls are in the order already: all below `first`, and these.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Done {
    first: usize,
    beyond: Vec<usize>,
}

impl Done {
    fn has(&self, index: usize) -> bool {
        index < self.first || self.beyond.contains(&index)
    }

    fn with(&self, index: usize) -> Self {
        let mut next = self.clone();
        next.beyond.push(index);
        next.beyond.sort_unstable();
        while next.beyond.first() == Some(&next.first) {
            next.beyond.remove(0);
            next.first += 1;
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(start: u64, end: u64, op: Op) -> Call {
        Call { start, end, op }
    }

    #[test]
    fn orders_are_found_and_stale_looks_are_not_explained() {
        let took = call(1, 5, Op::Took(0));
        assert!(is_linearizable(&[]));
        assert!(is_linearizable(&[took, call(2, 3, Op::Saw(0)), call(2, 4, Op::Saw(1)), call(6, 7, Op::Saw(1))]));
        assert!(!is_linearizable(&[took, call(6, 7, Op::Saw(0))]), "a look after the answer that does not see it");
        assert!(!is_linearizable(&[took, call(2, 3, Op::Saw(1)), call(4, 5, Op::Saw(0))]), "time does not run back");
        assert!(!is_linearizable(&[took, call(7, 8, Op::Took(0))]), "one number, two payments");
        assert!(is_linearizable(&[took, call(2, 9, Op::Lost(0))]));
        assert!(!is_linearizable(&[call(1, 2, Op::Lost(0))]), "lost against nobody");
        assert!(is_linearizable(&[call(1, u64::MAX, Op::Took(0)), call(9, 10, Op::Saw(1))]));
    }
}
