//! Small curves as SVG, and where on a scale a value is red, yellow or green.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use store::CurvePoint;
use triage::{BandView, LimitKind, Mark};
use vitals::Value;

const WIDTH: f64 = 168.0;
const HEIGHT: f64 = 44.0;
/// Keeps the line and its last dot inside the picture.
const EDGE: f64 = 5.0;
/// Points drawn at most: more than the picture has pixels is wasted.
const POINTS_MAX: usize = 160;

/// A zone of a scale that is not green.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Zone {
    /// Its lower end; none: it goes on.
    pub from: Option<Value>,
    /// Its upper end; none: it goes on.
    pub below: Option<Value>,
    /// Red or yellow.
    pub mark: Mark,
    /// Is its limit the patient's own?
    pub own: bool,
}

/// A small curve, ready to draw.
#[derive(Clone, Debug, PartialEq)]
pub struct Spark {
    /// `x,y x,y ...`
    pub line: String,
    /// Zones behind it, from top to bottom.
    pub zones: Vec<Strip>,
    /// The last point.
    pub x: String,
    /// The last point.
    pub y: String,
    /// The last point's colour.
    pub mark: &'static str,
    /// In words.
    pub label: String,
}

/// One zone in pixels.
#[derive(Clone, Debug, PartialEq)]
pub struct Strip {
    /// `red` or `yellow`.
    pub mark: &'static str,
    /// Top edge.
    pub y: String,
    /// Height.
    pub height: String,
}

/// The zones of a vital's bands.
pub fn zones(bands: &[BandView]) -> Vec<Zone> {
    let coloured = bands.iter().filter(|band| band.mark != Mark::Green);
    coloured.map(|band| Zone { from: band.from, below: band.below, mark: band.mark, own: band.own }).collect()
}

/// What a value means by these bands; `None` where the programme says nothing of the vital.
pub fn mark_of(bands: &[BandView], value: Value) -> Option<Mark> {
    let beyond = |band: &&BandView| {
        band.limit.is_some_and(|limit| match limit.kind {
            LimitKind::AtMost => value <= limit.value,
            LimitKind::Below => value < limit.value,
            LimitKind::From => value >= limit.value,
            LimitKind::Above => value > limit.value,
        })
    };
    let worst = bands.iter().filter(beyond).map(|band| band.mark).max();
    if bands.is_empty() { None } else { Some(worst.unwrap_or(Mark::Green)) }
}

/// Draws the points between `since` and `now` over their zones. `None` where there is nothing to draw.
pub fn spark(
    points: &[CurvePoint],
    bands: &[BandView],
    since: Timestamp,
    now: Timestamp,
    label: String,
) -> Option<Spark> {
    let shown: Vec<&CurvePoint> = points.iter().filter(|point| point.at >= since && point.at <= now).collect();
    let last = shown.last()?;
    let zones = zones(bands);
    let scale = Scale::of(&shown, &zones, since, now);
    let step = shown.len().div_ceil(POINTS_MAX);
    let kept = shown.iter().rev().step_by(step).rev();
    let line: Vec<String> =
        kept.map(|point| format!("{},{}", px(scale.x(point.at)), px(scale.y(point.value.to_f64())))).collect();
    Some(Spark {
        line: line.join(" "),
        zones: zones.iter().filter_map(|zone| scale.strip(zone)).collect(),
        x: px(scale.x(last.at)),
        y: px(scale.y(last.value.to_f64())),
        mark: mark_of(bands, last.value).map_or("none", triage::Mark::name),
        label,
    })
}

fn px(number: f64) -> String {
    format!("{number:.1}")
}

struct Scale {
    since: Timestamp,
    span: f64,
    low: f64,
    high: f64,
}

impl Scale {
    /// From the lowest to the highest value, and a limit where it is near: half the range of the values away at most.
    fn of(points: &[&CurvePoint], zones: &[Zone], since: Timestamp, now: Timestamp) -> Self {
        let values = points.iter().map(|point| point.value.to_f64());
        let (low, high) = values.fold((f64::MAX, f64::MIN), |(low, high), v| (low.min(v), high.max(v)));
        let reach = ((high - low) / 2.0).max(high.abs() * 0.02).max(0.01);
        let ends = zones.iter().flat_map(|zone| [zone.from, zone.below]).flatten().map(Value::to_f64);
        let near = ends.filter(|end| *end > low - reach && *end < high + reach);
        let (low, high) = near.fold((low, high), |(low, high), end| (low.min(end), high.max(end)));
        let margin = (high - low).max(reach) * 0.15;
        Self { since, span: seconds(now.duration_since(since)).max(1.0), low: low - margin, high: high + margin }
    }

