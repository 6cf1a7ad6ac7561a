//! The folder of key files.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use mesh30k_ledger::types::AccountId;
use zeroize::Zeroizing;

use super::error::KeystoreError;
use super::file::{KeyFile, OpenError};
use super::kdf::Kdf;
use super::name::KeyName;
use super::passphrase::Passphrase;

/// Largest key file read, bytes (a real one has about 500).
const MAX_FILE_BYTES: u64 = 16 << 10;
/// Keys listed from one folder.
const MAX_KEYS: usize = 10_000;
/// How key files end.
const SUFFIX: &str = "key.json";

/// A key as it can be shown without a passphrase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyEntry {
    /// Its name.
    pub name: KeyName,
    /// Ed25519 public key.
    pub public: [u8; 32],
    /// The account it signs for.
    pub account: AccountId,
    /// Its file.
    pub path: PathBuf,
}

/// A key that was opened; the seed is wiped from memory when this is dropped.
pub struct Unlocked {
    name: KeyName,
    public: [u8; 32],
    account: AccountId,
    seed: Zeroizing<[u8; 32]>,
}

impl Unlocked {
    pub(super) fn new(name: &KeyName, file: &KeyFile, seed: Zeroizing<[u8; 32]>) -> Self {
        Self { name: name.clone(), public: file.public(), account: file.account(), seed }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &KeyName {
        &self.name
    }

    /// Ed25519 public key.
    #[must_use]
    pub fn public(&self) -> [u8; 32] {
        self.public
    }

    /// The account it signs for.
    #[must_use]
    pub fn account(&self) -> AccountId {
        self.account
    }

    /// The secret seed, for the ledger's `SecretKey::from_seed`.
    #[must_use]
    pub fn seed(&self) -> &[u8; 32] {
        &self.seed
    }
}

impl fmt::Debug for Unlocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Unlocked({}, ..)", self.name)
    }
}

/// A folder of encrypted keys.
#[derive(Debug, Clone)]
pub struct Keystore {
    dir: PathBuf,
}

impl Keystore {
    /// The keystore in a folder; the folder is made when the first key is.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// The folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Makes a new key from the operating system's randomness.
    ///
    /// # Errors
    /// [`KeystoreError::Exists`], [`KeystoreError::NoRandomness`], [`KeystoreError::Io`].
    pub fn create(&self, name: &KeyName, passphrase: &Passphrase, kdf: Kdf) -> Result<Unlocked, KeystoreError> {
        let mut seed = Zeroizing::new([0_u8; 32]);
        random(&mut seed[..])?;
        self.import(name, &seed, passphrase, kdf)
    }

