//! The answering side of a group.

use bytes::Bytes;
use openraft::Raft;
use openraft::async_runtime::WatchReceiver;
use openraft::type_config::AsyncRuntime;

use crate::group::MemberId;
use crate::raft::StateMachine;
use crate::raft::frame::{PeerCheck, Request, Response, Sender, decode, encode};
use crate::raft::gate::Gate;
use crate::raft::type_config::{RaftConfig, Snapshot, position};
use crate::transport::RaftLane;

/// What answers: a group's parts.
pub(crate) struct Answering<'a, RT: AsyncRuntime> {
    pub(crate) raft: &'a Raft<RaftConfig<RT>, StateMachine<RT>>,
    pub(crate) machine: &'a StateMachine<RT>,
    pub(crate) gate: &'a Gate,
}

/// Answers one frame of `from`. Never fails: what cannot be answered is refused with a sentence.
pub(crate) async fn serve<RT: AsyncRuntime>(
    answering: &Answering<'_, RT>,
    me: Sender,
    check: &PeerCheck,
    from: MemberId,
    lane: RaftLane,
    frame: &[u8],
) -> Bytes {
    let is_leader = answering.raft.server_metrics().borrow_watched().state.is_leader();
    let admitted = admit::<RT>(check, from, lane, frame)
        .and_then(|request| answering.gate.has_room_for(&request, me.member, is_leader).map(|()| request));
    let response = match admitted {
        Ok(request) => answer(answering, request).await,
        Err(sentence) => Response::Refused(sentence),
    };
    reply(me, &response)
}

/// A refusal as bytes, for callers that have no group to ask.
pub(crate) fn refuse<RT: AsyncRuntime>(me: Sender, sentence: String) -> Bytes {
    reply::<RT>(me, &Response::Refused(sentence))
}

fn reply<RT: AsyncRuntime>(me: Sender, response: &Response<RT>) -> Bytes {
    // Empty bytes are no frame: the caller treats them as unusable.
    encode(me, response).unwrap_or_default()
}

fn admit<RT: AsyncRuntime>(
    check: &PeerCheck,
    from: MemberId,
    lane: RaftLane,
    frame: &[u8],
) -> Result<Request<RT>, String> {
    let limit = lane.max_request_bytes();
    if frame.len() > limit {
        return Err(format!("request of {} bytes; the limit on this lane is {limit}", frame.len()));
    }
    let (sender, request) = decode::<Request<RT>>(frame)?;
    if sender.member != from {
        return Err(format!("node {from} speaks as node {}", sender.member));
    }
    check(sender.member, &sender.store_id)?;
    let fits = match &request {
        Request::Vote(_) | Request::PreVote(_) | Request::TransferLeader(_) => lane == RaftLane::Vote,
        Request::Append(append) => lane == RaftLane::Append || (lane == RaftLane::Vote && append.entries.is_empty()),
        Request::Snapshot { .. } => lane == RaftLane::Snapshot,
    };
    if fits { Ok(request) } else { Err(format!("request on the wrong lane, {lane:?}")) }
}

async fn answer<RT: AsyncRuntime>(answering: &Answering<'_, RT>, request: Request<RT>) -> Response<RT> {
    let Answering { raft, machine, gate } = answering;
    let answered = match request {
        Request::Vote(vote) => raft.vote(vote).await.map(Response::Vote).map_err(|e| e.to_string()),
        Request::PreVote(vote) => raft.pre_vote(vote).await.map(Response::PreVote).map_err(|e| e.to_string()),
        Request::Append(append) => match gate.admit(&append) {
            Ok(()) => raft.append_entries(append).await.map(Response::Append).map_err(|e| e.to_string()),
            Err(sentence) => Err(sentence),
        },
        Request::TransferLeader(transfer) => {
            raft.handle_transfer_leader(transfer).await.map(Response::TransferLeader).map_err(|e| e.to_string())
        }
        Request::Snapshot { vote, meta, bytes } => {
            let admitted = match meta.last_log_id.as_ref().map(position) {
                Some(at) => machine.admits(at, &bytes.0).map_err(|e| e.to_string()),
                None => Err("snapshot without a position".to_owned()),
            };
            match admitted {
                Ok(()) => {
                    let installed = raft.install_full_snapshot(vote, Snapshot { meta, snapshot: bytes.0 }).await;
                    installed.map(Response::Snapshot).map_err(|e| e.to_string())
                }
                Err(sentence) => Err(sentence),
            }
        }
    };
    answered.unwrap_or_else(Response::Refused)
}
