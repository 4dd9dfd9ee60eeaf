//! Cells over whole steps: each with its points, both ends included, as tables are printed. Between them there is nothing: a number is
//! rounded to a step before it is looked up, so that every one lies in exactly one cell.

use std::fmt;

use vitals::{Decimal, Value};

/// One cell as it was written, in steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    pub from: Option<i64>,
    pub at_most: Option<i64>,
    pub points: u8,
}

/// Cells that cover every step once, from low to high.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cells(Vec<Cell>);

impl Cells {
    /// The cells in order, or every fault with the number of the cell where it shows. `digits` is for the words alone.
    pub fn new(written: &[Cell], digits: u32) -> Result<Self, Vec<(usize, String)>> {
        let mut order: Vec<usize> = (0..written.len()).collect();
        order.sort_by_key(|&at| (written[at].from.unwrap_or(i64::MIN), written[at].at_most.unwrap_or(i64::MAX)));
        let faults = faults(written, &order, digits);
        if faults.is_empty() { Ok(Self(order.into_iter().map(|at| written[at]).collect())) } else { Err(faults) }
    }

    /// The points of a step.
    pub fn points(&self, step: i64) -> u8 {
        let cell = self.0.iter().find(|cell| cell.at_most.is_none_or(|most| step <= most));
        cell.expect("the last cell has no upper end").points
    }

    /// The most points that any step gives.
    pub fn most(&self) -> u8 {
        self.0.iter().map(|cell| cell.points).max().unwrap_or(0)
    }

    pub fn iter(&self) -> impl Iterator<Item = Shown> {
        self.0.iter().map(|cell| (cell.from, cell.at_most, cell.points))
    }
}

/// A cell's ends in steps, and its points.
pub(super) type Shown = (Option<i64>, Option<i64>, u8);

/// The step that a number counts as: rounded to so many digits, halves away from zero.
pub(super) fn step(value: Value, digits: u32) -> i64 {
    let mut rounded = value.rounded(digits).decimal();
    rounded.rescale(digits);
    let beyond = if rounded.is_sign_negative() { i64::MIN } else { i64::MAX };
    if rounded.scale() == digits { i64::try_from(rounded.mantissa()).unwrap_or(beyond) } else { beyond }
}

/// The number of a step.
pub(super) fn number(step: i64, digits: u32) -> Value {
    Value::from(Decimal::new(step, digits))
}

/// Cells between their ends, in words: `8 or less`, `9 to 11`, `25 or more`.
pub(super) struct Between {
    pub from: Option<i64>,
    pub at_most: Option<i64>,
    pub digits: u32,
}

impl fmt::Display for Between {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |step| number(step, self.digits);
        match (self.from, self.at_most) {
            (None, None) => f.write_str("any"),
            (None, Some(most)) => write!(f, "{} or less", number(most)),
            (Some(from), None) => write!(f, "{} or more", number(from)),
            (Some(from), Some(most)) if from == most => write!(f, "{}", number(from)),
            (Some(from), Some(most)) => write!(f, "{} to {}", number(from), number(most)),
        }
    }
}

/// Cells that hold nothing, overlap, or leave steps out.
fn faults(cells: &[Cell], order: &[usize], digits: u32) -> Vec<(usize, String)> {
    let words = |cell: &Cell| Between { from: cell.from, at_most: cell.at_most, digits };
    let empty = |cell: &Cell| matches!((cell.from, cell.at_most), (Some(from), Some(most)) if from > most);
    let mut faults: Vec<(usize, String)> = (0..cells.len())
        .filter(|&at| empty(&cells[at]))
        .map(|at| {
            (at, format!("found {}, which holds no number, want `from` at or under `at_most`", words(&cells[at])))
        })
        .collect();
    if !faults.is_empty() {
        return faults;
    }
    for pair in order.windows(2) {
        let (one, two) = (&cells[pair[0]], &cells[pair[1]]);
        match (one.at_most, two.from) {
            (Some(most), Some(from)) if most.checked_add(1) == Some(from) => {}
            (Some(most), Some(from)) if most < from => {
                let between = Between { from: most.checked_add(1), at_most: from.checked_sub(1), digits };
                faults.push((pair[1], format!("found {between} in no band, want every number in one")));
            }
            _ => {
                let text = format!(
                    "found bands {} and {} overlapping, want every number in one alone",
                    words(one),
                    words(two)
                );
                faults.push((pair[1], text));
            }
        }
    }
    let (first, last) = (order.first().copied(), order.last().copied());
    if let Some(from) = first.and_then(|at| cells[at].from) {
        let under = Between { from: None, at_most: from.checked_sub(1), digits };
        faults.push((first.unwrap_or(0), format!("found {under} in no band, want every number in one")));
    }
    if let Some(most) = last.and_then(|at| cells[at].at_most).filter(|_| faults.is_empty()) {
        let over = Between { from: most.checked_add(1), at_most: None, digits };
        faults.push((last.unwrap_or(0), format!("found {over} in no band, want every number in one")));
    }
    faults
}
