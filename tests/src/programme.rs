//! A small programme whose limits a test chooses.

/// The programme `copd` with rules for SpO2 and pulse. A doubtful yellow waits for 4 seconds. `more` is put at the end.
#[must_use]
pub fn small(version: u32, red_at_most: u8, yellow_at_most: u8, more: &str) -> String {
    let above = red_at_most + 1;
    format!(
        r#"# A small programme of a test.
id = "copd"
version = {version}
title = {{ en = "Small", da = "Lille" }}
zone = "UTC"
source = "a test"
[clinic]
late_after = "24h"
ease_after_sittings = 1
early = "1h"
grace = "0s"
repeat_within = "4s"
[[rule]]
id = "spo2"
kind = "band"
family = "copd"
vital = "spo2"
unit = "%"
bands = [
  {{ mark = "red", at_most = {red_at_most} }},
  {{ mark = "yellow", above = {red_at_most}, at_most = {yellow_at_most} }},
  {{ mark = "green", above = {yellow_at_most} }},
]
[[rule]]
id = "pulse"
kind = "band"
family = "pulse"
vital = "pulse"
unit = "/min"
bands = [
  {{ mark = "red", at_most = 40 }},
  {{ mark = "green", above = 40, below = 110 }},
  {{ mark = "yellow", from = 110, below = 130 }},
  {{ mark = "red", from = 130 }},
]
[[example]]
name = "the limit itself is red"
at = "2026-11-23T00:00:00"
readings = [{{ vital = "spo2", value = {red_at_most}, unit = "%" }}]
want = {{ spo2 = "red" }}
[[example]]
name = "above it is yellow"
at = "2026-11-23T00:00:00"
readings = [{{ vital = "spo2", value = {above}, unit = "%" }}]
want = {{ spo2 = "yellow" }}
{more}"#
    )
}
