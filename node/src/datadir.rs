//! The folder of one node: what lies where, and that only one process uses it.
//!
//! ```text
//! DIR/lock       held by the running process; its pid inside
//! DIR/store_id   32 random bytes (hex), made once; registered on the ledger, so that a wiped disk is noticed
//! DIR/db/        RocksDB
//! DIR/db_made    empty; there since the database was first opened, so that a lost one is noticed
//! DIR/keys/      unattended keys of the node
//! DIR/signlog    the votes this validator signed; never part of a backup
//! DIR/tasks/     workspaces of tasks
//! DIR/logs/      evidence and logs
//! ```

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

/// Bytes read of a lock or id file.
const MAX_SMALL_FILE_BYTES: u64 = 256;
/// Subfolders made when the folder is opened.
const FOLDERS: [&str; 4] = ["db", "keys", "tasks", "logs"];
/// The file that says that there was a database.
const DATABASE_MADE: &str = "db_made";

/// A data directory that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// Another process runs on it.
    #[error("data directory {path} is in use by {}; stop that node or choose another with node.data_dir", pid.map_or_else(
        || "another process".to_owned(), |pid| format!("pid {pid}")))]
    InUse {
        /// The folder.
        path: PathBuf,
        /// Who holds it, if the lock file says so.
        pid: Option<u32>,
    },
    /// The id is gone while the database is not.
    #[error(
        "data directory {path} has a database but no store_id; restore store_id from a backup, or begin in an empty folder \
        (the node then registers as a new one)"
    )]
    StoreIdMissing {
        /// The folder.
        path: PathBuf,
    },
    /// The database is gone while the id is not.
    #[error(
        "data directory {path} has lost its database: a node that has forgotten what it voted for must not come back under its \
        old id; restore the old directory, or begin in an empty folder and join as a new node"
    )]
    DatabaseMissing {
        /// The folder.
        path: PathBuf,
    },
    /// The id is not an id.
    #[error("{path} is damaged: it must hold 64 hexadecimal digits; restore it from a backup")]
    StoreIdDamaged {
        /// The file.
        path: PathBuf,
    },
    /// The network's name can't be a folder's.
    #[error("chain name {name:?} can't be a folder: use 1 to 64 of a-z, A-Z, 0-9, '-', '_' and '.', not '.' first")]
    BadChainName {
        /// The name.
        name: String,
    },
    /// Nobody says where data may go.
    #[error("neither XDG_DATA_HOME nor HOME is set to an absolute path; set node.data_dir")]
    NoHome,
    /// The operating system gave no randomness.
    #[error("the operating system gave no random bytes for a store id: {reason}")]
    NoRandomness {
        /// What it said.
        reason: String,
    },
    /// The file system refused.
    #[error("{action} {path} failed")]
    Io {
        /// What was tried.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
}

/// Where people's data lies: `$XDG_DATA_HOME/mesh30k`, else `$HOME/.local/share/mesh30k`. The caller reads the environment.
///
/// # Errors
/// [`DataDirError::NoHome`] if neither is an absolute path.
pub fn data_home(xdg_data_home: Option<&str>, home: Option<&str>) -> Result<PathBuf, DataDirError> {
    let absolute = |text: &str| Some(PathBuf::from(text)).filter(|path| path.is_absolute());
    let xdg = xdg_data_home.and_then(absolute);
    let base = xdg.or_else(|| home.and_then(absolute).map(|home| home.join(".local/share")));
    base.map(|base| base.join("mesh30k")).ok_or(DataDirError::NoHome)
}

/// Folder of the keys of the node whose data directory this is.
#[must_use]
pub fn keys_of(data_dir: &Path) -> PathBuf {
    data_dir.join("keys")
}

/// The default folder of the node of a chain: one folder per network.
///
/// # Errors
/// [`DataDirError::BadChainName`] for a name that would leave the folder, [`DataDirError::NoHome`].
pub fn default_path(chain: &str, xdg_data_home: Option<&str>, home: Option<&str>) -> Result<PathBuf, DataDirError> {
    if !crate::config::is_chain_name(chain) {
        return Err(DataDirError::BadChainName { name: chain.chars().take(64).collect() });
    }
    Ok(data_home(xdg_data_home, home)?.join(chain))
}

/// An open data directory; closing it (or the end of the process, however it ends) lets the next one in.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    store_id: [u8; 32],
    /// The operating system ties the lock to this open file.
    _lock: File,
}

