//! The network of both simulations, of Raft here and of the whole chain in `node/chain/tests/faults`: seeded delay, loss, repetition,
//! cuts and freezes.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use mesh30k_consensus::group::{GroupId, MemberId};
use mesh30k_consensus::raft::{GroupSet, RaftConfig};
use mesh30k_consensus::transport::{RaftLane, Transport, TransportError};
use openraft::async_runtime::OneshotSender;
use openraft::type_config::{AsyncRuntime, TypeConfigExt};
use openraft_rt_sim::{SimInstant, SimRuntime};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

type C = RaftConfig<SimRuntime>;

/// Virtual time, ms.
pub fn now_ms() -> u64 {
    let at = SimInstant::try_now().map_or(Duration::ZERO, SimInstant::elapsed_since_start);
    u64::try_from(at.as_millis()).unwrap_or(u64::MAX)
}

/// How the network behaves.
#[derive(Clone, Debug)]
pub struct Weather {
    pub loss_ppm: u32,
    pub repeat_ppm: u32,
    pub delay_us: Range<u64>,
}

impl Weather {
    pub const FAIR: Self = Self { loss_ppm: 0, repeat_ppm: 0, delay_us: 100..2_000 };
}

#[derive(Clone)]
pub struct Net(Arc<Mutex<State>>);

struct State {
    rng: ChaCha8Rng,
    up: BTreeMap<MemberId, (u64, GroupSet<SimRuntime>)>,
    /// Directed pairs nothing passes between.
    cut: BTreeSet<(MemberId, MemberId)>,
    /// Until when a node neither sends nor hears, ms: a stopped process whose peers' messages wait.
    frozen: BTreeMap<MemberId, u64>,
    weather: Weather,
    carried: u64,
    /// What a liar's requests say to some: sender, receivers, bytes, other bytes of the same length.
    tampers: Vec<Tamper>,
}

struct Tamper {
    from: MemberId,
    to: Vec<MemberId>,
    bytes: Vec<u8>,
    instead: Vec<u8>,
}

struct Trip {
    delay: Duration,
    lost: bool,
    again: Option<Duration>,
}

impl Net {
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            rng: ChaCha8Rng::seed_from_u64(seed),
            up: BTreeMap::new(),
            cut: BTreeSet::new(),
            frozen: BTreeMap::new(),
            weather: Weather::FAIR,
            carried: 0,
            tampers: Vec::new(),
        })))
    }

    pub fn port(&self, me: MemberId) -> Arc<dyn Transport> {
        Arc::new(Port { net: self.clone(), me })
    }

    pub fn connect(&self, member: MemberId, incarnation: u64, groups: GroupSet<SimRuntime>) {
        self.lock().up.insert(member, (incarnation, groups));
    }

    pub fn disconnect(&self, member: MemberId) {
        self.lock().up.remove(&member);
    }

    pub fn set_weather(&self, weather: Weather) {
        self.lock().weather = weather;
    }

    /// Nothing passes from the first to the second any more.
    pub fn cut(&self, from: MemberId, to: MemberId) {
        self.lock().cut.insert((from, to));
    }

    pub fn heal(&self) {
        let mut state = self.lock();
        state.cut.clear();
        state.frozen.clear();
    }

    pub fn freeze(&self, member: MemberId, until_ms: u64) {
        self.lock().frozen.insert(member, until_ms);
    }

    pub fn is_frozen(&self, member: MemberId) -> bool {
        self.lock().frozen.get(&member).is_some_and(|until| *until > now_ms())
    }

    /// From now on, requests of `from` to these say something else.
    pub fn tamper(&self, from: MemberId, to: Vec<MemberId>, bytes: Vec<u8>, instead: Vec<u8>) {
        assert_eq!(bytes.len(), instead.len());
        self.lock().tampers.push(Tamper { from, to, bytes, instead });
    }

    fn tampered(&self, from: MemberId, to: MemberId, request: Bytes) -> Bytes {
        let state = self.lock();
        let mut request = request;
        for tamper in state.tampers.iter().filter(|tamper| tamper.from == from && tamper.to.contains(&to)) {
            let length = tamper.bytes.len();
            if let Some(at) = request.windows(length).position(|part| part == tamper.bytes) {
                let mut bytes = request.to_vec();
                bytes[at..at + length].copy_from_slice(&tamper.instead);
                request = bytes.into();
            }
        }
        request
    }

    pub fn carried(&self) -> u64 {
        self.lock().carried
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    fn trip(&self) -> Trip {
        let mut state = self.lock();
        state.carried += 1;
        let Weather { loss_ppm, repeat_ppm, delay_us } = state.weather.clone();
        let mut delay = || Duration::from_micros(state.rng.random_range(delay_us.clone()));
        let (first, second) = (delay(), delay());
        let lost = state.rng.random_range(0..1_000_000) < loss_ppm;
        let again = state.rng.random_range(0..1_000_000) < repeat_ppm;
        Trip { delay: first, lost, again: again.then_some(second) }
    }

    /// Waits while either end is frozen; false if nothing passes.
    async fn pass(&self, from: MemberId, to: MemberId) -> bool {
        loop {
            let (cut, wait) = {
                let state = self.lock();
                let until = [from, to].iter().filter_map(|end| state.frozen.get(end)).max().copied();
                (state.cut.contains(&(from, to)), until.map_or(0, |until| until.saturating_sub(now_ms())))
            };
            if cut {
                return false;
            }
            if wait == 0 {
                return true;
            }
            SimRuntime::sleep(Duration::from_millis(wait.min(50))).await;
        }
    }

    fn member(&self, member: MemberId) -> Option<(u64, GroupSet<SimRuntime>)> {
        self.lock().up.get(&member).cloned()
    }

    /// Carries a message of ours; `deliver` may be called twice.
    pub fn send(&self, from: MemberId, to: MemberId, deliver: impl Fn() + Send + Sync + 'static) {
        let (trip, net) = (self.trip(), self.clone());
        if trip.lost {
            return;
        }
        SimRuntime::spawn(async move {
            SimRuntime::sleep(trip.delay).await;
            if net.pass(from, to).await {
                deliver();
            }
            if let Some(again) = trip.again {
                SimRuntime::sleep(again).await;
                if net.pass(from, to).await {
                    deliver();
                }
            }
        });
    }
}

struct Port {
    net: Net,
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
        let request = self.net.tampered(self.me, target, request);
        let (net, me, there, back) = (self.net.clone(), self.me, self.net.trip(), self.net.trip());
        Box::pin(async move {
            let (answered, answer) = C::oneshot();
            // A task of its own: the request travels on even if the caller gives up.
            SimRuntime::spawn(async move {
                SimRuntime::sleep(there.delay).await;
                if there.lost || !net.pass(me, target).await {
                    return;
                }
                let Some((incarnation, groups)) = net.member(target) else {
                    answered.send(Err(TransportError::Unreachable("down".into()))).ok();
                    return;
                };
                let response = groups.handle(me, group, lane, &request).await;
                if let Some(again) = there.again {
                    SimRuntime::sleep(again).await;
                    groups.handle(me, group, lane, &request).await;
                }
                SimRuntime::sleep(back.delay).await;
                let same = net.member(target).is_some_and(|(now, _)| now == incarnation);
                if same && !back.lost && net.pass(target, me).await {
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
