//! Event machines: agents never early, never twice; folds conserve; denominators complete; planning says what it needs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use mesh30k_core::event::{
    AgentSlot, AgentState, ArrivalParams, ClassSet, DownMessage, Enrolment, Event, EventError, EventId, FoldedAck,
    MAX_NAMED_AGENTS, ParentAction, ParentMachine, PlanError, PlanRequest, Prepare, Reach, Session, SignedEvent,
    Slowest, StageReport, Strategy as Way, Tally, UpMessage, Verb,
};
use mesh30k_core::time::{LocalTimeUs, MeshTimeUs};
use mesh30k_ledger::codec;
use mesh30k_ledger::keys::SecretKey;
use mesh30k_ledger::signing::ChainContext;
use mesh30k_ledger::types::{AgentClass, AgentId, ChainId, ClusterId, Hash, Scope, SectorId};
use proptest::prelude::*;

fn context() -> ChainContext {
    ChainContext { chain: ChainId::new("test").unwrap(), genesis: Hash::ZERO }
}

fn event(target: i64) -> SignedEvent {
    let key = SecretKey::from_seed([3; 32]);
    let target = MeshTimeUs(target);
    Event {
        id: EventId::new(target, &[1; 32]),
        origin: key.public(),
        target,
        strategy: Way::Hold,
        effects: false,
        kind: Verb::Observe,
        weight_milli: 0,
        payload: b"look".to_vec(),
        classes: ClassSet::MACHINES,
        capabilities: 0,
        priority: 1,
        deadline: target.plus_us(1_000_000),
        ttl_ms: 5_000,
        scope: Scope::Global,
        agents: Vec::new(),
        reach: Reach::Agents,
    }
    .sign(&context(), &key)
}

fn sector(index: u32) -> Scope {
    Scope::Sector(SectorId(index))
}

#[test]
fn a_signed_event_is_refused_after_any_change_and_from_any_other_key() {
    let key = SecretKey::from_seed([3; 32]);
    let signed = event(5_000_000);
    let operator = signed.event.origin;
    assert_eq!(signed.verify(&context(), &[operator]), Ok(()));
    assert_eq!(signed.verify(&context(), &[]), Err(EventError::NotAnOperator(operator)));
    let mut changed = signed.clone();
    changed.event.payload.push(0);
    assert_eq!(changed.verify(&context(), &[operator]), Err(EventError::Signature));
    let elsewhere = ChainContext { genesis: Hash([9; 32]), ..context() };
    assert!(matches!(signed.verify(&elsewhere, &[operator]), Err(EventError::ForeignChain { .. })));
    // Calling it one of this chain's does not make it one.
    let renamed = SignedEvent { chain: signed.clone().event.sign(&elsewhere, &key).chain, ..signed.clone() };
    assert_eq!(renamed.verify(&elsewhere, &[operator]), Err(EventError::Signature));
    let bytes = codec::encode(&signed);
    assert_eq!(codec::decode::<SignedEvent>(&bytes, bytes.len()).unwrap(), signed);
    assert!(codec::decode::<SignedEvent>(&bytes[..bytes.len() - 1], bytes.len()).is_err());
}

