//! Delay models: monotone, calibrated, bounded, indifferent to nonsense.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use mesh30k_core::clock::{ClockLink, Exchange};
use mesh30k_core::delay::{
    ClassPrior, ClassTail, DelayModel, ERROR_EDGES_US, ErrorHistogram, MAX_LEAD_US, within_probability,
};
use mesh30k_core::hosted::{ProcessingModel, Replay, ReplayedLink};
use mesh30k_core::time::{LocalTimeUs, MeshTimeUs};
use mesh30k_ledger::types::AgentClass;
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Coverage of L_p on delays as `next` gives them: share of waves with D <= L_p after a warm-up.
fn coverage(class: AgentClass, p: f64, waves: usize, mut next: impl FnMut(i64) -> (f64, f64)) -> f64 {
    let mut link = ClockLink::new();
    link.record(Exchange { t1: MeshTimeUs(0), t2: LocalTimeUs(0), t3: LocalTimeUs(0), t4: MeshTimeUs(0) }).unwrap();
    let clock = link.estimate(MeshTimeUs(0)).unwrap();
    let (prior, mut tail, mut model) = (ClassPrior::of(class), ClassPrior::tail(class), DelayModel::new());
    let mut hits = 0_usize;
    for wave in 0..waves + 64 {
        let at = wave as i64 * 1_000_000;
        let summary = model.summary(Some(&clock), &prior, 1.0);
        let lead = model.lead_us(&summary, &tail.reading(), p);
        let (u, b) = next(at);
        if wave >= 64 {
            hits += usize::from(u + b <= lead);
            model.learn(u + b > lead, p);
            tail.record((u + b - summary.median_us) / summary.spread_us);
            tail.decay();
        }
        model.record_delay(MeshTimeUs(at), LocalTimeUs(at + u as i64), Some(&clock));
        model.record_work(b, 1.0);
    }
    hits as f64 / waves as f64
}

#[test]
fn calibrated_on_exponential_queues() {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let got = coverage(AgentClass::B, 0.95, 4_000, |_| {
        let draw: f64 = rng.random();
        (20_000.0 - 8_000.0 * (1.0 - draw).ln(), 50_000.0)
    });
    assert!((got - 0.95).abs() < 0.012, "{got}");
}

#[test]
fn calibrated_on_the_seattle_series() {
    let replay = Replay::embedded().unwrap();
    let (mut sum, agents) = (0.0, 40_u64);
    for agent in 0..agents {
        let link = ReplayedLink::seeded(&replay, 5, agent, AgentClass::E);
        let work = ProcessingModel::seeded(5, agent, AgentClass::E);
        let mut turn = 0;
        sum += coverage(AgentClass::E, 0.95, 500, |at| {
            turn += 1;
            // A step of 7.4 s avoids marching in step with a series of 37 slices.
            (link.forward_us(at * 37 / 5).min(5_000_000) as f64, work.draw_us(turn, 1.0) as f64)
        });
    }
    let got = sum / agents as f64;
    assert!((got - 0.95).abs() < 0.02, "{got}");
}

#[test]
fn three_silent_waves_are_down_and_teach_no_more() {
    let mut model = DelayModel::new();
    for _ in 0..3 {
        model.learn_silence(0.99);
    }
    let correction = model.correction();
    assert!(model.is_down());
    model.learn_silence(0.99);
    assert!((model.correction() - correction).abs() < f64::EPSILON);
    model.record_delay(MeshTimeUs(0), LocalTimeUs(5), None);
    assert!(!model.is_down());
}

#[test]
fn the_normal_window_matches_known_values() {
    for (sigma, want) in [(1.0, 0.682_689), (0.5, 0.954_500), (1.0 / 3.0, 0.997_300)] {
        assert!((within_probability(sigma, 1.0) - want).abs() < 1e-5);
    }
    assert!((within_probability(0.0, 1.0) - 1.0).abs() < f64::EPSILON);
    assert!(within_probability(f64::NAN, 1.0).abs() < f64::EPSILON);
}

