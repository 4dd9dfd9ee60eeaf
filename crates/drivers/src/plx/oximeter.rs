//! A connection to an oximeter: its stream becomes one measurement of a sitting, its stored spot checks are fetched beside it.

use jiff::{SignedDuration, Timestamp, civil::DateTime};
use uuid::Uuid;
use vitals::Flag;

use super::{
    CONTINUOUS, FEATURES, FROM_STORAGE, Features, NAME, Oximetry, SPOT_CHECK, WHAT, continuous, decode, features,
    measured, spot_check,
};
use crate::{
    Channel, DecodeError, Measured, Options, Output, Progress, Session,
    gatt::{self, SITTING_QUIET, Sitting},
    quirks::Profile,
    racp::{CONTROL_POINT, Download},
    settle::Settle,
};

/// Continuous values a second.
const PER_SECOND: usize = 1;

/// How long a settled stream that goes on waits for a spot check.
pub const HELD_MAX: SignedDuration = SignedDuration::from_secs(30);

/// The feature of a device that stores.
const HAS_STORAGE: u16 = 1 << 2;

/// A connection.
pub(super) struct Oximeter {
    settle: Settle,
    sitting: Sitting,
    held: Option<Held>,
    profile: Profile,
    features: Option<Features>,
    download: Download,
    connected: bool,
}

/// What a stream settled into.
struct Held {
    outputs: Vec<Output>,
    since: Timestamp,
    until: Option<Timestamp>,
}

impl Oximeter {
    pub fn new(options: &Options) -> Self {
        Self {
            settle: Settle::new(PER_SECOND),
            sitting: Sitting::default(),
            held: None,
            profile: Profile::new(NAME, options),
            features: None,
            download: Download::default(),
            connected: false,
        }
    }

    fn streamed(&mut self, now: Timestamp, sample: Vec<Measured>) -> Vec<Output> {
        let settled = self.settle.sample(now, sample.clone());
        let progress =
            self.settle.percent().map(|percent| Output::Progress(Progress { values: sample, percent: Some(percent) }));
        if settled.is_empty() {
            if let Some(held) = &mut self.held {
                held.until = now.checked_add(SITTING_QUIET).ok().min(held.since.checked_add(HELD_MAX).ok());
            }
            return progress.into_iter().chain(self.release_if_due(now)).collect();
        }
        self.hold(now, settled)
    }

    /// Holds what settled now; what was held before comes out.
    fn hold(&mut self, now: Timestamp, outputs: Vec<Output>) -> Vec<Output> {
        let before = self.release();
        if !outputs.is_empty() {
            self.held = Some(Held { outputs, since: now, until: now.checked_add(SITTING_QUIET).ok() });
        }
        before
    }

    fn release(&mut self) -> Vec<Output> {
        self.held.take().map(|held| held.outputs).unwrap_or_default()
    }

    fn release_if_due(&mut self, now: Timestamp) -> Vec<Output> {
        let due = self.held.as_ref().and_then(|held| held.until).is_some_and(|until| until <= now);
        if due { self.release() } else { Vec::new() }
    }

    fn spot_checked(&mut self, now: Timestamp, read: Oximetry) -> Vec<Output> {
        let mut read = read.by_clock(self.profile.breaks());
        let stored = self.is_stored(&mut read);
        if stored {
            self.download.understood(now, None);
        }
        let measured = measured(read);
        if measured.is_empty() {
            return Vec::new();
        }
        if !stored {
            self.held = None;
            self.settle.said_otherwise();
        }
        self.sitting.heard(now);
        measured.into_iter().map(Output::Measured).collect()
    }

    /// Was it stored? It says so itself, or it came as an answer from a device that doesn't mark what it stores.
    fn is_stored(&self, read: &mut Oximetry) -> bool {
        let marked = read.flags.contains(&Flag::FROM_STORAGE);
        let marks = self.features.and_then(|features| features.status).is_some_and(|bits| bits & FROM_STORAGE != 0);
        let stored = marked || (self.download.is_reporting() && !marks);
        if stored && !marked {
            read.flags.push(Flag::FROM_STORAGE);
        }
        stored
    }

