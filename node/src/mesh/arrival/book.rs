//! A bounded memory that forgets the oldest first.

use std::collections::{BTreeMap, VecDeque};

/// At most `capacity` values by key.
#[derive(Clone, Debug)]
pub(super) struct Book<K, V> {
    capacity: usize,
    values: BTreeMap<K, V>,
    order: VecDeque<K>,
}

impl<K: Ord + Copy, V> Book<K, V> {
    pub(super) const fn new(capacity: usize) -> Self {
        Self { capacity, values: BTreeMap::new(), order: VecDeque::new() }
    }

    /// Remembers a value, unless there is one already.
    pub(super) fn insert_first(&mut self, key: K, value: V) {
        if self.values.contains_key(&key) {
            return;
        }
        if self.order.len() >= self.capacity
            && let Some(oldest) = self.order.pop_front()
        {
            self.values.remove(&oldest);
        }
        self.order.push_back(key);
        self.values.insert(key, value);
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.values.get(key)
    }

    pub(super) fn clear(&mut self) {
        self.values.clear();
        self.order.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_value_stays_until_it_is_the_oldest() {
        let mut book = Book::new(2);
        book.insert_first(1, "a");
        book.insert_first(1, "b");
        assert_eq!(book.get(&1), Some(&"a"));
        book.insert_first(2, "c");
        book.insert_first(3, "d");
        assert_eq!((book.get(&1), book.get(&3)), (None, Some(&"d")));
        book.clear();
        assert_eq!(book.get(&3), None);
    }
}
