//! Helpers of the unit tests. Whole requests are tested in `tests/`, through the public interface.

use triage::{Alert, Mark, State};

/// An open alert of a patient, waiting since the `minute`th minute of 1970.
pub fn alert(patient: &str, mark: Mark, minute: i64) -> Alert {
    let at = jiff::Timestamp::from_second(minute * 60).unwrap();
    let mut alert: Alert = serde_json::from_value(serde_json::json!({
        "id": uuid::Uuid::from_u128(minute as u128), "patient": patient, "family": "copd", "state": { "state": "open" }, "mark": "red",
        "now_mark": "red", "waiting_since": at, "raised_at": at, "changed_at": at, "late": false, "count": 1, "normal_in_row": 0,
        "findings": [], "version": 1, "must_have_seen": 1,
    }))
    .unwrap();
    (alert.mark, alert.now_mark, alert.state) = (mark, mark, State::Open);
    alert
}

/// Every template and source file: where keys of words are said.
pub fn sources() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for folder in ["src", "src/pages", "src/api", "templates"] {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let text = path.is_file().then(|| std::fs::read_to_string(&path).unwrap());
            let code = text.map(|text| text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned());
            found.extend(code.map(|code| (path.display().to_string(), code)));
        }
    }
    found
}
