//! A connection to a meter: everything it has stored is fetched, each measurement with its context.

use jiff::{Timestamp, civil::DateTime};
use uuid::Uuid;
use vitals::Flag;

use super::{CONTEXT, Context, FEATURE, Glucose, MEASUREMENT, WHAT, feature};
use crate::{
    Channel, DecodeError, Measured, Output, Session,
    gatt::{self, Sitting},
    racp::{CONTROL_POINT, Download, Number},
};

/// A connection.
#[derive(Default)]
pub struct Meter {
    download: Download,
    sitting: Sitting,
    /// A measurement that waits for its context.
    waiting: Option<(u16, Vec<Measured>)>,
}

impl Meter {
    fn read(&mut self, now: Timestamp, uuid: Uuid, bytes: &[u8]) -> Result<Vec<Output>, DecodeError> {
        match uuid {
            MEASUREMENT => self.measured(now, bytes),
            CONTEXT => self.context(now, bytes),
            CONTROL_POINT => {
                let waited = self.say_waiting(now);
                Ok([waited, self.download.answered(now, bytes)].concat())
            }
            FEATURE => feature(bytes).map(|_| Vec::new()),
            other => Err(gatt::unknown(WHAT, other, "0x2a18, 0x2a34, 0x2a51 or 0x2a52")),
        }
    }

    fn measured(&mut self, now: Timestamp, bytes: &[u8]) -> Result<Vec<Output>, DecodeError> {
        let waited = self.say_waiting(now);
        let read = match Glucose::parse(bytes) {
            Ok(read) => read,
            Err(error) => {
                self.download.misread(now);
                return Ok([waited, gatt::outputs(Err(error), bytes)].concat());
            }
        };
        if let Err(error) = read.check_person() {
            self.download.understood(now, Some(Number::Short(read.number)));
            return Ok([waited, gatt::outputs(Err(error), bytes)].concat());
        }
        self.waiting = Some((read.number, stored(read.measured())));
        self.sitting.heard(now);
        let said = if read.context_follows { Vec::new() } else { self.say_waiting(now) };
        Ok([waited, said].concat())
    }

    fn context(&mut self, now: Timestamp, bytes: &[u8]) -> Result<Vec<Output>, DecodeError> {
        let context = Context::parse(bytes)?;
        let Some((_, measured)) = self.waiting.as_mut().filter(|(number, _)| *number == context.number) else {
            let found = context.number.into();
            return Err(DecodeError::Malformed {
                what: WHAT,
                field: "number of a context",
                found,
                wanted: "the last measurement's",
            });
        };
        for one in measured {
            one.flags.extend(context.flags());
        }
        Ok(self.say_waiting(now))
    }

    fn say_waiting(&mut self, now: Timestamp) -> Vec<Output> {
        let Some((number, measured)) = self.waiting.take() else { return Vec::new() };
        self.download.understood(now, Some(Number::Short(number)));
        measured.into_iter().map(Output::Measured).collect()
    }
}

/// A meter tells only what it has stored. That needs no saying, except where no time says so.
fn stored(mut measured: Vec<Measured>) -> Vec<Measured> {
    for one in measured.iter_mut().filter(|one| one.device_time.is_none()) {
        one.flags.push(Flag::FROM_STORAGE);
    }
    measured
}

impl Session for Meter {
    fn connected(&mut self, now: Timestamp, _local: DateTime) -> Vec<Output> {
        self.download.start(now)
    }

    fn received(&mut self, now: Timestamp, channel: Channel, bytes: &[u8]) -> Vec<Output> {
        let read = gatt::characteristic(WHAT, channel).and_then(|uuid| self.read(now, uuid, bytes));
        read.unwrap_or_else(|error| gatt::outputs(Err(error), bytes))
    }

    fn timeout_at(&self) -> Option<Timestamp> {
        [self.sitting.ends_at(), self.download.timeout_at()].into_iter().flatten().min()
    }

    fn timed_out(&mut self, now: Timestamp) -> Vec<Output> {
        let quiet = self.sitting.ends_at().is_some_and(|at| at <= now);
        let waited = if quiet { self.say_waiting(now) } else { Vec::new() };
        let unanswered = self.download.timed_out(now);
        if quiet && self.download.is_busy() {
            self.sitting.heard(now);
        }
        [waited, unanswered, self.sitting.end_if_due(now)].concat()
    }