    /// Asks for what is stored, as soon as it is known that the device stores.
    fn fetch(&mut self, now: Timestamp) -> Vec<Output> {
        let stores = self.features.is_some_and(|features| features.bits & HAS_STORAGE != 0);
        if self.connected && stores { self.download.start(now) } else { Vec::new() }
    }

    fn read(&mut self, now: Timestamp, uuid: Uuid, bytes: &[u8]) -> Result<Vec<Output>, DecodeError> {
        match uuid {
            SPOT_CHECK => {
                let read = spot_check(bytes).inspect_err(|_| self.download.misread(now))?;
                Ok(self.spot_checked(now, read))
            }
            CONTINUOUS => {
                let read = continuous(bytes)?;
                if read.flags.contains(&Flag::FROM_STORAGE) {
                    return Err(stored_without_time());
                }
                Ok(self.streamed(now, measured(read)))
            }
            FEATURES => {
                self.features = Some(features(bytes)?);
                Ok(self.fetch(now))
            }
            CONTROL_POINT => Ok(self.answered(now, bytes)),
            other => decode(other, bytes, None).map(|_| Vec::new()),
        }
    }

    fn answered(&mut self, now: Timestamp, bytes: &[u8]) -> Vec<Output> {
        let before = self.download.is_busy();
        let outputs = self.download.answered(now, bytes);
        if before && !self.download.is_busy() && self.sitting.ends_at().is_some() {
            self.sitting.heard(now);
        }
        outputs
    }

    /// Something goes on besides: the sitting isn't over.
    fn is_busy(&self) -> bool {
        self.download.is_busy() || self.held.is_some() || self.settle.percent().is_some()
    }

    /// The end of a stream is not the end of the sitting while there is something stored to come.
    fn end_later(&mut self, now: Timestamp, mut outputs: Vec<Output>) -> Vec<Output> {
        if self.download.is_busy() && outputs.contains(&Output::SittingEnd) {
            outputs.retain(|output| *output != Output::SittingEnd);
            self.sitting.heard(now);
        }
        outputs
    }

    fn end_if_due(&mut self, now: Timestamp) -> Vec<Output> {
        if self.sitting.ends_at().is_some_and(|at| at <= now) && self.is_busy() {
            self.sitting.heard(now);
        }
        self.sitting.end_if_due(now)
    }
}

fn stored_without_time() -> DecodeError {
    let wanted = "a live value: a stored one without its time can't be told from it";
    DecodeError::Malformed { what: WHAT, field: "continuous status", found: FROM_STORAGE.into(), wanted }
}

impl Session for Oximeter {
    fn connected(&mut self, now: Timestamp, _local: DateTime) -> Vec<Output> {
        self.connected = true;
        self.fetch(now)
    }

    fn received(&mut self, now: Timestamp, channel: Channel, bytes: &[u8]) -> Vec<Output> {
        let read = gatt::characteristic(WHAT, channel).and_then(|uuid| self.read(now, uuid, bytes));
        let outputs = read.unwrap_or_else(|error| gatt::outputs(Err(error), bytes));
        self.end_later(now, outputs)
    }

    fn timeout_at(&self) -> Option<Timestamp> {
        let held = self.held.as_ref().and_then(|held| held.until);
        let due = [self.settle.silent_at(), self.sitting.ends_at(), held, self.download.timeout_at()];
        due.into_iter().flatten().min()
    }

    fn timed_out(&mut self, now: Timestamp) -> Vec<Output> {
        let due = self.release_if_due(now);
        let silent = self.settle.timed_out(now);
        let unanswered = self.download.timed_out(now);
        let outputs = [due, self.hold(now, silent), unanswered].concat();
        [self.end_later(now, outputs), self.end_if_due(now)].concat()
    }

    fn closed(&mut self, _now: Timestamp) -> Vec<Output> {
        self.download = Download::default();
        [self.release(), self.settle.finish(), self.sitting.end()].concat()
    }

    fn kept(&mut self, now: Timestamp) -> Vec<Output> {
        self.download.kept(now)
    }

