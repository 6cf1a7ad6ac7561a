//! A leader whose process stands still for a minute and goes on: it has to find out that it was replaced before anybody is told anything
//! else, and there is one history.

mod runtime;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use mesh30k_consensus::group::{GroupId, MemberId, StoreId};
use mesh30k_consensus::raft::{Group, GroupSet, GroupSetConfig, ProposeError, Proposed, accept_any_peer};
use mesh30k_consensus::storage::{FlushMode, MemDisk};
use mesh30k_consensus::transport::{RaftLane, Transport, TransportError};
use openraft::type_config::AsyncRuntime;
use openraft_rt_sim::SimRuntime;
use runtime::{Stoppable, of, stop};

use crate::recorder::{History, Keeps, Recorder};

const GROUP: GroupId = GroupId::global(0, 0);
const PAUSE: Duration = Duration::from_secs(60);

type Sets = Arc<Mutex<Vec<GroupSet<Stoppable>>>>;

/// Delivers at once and waits no longer than it was told; what a stopped process was sent waits for it.
struct Wire {
    sets: Sets,
    me: MemberId,
}

impl Transport for Wire {
    fn call(
        &self,
        target: MemberId,
        group: GroupId,
        lane: RaftLane,
        request: Bytes,
        ttl: Duration,
    ) -> BoxFuture<'static, Result<Bytes, TransportError>> {
        let (set, me) = (self.sets.lock().unwrap()[target as usize - 1].clone(), self.me);
        Box::pin(async move {
            let answer = of(target, async move { set.handle(me, group, lane, &request).await });
            // A task of its own: the request arrives even if nobody waits for the answer any more.
            let answer = SimRuntime::spawn(answer);
            match SimRuntime::timeout(ttl, answer).await {
                Ok(Ok(answer)) => Ok(answer),
                Ok(Err(ended)) => Err(TransportError::Unreachable(ended.to_string())),
                Err(_) => Err(TransportError::Timeout { ttl }),
            }
        })
    }
}

struct Member {
    group: Group<Stoppable>,
    applied: Arc<Mutex<Vec<Vec<u8>>>>,
}

async fn start(history: &Arc<Mutex<History>>) -> Vec<Member> {
    let sets: Sets = Arc::default();
    let all: BTreeSet<MemberId> = (1..=3).collect();
    for me in all.clone() {
        let transport = Arc::new(Wire { sets: Arc::clone(&sets), me });
        let store = Arc::new(MemDisk::new(FlushMode::Immediate).open());
        let store_id = StoreId([me as u8; 32]);
        let set = GroupSet::new(GroupSetConfig { me, store_id, store, transport, check: accept_any_peer() });
        sets.lock().unwrap().push(set);
    }
    let mut members = Vec::new();
    for me in all.clone() {
        let set = sets.lock().unwrap()[me as usize - 1].clone();
        let store = Arc::new(MemDisk::new(FlushMode::Immediate).open());
        let app = Recorder::open(store, Keeps::Nothing, Arc::clone(history));
        let applied = Arc::clone(&app.applied);
        let group = of(me, async { set.start(set.preset(GROUP), Box::new(app)).await.unwrap() }).await;
        members.push(Member { group, applied });
    }
    for member in &members {
        member.group.initialize(&all).await.unwrap();
    }
    members
}

/// Waits for a leader other than `not`.
async fn leader(members: &[Member], not: Option<usize>) -> usize {
    for _ in 0..600 {
        let leads = |(at, member): &(usize, &Member)| Some(*at) != not && member.group.is_ready_leader();
        if let Some((at, _)) = members.iter().enumerate().find(leads) {
            return at;
        }
        SimRuntime::sleep(Duration::from_millis(50)).await;
    }
    panic!("nobody leads");
}

/// Somebody at this member asks for an entry; the question waits while the process stands still.
fn ask(members: &[Member], at: usize, entry: &'static str) -> impl Future<Output = Result<Proposed, ProposeError>> {
    let group = members[at].group.clone();
    let asked = of(at as MemberId + 1, async move { group.propose(entry.as_bytes()).await });
    let asked = SimRuntime::spawn(asked);
    async move { asked.await.unwrap() }
}

fn has(member: &Member, entry: &str) -> bool {
    member.applied.lock().unwrap().iter().any(|applied| applied == entry.as_bytes())
}

async fn story() {
    let history = Arc::default();
    let members = start(&history).await;
    let old = leader(&members, None).await;
    let old_term = members[old].group.term();
    ask(&members, old, "before").await.unwrap();

    stop(old as MemberId + 1, PAUSE);
    // Asked of a process that stands still: it finds the question when it goes on.
    let asked_meanwhile = ask(&members, old, "meanwhile");
    let new = leader(&members, Some(old)).await;
    let new_term = members[new].group.term();
    assert!(new != old && new_term > old_term);
    for _ in 0..20 {
        ask(&members, new, "after").await.unwrap();
    }
    assert_eq!(members[old].group.term(), old_term, "its timers and messages waited");
    assert!(members[old].group.is_leader(), "it was told nothing");
    assert!(!has(&members[old], "after"));

    SimRuntime::sleep(PAUSE).await;
    // By now it has gone on for a while. What it was asked as a leader of the old term it never acknowledges in that term.
    match asked_meanwhile.await {
        Ok(proposed) => assert!(proposed.position.term >= new_term, "acknowledged under its old term: {proposed:?}"),
        Err(refused) => {
            assert!(matches!(refused, ProposeError::NotLeader { .. } | ProposeError::Uncertain { .. }), "{refused:?}")
        }
    }
    assert!(!members[old].group.is_leader() || members[old].group.term() >= new_term, "it stepped down");
    let now = leader(&members, None).await;
    ask(&members, now, "last").await.unwrap();
    SimRuntime::sleep(Duration::from_secs(2)).await;
    let applied: Vec<Vec<Vec<u8>>> = members.iter().map(|member| member.applied.lock().unwrap().clone()).collect();
    assert!(applied[0] == applied[1] && applied[1] == applied[2], "one history, and it caught up");
    assert_eq!(applied[0].iter().filter(|entry| **entry == b"after").count(), 20);
    assert!(has(&members[old], "before") && has(&members[old], "last"));
}

#[test]
fn a_leader_that_stood_still_for_a_minute_steps_down_and_acknowledges_nothing_of_its_old_term() {
    for seed in 1..=8 {
        SimRuntime::with_seed(seed).block_on(story());
    }
}

/// The pause itself: without it the same leader goes on leading, so that what is seen above comes from it.
#[test]
fn without_a_pause_the_leader_goes_on() {
    SimRuntime::with_seed(1).block_on(async {
        let history = Arc::default();
        let members = start(&history).await;
        let first = leader(&members, None).await;
        let term = members[first].group.term();
        SimRuntime::sleep(PAUSE).await;
        assert!(members[first].group.is_leader());
        assert_eq!(members[first].group.term(), term);
    });
}
