//! Noise from a seed: the same seed gives the same story for ever, on every machine and with every version of every library.
//!
//! The mixing function is that of SplitMix64 (Steele, Lea, Flood 2014): its constants are published numbers.

/// A number between 0 and 1 for this seed, this stream and this place in it. No state: any day can be asked for in any order.
#[must_use]
pub fn uniform(seed: u64, stream: u64, place: i64) -> f64 {
    let place = u64::from_le_bytes(place.to_le_bytes());
    let bits = mix(mix(mix(seed) ^ stream) ^ place) >> 11;
    // 53 bits fit a float's mantissa exactly
    #[allow(clippy::cast_precision_loss, reason = "53 bits are exact")]
    let whole = bits as f64;
    whole / 9_007_199_254_740_992.0
}

/// Around 0, nearly always within -1 and 1: the mean of three uniform numbers, which is bell-shaped and never far out.
#[must_use]
pub fn bell(seed: u64, stream: u64, place: i64) -> f64 {
    let sum: f64 = (0..3).map(|part| uniform(seed, stream * 3 + part, place)).sum();
    (sum / 3.0 - 0.5) * 2.0
}

fn mix(seed: u64) -> u64 {
    let mut bits = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SplitMix64 from seed 0 begins e220a8397b1dcdaf (its authors' reference output).
    #[test]
    fn mixes_as_published() {
        assert_eq!(mix(0), 0xe220_a839_7b1d_cdaf);
    }

    #[test]
    fn bells_stay_within_one_and_average_nothing() {
        let draws: Vec<f64> = (0..2000).map(|place| bell(7, 1, place)).collect();
        assert!(draws.iter().all(|draw| draw.abs() <= 1.0));
        assert!((draws.iter().sum::<f64>() / 2000.0).abs() < 0.03);
    }
}
