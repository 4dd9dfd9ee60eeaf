//! How much of anything there may be. A programme or a patient's own settings beyond these are refused with the number found and the bound.

/// A programme file's length.
pub const PROGRAMME_BYTES_MAX: usize = 1024 * 1024;
/// Rules of a programme.
pub const RULES_MAX: usize = 64;
/// Schedules of a programme.
pub const SCHEDULES_MAX: usize = 16;
/// Scores of a programme's own.
pub const SCORES_MAX: usize = 8;
/// Risk levels of a programme.
pub const STRATA_MAX: usize = 8;
/// Questionnaires of a programme.
pub const QUESTIONNAIRES_MAX: usize = 16;
/// Questions of a questionnaire.
pub const QUESTIONS_MAX: usize = 64;
/// Choices of a question.
pub const CHOICES_MAX: usize = 32;
/// Examples of a programme.
pub const EXAMPLES_MAX: usize = 500;
/// Sittings of an example, each repetition counted.
pub const EXAMPLE_SITTINGS_MAX: usize = 1000;
/// Vitals that one rule of silence expects.
pub const VITALS_EXPECTED_MAX: usize = 16;
/// Vitals and questionnaires together that one rule of silence expects.
pub const EXPECTED_MAX: usize = 16;
/// Characters of any text of a programme.
pub const TEXT_CHARS_MAX: usize = 1000;
/// Own limits of one patient.
pub const OWN_LIMITS_MAX: usize = 64;
/// Findings that an alert keeps: the last and the last late one of each rule.
pub const FINDINGS_MAX: usize = 2 * RULES_MAX;
/// Findings above green that are remembered of a patient, to know a repeat of what is no longer kept.
pub const REMEMBERED_MAX: usize = 256;
/// Programmes that one patient is in.
pub const PROGRAMMES_MAX: usize = 4;
/// Samples that are kept of one vital of a patient.
pub const SAMPLES_MAX: usize = 4096;
/// Times of one sitting, 15 minutes, that are all looked at each time: a reading a minute.
pub const TIMES_MAX: usize = 16;
/// Devices, sets of flags, or answers that a chart knows by name.
pub const NAMES_MAX: usize = 200;
/// Times around reds that a chart keeps apart.
pub const UNSTABLE_MAX: usize = 16;
/// Safety floors of a clinic.
pub const FLOORS_MAX: usize = 64;
/// Limits of a clinic, for where programmes say none.
pub const CLINIC_LIMITS_MAX: usize = 64;
/// Missed occurrences of one schedule that one event looks back on.
pub const OCCURRENCES_MAX: usize = 64;
/// Alerts that ended lately, of one patient, that are remembered for a clear answer.
pub const ENDED_MAX: usize = 8;
