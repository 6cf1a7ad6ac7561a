//! The normal distribution, as far as a clock error needs it.

/// Probability that an error of standard deviation `sigma_us` stays within `omega_us`; one for a perfect clock.
#[must_use]
pub fn within_probability(sigma_us: f64, omega_us: f64) -> f64 {
    if sigma_us.is_nan() || omega_us.is_nan() || omega_us <= 0.0 {
        return 0.0;
    }
    if sigma_us <= 0.0 {
        return 1.0;
    }
    erf(omega_us / sigma_us / std::f64::consts::SQRT_2).clamp(0.0, 1.0)
}

/// Error function after Abramowitz and Stegun 7.1.26; off by at most 1.5e-7.
fn erf(x: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.327_591_1 * x.abs());
    let polynomial =
        t * (0.254_829_592 + t * (-0.284_496_736 + t * (1.421_413_741 + t * (-1.453_152_027 + t * 1.061_405_429))));
    (1.0 - polynomial * (-x * x).exp()).copysign(x)
}
