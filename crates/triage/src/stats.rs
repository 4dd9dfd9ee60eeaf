//! Statistics of a short series, for rules that compare a person with themselves.
//!
//! Every function reads its numbers in the order given and uses + - * / and square roots alone, which every machine rounds alike: the same
//! series gives the same bits everywhere. What needs a certain count gives `None` below it. Numbers are finite: they were measured.

/// The median absolute deviation times this estimates the standard deviation of a normal distribution (1 / 0.6745).
pub(crate) const MAD_TO_SD: f64 = 1.4826;
/// A slope is taken over so many points; a longer series is first drawn together in as many equal parts (2016 pairs, whatever the window).
pub(crate) const SLOPE_POINTS_MAX: usize = 64;

/// The arithmetic mean.
pub(crate) fn mean(xs: &[f64]) -> Option<f64> {
    if xs.is_empty() { None } else { Some(xs.iter().sum::<f64>() / xs.len() as f64) }
}

/// The sample standard deviation (n - 1 in the denominator), in two passes so that large numbers close together lose nothing.
pub(crate) fn sd(xs: &[f64]) -> Option<f64> {
    if xs.len() < 2 {
        return None;
    }
    let centre = mean(xs)?;
    let squares: f64 = xs.iter().map(|x| (x - centre) * (x - centre)).sum();
    Some((squares / (xs.len() - 1) as f64).sqrt())
}

/// The median: of an even count the middle of the two. Puts `xs` in another order.
pub(crate) fn median(xs: &mut [f64]) -> Option<f64> {
    let middle = xs.len().checked_sub(1)? / 2;
    let even = xs.len().is_multiple_of(2);
    let (_, low, above) = xs.select_nth_unstable_by(middle, f64::total_cmp);
    let low = *low;
    if !even {
        return Some(low);
    }
    let high = above.iter().copied().min_by(f64::total_cmp)?;
    Some((low + high) / 2.0)
}

/// The median absolute deviation from the median. Leaves the deviations in `xs`.
pub(crate) fn mad(xs: &mut [f64]) -> Option<f64> {
    let centre = median(xs)?;
    for x in xs.iter_mut() {
        *x = (*x - centre).abs();
    }
    median(xs)
}

/// The coefficient of variation in percent: the standard deviation over the mean. None where the mean isn't above zero.
pub(crate) fn variation(xs: &[f64]) -> Option<f64> {
    let centre = mean(xs).filter(|centre| *centre > 0.0)?;
    Some(100.0 * sd(xs)? / centre)
}

/// An exponentially weighted mean and the standard deviation it has itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ewma {
    /// `weight * x + (1 - weight) * before`, beginning at zero.
    pub level: f64,
    /// Its own standard deviation after so many values, where each has a standard deviation of one: it grows towards
    /// sqrt(weight / (2 - weight)), which is what makes the limits of the first days the narrow ones.
    pub sd: f64,
}

impl Ewma {
    /// How many of its own standard deviations it lies from zero.
    pub fn z(self) -> f64 {
        self.level / self.sd
    }
}

/// The exponentially weighted mean of numbers that have mean zero and standard deviation one as long as nothing has changed.
pub(crate) fn ewma(zs: &[f64], weight: f64) -> Option<Ewma> {
    if zs.is_empty() {
        return None;
    }
    let keep = 1.0 - weight;
    let (mut level, mut fading) = (0.0, 1.0);
    for z in zs {
        level = weight * z + keep * level;
        fading *= keep * keep;
    }
    Some(Ewma { level, sd: (weight / (2.0 - weight) * (1.0 - fading)).sqrt() })
}

/// Both sums of a two-sided tabular CUSUM after its last value.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Cusum {
    /// How far the numbers have run above what is usual: never under zero.
    pub high: f64,
    /// How far below: never under zero.
    pub low: f64,
}

impl Cusum {
    /// The larger of the two, below zero where it is the low one.
    pub fn signed(self) -> f64 {
        if self.low > self.high { -self.low } else { self.high }
    }
}

/// The CUSUM of numbers that have mean zero and standard deviation one as long as nothing has changed. A sum that `alarm` says is one
/// begins anew with the next number; the last number's sums are given as they are.
pub(crate) fn cusum(zs: &[f64], slack: f64, alarm: impl Fn(f64) -> bool) -> Cusum {
    let mut sums = Cusum::default();
    for z in zs {
        let high = if alarm(sums.high) { 0.0 } else { sums.high };
        let low = if alarm(-sums.low) { 0.0 } else { sums.low };
        sums = Cusum { high: (high + z - slack).max(0.0), low: (low - z - slack).max(0.0) };
    }
    sums
}

