//! openraft's calls to other members, over the transport.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use openraft::OptionalSend;
use openraft::async_runtime::Select2;
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Timeout, Unreachable};
use openraft::impls::EmptyNode;
use openraft::network::{RPCOption, RPCTypes, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest, TransferLeaderResponse,
    VoteRequest, VoteResponse,
};
use openraft::type_config::{AsyncRuntime, TypeConfigExt};

use crate::group::{GroupId, MemberId};
use crate::raft::Opaque;
use crate::raft::frame::{PeerCheck, Request, Response, Sender, decode, encode};
use crate::raft::type_config::{RaftConfig, Snapshot, Vote};
use crate::transport::{RaftLane, Transport, TransportError};

/// Makes one client per target and lane.
pub(crate) struct Network<RT> {
    pub(crate) group: GroupId,
    pub(crate) me: Sender,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) check: PeerCheck,
    pub(crate) runtime: PhantomData<fn() -> RT>,
}

/// Calls one member.
pub(crate) struct Client<RT> {
    group: GroupId,
    me: Sender,
    target: MemberId,
    /// Lane of appends; votes always take the urgent one.
    lane: RaftLane,
    transport: Arc<dyn Transport>,
    check: PeerCheck,
    /// The last refusal told to the log, so that a standing one is told once.
    refusal: String,
    runtime: PhantomData<fn() -> RT>,
}

impl<RT> Network<RT> {
    fn client(&self, target: MemberId, lane: RaftLane) -> Client<RT> {
        Client {
            group: self.group,
            me: self.me,
            target,
            lane,
            transport: Arc::clone(&self.transport),
            check: Arc::clone(&self.check),
            refusal: String::new(),
            runtime: PhantomData,
        }
    }
}

impl<RT: AsyncRuntime> RaftNetworkFactory<RaftConfig<RT>> for Network<RT> {
    type Network = Client<RT>;

    async fn new_client(&mut self, target: MemberId, _: &EmptyNode) -> Client<RT> {
        self.client(target, RaftLane::Append)
    }

    async fn new_heartbeat_client(&mut self, target: MemberId, _: &EmptyNode) -> Client<RT> {
        self.client(target, RaftLane::Vote)
    }

    async fn new_snapshot_client(&mut self, target: MemberId, _: &EmptyNode) -> Client<RT> {
        self.client(target, RaftLane::Snapshot)
    }
}

type Failure<RT> = RPCError<RaftConfig<RT>>;

impl<RT: AsyncRuntime> Client<RT> {
    async fn call(
        &mut self,
        lane: RaftLane,
        action: RPCTypes,
        request: &Request<RT>,
        ttl: Duration,
    ) -> Result<Response<RT>, Failure<RT>> {
        let frame = encode(self.me, request).map_err(|e| RPCError::Network(NetworkError::from_string(e)))?;
        let sent = self.transport.call(self.target, self.group, lane, frame, ttl);
        let answer = match RaftConfig::<RT>::timeout(ttl, sent).await {
            Ok(Ok(bytes)) => bytes,
            Err(_) | Ok(Err(TransportError::Timeout { .. })) => {
                let (id, target) = (self.me.member, self.target);
                return Err(RPCError::Timeout(Timeout { action, id, target, timeout: ttl }));
            }
            Ok(Err(TransportError::Refused(sentence))) => return Err(self.refused(sentence)),
            Ok(Err(TransportError::Unreachable(reason))) => {
                return Err(RPCError::Unreachable(Unreachable::from_string(reason)));
            }
        };
        let (sender, response) = match decode::<Response<RT>>(&answer) {
            Ok(decoded) => decoded,
            Err(reason) => return Err(self.refused(format!("its answer is unusable: {reason}"))),
        };
        // What a wiped disk promises under an old name counts for nothing: not even its answer is looked at.
        if sender.member != self.target {
            return Err(self.refused(format!("node {} answered in its place", sender.member)));
        }
        if let Err(sentence) = (self.check)(sender.member, &sender.store_id) {
            return Err(self.refused(sentence));
        }
        match response {
            Response::Refused(sentence) => Err(self.refused(sentence)),
            response => Ok(response),
        }
    }

    fn refused(&mut self, sentence: String) -> Failure<RT> {
        if self.refusal != sentence {
            tracing::warn!(group = %self.group, peer = self.target, "no agreement with peer: {sentence}");
            self.refusal.clone_from(&sentence);
        }
        RPCError::Unreachable(Unreachable::from_string(sentence))
    }

    fn mismatch(&mut self) -> Failure<RT> {
        self.refused("its answer belongs to another question".to_owned())
    }
}

impl<RT: AsyncRuntime> RaftNetworkV2<RaftConfig<RT>> for Client<RT> {
    type SnapshotData = bytes::Bytes;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<RaftConfig<RT>>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<RaftConfig<RT>>, Failure<RT>> {
        let lane = if rpc.entries.is_empty() { self.lane } else { RaftLane::Append };
        let request = Request::Append(rpc);
        match self.call(lane, RPCTypes::AppendEntries, &request, option.soft_ttl()).await? {
            Response::Append(response) => Ok(response),
            _ => Err(self.mismatch()),
        }
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<RaftConfig<RT>>,
        option: RPCOption,
    ) -> Result<VoteResponse<RaftConfig<RT>>, Failure<RT>> {
        let request = Request::Vote(rpc);
        match self.call(RaftLane::Vote, RPCTypes::Vote, &request, option.soft_ttl()).await? {
            Response::Vote(response) => Ok(response),
            _ => Err(self.mismatch()),
        }
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<RaftConfig<RT>>,
        option: RPCOption,
    ) -> Result<VoteResponse<RaftConfig<RT>>, Failure<RT>> {
        let request = Request::PreVote(rpc);
        match self.call(RaftLane::Vote, RPCTypes::Vote, &request, option.soft_ttl()).await? {
            Response::PreVote(response) => Ok(response),
            _ => Err(self.mismatch()),
        }
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<RaftConfig<RT>>, StreamingError<RaftConfig<RT>>> {
        let request = Request::Snapshot { vote, meta: snapshot.meta, bytes: Opaque(snapshot.snapshot) };
        let called = self.call(RaftLane::Snapshot, RPCTypes::InstallSnapshot, &request, option.soft_ttl());
        match RaftConfig::<RT>::select2(cancel, called).await {
            Select2::First(closed) => Err(StreamingError::Closed(closed)),
            Select2::Second(Ok(Response::Snapshot(response))) => Ok(response),
            Select2::Second(Ok(_)) => Err(self.mismatch().into()),
            Select2::Second(Err(error)) => Err(error.into()),
        }
    }

    async fn transfer_leader(
        &mut self,
        rpc: TransferLeaderRequest<RaftConfig<RT>>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<RaftConfig<RT>>, Failure<RT>> {
        let request = Request::TransferLeader(rpc);
        match self.call(RaftLane::Vote, RPCTypes::TransferLeader, &request, option.soft_ttl()).await? {
            Response::TransferLeader(response) => Ok(response),
            _ => Err(self.mismatch()),
        }
    }
}
