//! The content of one key file: sealing and opening, without touching the disk.

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};
use ed25519_dalek::SigningKey;
use mesh30k_ledger::key_policy::KeyPolicy;
use mesh30k_ledger::keys::PublicKey;
use mesh30k_ledger::types::AccountId;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::kdf::Kdf;
use super::passphrase::Passphrase;

/// The one version there is.
const VERSION: u32 = 1;

/// Why a file does not open.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum OpenError {
    /// The passphrase is wrong (or the sealed part was changed: the cipher can't tell).
    Wrong,
    /// The file is not what it should be.
    Damaged(String),
}

/// A key file, as JSON; bytes are hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyFile {
    version: u32,
    kdf: Kdf,
    #[serde(with = "super::hex_field")]
    salt: [u8; 16],
    #[serde(with = "super::hex_field")]
    nonce: [u8; 12],
    #[serde(with = "super::hex_field")]
    ciphertext: Vec<u8>,
    /// Ed25519 public key.
    #[serde(with = "super::hex_field")]
    public: [u8; 32],
    /// The account it signs for, where that began with another key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    account: Option<AccountId>,
}

impl KeyFile {
    /// Seals a seed. `entropy` is fresh randomness: salt, then nonce. `account` is named where it does not follow from the key.
    pub(super) fn seal(
        seed: &[u8; 32],
        passphrase: &Passphrase,
        kdf: Kdf,
        entropy: &[u8; 28],
        account: Option<AccountId>,
    ) -> Result<Self, String> {
        let mut file = Self {
            version: VERSION,
            kdf,
            salt: [0; 16],
            nonce: [0; 12],
            ciphertext: Vec::new(),
            public: public_of(seed),
            account,
        };
        let (salt, nonce) = entropy.split_at(16);
        file.salt.copy_from_slice(salt);
        file.nonce.copy_from_slice(nonce);
        let cipher = file.cipher(passphrase)?;
        let payload = Payload { msg: seed, aad: &file.bound() };
        file.ciphertext = cipher.encrypt(Nonce::from_slice(nonce), payload).map_err(|error| error.to_string())?;
        Ok(file)
    }

    /// Opens the seed.
    pub(super) fn open(&self, passphrase: &Passphrase) -> Result<Zeroizing<[u8; 32]>, OpenError> {
        self.check().map_err(OpenError::Damaged)?;
        let cipher = self.cipher(passphrase).map_err(OpenError::Damaged)?;
        let payload = Payload { msg: &self.ciphertext, aad: &self.bound() };
        let opened = cipher.decrypt(Nonce::from_slice(&self.nonce), payload).map_err(|_| OpenError::Wrong)?;
        let opened = Zeroizing::new(opened);
        let mut seed = Zeroizing::new([0_u8; 32]);
        if opened.len() != seed.len() {
            return Err(OpenError::Damaged(format!("the sealed part holds {} bytes, not 32", opened.len())));
        }
        seed.copy_from_slice(&opened);
        if public_of(&seed) != self.public {
            return Err(OpenError::Damaged("its public key is not that of its secret key".to_owned()));
        }
        Ok(seed)
    }

    pub(super) fn check(&self) -> Result<(), String> {
        if self.version != VERSION {
            return Err(format!("version {}; this program knows version {VERSION}", self.version));
        }
        Ok(())
    }

    pub(super) fn public(&self) -> [u8; 32] {
        self.public
    }

    /// What a guess at its passphrase costs.
    pub(super) fn kdf(&self) -> Kdf {
        self.kdf
    }

    /// The account it signs for: the one it names, else the one that follows from the key.
    pub(super) fn account(&self) -> AccountId {
        self.account.unwrap_or_else(|| KeyPolicy::single(PublicKey(self.public)).account())
    }

    fn cipher(&self, passphrase: &Passphrase) -> Result<ChaCha20Poly1305, String> {
        let key = self.kdf.derive(passphrase.as_bytes(), &self.salt)?;
        Ok(ChaCha20Poly1305::new(Key::from_slice(&key[..])))
    }

    /// What the seal covers beside the seed: nobody can weaken the parameters or swap key or account unnoticed.
    fn bound(&self) -> Vec<u8> {
        let mut bound = b"mesh30k key file".to_vec();
        for number in [self.version, self.kdf.memory_kib, self.kdf.passes, self.kdf.lanes] {
            bound.extend(number.to_le_bytes());
        }
        bound.extend(self.public);
        bound.extend(self.account.iter().flat_map(|account| account.0));
        bound
    }
}

fn public_of(seed: &[u8; 32]) -> [u8; 32] {
    SigningKey::from_bytes(seed).verifying_key().to_bytes()
}