impl DataDir {
    /// Opens a folder, making what is missing.
    ///
    /// # Errors
    /// [`DataDirError`] names the folder or file and what to do.
    pub fn open(path: &Path) -> Result<Self, DataDirError> {
        make_folder(path)?;
        let lock = take_lock(path)?;
        let store_id = load_or_create_store_id(path)?;
        if path.join(DATABASE_MADE).exists() && !has_database(path) {
            return Err(DataDirError::DatabaseMissing { path: path.to_owned() });
        }
        for folder in FOLDERS {
            make_folder(&path.join(folder))?;
        }
        Ok(Self { path: path.to_owned(), store_id, _lock: lock })
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Random id of this disk.
    #[must_use]
    pub fn store_id(&self) -> [u8; 32] {
        self.store_id
    }

    /// Folder of the database.
    #[must_use]
    pub fn db(&self) -> PathBuf {
        self.path.join("db")
    }

    /// Remembers that the database was made: from now on the folder is refused when it is lost. To be called when the
    /// database is open and before anything is signed.
    ///
    /// # Errors
    /// [`DataDirError::Io`].
    pub fn note_database(&self) -> Result<(), DataDirError> {
        let path = self.path.join(DATABASE_MADE);
        let noted = File::create(&path).and_then(|file| file.sync_all()).and_then(|()| sync_folder(&self.path));
        noted.map_err(|source| DataDirError::Io { action: "creating", path, source })
    }

    /// Folder of the node's own keys.
    #[must_use]
    pub fn keys(&self) -> PathBuf {
        keys_of(&self.path)
    }

    /// File of the sign-log; `consensus` makes it.
    #[must_use]
    pub fn sign_log(&self) -> PathBuf {
        self.path.join("signlog")
    }

    /// Folder of task workspaces.
    #[must_use]
    pub fn tasks(&self) -> PathBuf {
        self.path.join("tasks")
    }

    /// Folder of logs and evidence.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.path.join("logs")
    }
}

/// The process that runs on a folder, if one does; does not disturb it.
#[must_use]
pub fn holder(path: &Path) -> Option<u32> {
    let mut file = File::open(path.join("lock")).ok()?;
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => None,
        Err(_) => read_pid(&mut file),
    }
}

fn make_folder(path: &Path) -> Result<(), DataDirError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| DataDirError::Io { action: "making folder", path: path.to_owned(), source })
}

/// The lock is the operating system's, not the file's existence: what a dead process leaves behind holds nobody up.
fn take_lock(dir: &Path) -> Result<File, DataDirError> {
    let path = dir.join("lock");
    let io = |action| {
        let path = path.clone();
        move |source| DataDirError::Io { action, path, source }
    };
    let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
    let mut file = opened.map_err(io("opening"))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            return Err(DataDirError::InUse { path: dir.to_owned(), pid: read_pid(&mut file) });
        }
        Err(errno) => return Err(io("locking")(errno.into())),
    }
    let written = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
    written.map_err(io("writing"))?;
    Ok(file)
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(MAX_SMALL_FILE_BYTES).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn load_or_create_store_id(dir: &Path) -> Result<[u8; 32], DataDirError> {
    let path = dir.join("store_id");
    let io = |action| {
        let path = path.clone();
        move |source| DataDirError::Io { action, path, source }
    };
    match fs::read_to_string(&path) {
        Ok(text) => {
            let mut id = [0_u8; 32];
            let decoded = hex::decode_to_slice(text.trim(), &mut id);
            return decoded.map(|()| id).map_err(|_| DataDirError::StoreIdDamaged { path });
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) if error.kind() == ErrorKind::InvalidData => return Err(DataDirError::StoreIdDamaged { path }),
        Err(error) => return Err(io("reading")(error)),
    }
    if has_database(dir) {
        return Err(DataDirError::StoreIdMissing { path: dir.to_owned() });
    }
    let mut id = [0_u8; 32];
    getrandom::fill(&mut id).map_err(|error| DataDirError::NoRandomness { reason: error.to_string() })?;
    // Written aside and renamed: a crash leaves a whole id or none.
    let aside = dir.join("store_id.new");
    let mut file = File::create(&aside).map_err(io("creating"))?;
    file.write_all(hex::encode(id).as_bytes()).and_then(|()| file.sync_all()).map_err(io("writing"))?;
    fs::rename(&aside, &path).map_err(io("naming"))?;
    sync_folder(dir).map_err(io("syncing folder of"))?;
    Ok(id)
}

fn has_database(dir: &Path) -> bool {
    fs::read_dir(dir.join("db")).is_ok_and(|mut entries| entries.next().is_some())
}