    fn x(&self, at: Timestamp) -> f64 {
        EDGE + seconds(at.duration_since(self.since)) / self.span * (WIDTH - 2.0 * EDGE)
    }

    fn y(&self, value: f64) -> f64 {
        HEIGHT - EDGE - (value - self.low) / (self.high - self.low) * (HEIGHT - 2.0 * EDGE)
    }

    fn strip(&self, zone: &Zone) -> Option<Strip> {
        let top = zone.below.map_or(0.0, |end| self.y(end.to_f64())).clamp(0.0, HEIGHT);
        let bottom = zone.from.map_or(HEIGHT, |end| self.y(end.to_f64())).clamp(0.0, HEIGHT);
        let strip = Strip { mark: zone.mark.name(), y: px(top), height: px(bottom - top) };
        (bottom - top >= 0.1).then_some(strip)
    }
}

fn seconds(length: SignedDuration) -> f64 {
    length.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use triage::Limit;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn bands() -> Vec<BandView> {
        let limit = |kind, value: i64| Some(Limit { kind, value: Value::new(value, 0) });
        let band = |from: Option<i64>, below: Option<i64>, mark, limit| {
            let end = |end: Option<i64>| end.map(|end| Value::new(end, 0));
            BandView { from: end(from), below: end(below), mark, limit, own: false, clinic: false }
        };
        vec![
            band(None, Some(85), Mark::Red, limit(LimitKind::AtMost, 85)),
            band(Some(85), Some(88), Mark::Yellow, limit(LimitKind::AtMost, 88)),
            band(Some(88), None, Mark::Green, None),
        ]
    }

    fn points(values: &[i64]) -> Vec<CurvePoint> {
        let point = |(hour, value): (usize, &i64)| CurvePoint {
            at: at(hour as i64 * 3600),
            value: Value::new(*value, 0),
            flagged: false,
            invalid: false,
        };
        values.iter().enumerate().map(point).collect()
    }

    #[test]
    fn a_value_on_a_limit_belongs_where_the_programme_says() {
        for (value, mark) in [("85", Mark::Red), ("85.1", Mark::Yellow), ("88", Mark::Yellow), ("88.5", Mark::Green)] {
            assert_eq!(mark_of(&bands(), value.parse().unwrap()), Some(mark), "{value}");
        }
        assert_eq!(mark_of(&[], Value::new(85, 0)), None);
    }

    #[test]
    fn a_curve_keeps_its_last_point_and_stays_inside_its_picture() {
        let values: Vec<i64> = (0..1000).map(|n| 82 + n % 12).collect();
        let drawn = spark(&points(&values), &bands(), at(0), at(1000 * 3600), String::new()).unwrap();
        let count = drawn.line.split(' ').count();
        assert!((POINTS_MAX / 2..=POINTS_MAX).contains(&count), "{count}");
        for pair in drawn.line.split(' ') {
            let (x, y) = pair.split_once(',').unwrap();
            let (x, y): (f64, f64) = (x.parse().unwrap(), y.parse().unwrap());
            assert!((0.0..=WIDTH).contains(&x) && (0.0..=HEIGHT).contains(&y), "{pair}");
        }
        assert!(drawn.line.ends_with(&format!("{},{}", drawn.x, drawn.y)));
        assert_eq!((drawn.mark, drawn.zones.len()), ("red", 2));
    }

    #[test]
    fn one_point_can_be_drawn_and_none_can_not() {
        assert!(spark(&points(&[91]), &bands(), at(0), at(3600), String::new()).is_some());
        assert!(
            spark(&points(&[91]), &bands(), at(10), at(3600), String::new()).is_none(),
            "it is older than the picture"
        );
        assert!(spark(&[], &bands(), at(0), at(3600), String::new()).is_none());
    }
}
