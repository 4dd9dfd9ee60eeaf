//! Every number of the cohort, in one visible list: what it is, how large, and who says so.
//!
//! Written down before any programme was run on the cohort; `docs/cohort.md` prints the same table, and a test compares the two. A number
//! without a published source is our own assumption, and says so.

/// Where a number comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A publication that states it.
    Published(&'static str),
    /// Our own calculation from a publication's figures.
    Derived(&'static str),
    /// Our own assumption.
    Ours(&'static str),
}

/// One number of the cohort.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameter {
    /// What it is.
    pub name: &'static str,
    /// How large.
    pub value: f64,
    /// In what.
    pub unit: &'static str,
    /// Who says so.
    pub source: Source,
}

impl Parameter {
    /// One row of the table in `docs/cohort.md`.
    #[must_use]
    pub fn row(&self) -> String {
        let (kind, said) = match self.source {
            Source::Published(said) => ("published", said),
            Source::Derived(said) => ("derived", said),
            Source::Ours(said) => ("our assumption", said),
        };
        let unit = if self.unit.is_empty() { String::new() } else { format!(" {}", self.unit) };
        let said = if said.is_empty() { String::new() } else { format!(": {said}") };
        format!("| {} | {}{unit} | {kind}{said} |", self.name, self.value)
    }
}

const BURTON: &str = "Burton 2015, J Telemed Telecare 21:29";
const AL_RAJEH: &str = "Al Rajeh 2020, mhealth.jmir.org/2020/11/e17597";
const EQUIVITAL: &str = "Respir Res 2022, 12931-022-02018-5";
const HEARTPHONE: &str = "HeartPhone (87 people, 28 events)";
const MYCOPD: &str = "myCOPD 2022, medinform 2022;10:e26499: heuristic Se 0.551, Sp 0.759";
const ERS_FVC: &str = "ERS channel 159702: classes of decline, 373 people";
const PF_VARIES: &str = "Respir Res 2020, 12931-020-01524-8: variability over 28 days, progressors and others";
const TECHNIQUE: &str =
    "so that of false alerts of fixed limits (3 sd, about as many as Linde's) 54 % come from technique (Radhakrishnan)";

macro_rules! parameters {
    ($($id:ident = $value:literal $unit:literal, $name:literal, $kind:ident($said:expr);)*) => {
        $(pub(super) const $id: Parameter =
            Parameter { name: $name, value: $value, unit: $unit, source: Source::$kind($said) };)*
        /// Every number, in the order of the table.
        pub const PARAMETERS: &[Parameter] = &[$($id),*];
    };
}

parameters! {
    // --- who
    SHARE_STABLE = 0.40 "", "share of stable people", Ours("");
    SHARE_EXACERBATING = 0.25 "", "share of people with COPD who exacerbate", Ours("");
    SHARE_DECOMPENSATING = 0.15 "", "share of people with heart failure who decompensate", Ours("");
    SHARE_SLOPPY = 0.12 "", "share of sloppy people (technique, cold fingers, odd times)", Ours("");
    SHARE_SILENT = 0.08 "", "share of people who fall silent (the rest of 1)", Ours("");
    SHARE_COPD = 0.62 "", "share with COPD among the stable, sloppy and silent; the others have heart failure", Ours("as among those with events");
    SHARE_SILENT_KIT = 0.5 "", "share of silences where the kit is dead (else the person stops)", Ours("");

    // --- COPD: events
    COPD_RATE = 2.13 "a year", "exacerbations of an exacerbating person, mean", Derived("Boer 2018, COPD.S167272: 115 in 54 people, 2,928 weekly diaries (56 years); chosen for having had some");
    RATE_SPREAD = 0.5 "of the mean", "sd of a person's own rate (gamma)", Ours("");
    SHARE_OTHERS_WITH_EVENTS = 0.5 "", "share of sloppy and silent people who have events as well, at the same rates", Ours("");
    BAD_DAY_SHARE = 0.872 "a COPD exacerbation", "isolated bad days, everybody, at COPD_RATE times this", Derived("Burton 2015: 150 isolated bad days beside 172 onsets");
    EVENT_GAP_DAYS = 21.0 "days", "least time between two onsets", Ours("");
    ROLLING_SHARE = 0.5 "", "share of people with a rolling pattern (slow recovery)", Published("Burton 2015: 9 of 18");
    TREATED_AFTER_DAYS_MAX = 4.0 "days", "treatment starts 0 to this many days after onset (even spread)", Ours("");
    PHYSIOLOGY_BEFORE_DAYS_MAX = 7.0 "days", "physiology starts to change at most this long before treatment", Published(AL_RAJEH);
    PHYSIOLOGY_BEFORE_DAYS_MIN = 3.0 "days", "and at least this long (even spread, and not after onset)", Published(EQUIVITAL);
    SYMPTOMS_BEFORE_DAYS = 5.0 "days", "symptoms start to rise before treatment", Published(AL_RAJEH);
    PLATEAU_DAYS = 2.0 "days", "everything stays at its height after treatment", Ours("");
    RECOVERY_DAYS = 7.0 "days", "then eases with this time constant", Ours("");
    ROLLING_FACTOR = 3.0 "times", "slower in a rolling pattern", Ours("");
    COPD_ADMITTED = 0.2 "", "share of exacerbations admitted", Ours("");
    ADMITTED_SIZE = 1.6 "times", "size of an admitted event (others are smaller, so that the mean stays)", Ours("");
    STAY_DAYS = 5.0 "days", "days in hospital, without measuring", Ours("");

    // --- COPD: size of changes
    COPD_PULSE_RISE = 7.0 "/min", "pulse at onset, mean rise (87 to 94)", Published(BURTON);
    PULSE_RESPONDERS = 0.818 "", "share of events in which the pulse rises", Published("Respir Res 2022: 9 of 11");
    SIZE_SPREAD = 0.5 "of the mean", "sd of a change among the events that show it (gamma)", Ours("");
    COPD_SPO2_FALL = 1.2 "%", "SpO2 at onset, mean fall (93.6 to 92.4)", Published(BURTON);
    SPO2_RESPONDERS = 0.818 "", "share of events in which SpO2 falls", Ours("as the pulse");
    COPD_FEV1_FALL = 0.152 "L", "FEV1, mean fall", Published("ERS channel 161209: 152 mL in 17 people, from 5 days before");
    FEV1_RESPONDERS = 0.67 "", "share of events in which FEV1 and FVC fall", Ours("");
    FVC_FALL_SHARE = 1.0 "", "relative fall of FVC to that of FEV1", Ours("");
    FEVER_SHARE = 0.15 "", "share of exacerbations with fever", Ours("");
    FEVER_RISE = 1.5 "Cel", "temperature in those", Ours("");

    // --- symptoms
    SYMPTOM_ICC = 0.36 "", "share of latent symptom variance between people (the rest logistic, within)", Published("Burton 2015: multilevel logistic model of the symptom score");
    SYMPTOM_STABLE = 0.241 "", "share of stable days with more of a symptom than usual (\"a little\" or more)", Derived(MYCOPD);
    SYMPTOM_STABLE_SOME = 0.06 "", "the same, \"somewhat\" or more", Ours("a quarter of the one above");
    SYMPTOM_STABLE_LOT = 0.01 "", "the same, \"a lot\"", Ours("");
    SYMPTOM_RISE = 3.6 "latent units", "rise at onset of a symptom that takes part", Derived("myCOPD 2022: a little or more on about 55 % of the days from 3 before to onset");
    DYSPNOEA_TAKES_PART = 0.9 "", "share of events with more breathlessness", Ours("");
    COUGH_TAKES_PART = 0.7 "", "with more cough (heart failure: swelling)", Ours("");
    SPUTUM_TAKES_PART = 0.6 "", "with more sputum (heart failure: worse than yesterday)", Ours("");
    COLOUR_TAKES_PART = 0.5 "", "with purulent sputum", Ours("");
    COLOURED_HABIT = 0.1 "", "share of people whose sputum is always light yellow", Ours("");
    CALL_STABLE = 0.03 "", "share of stable days with \"something else we should know\"", Ours("");
    CALL_ILL = 0.2 "", "the same while ill", Ours("");

    // --- heart failure
    HF_RATE = 1.2 "a year", "decompensations of a decompensating person, mean", Ours("order of 64 events in 74 people, EHJ Digital Health 2023;4:455, whose time under watch we don't have");
    HF_ADMITTED = 0.5 "", "share of decompensations admitted", Ours("");
    WEIGHT_RESPONDERS = 0.82 "", "share of decompensations in which the weight rises", Published("HeartPhone: individual moving average found 82 %");
    WEIGHT_GAIN = 1.5 "kg", "mean gain in those", Derived("so that 2 kg in 3 days finds about 21 % (HeartPhone; Gyllensten 2016: 20 %)");
    WEIGHT_BEFORE_DAYS = 4.0 "days", "the gain takes 1 to this many days, until treatment (even spread)", Published(HEARTPHONE);
    WEIGHT_RECOVERY_DAYS = 4.0 "days", "time constant of its loss afterwards", Ours("");
    HF_PULSE_RISE = 8.1 "/min", "pulse at onset, mean rise", Ours("as in COPD (Respir Res 2022)");
    HF_SPO2_FALL = 1.2 "%", "SpO2 at onset, mean fall", Ours("as in COPD");
    HF_SYSTOLIC_FALL = 6.0 "mm[Hg]", "systolic pressure at onset, mean fall", Ours("EHJ Digital Health 2023: pulse and pressure tell more than weight, without a size");
    HF_SYSTOLIC_SPREAD = 8.0 "mm[Hg]", "sd of that, so that it also rises", Ours("");

    // --- pulmonary fibrosis
    PF_SHARE_RAPID = 0.25 "", "share of people with pulmonary fibrosis whose FVC falls fast", Ours("");
    PF_SHARE_MODERATE = 0.35 "", "share of them whose FVC falls moderately", Ours("");
    PF_DECLINE_SLOW = 5.0 "% a year", "FVC falls slowly: less than this (even spread)", Published(ERS_FVC);
    PF_DECLINE_RAPID = 10.0 "% a year", "fast: more than this (moderately: between the two, even spread)", Published(ERS_FVC);
    PF_DECLINE_MOST = 20.0 "% a year", "fast: at most this (even spread)", Ours("");
    PF_FVC_CV = 0.048 "", "coefficient of variation of their FVC where it does not fall fast", Published(PF_VARIES);
    PF_FVC_CV_RAPID = 0.086 "", "the same where it falls fast", Published(PF_VARIES);
    PF_SHARE_WITH_EVENTS = 0.3 "", "share of them with acute exacerbations", Ours("");
    PF_RATE = 1.0 "a year", "acute exacerbations of those, mean", Ours("more than is usual, so that there is something to count");
    PF_BEFORE_DAYS_MAX = 21.0 "days", "physiology changes at most this long before treatment", Ours("worsening within a month is how an acute exacerbation is defined");
    PF_ADMITTED = 0.6 "", "share of acute exacerbations admitted", Ours("");
    PF_SPO2_FALL = 4.0 "%", "SpO2 at onset of an acute exacerbation, mean fall", Ours("that it falls is how it is defined, without a size");
    PF_FVC_FALL = 0.10 "", "relative fall of FVC then, mean", Derived("Respir Res 2020, 12931-020-01524-8: a relative fall of more than 10 % is an event");
    PF_PULSE_RISE = 8.0 "/min", "pulse then, mean rise", Ours("as in COPD");
    PF_SPO2 = 94.0 "%", "SpO2, pulmonary fibrosis, mean", Ours("");
    PF_PULSE = 80.0 "/min", "pulse, pulmonary fibrosis, mean", Ours("");
    PF_FVC = 2.7 "L", "FVC, pulmonary fibrosis, mean", Ours("");
    PF_FVC_BETWEEN = 0.7 "L", "sd between people (lognormal)", Ours("");
    PF_FEV1_FVC = 0.82 "", "FEV1/FVC, pulmonary fibrosis, mean (sd 0.04)", Ours("");

    // --- people: habitual values
    BETWEEN_SHARE = 0.36 "", "share of the variance of SpO2 and pulse that lies between people", Ours("the ICC of Burton's symptom model, taken for vitals too: less than many expect, which works against personal baselines");
    COPD_PULSE = 87.0 "/min", "pulse, COPD, mean", Published(BURTON);
    COPD_SPO2 = 93.6 "%", "SpO2, COPD, mean", Published(BURTON);
    HF_PULSE = 72.0 "/min", "pulse, heart failure, mean", Ours("");
    HF_SPO2 = 95.0 "%", "SpO2, heart failure, mean", Ours("");
    PULSE_WITHIN = 8.0 "/min", "pulse, sd within a person", Ours("twice the floor that the personal z uses");
    SPO2_WITHIN = 1.6 "%", "SpO2, sd within a person", Ours("");
    TEMPERATURE = 36.5 "Cel", "temperature, mean", Ours("");
    TEMPERATURE_BETWEEN = 0.2 "Cel", "sd between people", Ours("");
    TEMPERATURE_WITHIN = 0.25 "Cel", "sd within a person", Ours("");
    FEV1 = 1.3 "L", "FEV1, COPD, mean", Ours("");
    FEV1_BETWEEN = 0.4 "L", "sd between people (lognormal)", Ours("");
    FEV1_CV = 0.08 "", "coefficient of variation within a person", Derived("BMC Med Inform Decis Mak 2020, s12911-020-1103-6: 2 sd about 210 mL");
    FVC_CV = 0.06 "", "the same of FVC", Published("ERS channel 159702: home FVC 6 %");
    FEV1_FVC = 0.48 "", "FEV1/FVC, COPD, mean (sd 0.08)", Ours("");
    SYSTOLIC_COPD = 132.0 "mm[Hg]", "systolic pressure, COPD, mean", Ours("");
    SYSTOLIC_HF = 120.0 "mm[Hg]", "systolic pressure, heart failure, mean", Ours("");
    SYSTOLIC_BETWEEN = 14.0 "mm[Hg]", "sd between people", Ours("");
    SYSTOLIC_WITHIN = 9.0 "mm[Hg]", "sd within a person", Ours("");
    WEIGHT = 78.0 "kg", "weight, mean", Ours("");
    WEIGHT_BETWEEN = 15.0 "kg", "sd between people", Ours("");
    WEIGHT_DAY = 0.5 "kg", "sd of a day's weight around the slow course", Ours("");
    WEIGHT_SLOW = 1.2 "kg", "sd of the slow course over months (0.99 from day to day)", Ours("");

    // --- how the variance within a person is made
    SHARE_WANDER = 0.30 "", "share of the variance within a person that wanders over weeks (0.9 from day to day)", Ours("");
    SHARE_DAY = 0.35 "", "share that is the day's (the rest is the single measurement's)", Ours("");

    // --- habits
    ADHERENCE_FIRST = 0.95 "", "share of sittings done in the first days", Ours("");
    ADHERENCE_LOW = 0.40 "", "least share that it drifts to", Published("PMC5913569: 40 to 90 %");
    ADHERENCE_HIGH = 0.90 "", "largest share", Published("PMC5913569");
    ADHERENCE_MEAN = 0.74 "", "mean share that it drifts to (so that the year is near 75.8 %)", Derived("75.8 % in VA");
    ADHERENCE_DRIFT_DAYS = 21.0 "days", "time constant of the drift (most is lost in the first weeks)", Ours("PMC5913569 gives the weeks, no constant");
    ADHERENCE_STICKS = 0.3 "", "correlation of a sitting done with the one before", Ours("");
    ADHERENCE_ILL = 0.85 "times", "adherence in the 5 days before an event", Ours("the direction is BEAT-HF's, PMC7352152");
    SILENT_FROM_DAY = 30.0 "", "a silence starts between this day and 30 days before the end", Ours("");
    SILENT_DAYS_MIN = 7.0 "days", "shortest silence", Ours("");
    SILENT_DAYS_MAX = 60.0 "days", "longest silence (even spread)", Ours("");
    OUTAGES = 4.0 "a year", "times that a kit is offline and sends later", Ours("");
    OUTAGE_HOURS = 18.0 "h", "mean length of those (exponential)", Ours("");
    MINUTES_SPREAD = 35.0 "min", "sd of the time of a sitting", Ours("");
    MINUTES_SPREAD_SLOPPY = 150.0 "min", "the same, sloppy people", Ours("");
    ERRORS = 0.04 "", "share of measurements (a device at a sitting) with a technique error", Derived(TECHNIQUE);
    ERRORS_SLOPPY = 0.2 "", "the same, sloppy people", Derived(TECHNIQUE);
    ERROR_FLAGGED = 0.5 "", "share of errors that the device flags", Ours("");
    ERROR_REPEATED = 0.6 "", "share of flagged ones that are measured again at once", Ours("");
    COLD_FINGER_LOW = 3.0 "%", "a cold finger reads at least this much low", Ours("up to 10, even spread");
    COLD_FINGER_HIGH = 10.0 "%", "and at most this much", Ours("");
    MOTION_PULSE = 20.0 "/min", "sd of what a moving finger adds to the pulse", Ours("");
    CUFF_WRONG = 18.0 "mm[Hg]", "sd of what a loose cuff or an unsupported arm adds", Ours("");
    CLOTHES = 1.5 "kg", "weight of clothes and shoes, mean (sd 0.5)", Ours("");
    WRONG_PERSON_SHARE = 0.1 "", "share of weight errors that are somebody else on the scale (sd 15 kg)", Ours("");
    POOR_BLOW_LOW = 0.15 "", "a poor blow loses at least this share", Ours("");
    POOR_BLOW_HIGH = 0.45 "", "and at most this share", Ours("");
}
