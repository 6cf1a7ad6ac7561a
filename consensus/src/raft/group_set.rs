//! All groups of a process.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use futures::future::join_all;
use openraft::type_config::AsyncRuntime;

use crate::app::Application;
use crate::group::{GroupId, MemberId, StoreId};
use crate::raft::frame::{PeerCheck, Sender};
use crate::raft::{Group, GroupConfig, GroupError, HAND_OVER_MAX, serve};
use crate::storage::KvStore;
use crate::transport::{RaftLane, Transport};

/// What the groups of a process share.
#[derive(Clone)]
pub struct GroupSetConfig {
    /// This node.
    pub me: MemberId,
    /// Its data directory.
    pub store_id: StoreId,
    /// The one database.
    pub store: Arc<dyn KvStore>,
    /// The way to the others.
    pub transport: Arc<dyn Transport>,
    /// Whose data directories are welcome.
    pub check: PeerCheck,
}

/// The groups of a process, by name; clones are handles of the same set.
pub struct GroupSet<RT: AsyncRuntime> {
    config: Arc<GroupSetConfig>,
    groups: Arc<RwLock<BTreeMap<GroupId, Slot<RT>>>>,
    read_only: Arc<AtomicBool>,
}

/// A name is taken from the moment its start begins, so that two starts cannot share a log.
enum Slot<RT: AsyncRuntime> {
    Starting,
    Running(Group<RT>),
}

impl<RT: AsyncRuntime> Clone for GroupSet<RT> {
    fn clone(&self) -> Self {
        Self {
            config: Arc::clone(&self.config),
            groups: Arc::clone(&self.groups),
            read_only: Arc::clone(&self.read_only),
        }
    }
}

impl<RT: AsyncRuntime> GroupSet<RT> {
    /// An empty set.
    #[must_use]
    pub fn new(config: GroupSetConfig) -> Self {
        Self { config: Arc::new(config), groups: Arc::default(), read_only: Arc::default() }
    }

    /// The preset configuration of a group of this process.
    #[must_use]
    pub fn preset(&self, id: GroupId) -> GroupConfig {
        let (me, store_id) = (self.config.me, self.config.store_id);
        match id.kind {
            crate::group::GroupKind::Global => GroupConfig::global(id.epoch, id.round, me, store_id),
            crate::group::GroupKind::Sector => GroupConfig::sector(id, me, store_id),
        }
    }

    /// Starts a group.
    ///
    /// # Errors
    /// [`GroupError::Running`] if it runs already, else what [`Group::start`] refuses.
    pub async fn start(&self, config: GroupConfig, app: Box<dyn Application>) -> Result<Group<RT>, GroupError> {
        let group = config.id;
        if let Some(taken) = self.write(|groups| groups.insert(group, Slot::Starting)) {
            self.write(|groups| groups.insert(group, taken));
            return Err(GroupError::Running { group });
        }
        let shared = &self.config;
        let (store, transport) = (Arc::clone(&shared.store), Arc::clone(&shared.transport));
        let started = Group::start(config, store, transport, Arc::clone(&shared.check), app).await;
        self.write(|groups| match &started {
            Ok(running) => groups.insert(group, Slot::Running(running.clone())),
            Err(_) => groups.remove(&group),
        });
        if let Ok(running) = &started {
            running.set_read_only(self.read_only.load(Ordering::Relaxed));
        }
        started
    }

    /// Stops a group and forgets it; its log stays.
    ///
    /// # Errors
    /// [`GroupError::Unknown`] if it does not run here.
    pub async fn stop(&self, id: GroupId) -> Result<(), GroupError> {
        let group = self.get(id).ok_or(GroupError::Unknown { group: id })?;
        group.shutdown().await;
        self.write(|groups| groups.remove(&id));
        Ok(())
    }

    /// Hands on the leadership of all groups that this node leads, at once; returns after [`HAND_OVER_MAX`] at the latest. Whether
    /// it leads none then.
    pub async fn hand_over_all(&self) -> bool {
        let groups = self.ids().into_iter().filter_map(|id| self.get(id));
        let handed = join_all(groups.map(|group| async move { group.hand_over(HAND_OVER_MAX).await })).await;
        handed.into_iter().all(|is_without| is_without)
    }

    /// What [`Group::set_read_only`] says, for all groups, and for those that start later.
    pub fn set_read_only(&self, read_only: bool) {
        self.read_only.store(read_only, Ordering::Relaxed);
        self.ids().into_iter().filter_map(|id| self.get(id)).for_each(|group| group.set_read_only(read_only));
    }

    /// Stops all groups; those that this node leads are led by others then, where there are others.
    pub async fn stop_all(&self) {
        self.hand_over_all().await;
        self.end_all().await;
    }

    /// Stops all groups without a word to the others, as a crash would.
    pub async fn end_all(&self) {
        for id in self.ids() {
            // Stopped meanwhile by somebody else is stopped.
            self.stop(id).await.ok();
        }
    }

    /// A running group.
    #[must_use]
    pub fn get(&self, id: GroupId) -> Option<Group<RT>> {
        match self.groups.read().unwrap_or_else(PoisonError::into_inner).get(&id) {
            Some(Slot::Running(group)) => Some(group.clone()),
            Some(Slot::Starting) | None => None,
        }
    }

    /// Names of the running groups.
    #[must_use]
    pub fn ids(&self) -> Vec<GroupId> {
        let groups = self.groups.read().unwrap_or_else(PoisonError::into_inner);
        let running = groups.iter().filter(|(_, slot)| matches!(slot, Slot::Running(_)));
        running.map(|(id, _)| *id).collect()
    }

    /// Answers a request another member's [`Transport`] carried here. `from` is who the bridge knows it to be; the
    /// frame must say the same. Always answers; what is refused says why.
    pub async fn handle(&self, from: MemberId, group: GroupId, lane: RaftLane, request: &[u8]) -> Bytes {
        match self.get(group) {
            Some(running) => running.handle(from, lane, request).await,
            None => {
                let me = Sender { member: self.config.me, store_id: self.config.store_id };
                serve::refuse::<RT>(me, GroupError::Unknown { group }.to_string())
            }
        }
    }

    fn write<T>(&self, change: impl FnOnce(&mut BTreeMap<GroupId, Slot<RT>>) -> T) -> T {
        change(&mut self.groups.write().unwrap_or_else(PoisonError::into_inner))
    }
}
