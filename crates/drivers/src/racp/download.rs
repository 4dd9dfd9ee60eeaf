//! The procedure over the control point: count, report, and once it is kept, count again and delete. See the module above for its rules.

use jiff::Timestamp;

use super::{
    ABORT, ANSWER_MAX, Answer, COUNT, COUNT_ANSWER, DELETE, NO_RECORDS, NOT_UNDERSTOOD, Number, REPORT, Request,
    SUCCESS, Which, wrong,
};
use crate::Output;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Nothing was asked yet.
    #[default]
    Idle,
    Counting,
    Reporting,
    Aborting,
    /// Everything was reported.
    Told,
    /// Acknowledged: are there still as many?
    Recounting(Which),
    Deleting,
    Over,
}

/// Fetching what a device has stored, and deleting it when it has been acknowledged.
#[derive(Debug, Default)]
pub struct Download {
    state: State,
    /// How many there are, if the device says.
    stored: Option<u32>,
    understood: u32,
    misread: u32,
    /// Of the understood, those that have been acknowledged.
    acknowledged: u32,
    highest: Option<Number>,
    answer_by: Option<Timestamp>,
    tried_again: bool,
}

impl Download {
    /// Begins, if it hasn't.
    pub fn start(&mut self, now: Timestamp) -> Vec<Output> {
        if self.state == State::Idle { self.ask(now, State::Counting, Request::Count(Which::All)) } else { Vec::new() }
    }

    /// Records that come now were stored.
    #[must_use]
    pub fn is_reporting(&self) -> bool {
        self.state == State::Reporting
    }