    fn closed(&mut self, now: Timestamp) -> Vec<Output> {
        let waited = self.say_waiting(now);
        self.download = Download::default();
        [waited, self.sitting.end()].concat()
    }

    fn kept(&mut self, now: Timestamp) -> Vec<Output> {
        self.download.kept(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{glucose::DRIVER, tape::Tape};

    const ONE: &str = "020100e307021b0b0a1e5ab011";
    const ONE_SAYS: &str = "glucose 90 mg/dL 2019-02-27T11:10:30 specimen_capillary_blood site_finger";
    const TWO_WITH_CONTEXT: &str = "120200e307021b0c0a1e5bb011";
    const TWO_SAYS: &str = "glucose 91 mg/dL 2019-02-27T12:10:30 specimen_capillary_blood site_finger";

    fn reporting(count: &str) -> Tape {
        let mut tape = Tape::of((DRIVER.open)(&crate::Options::default()));
        tape.value(FEATURE, "ff07").gives("");
        tape.connected().gives("> 0401");
        tape.value(CONTROL_POINT, count).gives("> 0101");
        tape
    }

    #[test]
    fn a_meter_is_fetched_with_its_contexts_and_forgets_what_was_kept() {
        let mut tape = reporting("05000200");
        tape.value(MEASUREMENT, ONE).gives(ONE_SAYS);
        tape.value(MEASUREMENT, TWO_WITH_CONTEXT).gives("");
        tape.value(CONTEXT, "02020003").gives(&format!("{TWO_SAYS} meal_fasting"));
        tape.value(CONTROL_POINT, "06000101").wait().gives("end");
        tape.kept().gives("> 0402010200");
        tape.value(CONTROL_POINT, "05000200").gives("> 0202010200");
        tape.value(CONTROL_POINT, "06000201").gives("end");
    }

    #[test]
    fn a_context_that_does_not_come_holds_nothing_back() {
        let mut next = reporting("05000200");
        next.value(MEASUREMENT, TWO_WITH_CONTEXT).value(MEASUREMENT, ONE).gives(&format!("{TWO_SAYS}; {ONE_SAYS}"));
        let mut end = reporting("05000100");
        end.value(MEASUREMENT, TWO_WITH_CONTEXT).value(CONTROL_POINT, "06000101").gives(TWO_SAYS);
        end.kept().gives("> 0402010200");
        let mut lost = reporting("05000100");
        lost.value(MEASUREMENT, TWO_WITH_CONTEXT).closed().gives(&format!("{TWO_SAYS}; end"));
        lost.kept().gives("");
        let mut silent = reporting("05000100");
        silent.value(MEASUREMENT, TWO_WITH_CONTEXT).wait().gives(TWO_SAYS);
        silent.value(CONTEXT, "02020003").gives("! glucose: number of a context is 0x02, want the last measurement's");
        silent.value(CONTROL_POINT, "06000101").kept().gives("> 0402010200");
    }

    #[test]
    fn a_meter_that_refuses_or_spoils_a_record_keeps_everything() {
        let mut spoilt = reporting("05000200");
        spoilt.value(MEASUREMENT, ONE).value(MEASUREMENT, "0202").said();
        spoilt.value(CONTROL_POINT, "06000101").kept().gives("");
        let mut refused = reporting("06000402");
        refused.value(CONTROL_POINT, "06000108").gives("! record access: answer to a report is 0x08, want 1, success");
    }

    #[test]
    fn a_record_without_a_time_says_that_it_was_stored() {
        reporting("05000100")
            .value(MEASUREMENT, "020100000000000000005ab011")
            .gives("glucose 90 mg/dL clock_not_set specimen_capillary_blood site_finger from_storage");
    }

    #[test]
    fn control_solution_is_no_reading_and_may_be_forgotten() {
        let mut tape = reporting("05000200");
        tape.value(MEASUREMENT, "020100e307021b0b0a1e5ab04a")
            .gives("! glucose: type and location is 0x4a, want a person's blood: it was the meter's control solution");
        tape.value(MEASUREMENT, TWO_WITH_CONTEXT).value(CONTROL_POINT, "06000101").said();
        tape.kept().gives("> 0402010200");
    }
}
