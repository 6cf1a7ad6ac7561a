//! The file `--network FILE` names: all a newcomer needs to know of a mesh.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

/// Largest network or genesis file, bytes.
const MAX_FILE_BYTES: u64 = 16 << 20;
/// Bootstrap addresses in one file.
const MAX_BOOTSTRAP: usize = 64;
/// The keys of the file.
const KEYS: [&str; 3] = ["chain", "genesis", "bootstrap"];

/// A network file that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum NetworkFileError {
    /// It, or the genesis it names, can't be read.
    #[error("network file: {path} can't be read")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It, or the genesis it names, is far larger than such a file is.
    #[error("network file: {path} is larger than {limit} bytes")]
    TooLarge {
        /// Which file.
        path: PathBuf,
        /// The most that is read, bytes.
        limit: u64,
    },
    /// It is not a JSON object.
    #[error("network file {path} is not a JSON object: {message}")]
    Syntax {
        /// Which file.
        path: PathBuf,
        /// Line, column and what was expected.
        message: String,
    },
    /// A key nobody knows.
    #[error("network file {path}: unknown key {key}; it has chain, genesis and bootstrap{}",
        nearest.as_ref().map_or(String::new(), |nearest| format!("; did you mean {nearest}?")))]
    UnknownKey {
        /// Which file.
        path: PathBuf,
        /// The key.
        key: String,
        /// The known key most like it.
        nearest: Option<String>,
    },
    /// A key is missing or holds the wrong thing.
    #[error("network file {path}: {key} must be {expected}")]
    Field {
        /// Which file.
        path: PathBuf,
        /// The key.
        key: &'static str,
        /// What it must be.
        expected: &'static str,
    },
}

/// Where the genesis is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GenesisSource {
    /// In a file of its own.
    Path(PathBuf),
    /// In the network file itself.
    Inline(Value),
}

/// A mesh as a newcomer finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkFile {
    /// Name of the chain; must be the genesis'.
    pub chain: String,
    /// Its genesis.
    pub genesis: GenesisSource,
    /// Multiaddresses of nodes to meet first.
    pub bootstrap: Vec<String>,
}

impl NetworkFile {
    /// Reads a network file. A relative genesis path counts from the file's folder.
    ///
    /// # Errors
    /// [`NetworkFileError`] names the file and what is wrong.
    pub fn read(path: &Path) -> Result<Self, NetworkFileError> {
        Self::parse(path, &read_bounded(path)?)
    }

    fn parse(path: &Path, text: &str) -> Result<Self, NetworkFileError> {
        let object: Map<String, Value> = serde_json::from_str(text)
            .map_err(|error| NetworkFileError::Syntax { path: path.to_owned(), message: error.to_string() })?;
        if let Some(key) = object.keys().find(|key| !KEYS.contains(&key.as_str())) {
            let nearest = super::nearest(key, KEYS.into_iter());
            return Err(NetworkFileError::UnknownKey { path: path.to_owned(), key: key.clone(), nearest });
        }
        let field = |key, expected| NetworkFileError::Field { path: path.to_owned(), key, expected };
        let chain = object.get("chain").and_then(Value::as_str).filter(|chain| is_chain_name(chain));
        let chain = chain.ok_or_else(|| field("chain", "1 to 64 of a-z, A-Z, 0-9, '-', '_' and '.', not '.' first"))?;
        let genesis = match object.get("genesis") {
            Some(Value::String(file)) => GenesisSource::Path(path.parent().unwrap_or_else(|| Path::new("")).join(file)),
            Some(inline @ Value::Object(_)) => GenesisSource::Inline(inline.clone()),
            _ => return Err(field("genesis", "the path of a genesis file or the genesis itself")),
        };
        let addresses = || field("bootstrap", "a list of at most 64 addresses like /ip4/192.0.2.1/tcp/7430/p2p/PEER");
        let bootstrap = match object.get("bootstrap") {
            None => Vec::new(),
            Some(list) => list
                .as_array()
                .filter(|list| list.len() <= MAX_BOOTSTRAP)
                .and_then(|list| list.iter().map(|item| item.as_str().map(str::to_owned)).collect())
                .ok_or_else(addresses)?,
        };
        Ok(Self { chain: chain.to_owned(), genesis, bootstrap })
    }

    /// The genesis as JSON text, read from its file if it has one.
    ///
    /// # Errors
    /// [`NetworkFileError::Read`] or [`NetworkFileError::TooLarge`] for the genesis file.
    pub fn genesis_json(&self) -> Result<String, NetworkFileError> {
        match &self.genesis {
            GenesisSource::Path(path) => read_bounded(path),
            GenesisSource::Inline(value) => Ok(value.to_string()),
        }
    }

    /// The text of a network file.
    #[must_use]
    pub fn to_json(&self) -> String {
        let genesis = match &self.genesis {
            GenesisSource::Path(path) => Value::String(path.display().to_string()),
            GenesisSource::Inline(value) => value.clone(),
        };
        let object = serde_json::json!({"chain": self.chain, "genesis": genesis, "bootstrap": self.bootstrap});
        format!("{object:#}\n")
    }
}

/// The name becomes a folder's.
pub(crate) fn is_chain_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=64).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(allowed)
}

fn read_bounded(path: &Path) -> Result<String, NetworkFileError> {
    let io = |source| NetworkFileError::Read { path: path.to_owned(), source };
    let mut text = String::new();
    let file = File::open(path).map_err(io)?;
    let length = file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text).map_err(io)?;
    if length as u64 > MAX_FILE_BYTES {
        return Err(NetworkFileError::TooLarge { path: path.to_owned(), limit: MAX_FILE_BYTES });
    }
    Ok(text)
}
