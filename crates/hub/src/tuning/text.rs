//! A backtest's report as a person reads it in a terminal.

use std::fmt;

use super::{
    agreement::Agreement,
    compare::{Change, Difference},
    episode::EpisodeView,
    report::{Report, SideReport},
    tally::PatientAlerts,
};

/// A row of the table: its name, and what stands in a side's column.
type Row = (&'static str, fn(&SideReport) -> String);

/// How many patients are named on either side.
const NAMED: usize = 5;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { programme, active_version, proposed_version, since, until, .. } = self;
        writeln!(f, "{programme}: version {proposed_version} beside version {active_version}, which is in use")?;
        writeln!(
            f,
            "{since} to {until}: {} people, {:.1} patient-weeks, {} readings, {:.1} s",
            self.patients, self.patient_weeks, self.readings, self.seconds
        )?;
        if self.simulated_patients > 0 {
            writeln!(f, "SIMULATED: {} of these people do not exist", self.simulated_patients)?;
        }
        if self.partial {
            writeln!(f, "PARTIAL: it was ended before the history was over; everything below is until {until}")?;
        }
        self.failing(f)?;
        self.table(f)?;
        self.changes(f)?;
        self.closings(f)?;
        self.worst(f)?;
        self.unfit(f)?;
        writeln!(f, "\nHow it was counted:")?;
        self.conventions.iter().try_for_each(|convention| writeln!(f, "- {convention}"))
    }
}

impl Report {
    fn failing(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.failing_examples.is_empty() {
            writeln!(
                f,
                "EXAMPLES FAIL: version {} can't be taken into use before they are changed:",
                self.proposed_version
            )?;
        }
        self.failing_examples.iter().try_for_each(|fault| writeln!(f, "- {fault}"))
    }

    fn table(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{:<34}{:>16}{:>16}", "", "in use", "proposed")?;
        let rows: [Row; 17] = [
            ("red alerts", |side| side.alerts.red.to_string()),
            ("yellow alerts", |side| side.alerts.yellow.to_string()),
            ("blue alerts (missing)", |side| side.alerts.blue.to_string()),
            ("of all, arrived late", |side| side.late.to_string()),
            ("alerts per patient-week", |side| format!("{:.3}", side.per_patient_week.all)),
            ("  red", |side| format!("{:.3}", side.per_patient_week.red)),
            ("  yellow", |side| format!("{:.3}", side.per_patient_week.yellow)),
            ("alerts per nurse shift, mean", |side| format!("{:.2}", side.per_shift.mean)),
            ("  95 % of shifts at most", |side| side.per_shift.p95.to_string()),
            ("  the worst shift", |side| side.per_shift.max.to_string()),
            ("events", |side| side.agreement.events.to_string()),
            ("sensitivity", |side| percent(side.agreement.sensitivity)),
            ("  red alone", |side| percent(side.red_agreement.sensitivity)),
            ("positive predictive value", |side| percent(side.agreement.ppv)),
            ("  red alone", |side| percent(side.red_agreement.ppv)),
            ("lead time, median", |side| days(&side.agreement)),
            ("closed by the stand-in", |side| side.ended.by_stand_in.to_string()),
        ];
        for (name, cell) in rows {
            writeln!(f, "{name:<34}{:>16}{:>16}", cell(&self.active), cell(&self.proposed))?;
        }
        Ok(())
    }

    fn changes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_same() {
            return writeln!(f, "\nNo alert differs.");
        }
        writeln!(f, "\nAlerts that differ (red, yellow, blue):")?;
        for (change, marks) in &self.changes {
            writeln!(f, "  {:<8}{:>8}{:>8}{:>8}", change.name(), marks.red, marks.yellow, marks.blue)?;
        }
        writeln!(f, "{} people have fewer alerts{}", self.patients_with_fewer, named(&self.lose_most))?;
        writeln!(f, "{} people have more{}", self.patients_with_more, named(&self.gain_most))
    }

    fn closings(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.closings.is_empty() {
            return Ok(());
        }
        writeln!(f, "\n{:<34}{:>8}{:>16}{:>16}", "What nurses closed, as", "", "in use has it", "proposed")?;
        for (reason, covered) in &self.closings {
            writeln!(f, "  {reason:<32}{:>8}{:>16}{:>16}", covered.closed, covered.active, covered.proposed)?;
        }
        Ok(())
    }

    fn worst(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.worst.is_empty() {
            writeln!(f, "\nThe worst differences:")?;
        }
        self.worst.iter().try_for_each(|difference| write!(f, "{difference}"))
    }

    fn unfit(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.unfit_count == 0 {
            return Ok(());
        }
        writeln!(f, "\n{} own settings don't fit, and were left out:", self.unfit_count)?;
        self.unfit.iter().try_for_each(|unfit| writeln!(f, "- {}: {}", unfit.patient, unfit.why))
    }
}

impl Change {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Milder => "milder",
            Self::Gained => "gained",
            Self::Worse => "worse",
            Self::Missed => "missed",
            Self::Foreseen => "foreseen",
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "- {} {}", self.patient, self.change.name().to_uppercase())?;
        if let Some(before) = &self.before {
            let outcome = format!("{:?}", before.outcome).to_lowercase();
            write!(f, ", {:.1} days before {outcome}", before.days)?;
        }
        if self.decides_event {
            write!(f, ", which the other version does not foretell")?;
        }
        writeln!(f)?;
        for (name, view) in [("in use", &self.active), ("proposed", &self.proposed)] {
            if let Some(view) = view {
                writeln!(f, "    {name}: {}", said(view))?;
            }
        }
        match &self.quiet {
            Some(quiet) => writeln!(f, "    the other: {quiet}"),
            None => Ok(()),
        }
    }
}

fn said(view: &EpisodeView) -> String {
    let mark = format!("{:?}", view.mark).to_lowercase();
    let closed =
        view.closed_as.map(super::tally::reason_name).map_or(String::new(), |reason| format!("; closed as {reason}"));
    format!("{} {mark}, rule {}: {}{closed}", view.raised_at.strftime("%F %H:%M UTC"), view.rule, view.why)
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", share * 100.0))
}

fn days(agreement: &Agreement) -> String {
    agreement.lead_days_median.map_or_else(|| "-".to_owned(), |days| format!("{days:.1} days"))
}

fn named(patients: &[PatientAlerts]) -> String {
    if patients.is_empty() {
        return String::new();
    }
    let each = |patient: &PatientAlerts| format!("{} ({:+})", patient.patient, patient.more());
    let named: Vec<String> = patients.iter().take(NAMED).map(each).collect();
    format!(", most: {}", named.join(", "))
}
