//! The application as openraft wants to see it.
//!
//! Snapshots may lag behind what is applied: an application's snapshot is its durable state, for the ledger the last
//! final block. openraft allows this (`snapshot <= applied`, `RaftState::io_state`): it purges only up to
//! `snapshot.last_log_id` (`LogHandler::calc_purge_upto`), and a member that installs the snapshot asks for the entries
//! after it. Whatever a restart has to apply again is therefore still in the log.

use std::io;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, TryStreamExt};
use openraft::storage::{EntryResponder, RaftStateMachine};
use openraft::type_config::{AsyncRuntime, TypeConfigExt};
use openraft::{EntryPayload, OptionalSend, RaftSnapshotBuilder};
use serde::{Deserialize, Serialize};

use crate::app::{Application, LogPosition, RestoreRefused, Room};
use crate::group::GroupId;
use crate::raft::meta::MetaTable;
use crate::raft::type_config::{LogId, RaftConfig, Snapshot, SnapshotMeta, StoredMembership, log_id, position};
use crate::raft::{LogError, Opaque};
use crate::storage::{KvStore, Table, WriteBatch};
use crate::transport::MAX_SNAPSHOT_BYTES;

/// How often an application without room is asked again.
const ROOM_POLL: Duration = Duration::from_millis(5);
/// Bytes of a stored piece of a snapshot.
const PIECE_BYTES: usize = 1 << 20;

const MEMBERSHIPS: &[u8] = b"m";
const SNAPSHOT: &[u8] = b"s";
const PIECE: u8 = b'p';
const MEMBERSHIPS_NAME: &str = "membership";
const SNAPSHOT_NAME: &str = "snapshot head";

/// Drives an [`Application`]; clones share it. Also builds its snapshots.
pub struct StateMachine<RT> {
    core: Arc<Mutex<Core>>,
    room: Option<Room>,
    runtime: PhantomData<fn() -> RT>,
}

struct Core {
    group: GroupId,
    kv: Arc<dyn KvStore>,
    meta: MetaTable,
    app: Box<dyn Application>,
    /// Last entry given to the application in this run, or its durable position before the first.
    applied: Option<LogPosition>,
    /// Applied memberships, oldest first: all after the last snapshot, and the one in force there.
    memberships: Vec<StoredMembership>,
}

/// Stored description of the current snapshot.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct SnapshotHead {
    meta: SnapshotMeta,
    bytes: u64,
    hash: [u8; blake3::OUT_LEN],
}

impl<RT> Clone for StateMachine<RT> {
    fn clone(&self) -> Self {
        Self { core: Arc::clone(&self.core), room: self.room.clone(), runtime: PhantomData }
    }
}

impl<RT> StateMachine<RT> {
    /// Takes over an application, with the memberships stored for its group.
    ///
    /// # Errors
    /// [`LogError`] when the store cannot be read.
    pub fn open(kv: Arc<dyn KvStore>, group: GroupId, app: Box<dyn Application>) -> Result<Self, LogError> {
        let meta = MetaTable::new(Arc::clone(&kv), group);
        let memberships = meta.read(MEMBERSHIPS, MEMBERSHIPS_NAME)?.unwrap_or_default();
        let room = app.room();
        let core = Core { group, kv, meta, applied: app.durable_position(), app, memberships };
        core.current()?;
        Ok(Self { core: Arc::new(Mutex::new(core)), room, runtime: PhantomData })
    }

    /// Whether the application may have to wait for room.
    pub(crate) const fn may_wait(&self) -> bool {
        self.room.is_some()
    }

    /// Asks the application whether it would take a snapshot.
    pub(crate) fn admits(&self, position: LogPosition, bytes: &[u8]) -> Result<(), RestoreRefused> {
        self.lock().app.admits(position, bytes)
    }

    fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Core {
    fn apply(
        &mut self,
        at: LogPosition,
        payload: EntryPayload<Opaque, u64, openraft::EmptyNode>,
    ) -> io::Result<Opaque> {
        let response = match payload {
            EntryPayload::Normal(entry) => Opaque(self.app.apply(at, &entry.0).into()),
            EntryPayload::Blank => {
                self.app.skip(at);
                Opaque::default()
            }
            EntryPayload::Membership(membership) => {
                self.memberships.retain(|known| known.log_id().as_ref().is_none_or(|id| position(id) < at));
                self.memberships.push(StoredMembership::new(Some(log_id(at)), membership));
                let mut batch = WriteBatch::new();
                self.meta.put(&mut batch, MEMBERSHIPS, MEMBERSHIPS_NAME, &self.memberships)?;
                self.kv.write(&batch)?;
                self.app.skip(at);
                Opaque::default()
            }
        };
        self.applied = Some(at);
        Ok(response)
    }

    /// The membership in force at a position.
    fn membership_at(&self, at: Option<LogPosition>) -> StoredMembership {
        let in_force = |known: &&StoredMembership| known.log_id().as_ref().map(position) <= at;
        self.memberships.iter().rev().find(in_force).cloned().unwrap_or_default()
    }

    fn build(&mut self) -> io::Result<Snapshot> {
        let taken = self.app.snapshot()?;
        let Some(at) = taken.position else {
            return Ok(Snapshot { meta: SnapshotMeta::default(), snapshot: Bytes::new() });
        };
        if let Some(current) = self.current()?
            && current.meta.last_log_id.as_ref().map(position) >= Some(at)
        {
            return Ok(current);
        }
        let meta = SnapshotMeta { last_log_id: Some(log_id(at)), last_membership: self.membership_at(Some(at)) };
        let snapshot = Snapshot { meta, snapshot: taken.bytes.into() };
        self.store(&snapshot, at)?;
        Ok(snapshot)
    }

    fn install(&mut self, meta: &SnapshotMeta, bytes: Bytes) -> io::Result<()> {
        let Some(at) = meta.last_log_id.as_ref().map(position) else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "snapshot without a position"));
        };
        self.app.admits(at, &bytes).map_err(io::Error::other)?;
        // The snapshot first: if the process ends in between, the start finds it newer than the state and installs it
        // again. The other way round the membership at the new position would be lost.
        self.memberships = vec![meta.last_membership.clone()];
        self.store(&Snapshot { meta: meta.clone(), snapshot: bytes.clone() }, at)?;
        self.app.restore(at, &bytes).map_err(io::Error::other)?;
        self.applied = Some(at);
        Ok(())
    }

    /// Replaces the stored snapshot, and forgets memberships it makes unnecessary.
    fn store(&mut self, snapshot: &Snapshot, at: LogPosition) -> io::Result<()> {
        let (group, bytes, limit) = (self.group, snapshot.snapshot.len(), MAX_SNAPSHOT_BYTES);
        if bytes > limit {
            return Err(LogError::SnapshotTooLarge { group, position: at, bytes, limit }.into());
        }
        let old = self.meta.read::<SnapshotHead>(SNAPSHOT, SNAPSHOT_NAME)?;
        let old_pieces = old.map_or(0, |old| pieces(usize::try_from(old.bytes).unwrap_or(0)));
        let hash = *blake3::hash(&snapshot.snapshot).as_bytes();
        let head = SnapshotHead { meta: snapshot.meta.clone(), bytes: bytes as u64, hash };
        let in_force = self.membership_at(Some(at));
        let mut memberships = vec![in_force];
        let newer = |known: &&StoredMembership| known.log_id().as_ref().map(position) > Some(at);
        memberships.extend(self.memberships.iter().filter(newer).cloned());

        let mut batch = WriteBatch::new();
        self.meta.put(&mut batch, SNAPSHOT, SNAPSHOT_NAME, &head)?;
        self.meta.put(&mut batch, MEMBERSHIPS, MEMBERSHIPS_NAME, &memberships)?;
        for (number, piece) in snapshot.snapshot.chunks(PIECE_BYTES).enumerate() {
            batch.put(Table::RaftMeta, self.meta.key(&piece_tag(number)), piece);
        }
        for number in pieces(bytes)..old_pieces {
            batch.delete(Table::RaftMeta, self.meta.key(&piece_tag(number)));
        }
        self.kv.write(&batch)?;
        self.memberships = memberships;
        Ok(())
    }

    fn current(&self) -> Result<Option<Snapshot>, LogError> {
        let Some(head) = self.meta.read::<SnapshotHead>(SNAPSHOT, SNAPSHOT_NAME)? else { return Ok(None) };
        let mut bytes = Vec::new();
        for number in 0..pieces(usize::try_from(head.bytes).unwrap_or(0)) {
            if let Some(piece) = self.kv.get(Table::RaftMeta, &self.meta.key(&piece_tag(number)))? {
                bytes.extend_from_slice(&piece);
            }
        }
        if blake3::hash(&bytes) != head.hash {
            return Err(self.meta.damaged("snapshot", "its bytes do not match their hash".to_owned()));
        }
        Ok(Some(Snapshot { meta: head.meta, snapshot: bytes.into() }))
    }
}

const fn pieces(bytes: usize) -> usize {
    bytes.div_ceil(PIECE_BYTES)
}

fn piece_tag(number: usize) -> Vec<u8> {
    let number = u32::try_from(number).unwrap_or(u32::MAX);
    [&[PIECE], &number.to_be_bytes()[..]].concat()
}

impl<RT: AsyncRuntime> RaftStateMachine<RaftConfig<RT>> for StateMachine<RT> {
    type SnapshotData = Bytes;
    type SnapshotBuilder = Self;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), io::Error> {
        let core = self.lock();
        Ok((core.applied.map(log_id), core.membership_at(core.applied)))
    }

    async fn apply<Strm>(&mut self, mut entries: Strm) -> Result<(), io::Error>
    where
        Strm: Stream<Item = Result<EntryResponder<RaftConfig<RT>>, io::Error>> + Unpin + OptionalSend,
    {
        while let Some((entry, responder)) = entries.try_next().await? {
            while self.room.as_ref().is_some_and(|has_room| !has_room()) {
                RaftConfig::<RT>::sleep(ROOM_POLL).await;
            }
            let response = self.lock().apply(position(&entry.log_id), entry.payload)?;
            if let Some(responder) = responder {
                responder.send(response);
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Self::SnapshotBuilder {
        self.clone()
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, snapshot: Bytes) -> Result<(), io::Error> {
        self.lock().install(meta, snapshot)
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot>, io::Error> {
        Ok(self.lock().current()?)
    }
}

impl<RT: AsyncRuntime> RaftSnapshotBuilder<RaftConfig<RT>> for StateMachine<RT> {
    type SnapshotData = Bytes;

    async fn build_snapshot(&mut self) -> Result<Snapshot, io::Error> {
        self.lock().build()
    }
}
