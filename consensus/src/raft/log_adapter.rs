//! The log as openraft wants to see it.

use std::fmt::Debug;
use std::io;
use std::marker::PhantomData;
use std::ops::{Bound, Range, RangeBounds};
use std::sync::Arc;

use futures::Stream;
use openraft::async_runtime::OneshotSender;
use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft::type_config::{AsyncRuntime, TypeConfigExt};
use openraft::{LogState, OptionalSend, RaftLogReader};

use crate::raft::RaftLog;
use crate::raft::type_config::{Entry, LogId, RaftConfig, Vote, log_id, position};
use crate::transport::MAX_BATCH_BYTES;

/// [`RaftLog`] behind openraft's traits; clones share the log.
pub struct LogStore<RT> {
    log: Arc<RaftLog>,
    tells_committed: bool,
    runtime: PhantomData<fn() -> RT>,
}

impl<RT> Clone for LogStore<RT> {
    fn clone(&self) -> Self {
        Self { log: Arc::clone(&self.log), ..*self }
    }
}

impl<RT> LogStore<RT> {
    /// Wraps an opened log.
    #[must_use]
    pub const fn new(log: Arc<RaftLog>) -> Self {
        Self { log, tells_committed: true, runtime: PhantomData }
    }

    /// Keeps to itself how far the log was known to be committed. openraft applies all of that before a group runs; without it, it
    /// applies from the application's own position, once a leader has spoken.
    #[must_use]
    pub fn untold(self) -> Self {
        Self { tells_committed: false, ..self }
    }
}

fn indices(range: &impl RangeBounds<u64>) -> Range<u64> {
    let start = match range.start_bound() {
        Bound::Included(start) => *start,
        Bound::Excluded(before) => before.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(last) => last.saturating_add(1),
        Bound::Excluded(end) => *end,
        Bound::Unbounded => u64::MAX,
    };
    start..end
}

impl<RT: AsyncRuntime> RaftLogReader<RaftConfig<RT>> for LogStore<RT> {
    async fn try_get_log_entries<RB>(&mut self, range: RB) -> Result<Vec<Entry>, io::Error>
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        Ok(self.log.read(indices(&range), usize::MAX)?)
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Result<Vec<Entry>, io::Error> {
        Ok(self.log.read(start..end, MAX_BATCH_BYTES)?)
    }

    /// Page by page: a member that catches up does not hold its whole backlog in memory.
    async fn entries_stream<RB>(&mut self, range: RB) -> impl Stream<Item = Result<Entry, io::Error>> + OptionalSend
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let log = Arc::clone(&self.log);
        let page = Vec::new().into_iter();
        futures::stream::unfold((log, indices(&range), page), |(log, mut range, mut page)| async move {
            if let Some(entry) = page.next() {
                return Some((Ok(entry), (log, range, page)));
            }
            match log.read(range.clone(), MAX_BATCH_BYTES) {
                Ok(entries) => {
                    range.start = entries.last()?.log_id.index.saturating_add(1);
                    page = entries.into_iter();
                    page.next().map(|entry| (Ok(entry), (log, range, page)))
                }
                // An empty range ends the stream after the error.
                Err(error) => Some((Err(error.into()), (log, 0..0, page))),
            }
        })
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, io::Error> {
        Ok(self.log.read_vote()?)
    }
}

impl<RT: AsyncRuntime> RaftLogStorage<RaftConfig<RT>> for LogStore<RT> {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<RaftConfig<RT>>, io::Error> {
        let (purged, last) = self.log.extent();
        Ok(LogState { last_purged_log_id: purged.map(log_id), last_log_id: last.map(log_id) })
    }

    async fn get_log_reader(&mut self) -> Self::LogReader {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), io::Error> {
        let (saved, on_disk) = RaftConfig::<RT>::oneshot();
        // Nobody waits any more if the receiver is gone: the group is shutting down.
        self.log.save_vote(vote, Box::new(move |result| drop(saved.send(result))))?;
        let result = on_disk.await.map_err(|_| io::Error::other("the store stopped before the vote was on disk"))?;
        Ok(result?)
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), io::Error> {
        Ok(self.log.save_committed(committed.as_ref().map(position))?)
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, io::Error> {
        if !self.tells_committed {
            return Ok(None);
        }
        Ok(self.log.read_committed()?.map(log_id))
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<RaftConfig<RT>>) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let done = Box::new(move |result: Result<(), crate::storage::StoreError>| {
            callback.io_completed(result.map_err(io::Error::from));
        });
        Ok(self.log.append(entries, done)?)
    }

    async fn truncate_after(&mut self, last_log_id: Option<LogId>) -> Result<(), io::Error> {
        Ok(self.log.truncate_after(last_log_id.map(|last| last.index))?)
    }

    async fn purge(&mut self, upto: LogId) -> Result<(), io::Error> {
        Ok(self.log.purge(position(&upto))?)
    }
}
