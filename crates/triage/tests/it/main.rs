//! The behaviour of triage through its public interface: a person, what comes, and what must come out.

#![allow(clippy::unwrap_used, reason = "a helper of a test that panics is a failing test")]

mod alerts;
mod anew;
mod answers_and_devices;
mod call;
mod clinic_limits;
mod copd;
mod documented;
mod files;
mod floors;
mod habit;
mod heart_failure;
mod judging;
mod kind_files;
mod kind_properties;
mod kinds;
mod late;
mod life;
mod missed;
mod no_baseline;
mod other_answers;
mod otherwise;
mod own;
mod own_course;
mod person;
mod properties;
mod score;
mod score_files;
mod score_rule;
mod silence;
mod sittings;
mod told_once;
mod trends;
mod ward;
mod withdrawn;
