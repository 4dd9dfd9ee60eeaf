//! The limits of a programme's text, found and moved in place: every comment, every other character and the order stay.
//!
//! A limit is the number at which two neighbouring `bands` of a rule meet, and stands in both of them. It is named by its rung: red or yellow, on
//! the low or the high side of green.

use std::{collections::BTreeSet, fmt};

use serde::Serialize;
use toml_edit::{DocumentMut, Item, TableLike, Value};
use triage::Rung;
use vitals::Vital;

/// The ends of a band that look down, and up.
const LOWER: [&str; 2] = ["above", "from"];
const UPPER: [&str; 2] = ["at_most", "below"];
/// The most digits after the point.
const DIGITS_MAX: u32 = 6;

/// A programme's text, whose numbers can be changed.
#[derive(Clone, Debug)]
pub struct Text(DocumentMut);

/// One limit of one rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// The rule's id.
    pub rule: String,
    /// Which limit of it.
    pub rung: Rung,
}

/// A number as it is written: its digits, and how many of them are after the point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// All its digits.
    pub digits: i64,
    /// How many of them are after the point.
    pub scale: u32,
}

/// A limit and where it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Which.
    pub place: Place,
    /// Where.
    pub at: Written,
}

impl Written {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim().replace('_', "");
        let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
        let scale = u32::try_from(part.len()).ok().filter(|scale| *scale <= DIGITS_MAX)?;
        Some(Self { digits: format!("{whole}{part}").parse().ok()?, scale })
    }

    /// The same number with at least so many digits after the point.
    fn scaled(self, scale: u32) -> Self {
        let more = scale.saturating_sub(self.scale);
        Self { digits: self.digits * 10_i64.pow(more), scale: self.scale + more }
    }

    /// Moved by so many units of its last digit.
    #[must_use]
    pub fn moved(self, steps: i64) -> Self {
        Self { digits: self.digits + steps, ..self }
    }

    /// How many units of its last digit there are to another number, rounded down.
    #[must_use]
    pub fn units_to(self, other: Self) -> i64 {
        let scale = self.scale.max(other.scale);
        let apart = (self.scaled(scale).digits - other.scaled(scale).digits).abs();
        apart / 10_i64.pow(scale - self.scale)
    }

    /// As a number, for comparing.
    #[must_use]
    pub fn number(self) -> f64 {
        self.digits as f64 / 10_f64.powi(self.scale.cast_signed())
    }
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.scale == 0 {
            return write!(f, "{}", self.digits);
        }
        let one = 10_u64.pow(self.scale);
        let (sign, digits) = (if self.digits < 0 { "-" } else { "" }, self.digits.unsigned_abs());
        write!(f, "{sign}{}.{:0width$}", digits / one, digits % one, width = self.scale as usize)
    }
}

impl Serialize for Written {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.number())
    }
}

