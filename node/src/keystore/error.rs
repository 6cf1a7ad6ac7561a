//! What can go wrong with a key.

use std::path::PathBuf;

/// A key that can't be made, found, read or unlocked.
#[derive(Debug, thiserror::Error)]
pub enum KeystoreError {
    /// The name can't be a file's name or would confuse people.
    #[error("key name {name:?} is not allowed: use 1 to 64 of a-z, 0-9, '-' and '_', beginning with a letter or digit")]
    BadName {
        /// What was given.
        name: String,
    },
    /// A key of that name is there; it is never overwritten.
    #[error("there is already a key named {name} ({path}); choose another name")]
    Exists {
        /// The name.
        name: String,
        /// Its file.
        path: PathBuf,
    },
    /// No key of that name, perhaps one nearly.
    #[error("there is no key named {name} in {dir}{}", hint(nearest.as_deref()))]
    NotFound {
        /// The name.
        name: String,
        /// The folder looked into.
        dir: PathBuf,
        /// The name most like it.
        nearest: Option<String>,
    },
    /// The passphrase does not open the key.
    #[error("wrong passphrase for key {name} ({path})")]
    WrongPassphrase {
        /// The name.
        name: String,
        /// Its file.
        path: PathBuf,
    },
    /// The file is not a key file of this version, or was changed.
    #[error("key file {path} is damaged or not a mesh30k key ({reason}); restore it from a backup")]
    Damaged {
        /// Its file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Others may read or write the file.
    #[error("key file {path} can be read by others (mode {mode:03o}); run: chmod 600 {path}")]
    Exposed {
        /// Its file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// No passphrase, or an unusable one.
    #[error("passphrase: {reason}")]
    Passphrase {
        /// What is wrong.
        reason: String,
    },
    /// The operating system gave no randomness.
    #[error("the operating system gave no random bytes for a new key: {reason}")]
    NoRandomness {
        /// What it said.
        reason: String,
    },
    /// The folder holds more files than a keystore has.
    #[error("{dir} holds more than {limit} key files")]
    TooMany {
        /// The folder.
        dir: PathBuf,
        /// The most that are listed.
        limit: usize,
    },
    /// Another process replaces a key just now.
    #[error("another process is replacing a key in {dir}; wait until it is done and try again")]
    Busy {
        /// The folder.
        dir: PathBuf,
    },
    /// The file system refused.
    #[error("{action} {path} failed")]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
}

fn hint(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!("; did you mean {name}?"))
}
