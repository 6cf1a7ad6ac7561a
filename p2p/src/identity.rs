//! Transport identities: an ed25519 seed makes the key pair, its public half names the peer.

use libp2p::PeerId;
use libp2p::identity::{Keypair, PublicKey, ed25519};

use crate::error::IdentityError;

/// The key pair of a 32-byte ed25519 seed.
///
/// # Errors
/// [`IdentityError::Seed`] when the bytes are not an ed25519 secret key.
pub fn keypair_from_seed(mut seed: [u8; 32]) -> Result<Keypair, IdentityError> {
    // The callee zeroizes the seed it is given.
    Keypair::ed25519_from_bytes(&mut seed).map_err(IdentityError::Seed)
}

/// The peer named by a 32-byte ed25519 public key, such as a node's transport key on the ledger.
///
/// # Errors
/// [`IdentityError::PublicKey`] when the bytes are not a point of the curve.
pub fn peer_id_of(public_key: &[u8; 32]) -> Result<PeerId, IdentityError> {
    let key = ed25519::PublicKey::try_from_bytes(public_key).map_err(IdentityError::PublicKey)?;
    Ok(PublicKey::from(key).to_peer_id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_public_half_of_a_seed_names_the_same_peer() {
        let pair = keypair_from_seed([7; 32]).unwrap();
        let public = pair.public().try_into_ed25519().unwrap().to_bytes();
        assert_eq!(peer_id_of(&public).unwrap(), pair.public().to_peer_id());
    }
}
