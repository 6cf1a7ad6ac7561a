//! An in-process network with a seed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use mesh30k_consensus::group::{GroupId, MemberId};
use mesh30k_consensus::raft::{GroupSet, RaftConfig};
use mesh30k_consensus::transport::{RaftLane, Transport, TransportError};
use openraft::async_runtime::OneshotSender;
use openraft::type_config::{AsyncRuntime, TypeConfigExt};
use openraft_rt_sim::SimRuntime;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

type C = RaftConfig<SimRuntime>;

#[derive(Clone)]
pub struct Bus(Arc<Mutex<State>>);

struct State {
    rng: ChaCha8Rng,
    /// Who is up, and in which incarnation.
    up: BTreeMap<MemberId, (u64, GroupSet<SimRuntime>)>,
    /// Directed pairs nothing passes between.
    cut: BTreeSet<(MemberId, MemberId)>,
    loss_ppm: u32,
    delay_us: std::ops::Range<u64>,
    calls: u64,
}

struct Trip {
    forward: Duration,
    back: Duration,
    lost: bool,
    answer_lost: bool,
}

impl Bus {
    pub fn new(seed: u64) -> Self {
        let rng = ChaCha8Rng::seed_from_u64(seed);
        let (up, cut) = (BTreeMap::new(), BTreeSet::new());
        Self(Arc::new(Mutex::new(State { rng, up, cut, loss_ppm: 0, delay_us: 100..2_000, calls: 0 })))
    }

    pub fn port(&self, me: MemberId) -> Arc<dyn Transport> {
        Arc::new(Port { bus: self.clone(), me })
    }

    pub fn connect(&self, member: MemberId, incarnation: u64, groups: GroupSet<SimRuntime>) {
        self.lock().up.insert(member, (incarnation, groups));
    }

    pub fn disconnect(&self, member: MemberId) {
        self.lock().up.remove(&member);
    }

    pub fn weather(&self, loss_ppm: u32, delay_us: std::ops::Range<u64>) {
        let mut state = self.lock();
        (state.loss_ppm, state.delay_us) = (loss_ppm, delay_us);
    }

    /// Cuts `side` off from everybody else; one-way cuts happen too.
    pub fn partition(&self, side: &BTreeSet<MemberId>, all: &BTreeSet<MemberId>, one_way: bool) {
        let mut state = self.lock();
        for inside in side {
            for outside in all.difference(side) {
                state.cut.insert((*inside, *outside));
                if !one_way {
                    state.cut.insert((*outside, *inside));
                }
            }
        }
    }

    pub fn heal(&self) {
        self.lock().cut.clear();
    }

    pub fn calls(&self) -> u64 {
        self.lock().calls
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    fn trip(&self) -> Trip {
        let mut state = self.lock();
        state.calls += 1;
        let (loss, range) = (state.loss_ppm, state.delay_us.clone());
        let mut delay = || Duration::from_micros(state.rng.random_range(range.clone()));
        let (forward, back) = (delay(), delay());
        let lost = state.rng.random_range(0..1_000_000) < loss;
        let answer_lost = state.rng.random_range(0..1_000_000) < loss;
        Trip { forward, back, lost, answer_lost }
    }

    fn passes(&self, from: MemberId, to: MemberId) -> bool {
        !self.lock().cut.contains(&(from, to))
    }

    fn member(&self, member: MemberId) -> Option<(u64, GroupSet<SimRuntime>)> {
        self.lock().up.get(&member).cloned()
    }
}

struct Port {
    bus: Bus,
    me: MemberId,
}

impl Transport for Port {
    fn call(
        &self,
        target: MemberId,
        group: GroupId,
        lane: RaftLane,
        request: Bytes,
        ttl: Duration,
    ) -> BoxFuture<'static, Result<Bytes, TransportError>> {
        let (bus, me, trip) = (self.bus.clone(), self.me, self.bus.trip());
        Box::pin(async move {
            let (answered, answer) = C::oneshot();
            // A task of its own: the request travels on even if the caller gives up.
            SimRuntime::spawn(async move {
                SimRuntime::sleep(trip.forward).await;
                if trip.lost || !bus.passes(me, target) {
                    return;
                }
                let Some((incarnation, groups)) = bus.member(target) else {
                    answered.send(Err(TransportError::Unreachable("down".into()))).ok();
                    return;
                };
                let response = groups.handle(me, group, lane, &request).await;
                SimRuntime::sleep(trip.back).await;
                let same = bus.member(target).is_some_and(|(now, _)| now == incarnation);
                if same && !trip.answer_lost && bus.passes(target, me) {
                    answered.send(Ok(response)).ok();
                }
            });
            match answer.await {
                Ok(outcome) => outcome,
                Err(_) => {
                    SimRuntime::sleep(ttl).await;
                    Err(TransportError::Timeout { ttl })
                }
            }
        })
    }
}