    /// Stores an existing secret seed under a new name.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub fn import(
        &self,
        name: &KeyName,
        seed: &[u8; 32],
        passphrase: &Passphrase,
        kdf: Kdf,
    ) -> Result<Unlocked, KeystoreError> {
        let path = self.path(name);
        if path.exists() {
            return Err(KeystoreError::Exists { name: name.to_string(), path });
        }
        let mut entropy = [0_u8; 28];
        random(&mut entropy)?;
        let file = KeyFile::seal(seed, passphrase, kdf, &entropy, None)
            .map_err(|reason| KeystoreError::Damaged { path: path.clone(), reason })?;
        let io = |source| KeystoreError::Io { action: "making folder", path: self.dir.clone(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(&self.dir).map_err(io)?;
        self.write(name, &path, &file)?;
        self.sync()?;
        Ok(Unlocked::new(name, &file, Zeroizing::new(*seed)))
    }

    /// A name is only durable with its folder.
    pub(super) fn sync(&self) -> Result<(), KeystoreError> {
        let io = |source| KeystoreError::Io { action: "syncing folder", path: self.dir.clone(), source };
        File::open(&self.dir).and_then(|dir| dir.sync_all()).map_err(io)
    }

    /// Opens a key.
    ///
    /// # Errors
    /// [`KeystoreError::NotFound`] (with the name most like it), [`KeystoreError::WrongPassphrase`],
    /// [`KeystoreError::Damaged`], [`KeystoreError::Exposed`], [`KeystoreError::Io`].
    pub fn unlock(&self, name: &KeyName, passphrase: &Passphrase) -> Result<Unlocked, KeystoreError> {
        self.open(name, self.path(name), passphrase)
    }

    /// Opens the file of a key, which is called by its name only where it is no next key.
    pub(super) fn open(
        &self,
        name: &KeyName,
        path: PathBuf,
        passphrase: &Passphrase,
    ) -> Result<Unlocked, KeystoreError> {
        let file = self.read(name, &path)?;
        let seed = file.open(passphrase).map_err(|error| match error {
            OpenError::Wrong => KeystoreError::WrongPassphrase { name: name.to_string(), path },
            OpenError::Damaged(reason) => KeystoreError::Damaged { path, reason },
        })?;
        Ok(Unlocked::new(name, &file, seed))
    }

    /// Shows one key, without a passphrase.
    ///
    /// # Errors
    /// As [`Self::unlock`], but for the passphrase.
    pub fn show(&self, name: &KeyName) -> Result<KeyEntry, KeystoreError> {
        let path = self.path(name);
        let file = self.read(name, &path)?;
        Ok(KeyEntry { name: name.clone(), public: file.public(), account: file.account(), path })
    }

    /// All keys by name, without a passphrase; none if there is no folder. Files that are no keys are left out.
    ///
    /// # Errors
    /// [`KeystoreError::Damaged`] and [`KeystoreError::Exposed`] name the file; [`KeystoreError::Io`].
    pub fn list(&self) -> Result<Vec<KeyEntry>, KeystoreError> {
        self.names()?.iter().map(|name| self.show(name)).collect()
    }

    fn names(&self) -> Result<Vec<KeyName>, KeystoreError> {
        let io = |source| KeystoreError::Io { action: "listing", path: self.dir.clone(), source };
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(io(error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let file_name = entry.map_err(io)?.file_name();
            let stem = file_name.to_str().and_then(|text| text.strip_suffix(SUFFIX)?.strip_suffix('.'));
            names.extend(stem.and_then(|stem| stem.parse::<KeyName>().ok()));
            if names.len() > MAX_KEYS {
                return Err(KeystoreError::TooMany { dir: self.dir.clone(), limit: MAX_KEYS });
            }
        }
        names.sort();
        Ok(names)
    }

    pub(super) fn path(&self, name: &KeyName) -> PathBuf {
        self.dir.join(format!("{name}.{SUFFIX}"))
    }

    pub(super) fn write(&self, name: &KeyName, path: &Path, file: &KeyFile) -> Result<(), KeystoreError> {
        let io = |action| move |source| KeystoreError::Io { action, path: path.to_owned(), source };
        let mut text = serde_json::to_string_pretty(file)
            .map_err(|error| KeystoreError::Damaged { path: path.to_owned(), reason: error.to_string() })?;
        text.push('\n');
        let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let mut target = match opened {
            Ok(target) => target,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                return Err(KeystoreError::Exists { name: name.to_string(), path: path.to_owned() });
            }
            Err(error) => return Err(io("creating")(error)),
        };
        let written = target.write_all(text.as_bytes()).and_then(|()| target.sync_all());
        if written.is_err() {
            // Half a key file would block its name and open with nothing; it never held the only copy of anything.
            let _ = fs::remove_file(path);
        }
        written.map_err(io("writing"))
    }

    pub(super) fn read(&self, name: &KeyName, path: &Path) -> Result<KeyFile, KeystoreError> {
        let io = |source| KeystoreError::Io { action: "reading", path: path.to_owned(), source };
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(self.not_found(name)),
            Err(error) => return Err(io(error)),
        };
        let mode = file.metadata().map_err(io)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(KeystoreError::Exposed { path: path.to_owned(), mode });
        }
        let mut text = String::new();
        file.take(MAX_FILE_BYTES).read_to_string(&mut text).map_err(io)?;
        let damaged = |reason| KeystoreError::Damaged { path: path.to_owned(), reason };
        let file: KeyFile = serde_json::from_str(&text).map_err(|error| damaged(error.to_string()))?;
        file.check().map_err(damaged)?;
        Ok(file)
    }

    fn not_found(&self, name: &KeyName) -> KeystoreError {
        let names = self.names().unwrap_or_default();
        let nearest = names
            .iter()
            .map(|other| (strsim::damerau_levenshtein(other.as_str(), name.as_str()), other))
            .filter(|(distance, _)| *distance <= 2)
            .min()
            .map(|(_, other)| other.to_string());
        KeystoreError::NotFound { name: name.to_string(), dir: self.dir.clone(), nearest }
    }
}

pub(super) fn random(bytes: &mut [u8]) -> Result<(), KeystoreError> {
    getrandom::fill(bytes).map_err(|error| KeystoreError::NoRandomness { reason: error.to_string() })
}
