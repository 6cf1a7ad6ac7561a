//! Raft over the network: consensus's transport on two lanes, all groups of a process on one connection per peer.

use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use futures::future::BoxFuture;
use mesh30k_consensus::group::{GroupId, MemberId};
use mesh30k_consensus::raft::GroupSet;
use mesh30k_consensus::transport::{RaftLane, Transport, TransportError};
use mesh30k_ledger::types::NodeId;
use mesh30k_p2p::{Control, Inbound, Inbox, Lane, RequestError};
use tokio::sync::Semaphore;

use crate::lanes;
use crate::raft_runtime::RaftRuntime;
use crate::roster::SharedRoster;

/// Raft requests of peers worked on at a time.
const SERVING_MAX: usize = 256;

/// Consensus's way to other members.
pub struct RaftBridge {
    control: Control,
    roster: SharedRoster,
}

impl RaftBridge {
    /// A bridge that finds members by the ledger's roster.
    #[must_use]
    pub const fn new(control: Control, roster: SharedRoster) -> Self {
        Self { control, roster }
    }
}

const fn lane_of(lane: RaftLane) -> Lane {
    match lane {
        RaftLane::Vote | RaftLane::Snapshot => lanes::RAFT,
        RaftLane::Append => lanes::RAFT_APPEND,
    }
}

const fn tag_of(lane: RaftLane) -> u8 {
    match lane {
        RaftLane::Vote => 0,
        RaftLane::Append => 1,
        RaftLane::Snapshot => 2,
    }
}

const fn lane_of_tag(tag: u8) -> Option<RaftLane> {
    match tag {
        0 => Some(RaftLane::Vote),
        1 => Some(RaftLane::Append),
        2 => Some(RaftLane::Snapshot),
        _ => None,
    }
}

impl Transport for RaftBridge {
    fn call(
        &self,
        target: MemberId,
        group: GroupId,
        lane: RaftLane,
        request: Bytes,
        ttl: Duration,
    ) -> BoxFuture<'static, Result<Bytes, TransportError>> {
        let peer = self.roster.load().peer_of(NodeId(target));
        let control = self.control.clone();
        Box::pin(async move {
            let peer =
                peer.ok_or_else(|| TransportError::Unreachable(format!("node {target} is not on the ledger")))?;
            let mut body = BytesMut::with_capacity(request.len() + GroupId::KEY_BYTES + 1);
            body.put_u8(tag_of(lane));
            body.put_slice(&group.key());
            body.put_slice(&request);
            control.request(peer, lane_of(lane), body.freeze(), ttl).await.map_err(|error| match error {
                RequestError::Timeout { .. } => TransportError::Timeout { ttl },
                RequestError::Refused { reason } => TransportError::Refused(reason),
                other => TransportError::Unreachable(other.to_string()),
            })
        })
    }
}

/// Answers the Raft requests of peers until the network closes.
pub async fn serve(mut inbox: Inbox, groups: GroupSet<RaftRuntime>, roster: SharedRoster) {
    let serving = Arc::new(Semaphore::new(SERVING_MAX));
    while let Some(inbound) = inbox.recv().await {
        let Ok(permit) = Arc::clone(&serving).acquire_owned().await else { return };
        let (groups, from) = (groups.clone(), roster.load().node_of(&inbound.peer));
        tokio::spawn(async move {
            answer(inbound, &groups, from).await;
            drop(permit);
        });
    }
}

async fn answer(inbound: Inbound, groups: &GroupSet<RaftRuntime>, from: Option<NodeId>) {
    let Some(reply) = inbound.reply else { return };
    let Some(from) = from else {
        reply.refuse("this node is not on the ledger: register it first");
        return;
    };
    let parsed = inbound.body.split_first().and_then(|(tag, rest)| {
        let (key, request) = rest.split_at_checked(GroupId::KEY_BYTES)?;
        Some((lane_of_tag(*tag)?, GroupId::from_key(key)?, request))
    });
    let Some((lane, group, request)) = parsed else {
        reply.refuse("this is no Raft request");
        return;
    };
    reply.send(groups.handle(from.0, group, lane, request).await);
}
