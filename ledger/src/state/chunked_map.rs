//! An ordered map of numbers in sorted runs. A search looks at few places in memory, and searches after one another need not wait
//! for each other, as they do in a tree of small nodes.

/// Entries of a run, at most; one that would have more is cut in half.
const MAX_RUN: usize = 256;

/// Values by number, in order.
#[derive(Debug, Clone)]
pub(super) struct ChunkedMap<V> {
    /// Where each run begins, the first at 0.
    firsts: Vec<u128>,
    runs: Vec<Run<V>>,
}

/// Numbers and their values, both in order of number; never empty.
#[derive(Debug, Clone)]
pub(super) struct Run<V> {
    numbers: Vec<u128>,
    values: Vec<V>,
}

impl<V> Run<V> {
    /// The value of a number.
    pub(super) fn get(&self, number: u128) -> Option<&V> {
        self.values.get(self.numbers.binary_search(&number).ok()?)
    }

    fn put(&mut self, number: u128, value: V) {
        match self.numbers.binary_search(&number) {
            Ok(place) => self.values.splice(place..=place, [value]).for_each(drop),
            Err(place) => {
                self.numbers.insert(place, number);
                self.values.insert(place, value);
            }
        }
    }

    /// Cuts a run that is too long; gives where its upper half begins, and that half.
    fn cut(&mut self) -> Option<(u128, Self)> {
        if self.numbers.len() <= MAX_RUN {
            return None;
        }
        let middle = self.numbers.len() >> 1;
        let upper = Self { numbers: self.numbers.split_off(middle), values: self.values.split_off(middle) };
        Some((*upper.numbers.first()?, upper))
    }
}

impl<V> Default for ChunkedMap<V> {
    fn default() -> Self {
        Self { firsts: Vec::new(), runs: Vec::new() }
    }
}

impl<V> ChunkedMap<V> {
    fn run_at(&self, number: u128) -> usize {
        self.firsts.partition_point(|first| *first <= number).saturating_sub(1)
    }

    /// The run a number belongs to; none where there is nothing at all.
    pub(super) fn run(&self, number: u128) -> Option<&Run<V>> {
        self.runs.get(self.run_at(number))
    }

    /// The value of a number.
    pub(super) fn get(&self, number: u128) -> Option<&V> {
        self.run(number)?.get(number)
    }

    /// The value of a number, to be changed.
    pub(super) fn get_mut(&mut self, number: u128) -> Option<&mut V> {
        let at = self.run_at(number);
        let run = self.runs.get_mut(at)?;
        run.values.get_mut(run.numbers.binary_search(&number).ok()?)
    }

    /// Gives a number a value.
    pub(super) fn insert(&mut self, number: u128, value: V) {
        let at = self.run_at(number);
        let Some(run) = self.runs.get_mut(at) else {
            self.firsts.push(0);
            self.runs.push(Run { numbers: vec![number], values: vec![value] });
            return;
        };
        run.put(number, value);
        if let Some((first, upper)) = run.cut() {
            let next = at.saturating_add(1);
            self.firsts.insert(next, first);
            self.runs.insert(next, upper);
        }
    }

    /// Takes a number out.
    pub(super) fn remove(&mut self, number: u128) {
        let at = self.run_at(number);
        let Some(run) = self.runs.get_mut(at) else { return };
        let Ok(place) = run.numbers.binary_search(&number) else { return };
        run.numbers.remove(place);
        run.values.remove(place);
        if run.numbers.is_empty() {
            self.runs.remove(at);
            // The run before takes its numbers over; where it was the first, the next one does.
            self.firsts.remove(at.max(1).min(self.runs.len()));
        }
    }

    /// Values from a number on, in order.
    pub(super) fn values_from(&self, number: u128) -> impl Iterator<Item = &V> {
        let runs = self.runs.get(self.run_at(number)..).unwrap_or_default();
        runs.iter().flat_map(move |run| {
            let place = run.numbers.partition_point(|held| *held < number);
            run.values.get(place..).unwrap_or_default()
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Long enough for many runs to be cut, and for some to be emptied again.
        #[test]
        fn it_is_an_ordered_map(steps in proptest::collection::vec((0_u128..3_000, 0_u8..3), 0..6_000), from in 0_u128..3_100) {
            let (mut map, mut model) = (ChunkedMap::default(), BTreeMap::new());
            let emptied = (0..1_000).map(|number| (number, 0));
            for (value, (number, step)) in steps.into_iter().chain(emptied).enumerate() {
                if step == 0 {
                    map.remove(number);
                    model.remove(&number);
                } else {
                    map.insert(number, value);
                    model.insert(number, value);
                }
                prop_assert_eq!(map.get(number), model.get(&number));
            }
            for number in 0..3_000 {
                prop_assert_eq!(map.get(number), model.get(&number));
                prop_assert_eq!(map.get_mut(number), model.get_mut(&number));
            }
            prop_assert!(map.values_from(from).eq(model.range(from..).map(|(_, value)| value)));
            prop_assert!(map.firsts.is_sorted() && map.firsts.len() == map.runs.len());
            prop_assert!(map.firsts.first().is_none_or(|first| *first == 0));
            prop_assert!(map.runs.iter().all(|run| !run.numbers.is_empty() && run.numbers.len() <= MAX_RUN));
        }
    }
}
