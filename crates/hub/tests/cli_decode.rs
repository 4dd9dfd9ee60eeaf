//! `vagt decode` and `vagt drivers`, as programs: output and exit codes are a contract.
#![allow(clippy::unwrap_used, reason = "helpers of tests, outside the functions that the lint knows as tests")]

use std::process::{Command, Output};

fn vagt(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vagt")).args(args).output().expect("the program starts")
}

/// Arguments after `decode`, what goes to standard output, and the exit code.
#[track_caller]
fn check(args: &[&str], stdout: &str, code: i32) {
    let output = vagt(&[&["decode"], args].concat());
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim_end(), stdout, "{args:?}");
    assert_eq!(output.status.code(), Some(code), "{args:?}");
    assert_eq!(output.stderr.is_empty(), code == 0, "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

const SPO2_93: &str =
    r#"[{"vital":"spo2","value":93,"unit":"%","flags":[]},{"vital":"pulse","value":72,"unit":"/min","flags":[]}]"#;

#[test]
fn readings_are_a_json_array_however_the_bytes_are_written() {
    for hex in ["005D004800", "00 5d 00 48 00", "00:5D:00:48:00", "00-5d-00-48-00"] {
        check(&["--driver", "gatt-plx", "--characteristic", "2A5F", "--hex", hex], SPO2_93, 0);
    }
    check(&["--driver", "gatt-plx/2A5F", "--hex", "005D004800", "--json"], SPO2_93, 0);
    check(
        &["--driver", "gatt-plx", "--characteristic", "00002a5f-0000-1000-8000-00805f9b34fb", "--hex", "005D004800"],
        SPO2_93,
        0,
    );
}

#[test]
fn a_device_time_is_printed_without_zone() {
    let output = vagt(&["decode", "--driver", "gatt-weight", "--hex", "02b036e7070c190e1e2d"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains(r#""value":70.000,"unit":"kg","device_time":"2023-12-25T14:30:45""#), "{text}");
}

#[test]
fn a_stream_may_be_joined_or_cut_anywhere() {
    let stream = "018101008301800148ca01800161e301800130b20180010082018001008201800100820180010082\
                  018001008201800161e301800061e2018001008201800148ca01800100820180010082018001008201800048c901800048c9\
                  0180000081018000008101800000810180000081018000008101800000810180000081";
    let whole = vagt(&["decode", "--driver", "nonin-df2", "--hex", stream]);
    let cut = vagt(&["decode", "--driver", "nonin-df2", "--hex", &stream[..26], "--hex", &stream[26..]]);
    assert_eq!(whole.stdout, cut.stdout);
    assert_eq!(whole.status.code(), cut.status.code());
}

#[test]
fn a_device_that_breaks_the_standard_is_read_by_its_quirk_profile() {
    let frame = "16710049000000ea07080b1438000041010000";
    let too_long = r#"{"error":"blood pressure: 19 bytes, at most 18 are meant by its flags"}"#;
    check(&["--driver", "gatt-blood-pressure", "--hex", frame], too_long, 1);
    let said = vagt(&["decode", "--driver", "gatt-blood-pressure", "--quirk", "beurer-bm85", "--hex", frame]);
    let text = String::from_utf8(said.stdout).unwrap();
    assert!(
        text.contains(
            r#""vital":"pulse","value":65,"unit":"/min","device_time":"2026-08-11T20:56:00","flags":["user_1"]"#
        ),
        "{text}"
    );
    let other = vagt(&["decode", "--driver", "gatt-plx", "--quirk", "beurer-bm85", "--hex", frame]);
    assert_eq!(other.status.code(), Some(2));
    let said = String::from_utf8(other.stderr).unwrap();
    assert!(said.contains("gatt-plx has no quirk profile \"beurer-bm85\"; there are clock-starts-2017"), "{said}");
}

#[test]
fn refused_bytes_are_an_error_on_both_outputs() {
    check(
        &["--driver", "gatt-blood-pressure", "--hex", "0102030405"],
        r#"{"error":"blood pressure: 5 bytes, need at least 7"}"#,
        1,
    );
    check(&["--driver", "gatt-plx/2A5F", "--hex", ""], r#"{"error":"pulse oximeter: 0 bytes, need at least 5"}"#, 1);
}

#[test]
fn bad_usage_is_exit_2_and_says_what_is_wanted() {
    for (args, wanted) in [
        (&["decode", "--driver", "nope", "--hex", "00"][..], "no driver is called \"nope\"; there are gatt-plx"),
        (&["decode", "--driver", "gatt-plx"], "--hex <BYTES>"),
        (&["decode", "--driver", "gatt-plx", "--hex", "0x"], "found 'x', want hexadecimal digits"),
        (&["decode", "--driver", "gatt-plx", "--hex", "005"], "found 3 hexadecimal digits, want two a byte"),
        (&["decode", "--driver", "gatt-plx", "--characteristic", "2A5", "--hex", "00"], "want 4 hexadecimal digits"),
        (&["decode", "--driver", "nonin-df2", "--characteristic", "2A5F", "--hex", "00"], "no characteristics"),
        (&["decoed"], "unrecognized subcommand"),
        (&[], "Usage"),
    ] {
        let output = vagt(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.contains(wanted), "{args:?}: {stderr}");
    }
}

#[test]
fn every_driver_is_listed_in_both_forms() {
    let json = String::from_utf8(vagt(&["drivers", "--json"]).stdout).unwrap();
    let table = String::from_utf8(vagt(&["drivers"]).stdout).unwrap();
    assert_eq!(json.lines().count(), drivers::DRIVERS.len());
    assert_eq!(table.lines().take_while(|line| !line.is_empty()).count(), drivers::DRIVERS.len() + 1);
    for quirk in drivers::QUIRKS {
        let row: serde_json::Value = serde_json::from_str(
            json.lines().find(|line| line.contains(&format!("\"name\":\"{}\"", quirk.driver))).unwrap(),
        )
        .unwrap();
        assert!(row["quirks"].as_array().unwrap().iter().any(|one| one["name"] == quirk.name), "{row}");
        assert!(table.contains(&format!("  {}  ", quirk.name)), "{table}");
    }
    for (line, driver) in json.lines().zip(drivers::DRIVERS) {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(row["name"], driver.name);
        assert!(["ble", "advertisement", "serial"].contains(&row["transport"].as_str().unwrap()), "{row}");
        assert!(row["devices"].as_array().unwrap().iter().all(serde_json::Value::is_string));
        assert!(table.contains(driver.standard), "{}", driver.name);
    }
}

#[test]
fn every_command_has_a_help_worth_reading() {
    let help = String::from_utf8(vagt(&["--help"]).stdout).unwrap();
    for command in ["decode", "drivers", "replay", "config", "doctor"] {
        assert!(help.contains(&format!("  {command}")), "{help}");
        let output = vagt(&[command, "--help"]);
        assert!(output.status.success() && output.stdout.len() > 250, "{command}");
    }
}
