//! The mesh of `make up`, simulated: hold beats throw, denominators hold, one seed gives one trace.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use mesh30k_core::event::{MissCause, Strategy};
use mesh30k_sim::{SimConfig, SimError, run};

#[test]
fn hold_reaches_ninety_seven_in_a_hundred_where_throw_stays_far_below() {
    let report = run(&SimConfig { waves: vec![Strategy::Hold, Strategy::Throw], ..SimConfig::default() }).unwrap();
    let [hold, throw] = report.waves.as_slice() else { panic!("two waves") };
    assert_eq!((hold.enrolled, throw.enrolled), (560, 560));
    assert!(hold.within_10ms * 100 >= hold.enrolled * 97, "{hold:?}");
    assert!(throw.within_10ms * 100 <= throw.enrolled * 70, "{throw:?}");
    for wave in &report.waves {
        assert_eq!(wave.misses.values().sum::<u32>() + wave.within_10ms, wave.enrolled);
        let folded = &wave.folded.as_ref().unwrap().tally;
        assert_eq!(folded.sum(|c| c.enrolled), wave.enrolled);
        let share = f64::from(wave.within_10ms) / f64::from(wave.enrolled);
        assert!((wave.predicted_hit - share).abs() < 0.08, "predicted {} got {share}", wave.predicted_hit);
    }
}

#[test]
fn the_dead_are_counted_as_silent_and_do_not_spoil_the_rest() {
    let config = SimConfig { agents: 120, hosts: 4, dead: 12, waves: vec![Strategy::Hold], ..SimConfig::default() };
    let wave = run(&config).unwrap().waves.remove(0);
    let silent = wave.misses.get(&MissCause::Silent).copied().unwrap_or(0);
    assert!((11..=12).contains(&silent), "{wave:?}");
    let folded = wave.folded.unwrap().tally;
    assert_eq!(folded.sum(|c| c.transit), silent);
    assert_eq!(folded.sum(|c| c.enrolled), wave.enrolled);
}

#[test]
fn one_seed_gives_one_trace_and_another_another() {
    let small = |seed| SimConfig { seed, agents: 60, hosts: 2, waves: vec![Strategy::Hold], ..SimConfig::default() };
    let first = run(&small(1)).unwrap().trace_hash;
    assert_eq!(first, run(&small(1)).unwrap().trace_hash);
    assert_ne!(first, run(&small(2)).unwrap().trace_hash);
}

#[test]
fn an_empty_mesh_is_refused() {
    let refused = run(&SimConfig { agents: 0, ..SimConfig::default() });
    assert!(matches!(refused, Err(SimError::Field { field: "agents", value: 0, .. })));
}
