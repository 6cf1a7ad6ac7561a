//! The middle of several runs.

/// The middle figure; of an even number the mean of the two in the middle. None of nothing. An infinite figure stands for
/// one that could not be given; when the middle is one, there is no median.
#[must_use]
pub fn median(figures: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut figures: Vec<f64> = figures.into_iter().collect();
    figures.sort_unstable_by(f64::total_cmp);
    let upper = figures.get(figures.len() / 2)?;
    let lower = figures.get((figures.len() - 1) / 2)?;
    let middle = if upper == lower { *upper } else { f64::midpoint(*lower, *upper) };
    middle.is_finite().then_some(middle)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_could_not_be_given_counts_as_the_worst() {
        assert_eq!(median([]), None);
        assert_eq!(median([3.0, f64::INFINITY, 1.0]), Some(3.0));
        assert_eq!(median([3.0, f64::INFINITY, f64::INFINITY]), None);
        assert_eq!(median([4.0, 1.0]), Some(2.5));
    }

    proptest! {
        #[test]
        fn half_are_not_above_and_half_not_below(mut figures in prop::collection::vec(-1e9_f64..1e9, 1..40), turn in 0_usize..40) {
            let middle = median(figures.iter().copied()).unwrap();
            let below = figures.iter().filter(|figure| **figure <= middle).count();
            let above = figures.iter().filter(|figure| **figure >= middle).count();
            prop_assert!(below * 2 >= figures.len() && above * 2 >= figures.len());
            let len = figures.len();
            figures.rotate_left(turn % len);
            prop_assert_eq!(median(figures.iter().copied()), Some(middle));
            if len % 2 == 1 {
                prop_assert!(figures.contains(&middle));
            }
        }
    }
}