/// The robust slope of Theil and Sen: the median of the slopes of all pairs of points of different times, in units of x for one of t.
/// The points are in order of time. Up to 29 in 100 of them may be wild before it follows them.
pub(crate) fn slope(points: &[(f64, f64)]) -> Option<f64> {
    let drawn = draw_together(points);
    let points = drawn.as_deref().unwrap_or(points);
    let mut slopes = Vec::with_capacity(points.len() * points.len().saturating_sub(1) / 2);
    for (at, (t, x)) in points.iter().enumerate() {
        let later = points[at + 1..].iter().filter(|(later, _)| later != t);
        slopes.extend(later.map(|(later, y)| (y - x) / (later - t)));
    }
    median(&mut slopes)
}

/// A long series as [`SLOPE_POINTS_MAX`] points: each the median time and the median value of an equal part of it.
fn draw_together(points: &[(f64, f64)]) -> Option<Vec<(f64, f64)>> {
    if points.len() <= SLOPE_POINTS_MAX {
        return None;
    }
    let end = |part: usize| part * points.len() / SLOPE_POINTS_MAX;
    let of = |part: usize, take: fn(&(f64, f64)) -> f64| {
        let mut numbers: Vec<f64> = points[end(part)..end(part + 1)].iter().map(take).collect();
        median(&mut numbers)
    };
    (0..SLOPE_POINTS_MAX).map(|part| Some((of(part, |point| point.0)?, of(part, |point| point.1)?))).collect()
}

