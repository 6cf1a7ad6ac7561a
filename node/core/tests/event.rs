//! Event machines: agents never early, never twice; folds conserve; denominators complete; planning says what it needs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use mesh30k_core::event::{
    AgentSlot, AgentState, ArrivalParams, ClassSet, Enrolment, Event, EventError, EventId, FoldedAck, ParentAction,
    ParentMachine, PlanError, PlanRequest, Prepare, SignedEvent, Slowest, StageReport, Strategy as Way, Tally,
    UpMessage, Verb,
};
use mesh30k_core::time::{LocalTimeUs, MeshTimeUs};
use mesh30k_ledger::codec;
use mesh30k_ledger::keys::SecretKey;
use mesh30k_ledger::signing::ChainContext;
use mesh30k_ledger::types::{AgentId, ChainId, Hash, Scope, SectorId};
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
    }
    .sign(&context(), &key)
}

fn sector(index: u32) -> Scope {
    Scope::Sector(SectorId(index))
}

#[test]
fn a_signed_event_is_refused_after_any_change_and_from_any_other_key() {
    let signed = event(5_000_000);
    let operator = signed.event.origin;
    assert_eq!(signed.verify(&context(), &[operator]), Ok(()));
    assert_eq!(signed.verify(&context(), &[]), Err(EventError::NotAnOperator(operator)));
    let mut changed = signed.clone();
    changed.event.payload.push(0);
    assert_eq!(changed.verify(&context(), &[operator]), Err(EventError::Signature));
    let elsewhere = ChainContext { genesis: Hash([9; 32]), ..context() };
    assert_eq!(signed.verify(&elsewhere, &[operator]), Err(EventError::Signature));
    let bytes = codec::encode(&signed);
    assert_eq!(codec::decode::<SignedEvent>(&bytes, bytes.len()).unwrap(), signed);
    assert!(codec::decode::<SignedEvent>(&bytes[..bytes.len() - 1], bytes.len()).is_err());
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
