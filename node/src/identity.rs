//! The keys a node uses without anybody typing a passphrase: transport, account, validator.
//!
//! Separate keys for separate powers (05-decisions, 11): whoever steals one does not hold the others. Operator and user
//! keys are not here; they live encrypted in the keystore and only the CLI unlocks them.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use libp2p::identity::Keypair;
use mesh30k_ledger::keys::SecretKey;
use zeroize::Zeroizing;

/// A key file that can't be made, read or used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The file system refused.
    #[error("key file {path}: {action} failed")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// The file does not hold 64 hexadecimal digits.
    #[error("key file {path} is damaged: it must hold 64 hexadecimal digits; restore it from a backup")]
    Damaged {
        /// Which file.
        path: PathBuf,
    },
    /// A file that holds another kind of key.
    #[error(
        "{path} is not the key of a node's account: that is called account.key, in the folder `keys` of the node's data"
    )]
    NotAccount {
        /// What was named.
        path: PathBuf,
    },
    /// The operating system gave no randomness.
    #[error("the operating system gave no random bytes for a new key: {0}")]
    NoRandomness(String),
}

/// The three unattended keys of one node.
pub struct NodeIdentity {
    transport_seed: Zeroizing<[u8; 32]>,
    account_seed: Zeroizing<[u8; 32]>,
    validator_seed: Zeroizing<[u8; 32]>,
}

/// File of the account's key, in the folder with a node's keys.
pub const ACCOUNT_KEY_FILE: &str = "account.key";

/// Names the derivation of agent keys, so that no other use of the account seed can collide with it.
const AGENT_KEY_CONTEXT: &str = "mesh30k agent key v1";

impl NodeIdentity {
    /// Reads the keys in `dir`, making those that are missing (mode 0600).
    ///
    /// # Errors
    /// [`IdentityError`] when a file can't be made or read or is damaged; an existing file is never overwritten.
    pub fn load_or_create(dir: &Path) -> Result<Self, IdentityError> {
        fs::create_dir_all(dir).map_err(|source| IdentityError::Io {
            path: dir.to_owned(),
            action: "creating the folder",
            source,
        })?;
        Ok(Self {
            transport_seed: load_or_create_seed(&dir.join("transport.key"))?,
            account_seed: load_or_create_seed(&dir.join(ACCOUNT_KEY_FILE))?,
            validator_seed: load_or_create_seed(&dir.join("validator.key"))?,
        })
    }

    /// The libp2p key pair.
    ///
    /// # Errors
    /// [`IdentityError::NoRandomness`] never in practice: any 32 bytes are an Ed25519 seed.
    pub fn transport(&self) -> Result<Keypair, IdentityError> {
        let mut seed = Zeroizing::new(*self.transport_seed);
        Keypair::ed25519_from_bytes(&mut seed[..]).map_err(|error| IdentityError::NoRandomness(error.to_string()))
    }

    /// Signs this node's transactions and host batches.
    #[must_use]
    pub fn account(&self) -> SecretKey {
        SecretKey::from_seed(*self.account_seed)
    }

    /// Signs votes and headers; used only where genesis or an epoch names it.
    #[must_use]
    pub fn validator(&self) -> SecretKey {
        SecretKey::from_seed(*self.validator_seed)
    }

    /// The key of this host's agent number `index`, derived, so that a host of 300 agents keeps one file.
    #[must_use]
    pub fn agent(&self, index: u32) -> SecretKey {
        let mut material = Zeroizing::new([0_u8; 36]);
        material[..32].copy_from_slice(&self.account_seed[..]);
        material[32..].copy_from_slice(&index.to_le_bytes());
        SecretKey::from_seed(blake3::derive_key(AGENT_KEY_CONTEXT, &material[..]))
    }
}

/// The key of a node's account, for its operator: with it they spend what the node earned and say what it offers.
///
/// # Errors
/// [`IdentityError`] when the file is another key's, can't be read or is damaged.
pub fn read_account_key(path: &Path) -> Result<SecretKey, IdentityError> {
    if path.file_name().is_none_or(|name| name != ACCOUNT_KEY_FILE) {
        return Err(IdentityError::NotAccount { path: path.to_owned() });
    }
    Ok(SecretKey::from_seed(*read_seed(path)?))
}

fn load_or_create_seed(path: &Path) -> Result<Zeroizing<[u8; 32]>, IdentityError> {
    match read_seed(path) {
        Err(IdentityError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => create_seed(path),
        read => read,
    }
}

fn read_seed(path: &Path) -> Result<Zeroizing<[u8; 32]>, IdentityError> {
    let io = |source| IdentityError::Io { path: path.to_owned(), action: "reading", source };
    let text = Zeroizing::new(fs::read_to_string(path).map_err(io)?);
    parse_seed(&text).ok_or_else(|| IdentityError::Damaged { path: path.to_owned() })
}

fn parse_seed(text: &str) -> Option<Zeroizing<[u8; 32]>> {
    let mut seed = Zeroizing::new([0_u8; 32]);
    hex::decode_to_slice(text.trim(), &mut seed[..]).ok()?;
    Some(seed)
}

fn create_seed(path: &Path) -> Result<Zeroizing<[u8; 32]>, IdentityError> {
    let mut seed = Zeroizing::new([0_u8; 32]);
    getrandom::fill(&mut seed[..]).map_err(|error| IdentityError::NoRandomness(error.to_string()))?;
    let io = |action| move |source| IdentityError::Io { path: path.to_owned(), action, source };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(io("creating"))?;
    let text = Zeroizing::new(hex::encode(&seed[..]));
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(io("writing"))?;
    Ok(seed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_survive_a_restart_and_differ_from_each_other() {
        let dir = tempfile::tempdir().unwrap();
        let first = NodeIdentity::load_or_create(dir.path()).unwrap();
        let second = NodeIdentity::load_or_create(dir.path()).unwrap();
        assert_eq!(first.account().public(), second.account().public());
        assert_eq!(first.agent(7).public(), second.agent(7).public());
        assert_ne!(first.account().public(), first.validator().public());
        assert_ne!(first.agent(0).public(), first.agent(1).public());
        let read = |name: &str| read_account_key(&dir.path().join(name));
        assert_eq!(read(ACCOUNT_KEY_FILE).unwrap().public(), first.account().public());
        assert!(matches!(read("validator.key"), Err(IdentityError::NotAccount { .. })), "each key for its own use");
        fs::remove_file(dir.path().join(ACCOUNT_KEY_FILE)).unwrap();
        assert!(matches!(read(ACCOUNT_KEY_FILE), Err(IdentityError::Io { .. })), "none is made");
    }

    #[test]
    fn a_damaged_key_file_is_refused_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("account.key");
        fs::write(&path, "not hex").unwrap();
        assert!(matches!(NodeIdentity::load_or_create(dir.path()), Err(IdentityError::Damaged { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), "not hex");
    }
}
