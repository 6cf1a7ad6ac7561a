//! A new key for an account, in steps that lose nothing wherever they stop.
//!
//! 1. [`Keystore::next`] makes the key and has it on the disk before anybody hears of it.
//! 2. The ledger is told, by the old key. From then on either key may be the one that counts.
//! 3. [`Keystore::take_over`], once the ledger says so: the old file gets a second name, then the new file takes the first one.
//!
//! Each step can be repeated: a next key that is there is used, a second name that is there is kept. No file with a key is ever
//! removed, and old keys stay for good: on another network their account may still be theirs.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::PathBuf;

use zeroize::Zeroizing;

use super::error::KeystoreError;
use super::file::KeyFile;
use super::name::KeyName;
use super::passphrase::Passphrase;
use super::store::{KeyEntry, Keystore, Unlocked, random};

/// How the files of next keys end; not as those of keys, so that none is taken for one.
const NEXT_SUFFIX: &str = "next-key.json";
/// Letters of a name that the name of its old key begins with; what follows makes it 64 at most.
const OLD_NAME_LETTERS: usize = 51;

/// Held while a key is being replaced; another process waits no time for it.
#[derive(Debug)]
pub struct RotationLock {
    _folder: File,
}

impl Keystore {
    /// Lets nobody else replace keys of this keystore.
    ///
    /// # Errors
    /// [`KeystoreError::Busy`] when somebody does, [`KeystoreError::Io`].
    pub fn lock_rotation(&self) -> Result<RotationLock, KeystoreError> {
        let io = |source| KeystoreError::Io { action: "locking folder", path: self.dir().to_owned(), source };
        let folder = File::open(self.dir()).map_err(io)?;
        match folder.try_lock() {
            Ok(()) => Ok(RotationLock { _folder: folder }),
            Err(fs::TryLockError::WouldBlock) => Err(KeystoreError::Busy { dir: self.dir().to_owned() }),
            Err(fs::TryLockError::Error(error)) => Err(io(error)),
        }
    }

    /// The key that is to replace `name` and has not yet, if one was made.
    ///
    /// # Errors
    /// [`KeystoreError::Damaged`], [`KeystoreError::Exposed`], [`KeystoreError::Io`].
    pub fn waiting(&self, name: &KeyName) -> Result<Option<KeyEntry>, KeystoreError> {
        let path = self.next_path(name);
        match self.read(name, &path) {
            Ok(file) => Ok(Some(KeyEntry { name: name.clone(), public: file.public(), account: file.account(), path })),
            Err(KeystoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The key that is to replace `name`: the one that waits, or a new one, which is on the disk when this returns. It has the
    /// passphrase of `name` and is for the same account.
    ///
    /// # Errors
    /// As [`Keystore::unlock`] and [`Keystore::create`].
    pub fn next(
        &self,
        _lock: &RotationLock,
        name: &KeyName,
        passphrase: &Passphrase,
    ) -> Result<Unlocked, KeystoreError> {
        let old = self.unlock(name, passphrase)?;
        let path = self.next_path(name);
        if self.waiting(name)?.is_none() {
            let kdf = self.read(name, &self.path(name))?.kdf();
            let mut seed = Zeroizing::new([0_u8; 32]);
            let mut entropy = [0_u8; 28];
            random(&mut seed[..])?;
            random(&mut entropy)?;
            let file = KeyFile::seal(&seed, passphrase, kdf, &entropy, Some(old.account()))
                .map_err(|reason| KeystoreError::Damaged { path: path.clone(), reason })?;
            self.write_whole(name, &path, &file)?;
        }
        let next = self.open(name, path.clone(), passphrase)?;
        if next.account() != old.account() {
            let reason = format!("it is for account {}, not for {}", next.account(), old.account());
            return Err(KeystoreError::Damaged { path, reason });
        }
        Ok(next)
    }

    /// The next key takes over the name; the old one is found under the name that is returned.
    ///
    /// # Errors
    /// [`KeystoreError::NotFound`] when no key waits, [`KeystoreError::Io`].
    pub fn take_over(&self, _lock: &RotationLock, name: &KeyName) -> Result<KeyName, KeystoreError> {
        let (path, next) = (self.path(name), self.next_path(name));
        self.read(name, &next)?;
        let old_name = old_name(name, &self.read(name, &path)?.public())?;
        let old_path = self.path(&old_name);
        let io = |action, path: &PathBuf| {
            let path = path.clone();
            move |source| KeystoreError::Io { action, path, source }
        };
        match fs::hard_link(&path, &old_path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(io("naming", &old_path)(error)),
            _ => {}
        }
        // The other name must last before the first one means another key.
        self.sync()?;
        fs::rename(&next, &path).map_err(io("renaming", &next))?;
        self.sync()?;
        Ok(old_name)
    }

    /// Writes a file so that it is there whole or not at all.
    fn write_whole(&self, name: &KeyName, path: &PathBuf, file: &KeyFile) -> Result<(), KeystoreError> {
        let mut salt = [0_u8; 8];
        random(&mut salt)?;
        // Half a file, if this process ends now, is one that nobody looks for.
        let draft = path.with_extension(format!("json.{}", hex::encode(salt)));
        self.write(name, &draft, file)?;
        let linked = fs::hard_link(&draft, path);
        let removed = fs::remove_file(&draft);
        let io = |source| KeystoreError::Io { action: "creating", path: path.clone(), source };
        linked.and(removed).map_err(io)?;
        self.sync()
    }

    fn next_path(&self, name: &KeyName) -> PathBuf {
        self.dir().join(format!("{name}.{NEXT_SUFFIX}"))
    }
}

/// What an old key is called: by the name it had and the beginning of its public half.
fn old_name(name: &KeyName, public: &[u8; 32]) -> Result<KeyName, KeystoreError> {
    let beginning: String = name.as_str().chars().take(OLD_NAME_LETTERS).collect();
    format!("{beginning}-was-{}", hex::encode(&public[..4])).parse()
}
