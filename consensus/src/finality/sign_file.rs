//! The bytes under a sign-log: one small file with a lock, and its twin in memory.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// What a sign-log needs of its storage. Appends are not durable before `sync` returns.
pub trait SignFile: Send {
    /// Reads everything there is; `None` if the file does not exist.
    fn read_all(&mut self) -> io::Result<Option<Vec<u8>>>;
    /// Adds bytes at the end.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Returns once everything appended so far survives a power cut.
    fn sync(&mut self) -> io::Result<()>;
    /// Cuts the file to `length` bytes, durably.
    fn truncate(&mut self, length: u64) -> io::Result<()>;
    /// Puts `bytes` in place of the whole file, atomically and durably; creates it if missing.
    fn replace(&mut self, bytes: &[u8]) -> io::Result<()>;
}

/// Why a sign-log's file could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum SignFileError {
    /// Another process holds the lock.
    #[error("sign-log {path} is in use by process {holder}: one process at a time may sign with a key")]
    Locked {
        /// The log's path.
        path: String,
        /// Process id written by the holder, or "unknown".
        holder: String,
    },
    /// The operating system refused.
    #[error("sign-log {path} cannot be opened")]
    Io {
        /// The log's path.
        path: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// A sign-log's file on disk. The lock is a file beside it, since rotation replaces the log itself.
#[derive(Debug)]
pub struct DiskSignFile {
    path: PathBuf,
    file: Option<File>,
    // Held for its lock, which the system releases when the process ends in any way.
    _lock: File,
}

impl DiskSignFile {
    /// Locks `path` + ".lock" and opens `path` if it exists. Creates no log.
    pub fn open(path: &Path) -> Result<Self, SignFileError> {
        let io = |source| SignFileError::Io { path: path.display().to_string(), source };
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(beside(path, "lock"))
            .map_err(io)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let read = lock.take(32).read_to_string(&mut holder).is_ok();
                let holder =
                    if read && !holder.trim().is_empty() { holder.trim().to_owned() } else { "unknown".to_owned() };
                return Err(SignFileError::Locked { path: path.display().to_string(), holder });
            }
            Err(TryLockError::Error(source)) => return Err(io(source)),
        }
        lock.set_len(0).map_err(io)?;
        lock.write_all(std::process::id().to_string().as_bytes()).map_err(io)?;
        let file = match OpenOptions::new().read(true).write(true).open(path) {
            Ok(file) => Some(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(source) => return Err(io(source)),
        };
        Ok(Self { path: path.to_owned(), file, _lock: lock })
    }

    fn existing(&mut self) -> io::Result<&mut File> {
        self.file.as_mut().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }
}

impl SignFile for DiskSignFile {
    fn read_all(&mut self) -> io::Result<Option<Vec<u8>>> {
        let Some(file) = self.file.as_mut() else { return Ok(None) };
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(0))?;
        file.read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let file = self.existing()?;
        file.seek(SeekFrom::End(0))?;
        file.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.existing()?.sync_data()
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        let file = self.existing()?;
        file.set_len(length)?;
        file.sync_all()
    }

    fn replace(&mut self, bytes: &[u8]) -> io::Result<()> {
        let fresh = beside(&self.path, "new");
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&fresh)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&fresh, &self.path)?;
        // The rename itself is durable only with the directory.
        let directory = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(directory.unwrap_or(Path::new(".")))?.sync_all()?;
        self.file = Some(file);
        Ok(())
    }
}

fn beside(path: &Path, extension: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    PathBuf::from(name)
}

/// A sign-log's file in memory, for tests and simulation: it knows what a power cut leaves.
/// Clones share the same bytes, as two handles of one file would.
#[derive(Clone, Debug, Default)]
pub struct MemorySignFile(Arc<Mutex<MemoryBytes>>);

#[derive(Debug, Default)]
struct MemoryBytes {
    current: Option<Vec<u8>>,
    synced: Option<Vec<u8>>,
    syncs_left: Option<u32>,
}

impl MemorySignFile {
    /// An absent file.
    pub fn new() -> Self {
        Self::default()
    }

    /// A file that already has these bytes, durably.
    pub fn with_bytes(bytes: Vec<u8>) -> Self {
        let file = Self::default();
        file.with(|inner| {
            inner.current = Some(bytes.clone());
            inner.synced = Some(bytes);
        });
        file
    }

    /// What is durable: the bytes a power cut leaves at least.
    pub fn synced(&self) -> Option<Vec<u8>> {
        self.with(|inner| inner.synced.clone())
    }

    /// A power cut: everything that was not synced is gone.
    pub fn lose_unsynced(&self) {
        self.with(|inner| inner.current = inner.synced.clone());
    }

    /// Lets `count` more syncs succeed; every later one fails.
    pub fn fail_syncs_after(&self, count: u32) {
        self.with(|inner| inner.syncs_left = Some(count));
    }

    fn with<T>(&self, act: impl FnOnce(&mut MemoryBytes) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl MemoryBytes {
    fn sync(&mut self) -> io::Result<()> {
        if let Some(left) = self.syncs_left.as_mut() {
            *left = left.checked_sub(1).ok_or_else(|| io::Error::other("injected fsync failure"))?;
        }
        self.synced = self.current.clone();
        Ok(())
    }
}

impl SignFile for MemorySignFile {
    fn read_all(&mut self) -> io::Result<Option<Vec<u8>>> {
        Ok(self.with(|inner| inner.current.clone()))
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.with(|inner| match inner.current.as_mut() {
            Some(current) => {
                current.extend_from_slice(bytes);
                Ok(())
            }
            None => Err(io::Error::from(io::ErrorKind::NotFound)),
        })
    }

    fn sync(&mut self) -> io::Result<()> {
        self.with(MemoryBytes::sync)
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.with(|inner| {
            if let Some(current) = inner.current.as_mut() {
                current.truncate(usize::try_from(length).unwrap_or(usize::MAX));
            }
            inner.sync()
        })
    }

    fn replace(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.with(|inner| {
            let before = inner.current.replace(bytes.to_vec());
            inner.sync().inspect_err(|_| inner.current = before)
        })
    }
}