#[test]
fn a_session_signs_for_its_operator_until_it_ends_and_for_nobody_else() {
    let (operator, helper, stranger) = ([3; 32], [4; 32], [5; 32]);
    let [operator, helper, stranger] = [operator, helper, stranger].map(SecretKey::from_seed);
    let operators = [operator.public()];
    let event = || event(5_000_000).event;
    let session = |until| Session::grant(&context(), &operator, helper.public(), MeshTimeUs(until));
    let by =
        |session, key: &SecretKey| event().sign_by_session(&context(), key, session).verify(&context(), &operators);
    assert_eq!(by(session(5_000_000), &helper), Ok(()), "T may be its last instant");
    let (expires, target) = (MeshTimeUs(4_999_999), MeshTimeUs(5_000_000));
    assert_eq!(by(session(4_999_999), &helper), Err(EventError::SessionExpired { expires, target }));
    let forged = Err(EventError::ForgedSession(operator.public()));
    assert_eq!(by(session(6_000_000), &stranger), forged, "a session is for one key");
    assert_eq!(by(Session { expires: MeshTimeUs(9_000_000), ..session(6_000_000) }, &helper), forged, "prolonged");
    let own = Session::grant(&context(), &stranger, helper.public(), MeshTimeUs(9_000_000));
    assert_eq!(by(own, &helper), Err(EventError::NotAnOperator(stranger.public())));
    assert_eq!(event().sign(&context(), &helper).verify(&context(), &operators).unwrap_err(), {
        EventError::NotAnOperator(helper.public())
    });
    let mut changed = event().sign_by_session(&context(), &helper, session(6_000_000));
    changed.event.priority = 0;
    assert_eq!(changed.verify(&context(), &operators), Err(EventError::Signature));
}

#[test]
fn named_agents_are_bounded_and_rise_and_only_they_are_meant() {
    let with = |agents: Vec<u64>| Event { agents: agents.into_iter().map(AgentId).collect(), ..event(1).event };
    assert_eq!(with(vec![3, 5, 9]).check(), Ok(()));
    assert_eq!(with(vec![3, 9, 5]).check(), Err(EventError::AgentsOutOfOrder(AgentId(5))));
    assert_eq!(with(vec![3, 3]).check(), Err(EventError::AgentsOutOfOrder(AgentId(3))));
    let (value, limit) = (MAX_NAMED_AGENTS as u64 + 1, MAX_NAMED_AGENTS as u64);
    let field = "number of named agents";
    assert_eq!(with((0..value).collect()).check(), Err(EventError::Limit { field, value, limit }));
    let cluster = ClusterId { sector: SectorId(0), index: 0 };
    let meant = |event: &Event, agent| event.selects(AgentId(agent), AgentClass::A, 0, cluster);
    let named = with(vec![3, 9]);
    assert_eq!([2, 3, 4, 9].map(|agent| meant(&named, agent)), [false, true, false, true]);
    assert!(meant(&with(Vec::new()), 4), "nobody named is everybody");
    let elsewhere = Event { scope: sector(7), ..named };
    assert!(!meant(&elsewhere, 3), "a name does not widen the scope");
}

#[test]
fn an_event_for_the_coordinators_is_answered_at_once_for_the_clusters_they_hear_of() {
    let mut parent = ParentMachine::new(sector(0), ArrivalParams::default());
    let cluster = |index| Scope::Cluster(ClusterId { sector: SectorId(0), index });
    parent.on_stage(MeshTimeUs(0), StageReport::empty(cluster(0), MeshTimeUs(0)));
    let key = SecretKey::from_seed([3; 32]);
    let ask = |target: i64| Event { reach: Reach::Sectors, ..event(target).event }.sign(&context(), &key);
    let enrolments = [0, 1].map(|index| Enrolment { child: cluster(index), agents: [7, 0, 3, 0, 0, 0] });
    let answer = |parent: &mut ParentMachine, now: i64| {
        let signed = ask(now + 500_000);
        let prepare = Prepare { fold_by: signed.event.deadline, event: signed, sent_at: MeshTimeUs(now) };
        result(parent.on_prepare(MeshTimeUs(now), &prepare, &enrolments)).tally
    };
    let tally = answer(&mut parent, 1_000_000);
    let counts =
        |tally: &Tally| (tally.sum(|c| c.enrolled), tally.sum(|c| c.armed_by_target), tally.sum(|c| c.transit));
    assert!(tally.is_consistent());
    assert_eq!(counts(&tally), (20, 10, 20), "the cluster never heard of stays in the denominator");
    assert_eq!(counts(&answer(&mut parent, 60_000_000)), (20, 0, 20), "silent for a minute");
    assert_eq!(parent.active(), 0, "nothing is waited for");
    // The orchestrator has all there is to know at once.
    let mut orchestrator = ParentMachine::new(Scope::Global, ArrivalParams::default());
    let signed = ask(5_000_000);
    let id = signed.event.id;
    let prepare = Prepare { fold_by: signed.event.deadline, event: signed, sent_at: MeshTimeUs(0) };
    let whole = [Enrolment { child: sector(0), agents: [14, 0, 6, 0, 0, 0] }];
    assert_eq!(orchestrator.on_prepare(MeshTimeUs(0), &prepare, &whole).len(), 1);
    let fold = FoldedAck::confirming(id, sector(0), MeshTimeUs(1), 1, tally);
    let all = result(orchestrator.on_fold(MeshTimeUs(2), fold));
    assert_eq!((counts(&all.tally), all.correction, orchestrator.active()), ((20, 10, 20), false, 0));
}