fn sync_folder(dir: &Path) -> std::io::Result<()> {
    File::open(dir).and_then(|dir| dir.sync_all())
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_second_process_is_told_the_pid_and_a_closed_folder_opens_again() {
        let dir = tempfile::tempdir().unwrap();
        let first = DataDir::open(dir.path()).unwrap();
        // A second open file conflicts as a second process does.
        let error = DataDir::open(dir.path()).unwrap_err();
        let pid = std::process::id();
        assert!(matches!(error, DataDirError::InUse { pid: Some(held), .. } if held == pid));
        let expected = format!("data directory {} is in use by pid {pid};", dir.path().display());
        assert!(error.to_string().starts_with(&expected), "{error}");
        assert_eq!(holder(dir.path()), Some(pid));
        let id = first.store_id();
        drop(first);
        assert_eq!(holder(dir.path()), None);
        assert_eq!(DataDir::open(dir.path()).unwrap().store_id(), id);
    }

    #[test]
    fn a_lock_held_by_another_process_ends_with_that_process() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("lock"), "").unwrap();
        // `flock` of util-linux holds the lock while it runs `cat`, which lives as long as its input.
        let script = "exec 9<>\"$0\"; flock -n 9 || exit 1; echo $$ >&9; echo held; exec cat";
        let mut command = Command::new("sh");
        command.args(["-c", script]).arg(dir.path().join("lock")).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut held = [0_u8; 5];
        child.stdout.as_mut().unwrap().read_exact(&mut held).unwrap();
        let error = DataDir::open(dir.path()).unwrap_err();
        assert!(matches!(error, DataDirError::InUse { pid: Some(pid), .. } if pid == child.id()), "{error}");
        child.kill().unwrap();
        child.wait().unwrap();
        // The dead process' file is still there, and in nobody's way.
        assert!(fs::read_to_string(dir.path().join("lock")).unwrap().contains(&child.id().to_string()));
        DataDir::open(dir.path()).unwrap();
    }

    #[test]
    fn the_store_id_is_made_once_and_never_again_over_a_database() {
        let dir = tempfile::tempdir().unwrap();
        let first = DataDir::open(dir.path()).unwrap();
        let id = first.store_id();
        fs::write(first.db().join("CURRENT"), "x").unwrap();
        drop(first);
        assert_ne!(id, [0; 32]);
        fs::remove_file(dir.path().join("store_id")).unwrap();
        assert!(matches!(DataDir::open(dir.path()), Err(DataDirError::StoreIdMissing { .. })));
        fs::write(dir.path().join("store_id"), "12345").unwrap();
        assert!(matches!(DataDir::open(dir.path()), Err(DataDirError::StoreIdDamaged { .. })));
        let other = tempfile::tempdir().unwrap();
        assert_ne!(DataDir::open(other.path()).unwrap().store_id(), id);
    }

    #[test]
    fn a_folder_that_lost_its_database_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let first = DataDir::open(dir.path()).unwrap();
        drop(first);
        // Laid out and never run.
        let second = DataDir::open(dir.path()).unwrap();
        fs::write(second.db().join("CURRENT"), "x").unwrap();
        second.note_database().unwrap();
        drop(second);
        DataDir::open(dir.path()).unwrap();
        fs::remove_dir_all(dir.path().join("db")).unwrap();
        let refusal = DataDir::open(dir.path()).unwrap_err();
        assert!(matches!(refusal, DataDirError::DatabaseMissing { .. }), "{refusal}");
        assert!(refusal.to_string().contains("join as a new node"), "{refusal}");
    }

    #[test]
    fn the_default_is_one_folder_per_network() {
        let path = default_path("local-1", Some("/data"), Some("/home/x")).unwrap();
        assert_eq!(path, Path::new("/data/mesh30k/local-1"));
        let path = default_path("local-1", Some("relative"), Some("/home/x")).unwrap();
        assert_eq!(path, Path::new("/home/x/.local/share/mesh30k/local-1"));
        assert!(matches!(default_path("local-1", None, None), Err(DataDirError::NoHome)));
        for bad in ["", "..", "../x", "a/b", ".hidden"] {
            assert!(matches!(default_path(bad, Some("/d"), None), Err(DataDirError::BadChainName { .. })), "{bad}");
        }
    }

    #[test]
    fn folders_are_private_and_in_place() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let open = DataDir::open(&dir.path().join("a/b")).unwrap();
        for folder in [open.path().to_owned(), open.db(), open.keys(), open.tasks(), open.logs()] {
            assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700, "{}", folder.display());
        }
        assert!(!open.sign_log().exists());
    }
}
