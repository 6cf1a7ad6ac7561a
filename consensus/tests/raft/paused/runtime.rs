//! openraft's simulated runtime with processes in it that can be stopped, as by SIGSTOP: their tasks are not run and their timers do not
//! fire, while virtual time goes on for all others.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use mesh30k_consensus::group::MemberId;
use openraft::OptionalSend;
use openraft::type_config::AsyncRuntime;
use openraft_rt_sim::{SimInstant, SimRuntime};

thread_local! {
    /// Whose task runs; what it spawns is of the same process. 0 is the outside.
    static RUNNING: Cell<MemberId> = const { Cell::new(0) };
    /// Until when a process stands still.
    static STOPPED: RefCell<BTreeMap<MemberId, Duration>> = const { RefCell::new(BTreeMap::new()) };
}

fn now() -> Duration {
    SimInstant::try_now().map_or(Duration::ZERO, SimInstant::elapsed_since_start)
}

/// Stops a process for so long.
pub fn stop(member: MemberId, time: Duration) {
    STOPPED.with_borrow_mut(|stopped| stopped.insert(member, now() + time));
}

/// How long a process still stands still.
fn rest(member: MemberId) -> Duration {
    STOPPED.with_borrow(|stopped| stopped.get(&member).map_or(Duration::ZERO, |until| until.saturating_sub(now())))
}

/// Part of a process: only polled while that is not stopped.
pub struct Of<F> {
    member: MemberId,
    wait: Option<Pin<Box<<SimRuntime as AsyncRuntime>::Sleep>>>,
    inner: Pin<Box<F>>,
}

/// Runs a future, and whatever it spawns, as part of a process.
pub fn of<F: Future>(member: MemberId, inner: F) -> Of<F> {
    Of { member, wait: None, inner: Box::pin(inner) }
}

impl<F: Future> Future for Of<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.get_mut();
        while !rest(this.member).is_zero() {
            let wait = this.wait.get_or_insert_with(|| Box::pin(SimRuntime::sleep(rest(this.member))));
            if wait.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            this.wait = None;
        }
        this.wait = None;
        let before = RUNNING.replace(this.member);
        let polled = this.inner.as_mut().poll(context);
        RUNNING.set(before);
        polled
    }
}

/// [`SimRuntime`], but that what it spawns belongs to the process that spawns it.
#[derive(Debug)]
pub struct Stoppable;

impl AsyncRuntime for Stoppable {
    type JoinError = <SimRuntime as AsyncRuntime>::JoinError;
    type JoinHandle<T: OptionalSend + 'static> = <SimRuntime as AsyncRuntime>::JoinHandle<T>;
    type Sleep = <SimRuntime as AsyncRuntime>::Sleep;
    type Instant = SimInstant;
    type TimeoutError = <SimRuntime as AsyncRuntime>::TimeoutError;
    type Timeout<R, T: Future<Output = R> + OptionalSend> = <SimRuntime as AsyncRuntime>::Timeout<R, T>;
    type ThreadLocalRng = <SimRuntime as AsyncRuntime>::ThreadLocalRng;
    type Mpsc = <SimRuntime as AsyncRuntime>::Mpsc;
    type Watch = <SimRuntime as AsyncRuntime>::Watch;
    type Oneshot = <SimRuntime as AsyncRuntime>::Oneshot;
    type Mutex<T: OptionalSend + 'static> = <SimRuntime as AsyncRuntime>::Mutex<T>;

    fn spawn<T>(future: T) -> Self::JoinHandle<T::Output>
    where
        T: Future + OptionalSend + 'static,
        T::Output: OptionalSend + 'static,
    {
        SimRuntime::spawn(of(RUNNING.get(), future))
    }

    fn sleep(duration: Duration) -> Self::Sleep {
        SimRuntime::sleep(duration)
    }

    fn sleep_until(deadline: Self::Instant) -> Self::Sleep {
        SimRuntime::sleep_until(deadline)
    }

    fn timeout<R, F: Future<Output = R> + OptionalSend>(duration: Duration, future: F) -> Self::Timeout<R, F> {
        SimRuntime::timeout(duration, future)
    }

    fn timeout_at<R, F: Future<Output = R> + OptionalSend>(deadline: Self::Instant, future: F) -> Self::Timeout<R, F> {
        SimRuntime::timeout_at(deadline, future)
    }

    fn is_panic(error: &Self::JoinError) -> bool {
        SimRuntime::is_panic(error)
    }

    fn thread_rng() -> Self::ThreadLocalRng {
        SimRuntime::thread_rng()
    }

    fn new(_: usize) -> Self {
        Self
    }

    fn block_on<F, T>(&mut self, future: F) -> T
    where
        F: Future<Output = T>,
    {
        SimRuntime::with_seed(0).block_on(future)
    }

    fn spawn_blocking<F, T>(work: F) -> impl Future<Output = Result<T, io::Error>> + Send
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        SimRuntime::spawn_blocking(work)
    }
}