    fn model(&mut self, model: &str) {
        self.profile.model(model);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{plx::DRIVER, tape::Tape};

    const GOOD: &str = "005d004800";
    const POOR: &str = "085c004700200000";
    const NOTHING: &str = "00ff07ff07";

    #[test]
    fn a_stream_settles_into_one_measurement_of_the_sitting() {
        let mut tape = Tape::open(DRIVER);
        tape.value(CONTINUOUS, NOTHING).value(CONTINUOUS, POOR).value(CONTINUOUS, "0063004800");
        for _ in 0..3 {
            tape.value(CONTINUOUS, GOOD);
        }
        tape.wait().measures("spo2 93 %; pulse 72 /min; end");
        for _ in 0..100 {
            tape.value(CONTINUOUS, GOOD);
        }
        tape.wait().measures("spo2 93 %; pulse 72 /min; end");
        tape.wait().gives("");
    }

    #[test]
    fn a_stream_without_end_says_one_measurement() {
        let mut tape = Tape::open(DRIVER);
        for second in 1..=200 {
            let wanted = if second == 34 { "spo2 93 %; pulse 72 /min; end" } else { "" };
            tape.value(CONTINUOUS, GOOD).measures(wanted).pass(SignedDuration::from_secs(1));
        }
        for _ in 0..3 {
            tape.value(CONTINUOUS, NOTHING);
        }
        for _ in 0..4 {
            tape.value(CONTINUOUS, GOOD);
        }
        tape.closed().measures("spo2 93 %; pulse 72 /min; end");
    }

    #[test]
    fn what_is_measured_now_is_shown_until_it_has_settled() {
        let mut tape = Tape::open(DRIVER);
        tape.value(CONTINUOUS, NOTHING).gives("");
        tape.value(CONTINUOUS, POOR).gives("~ spo2 92 % low_perfusion; pulse 71 /min low_perfusion 0 %");
        tape.value(CONTINUOUS, GOOD).gives("~ spo2 93 %; pulse 72 /min 25 %");
        tape.value(CONTINUOUS, NOTHING).gives("~  0 %");
        tape.value(CONTINUOUS, GOOD).gives("~ spo2 93 %; pulse 72 /min 25 %");
        tape.value(CONTINUOUS, GOOD).value(CONTINUOUS, GOOD).said();
        tape.value(CONTINUOUS, GOOD).value(CONTINUOUS, GOOD).gives("");
    }

    #[test]
    fn a_cold_finger_never_settles_and_is_said_so() {
        let mut tape = Tape::open(DRIVER);
        for _ in 0..30 {
            tape.value(CONTINUOUS, POOR).measures("");
        }
        tape.wait().gives("spo2 92 % low_perfusion unsettled; pulse 71 /min low_perfusion unsettled; end");
        tape.wait().gives("");
    }

    #[test]
    fn silence_and_a_lost_link_end_the_sitting_with_what_there_is() {
        let mut tape = Tape::open(DRIVER);
        tape.value(CONTINUOUS, GOOD).wait().wait().measures("spo2 93 % unsettled; pulse 72 /min unsettled; end");
        tape.value(CONTINUOUS, GOOD).closed().measures("spo2 93 % unsettled; pulse 72 /min unsettled; end");
        tape.value(CONTINUOUS, NOTHING).closed().gives("");
    }

    #[test]
    fn a_spot_check_speaks_for_the_stream_before_it() {
        let mut tape = Tape::open(DRIVER);
        for _ in 0..5 {
            tape.value(CONTINUOUS, GOOD).measures("");
        }
        tape.value(SPOT_CHECK, "005e004900").gives("spo2 94 %; pulse 73 /min");
        for _ in 0..10 {
            tape.value(CONTINUOUS, GOOD);
        }
        tape.wait().gives("end");
    }

    const STORED: &str = "035d004800ea070b160800000001";
    const STORED_SAYS: &str = "spo2 93 % 2026-11-22T08:00:00 fully_qualified_data from_storage; \
                               pulse 72 /min 2026-11-22T08:00:00 fully_qualified_data from_storage";

    /// A device with these features, connected.
    fn with_features(features: &str) -> Tape {
        let mut tape = Tape::of((DRIVER.open)(&Options::default()));
        tape.value(FEATURES, features).gives("");
        tape.connected();
        tape
    }

    #[test]
    fn only_a_device_that_stores_is_asked_for_what_it_stored() {
        with_features("0000").gives("");
        with_features("0400").gives("> 0401");
        let mut late = Tape::open(DRIVER);
        late.value(FEATURES, "0400").gives("> 0401");
        late.value(FEATURES, "0400").gives("");
    }

    #[test]
    fn stored_spot_checks_are_fetched_and_deleted_only_after_they_were_kept() {
        let mut tape = with_features("0400");
        tape.value(CONTROL_POINT, "05000200").gives("> 0401; > 0101");
        tape.value(SPOT_CHECK, STORED).gives(STORED_SAYS);
        tape.wait().gives("");
        tape.value(SPOT_CHECK, "02ff07ff070020").gives("");
        tape.value(CONTROL_POINT, "06000101").wait().gives("end");
        tape.kept().gives("> 0401");
        tape.value(CONTROL_POINT, "05000200").gives("> 0201");
        tape.value(CONTROL_POINT, "06000201").gives("end");
        tape.kept().wait().gives("");
    }

    #[test]
    fn a_lost_link_or_a_spoilt_record_deletes_nothing() {
        let mut lost = with_features("0400");
        lost.value(CONTROL_POINT, "05000200").value(SPOT_CHECK, STORED).said();
        lost.closed().gives("end").kept().gives("");
        let mut spoilt = with_features("0400");
        spoilt.value(CONTROL_POINT, "05000200").value(SPOT_CHECK, STORED).said();
        spoilt.value(SPOT_CHECK, "035d0048").gives("! pulse oximeter: 4 bytes, need at least 5");
        spoilt.value(CONTROL_POINT, "06000101").kept().gives("");
        let mut refused = with_features("0400");
        refused.value(CONTROL_POINT, "06000402").gives("> 0401; > 0101");
        refused.value(CONTROL_POINT, "06000102").gives("! record access: answer to a report is 0x02, want 1, success");
        refused.value(SPOT_CHECK, "005e004900").gives("spo2 94 %; pulse 73 /min");
    }

    #[test]
    fn a_device_that_marks_what_it_stores_measures_beside_the_download() {
        let mut tape = with_features("05000002");
        tape.value(CONTROL_POINT, "05000100").said();
        tape.value(SPOT_CHECK, "005e004900").gives("spo2 94 %; pulse 73 /min");
        tape.value(SPOT_CHECK, "025d0048000002").gives("spo2 93 % from_storage; pulse 72 /min from_storage");
        tape.value(CONTROL_POINT, "06000101").kept().gives("> 0401");
    }

    #[test]
    fn a_stream_during_the_download_goes_on_and_ends_the_sitting_after_it() {
        let mut tape = with_features("0400");
        tape.value(CONTROL_POINT, "05000100").said();
        for _ in 0..4 {
            tape.value(CONTINUOUS, GOOD);
        }
        tape.value(SPOT_CHECK, STORED).measures(STORED_SAYS);
        tape.wait().gives("spo2 93 %; pulse 72 /min");
        tape.value(CONTROL_POINT, "06000101").wait().gives("end");
    }

    #[test]
    fn a_stored_value_without_a_time_is_not_taken_for_a_live_one() {
        let mut tape = Tape::open(DRIVER);
        tape.value(CONTINUOUS, "045d0048000002").gives(
            "! pulse oximeter: continuous status is 0x200, want a live value: a stored one without its time can't be told from it",
        );
    }

    #[test]
    fn a_clock_that_runs_from_its_start_is_not_set() {
        let spot = "0161006000e107010101220d";
        let quirk = crate::quirks::find("clock-starts-2017");
        let mut tape = Tape::open_with(DRIVER, &Options { quirk, ..Options::default() });
        tape.value(SPOT_CHECK, spot)
            .gives("spo2 97 % 2017-01-01T01:34:13 clock_not_set; pulse 96 /min 2017-01-01T01:34:13 clock_not_set");
        tape.value(SPOT_CHECK, "0161006000e20701010122 0d")
            .gives("spo2 97 % 2018-01-01T01:34:13; pulse 96 /min 2018-01-01T01:34:13");
    }
}
