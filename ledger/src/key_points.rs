//! Batches of signatures, verified under keys whose points on the curve are remembered: to find the point of a key is a square root, half
//! of those a batch needs, and the same accounts sign again and again.

use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::{IsIdentity as _, VartimeMultiscalarMul as _};
use sha2::{Digest as _, Sha512};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::keys::{PublicKey, Signature};

/// Keys remembered, at most: some 250 bytes each.
const REMEMBERED_MAX: usize = 4_096;

/// Points of keys that were asked for lately. What it remembers changes how long a verdict takes, never the verdict.
#[derive(Debug, Default)]
pub struct KeyPoints(Mutex<Generations>);

/// A key that is asked for moves to the younger; when that has half of what may be remembered, the older goes.
#[derive(Debug, Default)]
struct Generations {
    young: BTreeMap<PublicKey, EdwardsPoint>,
    old: BTreeMap<PublicKey, EdwardsPoint>,
}

impl Generations {
    fn get(&mut self, key: &PublicKey) -> Option<EdwardsPoint> {
        if let Some(point) = self.old.remove(key) {
            self.keep(*key, point);
        }
        self.young.get(key).or_else(|| self.old.get(key)).copied()
    }

    fn keep(&mut self, key: PublicKey, point: EdwardsPoint) {
        self.young.insert(key, point);
        if self.young.len() >= REMEMBERED_MAX >> 1 {
            self.old = std::mem::take(&mut self.young);
        }
    }
}

/// The signatures of one key in a batch.
struct OfKey {
    point: EdwardsPoint,
    /// Sum of factor x challenge.
    coefficient: Scalar,
}

impl KeyPoints {
    /// Whether *all* signatures hold; agrees with [`crate::keys::verify`] on each.
    ///
    /// The equation is that of ZIP-215 for batches, with z a factor of 128 bits for each signature (R, s) under A, and k its challenge:
    /// 8 x (sum of z R + sum of z k A - (sum of z s) B) = 0. The factors are drawn from a hash of the whole batch, so no outside
    /// randomness is needed and nobody can choose a signature after the factors are known.
    #[allow(clippy::arithmetic_side_effects, reason = "in a finite field nothing overflows")]
    #[must_use]
    pub fn verify_batch(&self, items: &[(PublicKey, &[u8], Signature)]) -> bool {
        let Some(mut keys) = self.points(items) else { return false };
        let mut factors = factors(items);
        let mut base = Scalar::ZERO;
        let (mut scalars, mut points) = (Vec::with_capacity(items.len()), Vec::with_capacity(items.len()));
        for (key, message, signature) in items {
            let (r, s) = halves(signature);
            let Some(point) = CompressedEdwardsY(r).decompress() else { return false };
            let Some(s) = Option::<Scalar>::from(Scalar::from_canonical_bytes(s)) else { return false };
            let Some(own) = keys.get_mut(key) else { return false };
            let challenge = Sha512::new().chain_update(r).chain_update(key.0).chain_update(message).finalize();
            let factor = next(&mut factors);
            own.coefficient += factor * Scalar::from_bytes_mod_order_wide(&challenge.into());
            base -= factor * s;
            scalars.push(factor);
            points.push(point);
        }
        for own in keys.values() {
            scalars.push(own.coefficient);
            points.push(own.point);
        }
        scalars.push(base);
        points.push(ED25519_BASEPOINT_POINT);
        EdwardsPoint::vartime_multiscalar_mul(&scalars, &points).mul_by_cofactor().is_identity()
    }

    /// The points of all keys; nothing when one of them is no point.
    fn points(&self, items: &[(PublicKey, &[u8], Signature)]) -> Option<BTreeMap<PublicKey, OfKey>> {
        let mut keys = BTreeMap::new();
        let mut unknown = Vec::new();
        {
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            for (key, ..) in items {
                match known.get(key) {
                    Some(point) => drop(keys.insert(*key, OfKey { point, coefficient: Scalar::ZERO })),
                    None => unknown.push(*key),
                }
            }
        }
        unknown.sort_unstable();
        unknown.dedup();
        let mut found = Vec::with_capacity(unknown.len());
        for key in unknown {
            found.push((key, CompressedEdwardsY(key.0).decompress()?));
        }
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, point) in found {
            known.keep(key, point);
            keys.insert(key, OfKey { point, coefficient: Scalar::ZERO });
        }
        Some(keys)
    }
}

fn halves(Signature(bytes): &Signature) -> ([u8; 32], [u8; 32]) {
    let (mut r, mut s) = ([0; 32], [0; 32]);
    let (first, second) = bytes.split_at(32);
    r.copy_from_slice(first);
    s.copy_from_slice(second);
    (r, s)
}