    /// Something was asked and isn't answered.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        !matches!(self.state, State::Idle | State::Told | State::Over)
    }

    /// A record came, and what it holds was said. Without effect while nothing is reported.
    pub fn understood(&mut self, now: Timestamp, number: Option<Number>) {
        if !self.is_reporting() {
            return;
        }
        self.understood = self.understood.saturating_add(1);
        self.highest = self.highest.max(number);
        self.wait(now);
    }

    /// A stored record came that can't be read: nothing will be deleted.
    pub fn misread(&mut self, now: Timestamp) {
        if !self.is_reporting() {
            return;
        }
        self.misread = self.misread.saturating_add(1);
        self.wait(now);
    }

    /// The device answered.
    pub fn answered(&mut self, now: Timestamp, bytes: &[u8]) -> Vec<Output> {
        let refused = |error| vec![Output::Refused { error, bytes: bytes.to_vec() }];
        let answer = match Answer::parse(bytes) {
            Ok(answer) => answer,
            Err(error) => return refused(error),
        };
        match (self.state, answer) {
            (State::Counting, Answer::Count(stored)) => self.counted(now, Some(stored)),
            (State::Counting, Answer::Ended { request: COUNT, code: NO_RECORDS }) => self.counted(now, Some(0)),
            (State::Counting, Answer::Ended { request: COUNT, .. }) => self.counted(now, None),
            (State::Reporting, Answer::Ended { request: REPORT, code: SUCCESS }) => self.told(now),
            (State::Reporting, Answer::Ended { request: REPORT, code: NO_RECORDS }) => self.over(),
            (State::Reporting, Answer::Ended { request: REPORT, code }) => {
                [self.over(), refused(wrong("answer to a report", code.into(), "1, success"))].concat()
            }
            (State::Aborting, Answer::Ended { request: ABORT | REPORT | COUNT, .. }) => self.aborted(now),
            (State::Recounting(which), Answer::Count(stored)) => self.recounted(now, which, stored),
            (State::Recounting(Which::UpTo(_)), Answer::Ended { request: COUNT, code })
                if NOT_UNDERSTOOD.contains(&code) =>
            {
                self.ask(now, State::Recounting(Which::All), Request::Count(Which::All))
            }
            (State::Recounting(_), Answer::Ended { request: COUNT, .. }) => self.forgotten(),
            (State::Deleting, Answer::Ended { request: DELETE, code: SUCCESS | NO_RECORDS }) => self.forgotten(),
            (State::Deleting, Answer::Ended { request: DELETE, code }) => {
                [refused(wrong("answer to a deletion", code.into(), "1, success")), self.forgotten()].concat()
            }
            (_, Answer::Count(_)) => refused(wrong("opcode", COUNT_ANSWER.into(), "the answer to what was asked")),
            (_, Answer::Ended { request, .. }) => {
                refused(wrong("request", request.into(), "the opcode of what was asked"))
            }
        }
    }

    /// When the device will have been silent for too long.
    #[must_use]
    pub fn timeout_at(&self) -> Option<Timestamp> {
        self.answer_by
    }

    /// Time has passed. A device that doesn't answer is told to stop what it does and asked once more; then the session goes on without.
    pub fn timed_out(&mut self, now: Timestamp) -> Vec<Output> {
        if self.answer_by.is_none_or(|by| by > now) {
            return Vec::new();
        }
        match self.state {
            State::Counting | State::Reporting => self.ask(now, State::Aborting, Request::Abort),
            State::Aborting => self.aborted(now),
            State::Recounting(_) | State::Deleting => self.forgotten(),
            State::Idle | State::Told | State::Over => self.over(),
        }
    }

    /// Everything that was said so far has been acknowledged.
    pub fn kept(&mut self, now: Timestamp) -> Vec<Output> {
        self.acknowledged = self.understood;
        self.forget_if_kept(now)
    }

    fn counted(&mut self, now: Timestamp, stored: Option<u32>) -> Vec<Output> {
        self.stored = stored;
        if stored == Some(0) {
            return self.over();
        }
        self.ask(now, State::Reporting, Request::Report(Which::All))
    }

    fn told(&mut self, now: Timestamp) -> Vec<Output> {
        (self.state, self.answer_by) = (State::Told, None);
        self.forget_if_kept(now)
    }

    fn forget_if_kept(&mut self, now: Timestamp) -> Vec<Output> {
        let all = self.misread == 0 && self.understood > 0 && self.stored == Some(self.understood);
        if self.state != State::Told || !all || self.acknowledged < self.understood {
            return Vec::new();
        }
        let which = self.highest.map_or(Which::All, Which::UpTo);
        self.ask(now, State::Recounting(which), Request::Count(which))
    }

    fn recounted(&mut self, now: Timestamp, which: Which, stored: u32) -> Vec<Output> {
        if stored != self.understood {
            return self.forgotten();
        }
        self.ask(now, State::Deleting, Request::Delete(which))
    }

    fn aborted(&mut self, now: Timestamp) -> Vec<Output> {
        if self.tried_again {
            return self.over();
        }
        *self = Self { tried_again: true, ..Self::default() };
        self.start(now)
    }

    fn forgotten(&mut self) -> Vec<Output> {
        self.over();
        vec![Output::SittingEnd]
    }

    fn over(&mut self) -> Vec<Output> {
        (self.state, self.answer_by) = (State::Over, None);
        Vec::new()
    }

    fn ask(&mut self, now: Timestamp, state: State, request: Request) -> Vec<Output> {
        self.state = state;
        self.wait(now);
        vec![request.write()]
    }

    fn wait(&mut self, now: Timestamp) {
        self.answer_by = now.checked_add(ANSWER_MAX).ok();
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::tape;

    const START: Timestamp = Timestamp::UNIX_EPOCH;

    fn say(outputs: &[Output]) -> String {
        let words: Vec<String> = outputs
            .iter()
            .map(|output| match output {
                Output::Write { bytes, .. } => format!("> {}", tape::hex(bytes)),
                Output::Refused { error, .. } => format!("! {error}"),
                Output::SittingEnd => "end".to_owned(),
                other => format!("{other:?}"),
            })
            .collect();
        words.join("; ")
    }

    /// A download that has been answered `count` and has understood `records`, the last with this number.
    fn reporting(count: &str, records: u32, number: Option<Number>) -> Download {
        let mut download = Download::default();
        assert_eq!(say(&download.start(START)), "> 0401");
        assert_eq!(say(&download.answered(START, &tape::bytes(count))), "> 0101");
        for _ in 0..records {
            assert!(download.is_reporting());
            download.understood(START, number);
        }
        download
    }

    #[track_caller]
    fn answer(download: &mut Download, hex: &str, wanted: &str) {
        assert_eq!(say(&download.answered(START, &tape::bytes(hex))), wanted);
    }

    #[test]
    fn what_was_fetched_is_deleted_only_after_it_was_kept() {
        let mut download = reporting("050002", 2, None);
        answer(&mut download, "06000101", "");
        assert!(!download.is_busy());
        assert_eq!(say(&download.kept(START)), "> 0401");
        answer(&mut download, "050002", "> 0201");
        answer(&mut download, "06000201", "end");
        assert_eq!(say(&download.kept(START)), "");
        assert_eq!(download.timeout_at(), None);
    }

    #[test]
    fn an_acknowledgement_faster_than_the_device_counts_too() {
        let mut download = reporting("050002", 2, None);
        assert_eq!(say(&download.kept(START)), "");
        answer(&mut download, "06000101", "> 0401");
        let mut download = reporting("050002", 1, None);
        assert_eq!(say(&download.kept(START)), "");
        download.understood(START, None);
        answer(&mut download, "06000101", "");
    }

    #[test]
    fn numbered_records_are_deleted_up_to_the_highest_that_came() {
        let mut download = reporting("050002", 2, Some(Number::Short(7)));
        answer(&mut download, "06000101", "");
        assert_eq!(say(&download.kept(START)), "> 0402010700");
        answer(&mut download, "050002", "> 0202010700");
        let mut other = reporting("050002", 2, Some(Number::Short(7)));
        answer(&mut other, "06000101", "");
        assert_eq!(say(&other.kept(START)), "> 0402010700");
        answer(&mut other, "06000404", "> 0401");
        answer(&mut other, "050003", "end");
    }

    #[test]
    fn nothing_is_deleted_when_the_counts_differ() {
        for (count, records) in [("050003", 2), ("050001", 2)] {
            let mut download = reporting(count, records, None);
            answer(&mut download, "06000101", "");
            assert_eq!(say(&download.kept(START)), "", "{count}");
        }
        let mut misread = reporting("050002", 2, None);
        misread.misread(START);
        answer(&mut misread, "06000101", "");
        assert_eq!(say(&misread.kept(START)), "");
        let mut measured_meanwhile = reporting("050002", 2, None);
        answer(&mut measured_meanwhile, "06000101", "");
        assert_eq!(say(&measured_meanwhile.kept(START)), "> 0401");
        answer(&mut measured_meanwhile, "050003", "end");
    }

    #[test]
    fn a_device_that_cannot_count_is_read_and_keeps_its_records() {
        let mut download = reporting("06000402", 2, None);
        answer(&mut download, "06000101", "");
        assert_eq!(say(&download.kept(START)), "");
    }

    #[test]
    fn nothing_stored_and_refusals_end_it() {
        for empty in ["050000", "06000406"] {
            let mut download = Download::default();
            download.start(START);
            answer(&mut download, empty, "");
            assert!(!download.is_busy());
        }
        answer(&mut reporting("050002", 0, None), "06000106", "");
        let mut refused = reporting("050002", 1, None);
        answer(&mut refused, "06000108", "! record access: answer to a report is 0x08, want 1, success");
        assert_eq!(say(&refused.kept(START)), "");
        let mut kept = reporting("050001", 1, None);
        answer(&mut kept, "06000101", "");
        kept.kept(START);
        answer(&mut kept, "050001", "> 0201");
        answer(&mut kept, "06000202", "! record access: answer to a deletion is 0x02, want 1, success; end");
    }

    #[test]
    fn an_answer_to_something_else_is_refused_and_changes_nothing() {
        let mut download = reporting("050002", 2, None);
        answer(&mut download, "06000201", "! record access: request is 0x02, want the opcode of what was asked");
        answer(&mut download, "050002", "! record access: opcode is 0x05, want the answer to what was asked");
        assert!(download.is_reporting());
    }

    /// Waits for the time-out.
    #[track_caller]
    fn wait(download: &mut Download, now: &mut Timestamp, wanted: &str) {
        let due = download.timeout_at().unwrap_or(*now);
        assert_eq!(say(&download.timed_out(due - SignedDuration::from_nanos(1))), "");
        *now = due;
        assert_eq!(say(&download.timed_out(due)), wanted);
    }

    #[test]
    fn a_device_that_never_answers_is_stopped_asked_again_and_left_alone() {
        let (mut download, mut now) = (Download::default(), START);
        download.start(now);
        wait(&mut download, &mut now, "> 0300");
        wait(&mut download, &mut now, "> 0401");
        wait(&mut download, &mut now, "> 0300");
        wait(&mut download, &mut now, "");
        assert_eq!((download.timeout_at(), download.is_busy()), (None, false));
        assert_eq!(now.duration_since(START), SignedDuration::from_secs(120));
    }

    #[test]
    fn a_report_that_stops_is_aborted_and_begun_again() {
        let (mut download, mut now) = (reporting("050003", 1, None), START);
        wait(&mut download, &mut now, "> 0300");
        answer(&mut download, "06000301", "> 0401");
        answer(&mut download, "050003", "> 0101");
        for _ in 0..3 {
            download.understood(now, None);
        }
        answer(&mut download, "06000101", "");
        assert_eq!(say(&download.kept(now)), "> 0401");
        wait(&mut download, &mut now, "end");
    }
}
