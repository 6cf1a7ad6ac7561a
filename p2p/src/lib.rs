//! The network of mesh30k: peers, gossip and lanes. Knows bytes and peers, nothing of ledgers or agents.
//!
//! [`spawn`] starts one swarm task and returns a [`Control`] (to act) and [`Events`] (to hear). Gossip carries what is
//! small and for everybody and waits for a [`Verdict`] before it is relayed; all else goes by [`Lane`]s:
//! request/response and one-way notices over long-lived streams.
//!
//! Everything is bounded; the bounds are the constants exported here, and what is dropped is counted ([`Counters`]).
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod backoff;
mod behaviour;
mod book;
mod clock;
mod command;
mod config;
mod control;
mod counters;
mod directory;
mod error;
mod events;
mod gossip;
mod identity;
mod lane;
mod metrics;
mod redial;
mod spawn;
mod strikes;
mod table;
mod task;
mod task_commands;
mod task_events;
mod transport;

pub use command::COMMAND_QUEUE;
pub use config::{Config, Limits, MAX_CHAIN_NAME_BYTES, Timing, TransportKind};
pub use control::Control;
pub use counters::{Counters, LaneCounters, NodeCounters};
pub use directory::{Direction, PeerInfo};
pub use error::{AcceptError, CommandError, IdentityError, NotifyError, PublishError, RequestError, SpawnError};
pub use events::{EVENT_QUEUE, Event, Events, Refusal};
pub use gossip::{MAX_GOSSIP_BYTES, MAX_PENDING_VERDICTS, MAX_TOPIC_BYTES, MAX_TOPICS, Token, Verdict};
pub use identity::{keypair_from_seed, peer_id_of};
pub use lane::{
    INBOX_FRAMES, Inbound, Inbox, Lane, MAX_IN_FLIGHT, MAX_REASON_BYTES, OUTBOUND_QUEUE_FRAMES, QUEUE_BYTES, Reply,
};
pub use libp2p::identity::Keypair;
pub use libp2p::{Multiaddr, PeerId};
pub use redial::MAX_TARGETS;
pub use spawn::spawn;
pub use strikes::{MAX_STRIKES, STRIKE_WINDOW};
