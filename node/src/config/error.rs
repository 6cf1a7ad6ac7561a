//! What is wrong with a setting, and where it was made.

use std::fmt;
use std::path::PathBuf;

/// Where a setting comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The built-in default.
    Default,
    /// A configuration file.
    File(PathBuf),
    /// An environment variable.
    Variable(String),
    /// A command-line flag.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("built-in default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Variable(name) => write!(f, "variable {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// A configuration that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("configuration file {path} can't be read")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is far larger than a configuration is.
    #[error("configuration file {path} is larger than {limit} bytes")]
    TooLarge {
        /// Which file.
        path: PathBuf,
        /// The most that is read, bytes.
        limit: u64,
    },
    /// The file is not TOML.
    #[error("configuration file {path} is not TOML: {message}")]
    Syntax {
        /// Which file.
        path: PathBuf,
        /// Line, column and what was expected.
        message: String,
    },
    /// A key nobody knows.
    #[error("{origin}: unknown key {key}{}", hint(nearest.as_deref()))]
    UnknownKey {
        /// Where it stands.
        origin: Origin,
        /// `section.key` as written.
        key: String,
        /// The known key most like it.
        nearest: Option<String>,
    },
    /// A value of another type.
    #[error("{origin}: {key} must be {expected}, not {found}")]
    WrongType {
        /// Where it stands.
        origin: Origin,
        /// Which key.
        key: String,
        /// What the key holds.
        expected: String,
        /// What was given.
        found: String,
    },
    /// A number outside its range.
    #[error("{origin}: {key} = {value} is out of range: {min} to {max}{}", unit_suffix(unit))]
    OutOfRange {
        /// Where it stands.
        origin: Origin,
        /// Which key.
        key: String,
        /// What was given.
        value: i64,
        /// Least allowed.
        min: i64,
        /// Most allowed.
        max: i64,
        /// Unit of these numbers, may be empty.
        unit: &'static str,
    },
    /// A text the key can't hold.
    #[error("{origin}: {key} = {value:?} is refused: {reason}")]
    Refused {
        /// Where it stands.
        origin: Origin,
        /// Which key.
        key: String,
        /// What was given.
        value: String,
        /// Why not.
        reason: String,
    },
    /// The table of keys and the settings built from it disagree; a defect of the program.
    #[error("the configuration can't be put together: {message}")]
    Assembly {
        /// What the assembling said.
        message: String,
    },
}

fn hint(nearest: Option<&str>) -> String {
    nearest.map_or_else(
        || "; `mesh30k node config --explain` lists all keys".to_owned(),
        |nearest| format!("; did you mean {nearest}?"),
    )
}

fn unit_suffix(unit: &str) -> String {
    if unit.is_empty() { String::new() } else { format!(" ({unit})") }
}
