//! Filter of duplicates: messages are delivered at least once, and each is to act once.

use super::MessageId;
use crate::time::MeshTimeUs;
use std::collections::{BTreeMap, BTreeSet};

/// What the filter says of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Not seen before: act on it.
    New,
    /// Seen and not yet expired: drop it.
    Duplicate,
    /// Past its expiry: drop it, whether seen or not.
    Expired,
}

/// Ids of messages seen, each until its message expires, at most `capacity` of them.
///
/// When full, the id that expires first makes room; such an id could then pass a second time, so this is counted.
#[derive(Clone, Debug)]
pub struct SeenIds {
    capacity: usize,
    expires: BTreeMap<MessageId, MeshTimeUs>,
    by_expiry: BTreeSet<(MeshTimeUs, MessageId)>,
    evicted: u64,
}

impl SeenIds {
    /// A filter for at most `capacity` ids (at least one).
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { capacity: capacity.max(1), expires: BTreeMap::new(), by_expiry: BTreeSet::new(), evicted: 0 }
    }

    /// Judges a message and remembers its id until `expires`.
    pub fn insert(&mut self, id: MessageId, expires: MeshTimeUs, now: MeshTimeUs) -> Seen {
        self.forget_expired(now);
        if expires <= now {
            return Seen::Expired;
        }
        if self.expires.contains_key(&id) {
            return Seen::Duplicate;
        }
        if self.expires.len() >= self.capacity
            && let Some((_, oldest)) = self.by_expiry.pop_first()
        {
            self.expires.remove(&oldest);
            self.evicted = self.evicted.saturating_add(1);
        }
        self.expires.insert(id, expires);
        self.by_expiry.insert((expires, id));
        Seen::New
    }

    /// How many ids are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.expires.len()
    }

    /// Whether nothing is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.expires.is_empty()
    }

    /// How many ids were forgotten before their expiry for want of room.
    #[must_use]
    pub const fn evicted(&self) -> u64 {
        self.evicted
    }

    fn forget_expired(&mut self, now: MeshTimeUs) {
        while let Some((expires, id)) = self.by_expiry.first().copied()
            && expires <= now
        {
            self.by_expiry.pop_first();
            self.expires.remove(&id);
        }
    }
}
