//! What members say to each other.

use std::sync::Arc;

use bytes::Bytes;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest, TransferLeaderResponse,
    VoteRequest, VoteResponse,
};
use openraft::type_config::AsyncRuntime;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::group::{MemberId, StoreId};
use crate::raft::Opaque;
use crate::raft::type_config::{RaftConfig, SnapshotMeta, Vote};

/// Version of the frames; another one is refused.
const FRAME_VERSION: u8 = 1;

/// Whether a data directory is the one registered for a member; the error is the sentence its operator should read.
pub type PeerCheck = Arc<dyn Fn(MemberId, &StoreId) -> Result<(), String> + Send + Sync>;

/// For tests and single-user setups: every data directory is welcome.
#[must_use]
pub fn accept_any_peer() -> PeerCheck {
    Arc::new(|_, _| Ok(()))
}

/// Who sends, and from which disk: first in every request and response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sender {
    pub(crate) member: MemberId,
    pub(crate) store_id: StoreId,
}

#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub(crate) enum Request<RT: AsyncRuntime> {
    Vote(VoteRequest<RaftConfig<RT>>),
    PreVote(VoteRequest<RaftConfig<RT>>),
    Append(AppendEntriesRequest<RaftConfig<RT>>),
    Snapshot { vote: Vote, meta: SnapshotMeta, bytes: Opaque },
    TransferLeader(TransferLeaderRequest<RaftConfig<RT>>),
}

#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub(crate) enum Response<RT: AsyncRuntime> {
    Vote(VoteResponse<RaftConfig<RT>>),
    PreVote(VoteResponse<RaftConfig<RT>>),
    Append(AppendEntriesResponse<RaftConfig<RT>>),
    Snapshot(SnapshotResponse<RaftConfig<RT>>),
    TransferLeader(TransferLeaderResponse<RaftConfig<RT>>),
    Refused(String),
}

/// Version, sender, body.
pub(crate) fn encode<T: Serialize>(sender: Sender, body: &T) -> Result<Bytes, String> {
    let head = postcard::to_stdvec(&(FRAME_VERSION, sender)).map_err(|e| e.to_string())?;
    postcard::to_extend(body, head).map(Bytes::from).map_err(|e| e.to_string())
}

/// Reads [`encode`]'s bytes; nothing may follow them.
pub(crate) fn decode<T: DeserializeOwned>(frame: &[u8]) -> Result<(Sender, T), String> {
    let Some((version, rest)) = frame.split_first() else { return Err("empty frame".to_owned()) };
    if *version != FRAME_VERSION {
        return Err(format!("frame version {version}, expected {FRAME_VERSION}"));
    }
    let malformed = |e: postcard::Error| format!("malformed frame: {e}");
    let (sender, rest) = postcard::take_from_bytes(rest).map_err(malformed)?;
    let (body, rest) = postcard::take_from_bytes(rest).map_err(malformed)?;
    if rest.is_empty() { Ok((sender, body)) } else { Err(format!("malformed frame: {} bytes too many", rest.len())) }
}
