//! What a sign-log is written with.

use std::io;

use mesh30k_consensus::finality::sign_file::{MemorySignFile, SignFile};

/// A sign-log's file, or one that forgets everything (a planted mistake: votes leave without a record).
#[derive(Clone)]
pub enum Ink {
    Kept(MemorySignFile),
    Forgetful,
}

impl SignFile for Ink {
    fn read_all(&mut self) -> io::Result<Option<Vec<u8>>> {
        match self {
            Self::Kept(file) => file.read_all(),
            Self::Forgetful => Ok(None),
        }
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Self::Kept(file) = self { file.append(bytes) } else { Ok(()) }
    }

    fn sync(&mut self) -> io::Result<()> {
        if let Self::Kept(file) = self { file.sync() } else { Ok(()) }
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        if let Self::Kept(file) = self { file.truncate(length) } else { Ok(()) }
    }

    fn replace(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Self::Kept(file) = self { file.replace(bytes) } else { Ok(()) }
    }
}