#[test]
fn a_coordinator_reports_when_a_lead_did_and_seldom_without() {
    let mut parent = ParentMachine::new(sector(0), ArrivalParams::default());
    let cluster = Scope::Cluster(ClusterId { sector: SectorId(0), index: 0 });
    let mut reports_in = |seconds: std::ops::Range<i64>, lead_every: i64| {
        let mut reports = 0;
        for tenth in seconds.start * 10..seconds.end * 10 {
            let now = MeshTimeUs(tenth * 100_000);
            if lead_every > 0 && tenth % (lead_every * 10) == 0 {
                parent.on_stage(now, StageReport::empty(cluster, now));
            }
            reports += parent.poll(now).len();
        }
        reports
    };
    // A lead that is silent all the time: the first report, and one each fifteen seconds.
    assert_eq!(reports_in(0..60, 0), 4);
    assert_eq!(reports_in(60..120, 5), 12, "the rhythm is the lead's");
    assert_eq!(reports_in(120..180, 15), 4);
    let mut orchestrator = ParentMachine::new(Scope::Global, ArrivalParams::default());
    assert!(orchestrator.poll(MeshTimeUs(0)).is_empty(), "nobody is above it");
}

#[test]
fn an_event_id_reads_back_and_refuses_other_text() {
    let id = event(5_000_000).event.id;
    assert_eq!(id.to_string().parse::<EventId>(), Ok(id));
    assert!("+123456789012345678901234567890ab".parse::<EventId>().is_err());
    assert!("12".parse::<EventId>().is_err());
}

#[test]
fn a_missing_child_is_counted_whole_and_its_late_word_corrects_once() {
    let mut parent = ParentMachine::new(Scope::Global, ArrivalParams::default());
    let signed = event(5_000_000);
    let id = signed.event.id;
    let enrolments = [0, 1].map(|s| Enrolment { child: sector(s), agents: [10, 0, 0, 0, 5, 0] });
    let prepare = Prepare { fold_by: signed.event.deadline, event: signed, sent_at: MeshTimeUs(0) };
    let down = parent.on_prepare(MeshTimeUs(0), &prepare, &enrolments);
    assert_eq!(down.len(), 2);
    assert!(parent.on_prepare(MeshTimeUs(1), &prepare, &enrolments).is_empty());
    let answer = |from, correction| {
        let mut tally = Tally::all_transit(&[10, 0, 0, 0, 4, 0]);
        for counts in &mut tally.classes {
            counts.released = counts.transit;
            counts.transit = 0;
        }
        FoldedAck { event: id, from, correction, sent_at: MeshTimeUs(0), prepare_delay_us: 0, tally }
    };
    assert!(parent.on_fold(MeshTimeUs(5_100_000), answer(sector(0), false)).is_empty());
    assert!(parent.on_fold(MeshTimeUs(5_100_000), answer(sector(7), false)).is_empty(), "nobody enrolled there");
    let first = result(parent.poll(MeshTimeUs(6_000_000)));
    assert!(!first.correction);
    assert_eq!(
        (first.tally.sum(|c| c.enrolled), first.tally.sum(|c| c.released), first.tally.sum(|c| c.transit)),
        (30, 14, 16)
    );
    let second = result(
        parent
            .on_fold(MeshTimeUs(6_500_000), answer(sector(1), false))
            .into_iter()
            .chain(parent.poll(MeshTimeUs(10_000_000)))
            .collect(),
    );
    assert!(second.correction);
    assert_eq!(
        (second.tally.sum(|c| c.enrolled), second.tally.sum(|c| c.released), second.tally.sum(|c| c.transit)),
        (30, 28, 2)
    );
    assert_eq!(parent.active(), 0);
    assert_eq!(parent.counters().foreign, 1);
}

