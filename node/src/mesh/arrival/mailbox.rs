//! The bounded queue to the arrival thread.
//!
//! That thread has a higher priority than those which send to it, so a sender wakes it only when it holds no lock any more. A channel of
//! the standard library wakes its receiver under a lock: on a busy machine the receiver runs at once, waits for that lock, and the
//! sender, which would give it back, waits behind everybody else. At 100 nodes on two cores this took up to 200 ms, and nobody was
//! released meanwhile.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, Thread};
use std::time::Duration;

struct Queue<T> {
    waiting: VecDeque<T>,
    is_closed: bool,
}

struct Mailbox<T> {
    queue: Mutex<Queue<T>>,
    receiver: OnceLock<Thread>,
    limit: usize,
}

impl<T> Mailbox<T> {
    fn queue(&self) -> MutexGuard<'_, Queue<T>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        if let Some(receiver) = self.receiver.get() {
            receiver.unpark();
        }
    }
}

/// The end that any thread may send with. The queue is closed when it is dropped.
pub(super) struct Sender<T>(Arc<Mailbox<T>>);

/// The end of one thread. Nothing more can be sent when it is dropped.
pub(super) struct Receiver<T>(Arc<Mailbox<T>>);

/// The queue is full, or nobody receives any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotTaken;

/// Why nothing was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nothing {
    /// Nothing came yet.
    Yet,
    /// Nothing can come any more.
    Closed,
}

/// A queue of at most `limit`.
pub(super) fn mailbox<T>(limit: usize) -> (Sender<T>, Receiver<T>) {
    let queue = Mutex::new(Queue { waiting: VecDeque::new(), is_closed: false });
    let mailbox = Arc::new(Mailbox { queue, receiver: OnceLock::new(), limit });
    (Sender(mailbox.clone()), Receiver(mailbox))
}

impl<T> Sender<T> {
    /// Puts something at the end; never waits for room.
    pub(super) fn try_send(&self, item: T) -> Result<(), NotTaken> {
        {
            let mut queue = self.0.queue();
            if queue.is_closed || queue.waiting.len() >= self.0.limit {
                return Err(NotTaken);
            }
            queue.waiting.push_back(item);
        }
        self.0.wake();
        Ok(())
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.queue().is_closed = true;
        self.0.wake();
    }
}

impl<T> Receiver<T> {
    /// The first of what waits, or of what comes within `timeout`; sometimes gives up earlier. Always called by the same thread.
    pub(super) fn receive(&self, timeout: Duration) -> Result<T, Nothing> {
        self.0.receiver.get_or_init(thread::current);
        match self.next() {
            Err(Nothing::Yet) if !timeout.is_zero() => {
                thread::park_timeout(timeout);
                self.next()
            }
            next => next,
        }
    }

    fn next(&self) -> Result<T, Nothing> {
        let mut queue = self.0.queue();
        let nothing = if queue.is_closed { Nothing::Closed } else { Nothing::Yet };
        queue.waiting.pop_front().ok_or(nothing)
    }

    /// The first of what waits.
    pub(super) fn try_receive(&self) -> Option<T> {
        self.0.queue().waiting.pop_front()
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let left = {
            let mut queue = self.0.queue();
            queue.is_closed = true;
            std::mem::take(&mut queue.waiting)
        };
        drop(left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn what_is_sent_comes_in_order_and_no_more_than_fits() {
        let (sender, receiver) = mailbox(3);
        assert_eq!([1, 2, 3, 4].map(|item| sender.try_send(item)), [Ok(()), Ok(()), Ok(()), Err(NotTaken)]);
        assert_eq!((receiver.receive(LONG), receiver.try_receive()), (Ok(1), Some(2)));
        assert_eq!(sender.try_send(5), Ok(()));
        assert_eq!([receiver.try_receive(), receiver.try_receive(), receiver.try_receive()], [Some(3), Some(5), None]);
        assert_eq!(receiver.receive(Duration::from_millis(1)), Err(Nothing::Yet));
    }

    #[test]
    fn a_waiting_receiver_is_woken_for_each_and_for_the_end() {
        let (sender, receiver) = mailbox(1_000);
        let received = thread::spawn(move || {
            let mut sum = 0_u64;
            loop {
                match receiver.receive(LONG) {
                    Ok(item) => sum += item,
                    Err(Nothing::Yet) => {}
                    Err(Nothing::Closed) => return sum,
                }
            }
        });
        for item in 1..=10_000 {
            while sender.try_send(item).is_err() {
                thread::yield_now();
            }
        }
        drop(sender);
        assert_eq!(received.join().unwrap(), 50_005_000);
    }

    #[test]
    fn who_waits_for_an_answer_hears_when_nobody_receives_any_more() {
        let (sender, receiver) = mailbox(2);
        let item = Arc::new(());
        assert_eq!(sender.try_send(item.clone()), Ok(()));
        drop(receiver);
        assert_eq!((sender.try_send(item.clone()), Arc::strong_count(&item)), (Err(NotTaken), 1));
    }
}
