//! A network that delivers at once, on any runtime.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use mesh30k_consensus::group::{GroupId, MemberId};
use mesh30k_consensus::raft::GroupSet;
use mesh30k_consensus::transport::{RaftLane, Transport, TransportError};
use openraft::type_config::AsyncRuntime;

/// The members by number, from 1. Sets and wires hold each other: a test that restarts members clears this.
pub type Sets<RT> = Arc<Mutex<Vec<GroupSet<RT>>>>;

/// Delivers to the set of that number, and keeps the last request for the test to play with.
pub struct Wire<RT: AsyncRuntime> {
    pub sets: Sets<RT>,
    pub me: MemberId,
    pub last: Arc<Mutex<Option<Bytes>>>,
}

impl<RT: AsyncRuntime> Transport for Wire<RT> {
    fn call(
        &self,
        target: MemberId,
        group: GroupId,
        lane: RaftLane,
        request: Bytes,
        _: Duration,
    ) -> BoxFuture<'static, Result<Bytes, TransportError>> {
        let (set, me) = (self.sets.lock().unwrap().get(target as usize - 1).cloned(), self.me);
        *self.last.lock().unwrap() = Some(request.clone());
        Box::pin(async move {
            let set = set.ok_or_else(|| TransportError::Unreachable("down".into()))?;
            Ok(set.handle(me, group, lane, &request).await)
        })
    }
}
