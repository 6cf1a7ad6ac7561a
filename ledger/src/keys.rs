//! Ed25519 keys. dalek holds and signs; validity is decided by ed25519-zebra (ZIP-215), and in batches by [`KeyPoints`] alike.

use borsh::{BorshDeserialize, BorshSerialize};
use ed25519_dalek::Signer;
use std::fmt;
use std::str::FromStr;

use crate::key_points::KeyPoints;
use crate::types::HexError;
use crate::types::parse_hex;
use crate::types::serde_as_text;

/// A verification key; hexadecimal in text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, std::hash::Hash, BorshSerialize, BorshDeserialize)]
pub struct PublicKey(pub [u8; 32]);

/// A signature; hexadecimal in text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, std::hash::Hash, BorshSerialize, BorshDeserialize)]
pub struct Signature(pub [u8; 64]);

/// A signing key, wiped from memory when dropped.
#[derive(Clone)]
pub struct SecretKey(ed25519_dalek::SigningKey);

impl SecretKey {
    /// The key of a seed. The caller wipes its copy of the seed.
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(&seed))
    }

    /// The seed, for storing it encrypted.
    #[must_use]
    pub fn to_seed(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// Its public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Signs bytes; callers sign a [`crate::signing::signing_hash`], never bare content.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.0.sign(message).to_bytes())
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(of {})", self.public())
    }
}

macro_rules! hex_text {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let text: String = hex::encode(self.0).chars().take(8).collect();
                write!(f, concat!(stringify!($name), "({})"), text)
            }
        }
        impl FromStr for $name {
            type Err = HexError;
            fn from_str(text: &str) -> Result<Self, HexError> {
                parse_hex(text).map(Self)
            }
        }
        serde_as_text!($name);
    };
}

impl PublicKey {
    /// Whether a signature could hold under it.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        ed25519_zebra::VerificationKey::try_from(self.0).is_ok()
    }
}

hex_text!(PublicKey);
hex_text!(Signature);

/// Whether the signature holds under ZIP-215 rules.
#[must_use]
pub fn verify(key: &PublicKey, message: &[u8], signature: &Signature) -> bool {
    ed25519_zebra::VerificationKey::try_from(key.0)
        .is_ok_and(|key| key.verify(&ed25519_zebra::Signature::from(signature.0), message).is_ok())
}

/// Whether *all* signatures hold; agrees with [`verify`] on each. Who verifies many batches keeps its own [`KeyPoints`].
#[must_use]
pub fn verify_batch(items: &[(PublicKey, &[u8], Signature)]) -> bool {
    KeyPoints::default().verify_batch(items)
}
