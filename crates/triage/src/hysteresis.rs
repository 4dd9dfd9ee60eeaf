//! Hysteresis: a limit that was crossed counts until a value lies beyond it by so much.

use jiff::SignedDuration;
use vitals::Value;

use crate::{
    Limit, Mark,
    bands::{BandView, Cut, Ladder, Rung},
    programme::{Number, place::steps},
    rules::Reader,
    series::Need,
};

/// How far a value must go back over a limit that was crossed before it counts as milder again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hysteresis(Option<Value>);

/// A value that lies between a limit and its hysteresis is followed back this far to where it came from.
pub(crate) const FOLLOWED_BACK: SignedDuration = SignedDuration::from_hours(24 * 14);

impl Hysteresis {
    /// As it is written in a rule.
    pub fn read(reader: &mut Reader<'_, '_, '_>, written: Option<Number>) -> Option<Self> {
        if let Some(Number(value)) = written.filter(|Number(value)| value.decimal() <= Value::new(0, 0).decimal()) {
            reader.fault(steps!["hysteresis"], format!("found {value}, want more than 0"));
            return None;
        }
        Some(Self(written.map(|number| number.0)))
    }

    /// Notes a fault where nothing were ever green again.
    pub fn check(self, reader: &mut Reader<'_, '_, '_>, ladder: &Ladder, unit: &str) {
        if let Err(text) = self.fits(ladder, unit) {
            reader.refuse_new(steps!["hysteresis"], text);
        }
    }

    /// Does a value that has left one limit by it lie within the limit on the other side? Else nothing were ever green again.
    pub fn fits(self, ladder: &Ladder, unit: &str) -> Result<(), String> {
        let (Some(back), (Some(low), Some(high))) = (self.0, ladder.green()) else { return Ok(()) };
        let width: Value = (high.value.decimal() - low.value.decimal()).into();
        if back < width {
            return Ok(());
        }
        Err(format!(
            "found {back}, want less than {width} {unit}, the width of the green band: no value would be green again"
        ))
    }

    /// Notes a fault where not even nothing would be green again, of what is counted or added up.
    pub fn check_nothing(self, reader: &mut Reader<'_, '_, '_>, ladder: &Ladder) {
        let Some(back) = self.0 else { return };
        let nothing = Value::new(0, 0);
        let kept = |rung: &Rung| !ladder.is_beyond(*rung, nothing, nothing) && ladder.is_beyond(*rung, nothing, back);
        if [Rung::YellowHigh, Rung::RedHigh].iter().any(kept) {
            let text = format!("found {back}, want less than the lowest limit above green: 0 would not be green again");
            reader.fault(steps!["hysteresis"], text);
        }
    }

    /// How much of the past it needs.
    pub fn need(self) -> Need {
        if self.0.is_some() { Need::raw(FOLLOWED_BACK) } else { Need::default() }
    }

    /// The same of what is made of one value of each of `need`'s days: so many more days.
    pub fn need_of_days(self, need: Need) -> Need {
        if self.0.is_some() { Need { span: need.span + FOLLOWED_BACK, ..need } } else { need }
    }

    /// How far a value must go back; nothing where every value counts by itself.
    pub fn back(self) -> Option<Value> {
        self.0
    }

    /// The band of the newest of `values`, which come newest first and are only asked for as far as they are needed. A limit that was
    /// crossed counts until a value lies beyond it by the hysteresis.
    pub fn judge<V: Iterator<Item = Value>>(self, ladder: &Ladder, values: impl Fn() -> V) -> BandView {
        let newest = values().next().expect("a value is judged");
        let band = ladder.judge(newest);
        let Some(back) = self.0 else { return band };
        for rung in [Rung::RedLow, Rung::RedHigh, Rung::YellowLow, Rung::YellowHigh] {
            if Mark::from(rung.colour()) <= band.mark {
                continue;
            }
            let hovers = |value: &Value| ladder.is_beyond(rung, *value, back);
            let crossed = values().take_while(hovers).any(|value| ladder.is_beyond(rung, value, Value::new(0, 0)));
            if crossed {
                return ladder.beyond(rung);
            }
        }
        band
    }

    /// Was a limit crossed by one of `older`, which come before the value, newest first, and not left by the hysteresis since?
    pub fn holds<V: Iterator<Item = Value>>(self, ladder: &Ladder, rung: Rung, older: impl Fn() -> V) -> bool {
        let Some(back) = self.0 else { return false };
        let mut hovering = older().take_while(|value| ladder.is_beyond(rung, *value, back));
        hovering.any(|value| ladder.is_beyond(rung, value, Value::new(0, 0)))
    }

    /// What lies before green, for "green if it were ...", where `older` come before the value, newest first: a limit that one of them crossed
    /// still counts until it is left by the hysteresis. Nothing for a green band.
    pub fn green_list<V: Iterator<Item = Value>>(
        self,
        ladder: &Ladder,
        band: &BandView,
        older: impl Fn() -> V,
    ) -> Vec<Limit> {
        let (Some(back), true) = (self.0, band.mark > Mark::Green) else { return ladder.green_list(band) };
        let end = |low: bool| {
            let rungs = Rung::ALL.into_iter().filter(|rung| rung.low() == low);
            let cuts = rungs.filter_map(|rung| {
                let cut = ladder.cut_at(rung)?;
                let back = if self.holds(ladder, rung, &older) { back.decimal() } else { Value::new(0, 0).decimal() };
                let value = if low { cut.value.decimal() + back } else { cut.value.decimal() - back };
                Some(Cut { value: value.into(), ..cut })
            });
            if low { cuts.max() } else { cuts.min() }
        };
        let ends = [end(true).map(|cut| cut.limit(false)), end(false).map(|cut| cut.limit(true))];
        ends.into_iter().flatten().collect()
    }

    /// What to say of a value that is only kept in its band: nothing for others.
    pub fn words(self, ladder: &Ladder, value: Value, band: &BandView, unit: &str) -> String {
        match self.0 {
            Some(back) if ladder.judge(value).mark < band.mark => {
                format!(", kept until it is {back} {unit} back over the limit")
            }
            _ => String::new(),
        }
    }

    /// The rule of it, in words.
    pub fn explain(self, unit: &str) -> String {
        let words = |back| format!(" A limit that was crossed counts until a value is {back} {unit} back over it.");
        self.0.map(words).unwrap_or_default()
    }
}
