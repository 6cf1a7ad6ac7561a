//! Coordinated shift: when many children contradict their parent in one direction, it is the parent's time that is off,
//! or its anchor's (2.9).

/// Share of the children that must contradict in one direction, of one.
const SUSPECT_SHARE: f64 = 0.2;
/// Fewest children that can contradict together.
const MIN_CHILDREN: usize = 3;
/// Standard deviations beyond which a child contradicts.
const SIGMAS: f64 = 3.0;

/// One child's word on its parent's time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AnchorSample {
    /// Parent's time minus true time as this child's own time service has it, microseconds.
    pub error_us: f64,
    /// Typical error of the parent's estimate of the child's clock.
    pub sigma_us: f64,
    /// Bound of the child's time service.
    pub bound_us: f64,
}

/// What the children say together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AnchorVerdict {
    /// More than a fifth contradict in one direction.
    pub alarm: bool,
    /// What to take off the parent's time: the median of all children in an alarm, else zero. Half of them must lie to
    /// move it.
    pub error_us: f64,
}

/// Asks the children.
#[must_use]
pub fn check_anchor(samples: &[AnchorSample]) -> AnchorVerdict {
    let usable: Vec<&AnchorSample> =
        samples.iter().filter(|s| s.error_us.is_finite() && s.sigma_us.is_finite() && s.bound_us.is_finite()).collect();
    let against = |sign: f64| {
        usable.iter().filter(|s| s.error_us * sign > SIGMAS * s.sigma_us.max(0.0) + s.bound_us.max(0.0)).count()
    };
    let most = against(1.0).max(against(-1.0));
    if usable.len() < MIN_CHILDREN || most as f64 <= SUSPECT_SHARE * usable.len() as f64 {
        return AnchorVerdict::default();
    }
    let mut errors: Vec<f64> = usable.iter().map(|s| s.error_us).collect();
    errors.sort_by(f64::total_cmp);
    let middle = errors.len().checked_div(2).and_then(|at| errors.get(at)).copied().unwrap_or(0.0);
    AnchorVerdict { alarm: true, error_us: middle }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(errors: &[f64]) -> Vec<AnchorSample> {
        errors.iter().map(|e| AnchorSample { error_us: *e, sigma_us: 2_000.0, bound_us: 8_000.0 }).collect()
    }

    #[test]
    fn a_shifted_parent_is_found_and_by_how_much() {
        let mut errors: Vec<f64> = (0..30).map(|k| 200_000.0 + f64::from(k % 7) * 1_000.0 - 3_000.0).collect();
        // A fifth of them lie as hard as they can.
        errors.iter_mut().step_by(5).for_each(|e| *e = -1e12);
        let verdict = check_anchor(&samples(&errors));
        assert!(verdict.alarm && (verdict.error_us - 200_000.0).abs() < 3_000.0, "{verdict:?}");
    }

    #[test]
    fn noise_and_a_few_liars_move_nothing() {
        let mut errors: Vec<f64> = (0..30).map(|k| f64::from(k % 11) * 2_000.0 - 10_000.0).collect();
        errors.iter_mut().step_by(6).for_each(|e| *e = 500_000.0);
        assert_eq!(check_anchor(&samples(&errors)), AnchorVerdict::default());
        assert_eq!(check_anchor(&samples(&[9e9, 9e9])), AnchorVerdict::default());
        assert_eq!(check_anchor(&samples(&[f64::NAN; 9])), AnchorVerdict::default());
        assert_eq!(check_anchor(&[]), AnchorVerdict::default());
    }
}