/// Bytes that follow from the batch itself.
fn factors(items: &[(PublicKey, &[u8], Signature)]) -> blake3::OutputReader {
    let mut batch = Vec::with_capacity(items.len().saturating_mul(136));
    for (key, message, signature) in items {
        batch.extend_from_slice(&key.0);
        batch.extend_from_slice(&(message.len() as u64).to_le_bytes());
        batch.extend_from_slice(message);
        batch.extend_from_slice(&signature.0);
    }
    blake3::Hasher::new_derive_key("mesh30k batch verification v2").update(&batch).finalize_xof()
}

fn next(factors: &mut blake3::OutputReader) -> Scalar {
    let mut bytes = [0; 16];
    factors.fill(&mut bytes);
    Scalar::from(u128::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use ed25519_zebra::{Signature as ZebraSignature, VerificationKeyBytes, batch::Verifier};
    use proptest::prelude::*;

    use super::*;
    use crate::keys::{SecretKey, verify};

    fn key(n: u64) -> SecretKey {
        let mut seed = [1; 32];
        seed[..8].copy_from_slice(&n.to_le_bytes());
        SecretKey::from_seed(seed)
    }

    /// Points of small order, and y of 1 written as p + 1: valid keys and R under ZIP-215 alone.
    fn odd_points() -> [[u8; 32]; 4] {
        let (mut one, mut minus_one, mut beyond) = ([0; 32], [0xff; 32], [0xff; 32]);
        one[0] = 1;
        (minus_one[0], minus_one[31]) = (0xec, 0x7f);
        (beyond[0], beyond[31]) = (0xee, 0x7f);
        [one, [0; 32], minus_one, beyond]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// One memory over many batches, some with something wrong, says what each signature alone and what zebra's batches say.
        #[test]
        fn it_agrees_with_single_verification_and_with_zebra(
            batches in proptest::collection::vec(
                proptest::collection::vec((0_u64..6, any::<[u8; 4]>(), 0_u8..24, 0_usize..4, 0_usize..96), 0..8),
                1..6,
            ),
        ) {
            let remembered = KeyPoints::default();
            for batch in batches {
                let items: Vec<_> = batch.iter().map(|(n, message, what, odd, at)| {
                    let (mut public, mut signature) = (key(*n).public(), key(*n).sign(message));
                    match what {
                        0 if *at < 64 => signature.0[*at] ^= 1,
                        0 => public.0[*at - 64] ^= 1,
                        1 => (public, signature) = (PublicKey(odd_points()[*odd]), Signature([0; 64])),
                        2 => {
                            signature = Signature([0; 64]);
                            signature.0[..32].copy_from_slice(&odd_points()[*odd]);
                            public = PublicKey(odd_points()[*at % 4]);
                        }
                        _ => {}
                    }
                    (public, message.as_slice(), signature)
                }).collect();
                let each = items.iter().all(|(key, message, signature)| verify(key, message, signature));
                let mut zebra = Verifier::new();
                for (key, message, signature) in &items {
                    zebra.queue((VerificationKeyBytes::from(key.0), ZebraSignature::from(signature.0), *message));
                }
                prop_assert_eq!(zebra.verify(Numbers(7)).is_ok(), each);
                prop_assert_eq!(remembered.verify_batch(&items), each);
            }
        }
    }

    /// Numbers for zebra, which need not be secret here.
    struct Numbers(u64);

    impl ed25519_dalek::rand_core::TryRng for Numbers {
        type Error = ed25519_dalek::rand_core::Infallible;
        fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
            self.try_next_u64().map(|number| number as u32)
        }
        fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            Ok(self.0 ^ (self.0 >> 29))
        }
        fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
            for chunk in bytes.chunks_mut(8) {
                let number = self.try_next_u64()?.to_le_bytes();
                chunk.copy_from_slice(&number[..chunk.len()]);
            }
            Ok(())
        }
    }

    impl ed25519_dalek::rand_core::TryCryptoRng for Numbers {}

    #[test]
    fn what_is_remembered_is_bounded_and_what_is_used_stays() {
        let remembered = KeyPoints::default();
        let often = (key(0).public(), b"x".as_slice(), key(0).sign(b"x"));
        let point = CompressedEdwardsY(key(0).public().0).decompress().unwrap();
        for n in 1..=2 * REMEMBERED_MAX as u64 {
            let mut other = [2; 32];
            other[..8].copy_from_slice(&n.to_le_bytes());
            let mut held = remembered.0.lock().unwrap();
            held.keep(PublicKey(other), point);
            drop(held);
            if n % 1_000 == 0 {
                assert!(remembered.verify_batch(&[often]));
            }
        }
        let mut held = remembered.0.lock().unwrap();
        assert!(held.young.len() + held.old.len() <= REMEMBERED_MAX);
        assert_eq!(held.get(&often.0), Some(point));
    }
}
