//! What was carried, dropped and refused: plain atomics, read as one snapshot.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A count that only grows.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, n: usize) {
        self.0.fetch_add(u64::try_from(n).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(crate) fn one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Declares the live counters, their snapshot and the way from one to the other in one place.
macro_rules! counters {
    (
        $(#[$live_doc:meta])* $live:ident,
        $(#[$doc:meta])* $snapshot:ident { $($(#[$field_doc:meta])* $field:ident,)* }
    ) => {
        $(#[$live_doc])*
        #[derive(Debug, Default)]
        pub(crate) struct $live { $(pub(crate) $field: Count,)* }

        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $snapshot { $($(#[$field_doc])* pub $field: u64,)* }

        impl $live {
            fn snapshot(&self) -> $snapshot { $snapshot { $($field: self.$field.get(),)* } }
        }

        impl $snapshot {
            /// Name and value of each counter, in order of declaration.
            #[must_use]
            pub fn named(&self) -> Vec<(&'static str, u64)> { vec![$((stringify!($field), self.$field),)*] }
        }
    };
}

counters! {
    /// Live counters of a lane, all peers together.
    LiveLane,
    /// Counters of one lane, all peers together.
    LaneCounters {
        /// Frames read.
        frames_in,
        /// Frames given to a stream.
        frames_out,
        /// Body bytes read.
        bytes_in,
        /// Body bytes given to a stream.
        bytes_out,
        /// Outgoing notices dropped: queue full, peer unreachable, or stream lost before they were written.
        notices_dropped,
        /// Outgoing requests that ended without an answer of the other side.
        requests_failed,
        /// Incoming notices dropped because the inbox was full.
        inbox_dropped,
        /// Incoming requests answered with Busy.
        busy_answers,
        /// Outbound streams opened.
        streams_opened,
        /// Outbound streams that broke.
        streams_lost,
        /// Inbound streams refused: too many of one peer, or the peer was not verified in time.
        streams_refused,
    }
}

counters! {
    /// Live counters of the node.
    LiveNode,
    /// Counters of the node, lanes apart.
    NodeCounters {
        /// Peers disconnected because they belong to another chain.
        foreign_chain,
        /// Peers disconnected because they did not identify themselves.
        unidentified,
        /// Frames longer or shorter than allowed, or of an unknown kind.
        garbage_frames,
        /// Frames that are well formed but out of place.
        unexpected_frames,
        /// Streams that ended within a frame while the connection lived on.
        truncated_frames,
        /// Times a peer was disconnected and refused for a while for its strikes.
        peers_refused,
        /// Second connections to a peer that were closed.
        duplicates_closed,
        /// Connections closed because pings went unanswered.
        ping_timeouts,
        /// Dials that failed.
        dial_failures,
        /// Inbound connections that failed or were denied.
        inbound_failures,
        /// Gossip messages handed to the application.
        gossip_received,
        /// Gossip messages dropped (ignored) because the application lags behind.
        gossip_dropped,
        /// Gossip messages ignored because no verdict came in time.
        verdicts_missing,
        /// Verdicts that came too late or twice.
        verdicts_late,
        /// Gossip messages the application rejected.
        gossip_rejected,
        /// Publications that gossip did not take.
        publish_failures,
        /// Peer and listener events dropped because the application lags behind.
        events_dropped,
    }
}

/// One reading of all counters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Lanes apart.
    pub node: NodeCounters,
    /// By lane name; only lanes that were used.
    pub lanes: BTreeMap<&'static str, LaneCounters>,
}

/// All live counters of a node.
#[derive(Debug, Default)]
pub(crate) struct Live {
    pub(crate) node: LiveNode,
    lanes: Mutex<BTreeMap<&'static str, Arc<LiveLane>>>,
}

impl Live {
    pub(crate) fn lane(&self, name: &'static str) -> Arc<LiveLane> {
        Arc::clone(locked(&self.lanes).entry(name).or_default())
    }

    pub(crate) fn snapshot(&self) -> Counters {
        let lanes = locked(&self.lanes).iter().map(|(name, live)| (*name, live.snapshot())).collect();
        Counters { node: self.node.snapshot(), lanes }
    }
}

/// A lock whose holders never leave the data half-changed, so that a panic elsewhere does not spread.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