#[test]
fn however_slow_a_mesh_prepares_its_leads_wait_for_acks() {
    let signed = event(5_000_000);
    let (target, deadline) = (signed.event.target, signed.event.deadline);
    let cluster = Scope::Cluster(ClusterId { sector: SectorId(0), index: 0 });
    let below = |scope, child, fold_by| {
        let mut parent = ParentMachine::new(scope, ArrivalParams::default());
        for second in 0..20 {
            parent.on_stage(
                MeshTimeUs(second * 1_000_000),
                StageReport::empty(child, MeshTimeUs((second - 3) * 1_000_000)),
            );
        }
        let prepare = Prepare { fold_by, event: signed.clone(), sent_at: MeshTimeUs(0) };
        let enrolments = [Enrolment { child, agents: [10, 0, 0, 0, 0, 0] }];
        match parent.on_prepare(MeshTimeUs(0), &prepare, &enrolments).as_slice() {
            [ParentAction::ToChild { message: DownMessage::Prepare(prepare), .. }] => prepare.fold_by,
            other => panic!("one prepare, not {other:?}"),
        }
    };
    let at_sector = below(Scope::Global, sector(0), deadline);
    let at_lead = below(sector(0), cluster, at_sector);
    assert!(at_sector < deadline && at_lead < at_sector, "summaries need their time, too");
    assert!(at_lead.since_us(target) * 100 >= deadline.since_us(target) * 45, "{at_lead:?}");
}

fn result(actions: Vec<ParentAction>) -> FoldedAck {
    match actions.as_slice() {
        [ParentAction::ToParent(UpMessage::Fold(fold))] => fold.as_ref().clone(),
        other => panic!("one summary, not {other:?}"),
    }
}

#[test]
fn a_child_whose_counts_cannot_be_true_is_taken_as_silent() {
    let mut parent = ParentMachine::new(Scope::Global, ArrivalParams::default());
    let signed = event(5_000_000);
    let id = signed.event.id;
    let prepare = Prepare { fold_by: signed.event.deadline, event: signed, sent_at: MeshTimeUs(0) };
    parent.on_prepare(MeshTimeUs(0), &prepare, &[Enrolment { child: sector(0), agents: [3, 0, 0, 0, 0, 0] }]);
    let mut tally = Tally::all_transit(&[3, 0, 0, 0, 0, 0]);
    tally.classes[0].released = 3;
    let lie =
        FoldedAck { event: id, from: sector(0), correction: false, sent_at: MeshTimeUs(0), prepare_delay_us: 0, tally };
    assert!(parent.on_fold(MeshTimeUs(1), lie).is_empty());
    assert_eq!(parent.counters().inconsistent, 1);
    assert_eq!(result(parent.poll(MeshTimeUs(6_000_000))).tally.sum(|c| c.transit), 3);
}

