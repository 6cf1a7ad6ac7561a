//! Who says whether a signature holds.

use crate::key_points::KeyPoints;
use crate::keys::{PublicKey, Signature, verify};
use crate::types::Hash;

/// Verdicts on signatures. An implementation may remember them, so that no signature is checked twice in a process,
/// but must agree with [`crate::keys::verify`].
pub trait SignatureOracle {
    /// Whether a signature over a signing hash holds.
    fn verify(&self, key: &PublicKey, message: &Hash, signature: &Signature) -> bool;

    /// The position of the first that does not hold.
    fn first_invalid(&self, items: &[(PublicKey, Hash, Signature)]) -> Option<usize> {
        items.iter().position(|(key, message, signature)| !self.verify(key, message, signature))
    }
}

/// Checks every signature, many at once where it can, and remembers nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Zip215;

impl SignatureOracle for Zip215 {
    fn verify(&self, key: &PublicKey, message: &Hash, signature: &Signature) -> bool {
        verify(key, message.as_bytes(), signature)
    }

    fn first_invalid(&self, items: &[(PublicKey, Hash, Signature)]) -> Option<usize> {
        KeyPoints::default().first_invalid(items)
    }
}

impl SignatureOracle for KeyPoints {
    fn verify(&self, key: &PublicKey, message: &Hash, signature: &Signature) -> bool {
        verify(key, message.as_bytes(), signature)
    }

    fn first_invalid(&self, items: &[(PublicKey, Hash, Signature)]) -> Option<usize> {
        let batch: Vec<_> = items.iter().map(|(key, message, sig)| (*key, message.0.as_slice(), *sig)).collect();
        first_bad(&batch, |part| self.verify_batch(part))
    }
}

/// The position of the first item that does not hold, where `hold` says whether all of some do. Each question is about half as many as
/// the one before: together they are about no more than twice as many as there are, however many are bad.
fn first_bad<T>(items: &[T], hold: impl Fn(&[T]) -> bool) -> Option<usize> {
    if hold(items) {
        return None;
    }
    // One of `rest` is bad, and none before it.
    let (mut before, mut rest) = (0_usize, items);
    while rest.len() > 1 {
        let (left, right) = rest.split_at_checked(rest.len() >> 1)?;
        if hold(left) {
            (before, rest) = (before.saturating_add(left.len()), right);
        } else {
            rest = left;
        }
    }
    Some(before)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use std::cell::RefCell;

    use super::first_bad;

    /// What it finds, and how many items each question was about.
    fn asked(items: &[bool]) -> (Option<usize>, Vec<usize>) {
        let questions = RefCell::new(Vec::new());
        let found = first_bad(items, |part| {
            questions.borrow_mut().push(part.len());
            part.iter().all(|good| *good)
        });
        (found, questions.into_inner())
    }

    #[test]
    fn one_bad_of_a_thousand_is_found_in_eleven_questions_wherever_it_is() {
        for bad in 0..1_024 {
            let (found, questions) = asked(&std::array::from_fn::<bool, 1_024, _>(|index| index != bad));
            assert_eq!(found, Some(bad));
            assert_eq!(questions, [1_024, 512, 256, 128, 64, 32, 16, 8, 4, 2, 1]);
        }
        let (found, questions) = asked(&[false; 1_024]);
        assert_eq!((found, questions.len(), questions.iter().sum::<usize>()), (Some(0), 11, 2_047));
        assert_eq!(asked(&[true; 1_024]), (None, vec![1_024]));
    }

    proptest! {
        #[test]
        fn the_first_is_found_and_the_work_is_bounded(items in prop::collection::vec(prop::bool::weighted(0.9), 0..300)) {
            let (found, questions) = asked(&items);
            prop_assert_eq!(found, items.iter().position(|good| !good));
            prop_assert!(questions.iter().sum::<usize>() <= 2 * items.len() + 10);
        }
    }
}
