//! One thread that turns many waiting writes into one fsync.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use crate::storage::{Durable, FatalHandler, StoreError};

/// Writers that may wait for one fsync; the next one blocks until the thread has taken some.
const QUEUE_LEN: usize = 4096;

/// Group commit: callbacks queue up, one sync completes all that are waiting.
pub(crate) struct Flusher {
    queue: Option<SyncSender<Durable>>,
    thread: Option<JoinHandle<()>>,
}

impl Flusher {
    /// Starts the thread. `sync` must make everything written so far durable.
    pub(crate) fn spawn(
        sync: impl Fn() -> Result<(), StoreError> + Send + 'static,
        fatal: FatalHandler,
    ) -> Result<Self, StoreError> {
        let (queue, jobs) = sync_channel(QUEUE_LEN);
        let thread = std::thread::Builder::new()
            .name("wal-flusher".into())
            .spawn(move || run(&jobs, sync, &fatal))
            .map_err(|e| StoreError::Io { action: "start its flusher thread", reason: e.to_string() })?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Queues a callback; the write it stands for must already have been handed to the store.
    pub(crate) fn submit(&self, done: Durable) {
        let Some(queue) = &self.queue else {
            done(Err(StoreError::Closed));
            return;
        };
        if let Err(refused) = queue.send(done) {
            (refused.0)(Err(StoreError::Closed));
        }
    }
}

impl Drop for Flusher {
    fn drop(&mut self) {
        self.queue.take();
        if let Some(thread) = self.thread.take() {
            // A callback may own the last handle of the store: then this is the flusher's own thread.
            if thread.thread().id() != std::thread::current().id() {
                thread.join().ok();
            }
        }
    }
}

fn run(jobs: &Receiver<Durable>, sync: impl Fn() -> Result<(), StoreError>, fatal: &FatalHandler) {
    let mut waiting = Vec::new();
    while let Ok(first) = jobs.recv() {
        waiting.push(first);
        while waiting.len() < QUEUE_LEN
            && let Ok(next) = jobs.try_recv()
        {
            waiting.push(next);
        }
        let outcome = sync();
        if let Err(error) = &outcome {
            fatal(&format!("fsync of the write-ahead log failed ({error}); ending, since what is on disk is unknown"));
        }
        let failed = outcome.is_err();
        for done in waiting.drain(..) {
            done(outcome.clone());
        }
        // Only a test's handler returns: an fsync is never retried, the queue closes.
        if failed {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::storage::abort_on_fatal;

    #[test]
    fn one_sync_completes_everything_that_waits() {
        let syncs = Arc::new(AtomicUsize::new(0));
        let (gate, wait) = sync_channel::<()>(2);
        let counted = Arc::clone(&syncs);
        let flusher = Flusher::spawn(
            move || {
                wait.recv().ok();
                counted.fetch_add(1, Ordering::SeqCst);
                Ok(())
            },
            abort_on_fatal(),
        )
        .unwrap();
        let (tx, rx) = sync_channel(100);
        for i in 0..100_u32 {
            let tx = tx.clone();
            flusher.submit(Box::new(move |r| tx.send((i, r)).unwrap()));
        }
        // At most two syncs are needed: one for those taken before the rest arrived, one for the rest.
        gate.send(()).unwrap();
        gate.send(()).unwrap();
        let done: Vec<_> = (0..100).map(|_| rx.recv().unwrap()).collect();
        assert!(done.iter().enumerate().all(|(i, (n, r))| i as u32 == *n && r.is_ok()), "in order, all well");
        assert!(syncs.load(Ordering::SeqCst) <= 2);
    }

    #[test]
    fn a_failed_sync_is_fatal_once_and_never_retried() {
        let syncs = Arc::new(AtomicUsize::new(0));
        let told = Arc::new(AtomicUsize::new(0));
        let (counted, heard) = (Arc::clone(&syncs), Arc::clone(&told));
        let flusher = Flusher::spawn(
            move || {
                counted.fetch_add(1, Ordering::SeqCst);
                Err(StoreError::Io { action: "sync", reason: "disk gone".into() })
            },
            Arc::new(move |sentence: &str| {
                assert!(sentence.contains("disk gone"));
                heard.fetch_add(1, Ordering::SeqCst);
            }),
        )
        .unwrap();
        for _ in 0..3 {
            let (tx, rx) = sync_channel(1);
            flusher.submit(Box::new(move |r| tx.send(r).unwrap()));
            // A queued callback is either answered with the failure or dropped with the queue; never Ok.
            assert!(!matches!(rx.recv(), Ok(Ok(()))));
        }
        assert_eq!((syncs.load(Ordering::SeqCst), told.load(Ordering::SeqCst)), (1, 1));
    }
}
