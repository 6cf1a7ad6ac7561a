//! Named keys of people, encrypted at rest: one folder, one file a key.
//!
//! The unattended keys of a node are elsewhere (`identity.rs`). Here a passphrase is needed to sign, never to list.

mod error;
mod file;
mod hex_field;
mod kdf;
mod name;
mod passphrase;
mod rotation;
mod store;

pub use error::KeystoreError;
pub use kdf::Kdf;
pub use name::KeyName;
pub use passphrase::{PASSPHRASE_VARIABLE, Passphrase};
pub use rotation::RotationLock;
pub use store::{KeyEntry, Keystore, Unlocked};

#[cfg(test)]
mod rotation_tests;
#[cfg(test)]
mod tests;
