//! A network that delivers at once, on any runtime.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use mesh30k_consensus::group::{GroupId, MemberId};
use mesh30k_consensus::raft::GroupSet;
use mesh30k_consensus::transport::{RaftLane, Transport, TransportError};
use openraft::type_config::AsyncRuntime;

pub type Sets<RT> = Arc<OnceLock<Vec<GroupSet<RT>>>>;

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
        let (sets, me) = (Arc::clone(&self.sets), self.me);
        *self.last.lock().unwrap() = Some(request.clone());
        Box::pin(async move { Ok(sets.get().unwrap()[target as usize - 1].handle(me, group, lane, &request).await) })
    }
}
