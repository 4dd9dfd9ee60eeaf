//! The newest points of a curve, found while going through the past in whatever order.

use std::{cmp::Reverse, collections::BinaryHeap};

use vitals::{Value, Vital};

use crate::{Curve, CurvePoint, convert::time};

/// At most `limit` of them, the oldest on top.
pub(crate) struct Newest {
    limit: usize,
    points: BinaryHeap<Reverse<Point>>,
}

/// Ordered by time, then by when it came.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Point {
    pub(crate) at: i64,
    /// The message or row, and the place in it.
    pub(crate) order: (i64, usize),
    pub(crate) value: Value,
    pub(crate) flagged: bool,
    pub(crate) invalid: bool,
}

impl Newest {
    pub(crate) fn new(limit: u32) -> Self {
        Self { limit: limit as usize, points: BinaryHeap::new() }
    }

    pub(crate) fn add(&mut self, point: Point) {
        self.points.push(Reverse(point));
        if self.points.len() > self.limit {
            self.points.pop();
        }
    }

    /// Can nothing up to this time change it any more?
    pub(crate) fn is_full_beyond(&self, latest: i64) -> bool {
        self.points.len() >= self.limit && self.points.peek().is_none_or(|Reverse(oldest)| oldest.at > latest)
    }

    pub(crate) fn into_curve(self, vital: Vital) -> Curve {
        let oldest_first = self.points.into_sorted_vec().into_iter().rev();
        let points = oldest_first
            .map(|Reverse(Point { at, value, flagged, invalid, .. })| CurvePoint {
                at: time(at),
                value,
                flagged,
                invalid,
            })
            .collect();
        Curve { vital, unit: vital.unit(), points }
    }
}
