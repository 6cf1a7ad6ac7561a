//! What members of a Raft group say to each other.

#[allow(dead_code, unused_imports, unreachable_pub, clippy::all)]
#[path = "../../../../consensus/src/raft/frame.rs"]
mod frame;
pub mod type_config;

pub use mesh30k_consensus::raft::Opaque;
use openraft::impls::TokioRuntime;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::strict::choose;

/// A frame. postcard is not canonical (a number may be written longer than it has to be), and nobody signs or hashes a frame; so
/// what is read is written no longer than it came, and from then on stays as it is.
pub fn raft_frame(bytes: &[u8]) {
    let Some((kind, frame)) = choose(bytes, 2) else { return };
    if kind == 0 {
        settles::<frame::Request<TokioRuntime>>(frame);
    } else {
        settles::<frame::Response<TokioRuntime>>(frame);
    }
}

fn settles<T: Serialize + DeserializeOwned>(bytes: &[u8]) {
    let Ok((sender, body)) = frame::decode::<T>(bytes) else { return };
    let written = frame::encode(sender, &body).expect("what was read can be written");
    assert!(written.len() <= bytes.len(), "it grew from {} to {} bytes", bytes.len(), written.len());
    let (again, body) = frame::decode::<T>(&written).expect("what was written can be read");
    assert_eq!(again, sender);
    assert_eq!(frame::encode(again, &body).expect("it can be written"), written);
    let longer = [&written[..], &[0]].concat();
    assert!(frame::decode::<T>(&longer).is_err(), "a trailing byte was taken");
}

/// Frames of every kind, for the corpus.
pub fn samples() -> Vec<(&'static str, Vec<u8>)> {
    samples::all()
}

mod samples {
    use openraft::raft::{AppendEntriesRequest, VoteRequest, VoteResponse};

    use super::frame::{Request, Response, Sender, encode};
    use super::type_config::{Entry, LogId, SnapshotMeta, Vote, log_id};
    use super::{Opaque, TokioRuntime};
    use crate::group::StoreId;

    pub(super) fn all() -> Vec<(&'static str, Vec<u8>)> {
        let sender = Sender { member: 1, store_id: StoreId([7; 32]) };
        let vote = Vote::new_committed(3, 1);
        let at: LogId = log_id(3, 9);
        let entry =
            Entry { log_id: log_id(3, 10), payload: openraft::EntryPayload::Normal(Opaque(b"block"[..].into())) };
        let append =
            AppendEntriesRequest { vote, prev_log_id: Some(at), entries: vec![entry], leader_commit: Some(at) };
        let meta = SnapshotMeta { last_log_id: Some(at), ..SnapshotMeta::default() };
        type R = Request<TokioRuntime>;
        let requests: [(&str, R); 4] = [
            ("vote", R::Vote(VoteRequest::new(vote, Some(at)))),
            ("pre-vote", R::PreVote(VoteRequest::new(vote, None))),
            ("append", R::Append(append)),
            ("snapshot", R::Snapshot { vote, meta, bytes: Opaque(b"state"[..].into()) }),
        ];
        let answers: [(&str, Response<TokioRuntime>); 2] = [
            ("vote-answer", Response::Vote(VoteResponse { vote, vote_granted: true, last_log_id: Some(at) })),
            ("refused", Response::Refused("node 3 has a new disk: register it anew".to_owned())),
        ];
        let with = |kind: u8, bytes: bytes::Bytes| [&[kind], &bytes[..]].concat();
        let asked = requests.iter().map(|(name, body)| (*name, with(0, encode(sender, body).expect("it is small"))));
        let said = answers.iter().map(|(name, body)| (*name, with(1, encode(sender, body).expect("it is small"))));
        asked.chain(said).collect()
    }
}
