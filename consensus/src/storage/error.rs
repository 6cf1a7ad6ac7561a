//! Why the store refused or failed.

/// A failure of the key-value store. Cheap to clone, since one failed flush answers many writers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Another process holds the database's lock.
    #[error("database {path} is in use by another process")]
    Locked {
        /// Folder of the database.
        path: String,
    },
    /// The stored bytes contradict their checksums or each other.
    #[error("database is corrupt: {reason}")]
    Corrupt {
        /// What the store found, in its own words.
        reason: String,
    },
    /// The operating system refused a read or a write.
    #[error("database cannot {action}: {reason}")]
    Io {
        /// What was attempted.
        action: &'static str,
        /// What the system answered.
        reason: String,
    },
    /// The handle outlived its store (closed, crashed in a test, or stopped after a failed flush).
    #[error("database is closed")]
    Closed,
}

impl From<StoreError> for std::io::Error {
    fn from(error: StoreError) -> Self {
        let kind = match error {
            StoreError::Corrupt { .. } => std::io::ErrorKind::InvalidData,
            StoreError::Locked { .. } => std::io::ErrorKind::WouldBlock,
            StoreError::Io { .. } | StoreError::Closed => std::io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}
