//! Seeded noise: the same seed and labels give the same figure, on every machine and in any order of asking.

/// Mixes a seed with three labels (splitmix64 finaliser).
#[must_use]
pub fn noise(seed: u64, a: u64, b: u64, c: u64) -> u64 {
    [a, b, c].into_iter().fold(mix(seed), |state, label| mix(state ^ mix(label)))
}

/// Uniform in [0, 1).
#[must_use]
pub fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

/// About standard normal: four uniforms of 16 bits, scaled; never beyond 3.5.
#[must_use]
pub fn normal(bits: u64) -> f64 {
    let sum: f64 =
        bits.to_le_bytes().chunks(2).map(|pair| pair.iter().rev().fold(0.0, |v, b| v * 256.0 + f64::from(*b))).sum();
    // Four uniforms on [0, 1): mean 2, variance 1/3.
    (sum / 65_536.0 - 2.0) * 3.0_f64.sqrt()
}

fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
