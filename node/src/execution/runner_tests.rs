//! Whose turn it is, how many wait, and what becomes of those nobody waits for.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use mesh30k_ledger::priority::{Purpose, Standing, priority_milli};

use super::tests::{ENDLESS, ROOMY, with_run};
use super::*;

fn job(wasm: Vec<u8>, wall_ms: u64) -> Job {
    Job {
        module: wasm.into(),
        input: Bytes::new(),
        limits: Limits { wall_ms, fuel: ROOMY.fuel, ..Limits::default() },
        grants: Vec::new(),
        cancel: Cancel::default(),
        standing: standing(Purpose::GeneralResearch),
    }
}

fn standing(purpose: Purpose) -> Standing {
    Standing { purpose, access: false, vulnerable: false, emergency: false, renewable_ppm: 0, waited_ms: 0 }
}

/// Notes what it begins. When a task is *heard* to have ended says less: who waits for it may be woken after the next has run.
struct Noting {
    engine: WasmiEngine,
    begun: Mutex<Vec<Bytes>>,
}

impl TaskEngine for Noting {
    fn id(&self) -> &'static str {
        self.engine.id()
    }

    fn check(&self, module: &[u8], grants: &[HostFunction]) -> Result<(), ExecutionError> {
        self.engine.check(module, grants)
    }

    fn execute(&self, request: Request<'_>) -> Result<Execution, ExecutionError> {
        self.begun.lock().unwrap().push(Bytes::copy_from_slice(request.input));
        self.engine.execute(request)
    }
}

/// One place to run in: while it is taken, nine come, the least urgent first.
#[tokio::test]
async fn a_busy_host_takes_the_most_urgent_first() {
    let engine = Arc::new(Noting { engine: WasmiEngine::new(), begun: Mutex::default() });
    let runner = Runner::new(engine.clone(), ROOMY, 1);
    let first = job(with_run(ENDLESS), 60_000);
    let switch = first.cancel.clone();
    let busy = tokio::spawn({
        let runner = runner.clone();
        async move { runner.run(first).await }
    });
    tokio::task::yield_now().await;
    let mut waiting = tokio::task::JoinSet::new();
    for (place, purpose) in Purpose::ALL.into_iter().enumerate().rev() {
        let runner = runner.clone();
        let input = Bytes::from(vec![u8::try_from(place).unwrap()]);
        let work = Job { standing: standing(purpose), input, ..job(with_run("(i64.const 0)"), 60_000) };
        waiting.spawn(async move { runner.run(work).await });
        tokio::task::yield_now().await;
    }
    switch.cancel();
    assert_eq!(busy.await.unwrap(), Err(ExecutionError::Cancelled));
    waiting.join_all().await.into_iter().for_each(|ended| drop(ended.unwrap()));
    let begun = engine.begun.lock().unwrap();
    let factors = begun[1..].iter().map(|input| priority_milli(&standing(Purpose::ALL[usize::from(input[0])])));
    assert!(factors.clone().is_sorted_by(|earlier, later| earlier >= later), "{:?}", factors.collect::<Vec<_>>());
    assert_eq!(begun.len(), 1 + Purpose::ALL.len());
}

#[tokio::test]
async fn a_busy_host_refuses_instead_of_queueing_without_end() {
    let runner = Runner::new(Arc::new(WasmiEngine::new()), ROOMY, 1);
    let endless: Vec<_> = (0..17).map(|_| job(with_run(ENDLESS), 60_000)).collect();
    let mut running = tokio::task::JoinSet::new();
    let switches: Vec<_> = endless.iter().map(|job| job.cancel.clone()).collect();
    for job in endless {
        let runner = runner.clone();
        running.spawn(async move { runner.run(job).await });
    }
    tokio::task::yield_now().await;
    let refused = runner.run(job(with_run(ENDLESS), 60_000)).await;
    assert_eq!(refused, Err(ExecutionError::Busy { running: 1, waiting: 16 }));
    switches.iter().for_each(Cancel::cancel);
    while let Some(result) = running.join_next().await {
        assert_eq!(result.unwrap(), Err(ExecutionError::Cancelled));
    }
    assert!(runner.run(job(with_run("(i64.const 0)"), 1_000)).await.is_ok());
}

#[tokio::test]
async fn a_job_nobody_waits_for_is_stopped() {
    let runner = Runner::new(Arc::new(WasmiEngine::new()), ROOMY, 1);
    let endless = job(with_run(ENDLESS), 60_000);
    let cancel = endless.cancel.clone();
    assert!(tokio::time::timeout(Duration::from_millis(30), runner.run(endless)).await.is_err());
    assert!(cancel.is_cancelled());
    // The only place is free again, long before the minute is over.
    assert!(runner.run(job(with_run("(i64.const 0)"), 1_000)).await.is_ok());
}