impl Text {
    /// Reads a programme's text.
    ///
    /// # Errors
    /// It is no TOML.
    pub fn read(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|error: toml_edit::TomlError| error.message().to_owned())
    }

    /// Every limit of every rule with bands, in the order of the text.
    #[must_use]
    pub fn limits(&self) -> Vec<Limit> {
        let rules = self.0.get("rule").and_then(Item::as_array_of_tables);
        rules.into_iter().flatten().flat_map(|rule| of_rule(rule)).collect()
    }

    /// The vital whose value itself a rule judges.
    #[must_use]
    pub fn vital(&self, rule: &str) -> Option<Vital> {
        let rules = self.0.get("rule").and_then(Item::as_array_of_tables)?;
        let rule = rules.iter().find(|one| one.get("id").and_then(Item::as_str) == Some(rule))?;
        let is_band = rule.get("kind").and_then(Item::as_str) == Some("band");
        rule.get("vital").and_then(Item::as_str).filter(|_| is_band)?.parse().ok()
    }

    /// Moves a limit. Nothing changes where there is none.
    pub fn set(&mut self, place: &Place, to: Written) {
        let Some(rules) = self.0.get_mut("rule").and_then(Item::as_array_of_tables_mut) else { return };
        let rule = rules.iter_mut().find(|rule| rule.get("id").and_then(Item::as_str) == Some(&place.rule));
        let Some(rule) = rule else { return };
        let Some(cut) = cuts(&bands(rule)).into_iter().find(|cut| cut.rung == place.rung) else { return };
        for (band, key) in cut.ends {
            write(rule, band, key, to);
        }
    }

    /// Where a rule's limits come from, as it says.
    #[must_use]
    pub fn source(&self, rule: &str) -> Option<&str> {
        let rules = self.0.get("rule").and_then(Item::as_array_of_tables)?;
        let rule = rules.iter().find(|one| one.get("id").and_then(Item::as_str) == Some(rule))?;
        rule.get("source").and_then(Item::as_str)
    }

    /// Says where a rule's limits come from, in the place of what it said.
    pub fn set_source(&mut self, rule: &str, source: &str) {
        let Some(rules) = self.0.get_mut("rule").and_then(Item::as_array_of_tables_mut) else { return };
        let is_it = |one: &&mut toml_edit::Table| one.get("id").and_then(Item::as_str) == Some(rule);
        let Some(rule) = rules.iter_mut().find(is_it) else { return };
        match rule.get_mut("source").and_then(Item::as_value_mut) {
            Some(old) => replace(old, Value::from(source)),
            None => _ = rule.insert("source", toml_edit::value(source)),
        }
    }

    /// Gives it another version.
    pub fn set_version(&mut self, version: u32) {
        if let Some(old) = self.0.get_mut("version").and_then(Item::as_value_mut) {
            replace(old, Value::from(i64::from(version)));
        }
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> String {
        self.0.to_string()
    }

    /// The text without those of its worked examples that stand at these places. It is never proposed.
    #[must_use]
    pub fn without_examples_at(&self, places: &BTreeSet<usize>) -> String {
        let mut without = self.0.clone();
        if let Some(examples) = without.get_mut("example").and_then(Item::as_array_of_tables_mut) {
            for place in places.iter().rev() {
                if *place < examples.len() {
                    examples.remove(*place);
                }
            }
        }
        without.to_string()
    }

    /// The text without its worked examples: to try limits of which an example may say otherwise. It is never proposed.
    #[must_use]
    pub fn without_examples(&self) -> String {
        let mut without = self.0.clone();
        without.remove("example");
        without.to_string()
    }
}