#[test]
fn too_little_lead_names_what_is_needed_and_what_would_be_hit() {
    let mut parent = ParentMachine::new(Scope::Global, ArrivalParams::default());
    let request =
        PlanRequest { target: None, classes: ClassSet::MACHINES, strategy: Way::Hold, weight_milli: 0, slack_us: 0 };
    assert_eq!(parent.plan(MeshTimeUs(0), &request), Err(PlanError::Nobody));
    let mut report = StageReport::empty(sector(0), MeshTimeUs(0));
    report.classes[1].agents = 10;
    report.classes[1].budget_us = 200_000;
    report.classes[1].hits_milli =
        [0, 0, 0, 0, 1_000, 5_000, 9_900, 9_900, 9_900, 9_900, 9_900, 9_900, 9_900, 9_900, 9_900, 9_900];
    parent.on_stage(MeshTimeUs(500), report);
    let plan = parent.plan(MeshTimeUs(1_000), &request).unwrap();
    assert!(plan.needs_us >= 201_000 && plan.predicted_hit > 0.5, "{plan:?}");
    let asked = PlanRequest { target: Some(MeshTimeUs(101_000)), ..request };
    match parent.plan(MeshTimeUs(1_000), &asked) {
        Err(PlanError::InsufficientLead { needs_ms, has_ms, earliest, predicted_hit }) => {
            assert!((201..230).contains(&needs_ms) && has_ms == 100 && earliest == plan.target);
            assert!((0.05..0.4).contains(&predicted_hit), "{predicted_hit}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(parent.stage_report(MeshTimeUs(60_000_000)).down, 10, "a silent child promises nothing");
}

fn tally_of(parts: &[(u32, u32, u32)], error: i64, agent: u64) -> Tally {
    let mut tally = Tally::default();
    for (counts, (released, conflict, transit)) in tally.classes.iter_mut().zip(parts) {
        counts.enrolled = released + conflict + transit;
        counts.released = *released;
        counts.conflict = *conflict;
        counts.transit = *transit;
        (0..*released).for_each(|k| tally.errors.record(error + i64::from(k)));
    }
    tally.note_slowest(Slowest { agent: AgentId(agent), error_us: error });
    tally
}

proptest! {
    #[test]
    fn folding_is_associative_commutative_and_conserves(
        parts in proptest::collection::vec((proptest::collection::vec((0u32..9, 0u32..9, 0u32..9), 6), -100_000i64..100_000), 3)
    ) {
        let t: Vec<Tally> = parts.iter().enumerate().map(|(k, (p, e))| tally_of(p, *e, k as u64)).collect();
        let join = |a: &Tally, b: &Tally| { let mut x = a.clone(); x.merge(b); x };
        let left = join(&join(&t[0], &t[1]), &t[2]);
        prop_assert_eq!(&left, &join(&t[0], &join(&t[1], &t[2])));
        prop_assert_eq!(&left, &join(&t[2], &join(&t[1], &t[0])));
        prop_assert_eq!(left.sum(|c| c.enrolled), t.iter().map(|x| x.sum(|c| c.enrolled)).sum::<u32>());
        prop_assert_eq!(left.trinary().enrolled(), u64::from(left.sum(|c| c.enrolled)));
        prop_assert_eq!(left.errors.total(), u64::from(left.sum(|c| c.released)));
        prop_assert!(left.is_consistent());
    }

    #[test]
    fn an_agent_releases_at_most_once_and_a_hold_never_before_its_time(
        hold in any::<bool>(), effects in any::<bool>(), target in 0i64..100,
        steps in proptest::collection::vec((0u8..4, 0i64..20), 1..30),
    ) {
        let way = if hold { Way::Hold } else { Way::Throw };
        let mut slot = AgentSlot::receive(way, effects, LocalTimeUs(target), LocalTimeUs(0));
        let (mut now, mut releases) = (0, 0);
        for (step, wait) in steps {
            now += wait;
            let at = LocalTimeUs(now);
            let before = slot.state();
            let release = match step {
                0 => slot.on_work_done(at),
                1 => slot.poll(at),
                2 => { if slot.cancel(at) { prop_assert!(now < target); } None }
                _ => { if before == AgentState::Received { slot.conflict(); } None }
            };
            if let Some(release) = release {
                releases += 1;
                let armed = slot.armed().unwrap().0;
                prop_assert!(!hold || now >= target);
                prop_assert_eq!(release.late, armed > target);
                prop_assert!(!(effects && release.late), "effects never happen late by themselves");
                prop_assert_eq!(slot.state(), AgentState::Released);
            }
        }
        prop_assert!(releases <= 1);
    }
}
