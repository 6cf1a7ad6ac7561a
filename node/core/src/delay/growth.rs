//! A lead grows by at most half from wave to wave, unless the next wave confirms it (2.9): one poisoned or freak sample
//! must not make everybody wait.

/// Largest growth without confirmation.
const MAX_GROWTH: f64 = 1.5;

/// What one child was granted last.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LeadGrowth {
    granted_us: f64,
    held_back: bool,
}

impl LeadGrowth {
    /// The lead to grant when `wanted_us` is asked for, both for weight zero.
    pub fn grant(&mut self, wanted_us: f64) -> f64 {
        if !wanted_us.is_finite() || wanted_us < 0.0 {
            return self.granted_us;
        }
        let limit_us = self.granted_us * MAX_GROWTH;
        let known = self.granted_us > 0.0;
        self.held_back = known && wanted_us > limit_us && !self.held_back;
        self.granted_us = if self.held_back { limit_us } else { wanted_us };
        self.granted_us
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leap_is_halved_once_and_granted_when_it_is_asked_for_again() {
        let mut growth = LeadGrowth::default();
        let granted = [100.0, 140.0, 900.0, 900.0, 100.0, 900.0, 120.0].map(|wanted| growth.grant(wanted));
        assert_eq!(granted, [100.0, 140.0, 210.0, 900.0, 100.0, 150.0, 120.0]);
    }

    #[test]
    fn nonsense_changes_nothing() {
        let mut growth = LeadGrowth::default();
        growth.grant(100.0);
        for wanted in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -5.0] {
            assert_eq!(growth.grant(wanted), 100.0);
        }
    }
}