proptest! {
    #[test]
    fn the_lead_rises_with_p_and_stays_bounded(
        figures in proptest::collection::vec((any::<i64>(), prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(0.0), -1e9..1e12f64]), 0..200),
        zs in proptest::collection::vec(prop_oneof![Just(f64::NAN), Just(f64::NEG_INFINITY), -1e3..1e6f64], 0..50),
    ) {
        let (mut model, mut tail) = (DelayModel::new(), ClassPrior::tail(AgentClass::C));
        for (k, (received, work)) in figures.iter().enumerate() {
            model.record_delay(MeshTimeUs(k as i64), LocalTimeUs(*received), None);
            model.record_work(*work, 1.0);
        }
        zs.iter().for_each(|z| tail.record(*z));
        let summary = model.summary(None, &ClassPrior::of(AgentClass::C), 1.0);
        prop_assert!(summary.median_us.is_finite() && summary.spread_us >= 1_000.0);
        let leads: Vec<f64> = [0.5, 0.9, 0.95, 0.99, 0.999, 1.0].iter().map(|p| model.lead_us(&summary, &tail.reading(), *p)).collect();
        prop_assert!(leads.windows(2).all(|w| w[0] <= w[1]), "{:?}", leads);
        prop_assert!(leads.iter().all(|l| (0.0..=MAX_LEAD_US).contains(l)));
        prop_assert!(model.samples().0 <= 64 && model.samples().1 <= 64);
        let chances: Vec<f64> = [0.0, 1e4, 1e5, 1e6, 1e7].iter().map(|l| model.armed_probability(&summary, &tail.reading(), *l)).collect();
        prop_assert!(chances.iter().all(|c| (0.0..=1.0).contains(c)));
    }

    #[test]
    fn merged_tails_are_the_tail_of_all(a in proptest::collection::vec(0.01..100.0f64, 1..50), b in proptest::collection::vec(0.01..100.0f64, 1..50), p in 0.0..1.0f64) {
        let of = |zs: &[f64]| { let mut t = ClassTail::new(); zs.iter().for_each(|z| t.record(*z)); t };
        let mut merged = of(&a);
        merged.merge(&of(&b));
        let all = of(&[a.clone(), b.clone()].concat());
        prop_assert!((merged.reading().quantile(p) - all.reading().quantile(p)).abs() < 1e-9);
        let mut sorted = [a, b].concat();
        sorted.sort_by(f64::total_cmp);
        let rank = ((p * sorted.len() as f64).ceil() as usize).clamp(1, sorted.len());
        let exact = sorted[rank - 1];
        let got = all.reading().quantile(p);
        // Within the bucket that holds it; the lowest begins at zero.
        let low = if exact <= 0.05 { 0.0 } else { exact / 1.1001 };
        prop_assert!(got >= low && got <= (exact * 1.1001).max(0.0501), "{got} for {exact}");
    }

    #[test]
    fn the_error_histogram_counts_exactly_at_its_edges(errors in proptest::collection::vec(-400_000i64..400_000, 0..200), cut in 0usize..200) {
        let mut whole = ErrorHistogram::new();
        errors.iter().for_each(|e| whole.record(*e));
        let (mut left, mut right) = (ErrorHistogram::new(), ErrorHistogram::new());
        errors.iter().take(cut).for_each(|e| left.record(*e));
        errors.iter().skip(cut).for_each(|e| right.record(*e));
        left.merge(&right);
        prop_assert_eq!(&left, &whole);
        for edge in ERROR_EDGES_US {
            prop_assert_eq!(whole.within(edge), errors.iter().filter(|e| e.abs() <= edge).count() as u64);
        }
    }
}

#[test]
fn the_state_of_a_link_is_bounded_at_about_four_kilobytes() {
    use mesh30k_core::clock::RING_LEN as EXCHANGES;
    use mesh30k_core::delay::RING_LEN as FIGURES;
    let (mut model, mut clock) = (DelayModel::new(), ClockLink::new());
    for k in 0..10_000_i64 {
        let at = k * 100_000;
        let _ = clock.record(Exchange {
            t1: MeshTimeUs(at),
            t2: LocalTimeUs(at + 5_000 + (k % 90) * 10_000),
            t3: LocalTimeUs(at + 5_000 + (k % 90) * 10_000),
            t4: MeshTimeUs(at + 10_000),
        });
        model.record_delay(MeshTimeUs(at), LocalTimeUs(at + 5_000), None);
        model.record_work(3_000.0, 1.0);
    }
    assert!(clock.len() <= EXCHANGES && model.samples().0 <= FIGURES && model.samples().1 <= FIGURES);
    let rings = EXCHANGES * size_of::<Exchange>() + FIGURES * (size_of::<(MeshTimeUs, f64)>() + size_of::<f64>());
    let bytes = rings + size_of::<ClockLink>() + size_of::<DelayModel>();
    assert!(bytes <= 4_096, "{bytes} bytes");
}