/// How far the points lie from their own robust line: the standard deviation of what is left when the line of Theil and Sen (with the
/// median of what is left as its height) is taken away, n - 2 in the denominator.
pub(crate) fn residual_sd(points: &[(f64, f64)]) -> Option<f64> {
    if points.len() < 3 {
        return None;
    }
    let steep = slope(points)?;
    let left: Vec<f64> = points.iter().map(|(t, x)| x - steep * t).collect();
    let height = median(&mut left.clone())?;
    let squares: f64 = left.iter().map(|x| (x - height) * (x - height)).sum();
    Some((squares / (points.len() - 2) as f64).sqrt())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Fourteen days of FEV1 in litres; the statistics of it by Python's `statistics` and scipy 1.16.
    const FEV1: [f64; 14] = [1.41, 1.38, 1.44, 1.40, 1.43, 1.37, 1.45, 1.42, 1.39, 1.41, 1.40, 1.46, 1.38, 1.42];

    #[track_caller]
    fn close(found: Option<f64>, wanted: f64) {
        let found = found.expect("a number");
        assert!((found - wanted).abs() <= 1e-12 * wanted.abs().max(1.0), "found {found}, want {wanted}");
    }

    #[test]
    fn mean_spread_median_and_variation_are_those_of_other_programs() {
        let xs = [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0];
        close(mean(&xs), 5.0);
        close(sd(&xs), 2.138_089_935_299_395);
        close(median(&mut xs.to_vec()), 4.5);
        close(mad(&mut xs.to_vec()), 0.5);
        close(variation(&xs), 42.761_798_705_987_9);
        close(mean(&FEV1), 1.411_428_571_428_571_5);
        close(sd(&FEV1), 0.027_134_180_220_963_672);
        close(median(&mut FEV1.to_vec()), 1.41);
        close(mad(&mut FEV1.to_vec()), 0.02);
        close(variation(&FEV1), 1.922_462_161_404_308_7);
        close(median(&mut [3.0, 1.0, 2.0]), 2.0);
    }

    #[test]
    fn too_few_numbers_give_nothing() {
        assert_eq!((mean(&[]), sd(&[1.0]), median(&mut []), mad(&mut [])), (None, None, None, None));
        assert_eq!((variation(&[0.0, 0.0]), ewma(&[], 0.2)), (None, None));
        assert_eq!((slope(&[(1.0, 2.0)]), slope(&[(1.0, 2.0), (1.0, 3.0)])), (None, None));
        assert_eq!(residual_sd(&[(1.0, 2.0), (2.0, 3.0)]), None);
        assert_eq!(cusum(&[], 0.5, |_| false), Cusum::default());
    }

    #[test]
    fn the_spread_of_large_numbers_close_together_is_kept() {
        close(sd(&[1e9 + 4.0, 1e9 + 7.0, 1e9 + 13.0, 1e9 + 16.0]), 30.0_f64.sqrt());
    }

    /// The worked example of the NIST/SEMATECH e-Handbook of Statistical Methods, 6.3.2.4: weight 0.3, target 50.
    #[test]
    fn ewma_of_the_published_example() {
        let given = [
            52.0, 47.0, 53.0, 49.3, 50.1, 47.0, 51.0, 50.1, 51.2, 50.5, 49.6, 47.6, 49.9, 51.3, 47.8, 51.2, 52.6, 52.4,
            53.6, 52.1,
        ];
        let wanted = [
            50.60, 49.52, 50.56, 50.18, 50.16, 49.21, 49.75, 49.85, 50.26, 50.33, 50.11, 49.36, 49.52, 50.05, 49.38,
            49.92, 50.73, 51.23, 51.94, 51.99,
        ];
        let zs: Vec<f64> = given.iter().map(|x| x - 50.0).collect();
        for (at, wanted) in wanted.iter().enumerate() {
            let level = 50.0 + ewma(&zs[..=at], 0.3).unwrap().level;
            assert!((level - wanted).abs() < 0.005_001, "{at}: found {level}, want {wanted}");
        }
    }

    #[test]
    fn the_limits_of_ewma_widen_with_the_count() {
        for (weight, count, wanted) in [
            (0.3, 1, 0.3),
            (0.3, 2, 0.366_196_668_472_011_1),
            (0.3, 20, 0.420_083_891_478_712_1),
            (0.2, 5, 0.314_929_589_591_070_37),
            (0.2, 20, 0.333_311_178_796_816_8),
        ] {
            close(ewma(&vec![0.0; count], weight).map(|ewma| ewma.sd), wanted);
        }
        close(ewma(&[1.0], 0.2).map(Ewma::z), 1.0);
    }

    /// The worked example of the NIST/SEMATECH e-Handbook of Statistical Methods, 6.3.2.3: target 325, slack 0.3175, limit 4.1959.
    const GIVEN: [f64; 20] = [
        324.925, 324.675, 324.725, 324.350, 325.350, 325.225, 324.125, 324.525, 325.225, 324.600, 324.625, 325.150,
        328.325, 327.250, 327.825, 328.500, 326.675, 327.775, 326.875, 328.350,
    ];

    #[test]
    fn cusum_of_the_published_example() {
        let high = [
            0.0, 0.0, 0.0, 0.0, 0.03, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 3.01, 4.94, 7.45, 10.63, 11.99, 14.44, 16.0,
            19.04,
        ];
        let low =
            [0.0, 0.01, 0.0, 0.33, 0.0, 0.0, 0.56, 0.72, 0.17, 0.25, 0.31, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        let zs: Vec<f64> = GIVEN.iter().map(|x| x - 325.0).collect();
        for at in 0..20 {
            let sums = cusum(&zs[..=at], 0.3175, |_| false);
            assert!((sums.high - high[at]).abs() < 0.005_001, "{at}: found {}, want {}", sums.high, high[at]);
            assert!((sums.low - low[at]).abs() < 0.005_001, "{at}: found {}, want {}", sums.low, low[at]);
        }
    }

    #[test]
    fn cusum_begins_anew_after_its_own_alarm_on_that_side_alone() {
        let zs: Vec<f64> = GIVEN.iter().map(|x| x - 325.0).collect();
        let high = |at: usize| cusum(&zs[..=at], 0.3175, |sum| sum >= 4.1959).high;
        for (at, wanted) in [(12, 3.0075), (13, 4.94), (14, 2.5075), (15, 5.69), (16, 1.3575), (17, 3.815)] {
            assert!((high(at) - wanted).abs() < 1e-9, "{at}: found {}, want {wanted}", high(at));
        }
        let both = cusum(&[-3.0, -3.0, 1.0], 0.5, |sum| sum <= -5.0);
        assert_eq!((both.high, both.low, both.signed()), (0.5, 0.0, 0.5));
        assert_eq!(cusum(&[-3.0], 0.5, |_| false).signed(), -2.5);
    }

    /// Against `scipy.stats.theilslopes`.
    #[test]
    fn the_slope_is_that_of_another_program_and_a_wild_value_moves_it_little() {
        let xs = [3.2, 3.1, 3.15, 2.9, 3.3, 2.8, 2.6, 2.5];
        let points: Vec<_> = [0.0, 1.0, 2.0, 3.0, 5.0, 8.0, 13.0, 21.0].into_iter().zip(xs).collect();
        close(slope(&points), -0.037_105_263_157_894_71);
        let weekly = [3.02, 3.04, 2.99, 2.88, 1.2, 2.96, 2.88, 2.94, 2.91, 2.89, 2.86, 2.88];
        let points: Vec<_> = weekly.iter().enumerate().map(|(week, x)| (7.0 * week as f64, *x)).collect();
        close(slope(&points), -0.002_002_551_020_408_163);
    }

    #[test]
    fn a_year_of_points_costs_no_more_than_its_bound() {
        let year: Vec<_> = (0..730).map(|half| (f64::from(half) / 2.0, 3.0 - f64::from(half) / 2000.0)).collect();
        assert_eq!(draw_together(&year).unwrap().len(), SLOPE_POINTS_MAX);
        close(slope(&year), -0.001);
    }

    #[test]
    fn what_a_line_leaves_is_its_residual() {
        let zigzag: Vec<_> = (0..4).map(|t| (f64::from(t), f64::from(t) + f64::from(t % 2))).collect();
        // Slopes 2, 1, 4/3, 0, 1, 2: their median 7/6; left 0, 5/6, -1/3, 1/2 about 1/4: squares 1/16, 49/144, 49/144, 1/16.
        close(residual_sd(&zigzag), (58.0_f64 / 72.0 / 2.0).sqrt());
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_line_has_its_own_slope_and_nothing_is_left(
            steep in -64..64_i32, height in -64..64_i32, days in prop::collection::btree_set(0..2000_i32, 3..300)
        ) {
            let points: Vec<_> = days.iter().map(|t| (f64::from(*t), f64::from(steep * t + height))).collect();
            prop_assert_eq!(slope(&points), Some(f64::from(steep)));
            prop_assert_eq!(residual_sd(&points), Some(0.0));
        }

        #[test]
        fn the_median_knows_no_order_and_lies_in_the_middle(mut xs in prop::collection::vec(-1e6..1e6_f64, 1..60), turn in 0..60_usize) {
            let one = median(&mut xs.clone()).unwrap();
            let turn = turn % xs.len();
            xs.rotate_left(turn);
            prop_assert_eq!(median(&mut xs.clone()), Some(one));
            let half = xs.len().div_ceil(2);
            prop_assert!(xs.iter().filter(|x| **x <= one).count() >= half);
            prop_assert!(xs.iter().filter(|x| **x >= one).count() >= half);
        }

        #[test]
        fn a_lower_last_value_never_gives_a_higher_statistic(
            xs in prop::collection::vec(50.0..150.0_f64, 3..200), drop in 0.0..50.0_f64
        ) {
            let mut lower = xs.clone();
            *lower.last_mut().unwrap() -= drop;
            let points = |xs: &[f64]| xs.iter().enumerate().map(|(t, x)| (t as f64, *x)).collect::<Vec<_>>();
            prop_assert!(slope(&points(&lower)) <= slope(&points(&xs)));
            let zs = |xs: &[f64]| xs.iter().map(|x| (x - 100.0) / 15.0).collect::<Vec<_>>();
            prop_assert!(ewma(&zs(&lower), 0.2).unwrap().z() <= ewma(&zs(&xs), 0.2).unwrap().z());
            let sums = |xs: &[f64]| cusum(&zs(xs), 0.5, |sum| sum.abs() >= 5.0).signed();
            prop_assert!(sums(&lower) <= sums(&xs));
        }

        #[test]
        fn the_spread_is_the_same_wherever_the_numbers_lie(xs in prop::collection::vec(-512..512_i32, 2..40), by in -1000..1000_i32) {
            let here: Vec<f64> = xs.iter().map(|x| f64::from(*x)).collect();
            let there: Vec<f64> = xs.iter().map(|x| f64::from(x + by)).collect();
            prop_assert!((sd(&here).unwrap() - sd(&there).unwrap()).abs() < 1e-9);
            prop_assert_eq!(mad(&mut here.clone()), mad(&mut there.clone()));
        }
    }
}
