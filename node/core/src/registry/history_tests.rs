use super::*;
use proptest::prelude::*;

const PERIODS: [(Resolution, u32, u32); 3] =
    [(Resolution::Hour, 1, 60), (Resolution::Day, 30, 48), (Resolution::Week, 180, 56)];

fn close_to(found: u64, exact: u64) -> bool {
    // Half a bucket, and the middle of a bucket one wide.
    u128::from(found.abs_diff(exact)) * 1_000_000 <= u128::from(exact) * u128::from(SKETCH_RELATIVE_ERROR_PPM) + 500_000
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Against the whole list of everything reported.
    #[test]
    fn a_history_tells_what_a_full_log_would(
        start in 0..40_000_000_u32, steps in prop::collection::vec((0..9_u32, 1..4_000_000_u64, any::<u8>()), 1..400),
    ) {
        let (mut history, mut log, mut minute) = (History::new(), Vec::new(), start);
        for (pass, z_us, far) in steps {
            minute += if far == 0 { pass * 1_500 } else { pass };
            prop_assert!(history.record(minute, z_us, z_us * 2));
            log.push((minute, z_us));
        }
        prop_assert!(minute == 0 || !history.record(minute - 1, 1, 1), "the past is closed");
        let later = minute + 17;
        for (resolution, step, count) in PERIODS {
            let oldest = (later / step + 1).saturating_sub(count);
            let mut expected: Vec<(u32, Vec<u64>)> = Vec::new();
            for (at, z_us) in log.iter().filter(|(at, _)| at / step >= oldest) {
                match expected.last_mut() {
                    Some((first, values)) if *first == at / step * step => values.push(*z_us),
                    _ => expected.push((at / step * step, vec![*z_us])),
                }
            }
            let found = history.periods(resolution, later);
            prop_assert_eq!(found.len(), expected.len());
            for (period, (first, values)) in found.iter().zip(&expected) {
                let mean = values.iter().sum::<u64>() / values.len() as u64;
                prop_assert_eq!(period.minute, *first);
                prop_assert!(close_to(period.mean_us, mean), "{} for {mean}", period.mean_us);
                prop_assert!(close_to(period.worst_us, values.iter().max().unwrap() * 2));
            }
        }
    }
}

#[test]
fn a_trend_sees_a_slow_down_and_forgets_what_is_over() {
    let mut history = History::new();
    for minute in 0..24 * 60 {
        history.record(minute, 100_000, 120_000);
    }
    for minute in 24 * 60..24 * 60 + 5 {
        history.record(minute, 200_000, 200_000);
    }
    let now = 24 * 60 + 4;
    let change = history.trend(now).change_ppm().unwrap();
    assert!((900_000..1_100_000).contains(&change), "twice as slow as the day: {change}");
    let later = history.trend(now + 30);
    assert_eq!(later.now_us, None, "half an hour of silence is no present");
    assert!(later.hour_us.is_some() && later.change_ppm().is_none());
    assert_eq!(history.trend(now + 8 * 24 * 60), Trend::default(), "a week later nothing is left");
}

#[test]
fn a_history_has_one_size_and_survives_its_bytes() {
    let mut history = History::new();
    let empty = borsh::to_vec(&history).unwrap().len();
    (0..100_000).for_each(|minute| assert!(history.record(minute, u64::from(minute), u64::MAX)));
    let bytes = borsh::to_vec(&history).unwrap();
    assert_eq!(bytes.len(), empty);
    assert!(bytes.len() <= HISTORY_BYTES);
    assert_eq!(borsh::from_slice::<History>(&bytes).unwrap(), history);
}