/// One band of a rule: its mark and ends.
struct BandText {
    place: usize,
    mark: String,
    lower: Option<(&'static str, Written)>,
    upper: Option<(&'static str, Written)>,
}

/// A limit between two bands: which ends say it.
struct Cut {
    rung: Rung,
    at: Written,
    ends: [(usize, &'static str); 2],
}

fn of_rule(rule: &dyn TableLike) -> Vec<Limit> {
    let Some(id) = rule.get("id").and_then(Item::as_str) else { return Vec::new() };
    let place = |rung| Place { rule: id.to_owned(), rung };
    cuts(&bands(rule)).into_iter().map(|cut| Limit { place: place(cut.rung), at: cut.at }).collect()
}

/// The bands from low to high.
fn bands(rule: &dyn TableLike) -> Vec<BandText> {
    let mut bands: Vec<BandText> = match rule.get("bands") {
        Some(Item::Value(Value::Array(array))) => {
            let tables = array.iter().enumerate();
            tables.filter_map(|(place, band)| band_text(place, band.as_inline_table()?)).collect()
        }
        Some(Item::ArrayOfTables(tables)) => {
            tables.iter().enumerate().filter_map(|(place, band)| band_text(place, band)).collect()
        }
        _ => Vec::new(),
    };
    let low = |band: &BandText| band.lower.map_or(f64::NEG_INFINITY, |(_, at)| at.number());
    bands.sort_by(|a, b| low(a).total_cmp(&low(b)));
    bands
}

fn band_text(place: usize, band: &dyn TableLike) -> Option<BandText> {
    let mark = band.get("mark")?.as_str()?.to_owned();
    let end = |keys: [&'static str; 2]| keys.into_iter().find_map(|key| Some((key, number(band.get(key)?)?)));
    Some(BandText { place, mark, lower: end(LOWER), upper: end(UPPER) })
}

fn number(item: &Item) -> Option<Written> {
    let value = item.as_value()?;
    let repr = match value {
        Value::Integer(number) => number.display_repr(),
        Value::Float(number) => number.display_repr(),
        _ => return None,
    };
    Written::parse(&repr)
}

/// The limits between neighbouring bands, from low to high.
fn cuts(bands: &[BandText]) -> Vec<Cut> {
    let Some(green) = bands.iter().position(|band| band.mark == "green") else { return Vec::new() };
    let cut = |(at, pair): (usize, &[BandText])| {
        let (below, above) = (&pair[0], &pair[1]);
        let ((upper, one), (lower, two)) = (below.upper?, above.lower?);
        let outer = if at < green { &below.mark } else { &above.mark };
        let rung = match (at < green, outer.as_str()) {
            (true, "red") => Rung::RedLow,
            (true, _) => Rung::YellowLow,
            (false, "red") => Rung::RedHigh,
            (false, _) => Rung::YellowHigh,
        };
        let at = one.scaled(two.scale);
        Some(Cut { rung, at, ends: [(below.place, upper), (above.place, lower)] })
    };
    bands.windows(2).enumerate().filter_map(cut).collect()
}

fn write(rule: &mut toml_edit::Table, band: usize, key: &str, to: Written) {
    let value: Option<&mut Value> = match rule.get_mut("bands") {
        Some(Item::Value(Value::Array(array))) => {
            array.get_mut(band).and_then(|band| band.as_inline_table_mut()?.get_mut(key))
        }
        Some(Item::ArrayOfTables(tables)) => tables.get_mut(band).and_then(|band| band.get_mut(key)?.as_value_mut()),
        _ => None,
    };
    if let Some(value) = value {
        // Written by us as a number, so it is one; its digits are kept.
        let new = to.to_string().parse().expect("digits with at most one point are a TOML number");
        replace(value, new);
    }
}

/// Puts a value in another's place, with the blanks and comments around it.
fn replace(old: &mut Value, mut new: Value) {
    *new.decor_mut() = old.decor().clone();
    *old = new;
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"# A programme.
id = "copd"
version = 1 # the first

[[rule]]
id = "pulse"
bands = [
  { mark = "red", at_most = 50 }, # low
  { mark = "yellow", above = 50, at_most = 60 },
  { mark = "green", above = 60, below = 110 },
  { mark = "yellow", from = 110, below = 130 },
  { mark = "red", from = 130 },
]

[[rule]]
id = "temperature"
bands = [ { mark = "yellow", from = 37.50 }, { mark = "green", below = 37.5 } ]

[[rule]]
id = "cough"
marks = { no = "green" }

[[example]]
name = "one"
"#;

    fn found(text: &Text) -> Vec<(String, Rung, String)> {
        text.limits().into_iter().map(|limit| (limit.place.rule, limit.place.rung, limit.at.to_string())).collect()
    }

    #[test]
    fn limits_are_found_with_their_rungs() {
        let limit = |rule: &str, rung, at: &str| (rule.to_owned(), rung, at.to_owned());
        let wanted = [
            limit("pulse", Rung::RedLow, "50"),
            limit("pulse", Rung::YellowLow, "60"),
            limit("pulse", Rung::YellowHigh, "110"),
            limit("pulse", Rung::RedHigh, "130"),
            limit("temperature", Rung::YellowHigh, "37.50"),
        ];
        assert_eq!(found(&Text::read(TEXT).unwrap()), wanted);
    }

    #[test]
    fn a_moved_limit_changes_its_numbers_alone() {
        let mut text = Text::read(TEXT).unwrap();
        for limit in text.limits() {
            let steps = match limit.place.rung {
                Rung::YellowHigh => 5,
                Rung::RedLow => -2,
                _ => continue,
            };
            text.set(&limit.place, limit.at.moved(steps));
        }
        text.set_version(2);
        let wanted = TEXT
            .replace("110", "115")
            .replace("at_most = 50", "at_most = 48")
            .replace("above = 50", "above = 48")
            .replace("37.50", "37.55")
            .replace("below = 37.5 ", "below = 37.55 ")
            .replace("version = 1", "version = 2");
        assert_eq!(text.text(), wanted);
        assert!(!text.without_examples().contains("[[example]]"));
    }

    #[test]
    fn the_shipped_programme_comes_out_as_it_went_in() {
        let text = Text::read(triage::COPD).unwrap();
        assert_eq!(text.text(), triage::COPD);
        assert_eq!(text.limits().len(), 6);
    }

    #[test]
    fn numbers_keep_their_digits() {
        for (text, moved) in [("90", "89"), ("-2.0", "-2.1"), ("0.05", "0.04"), ("1_000", "999")] {
            assert_eq!(Written::parse(text).unwrap().moved(-1).to_string(), moved);
        }
    }
}
