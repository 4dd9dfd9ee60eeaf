//! The version that waits for a second person in the demonstration: the COPD programme with one limit moved, and its example with it.

use triage::SHIPPED;

/// Its file, as the journal names it.
pub const FILE: &str = "copd-2.toml";
/// Why it was proposed.
pub const WHY: &str = "simulated proposal: a pulse of 110 to 114 is most people's staircase, not their illness";

/// What is changed in the shipped text: found exactly once, and put in its place.
const CHANGES: [(&str, &str); 7] = [
    ("version = 1\ntitle = { en = \"COPD, the Danish", "version = 2\ntitle = { en = \"COPD, the Danish"),
    ("above = 60, below = 110 }", "above = 60, below = 115 }"),
    ("from = 110, below = 130 }", "from = 115, below = 130 }"),
    ("name = \"pulse 110 a minute is yellow\"", "name = \"pulse 115 a minute is yellow\""),
    ("vital = \"pulse\", value = 110, unit", "vital = \"pulse\", value = 115, unit"),
    ("vital = \"pulse\", value = 112, unit", "vital = \"pulse\", value = 118, unit"),
    ("plan, NPU21692\"", "plan, NPU21692; 115 for its 110: a simulated proposal\""),
];

/// The text that is proposed.
pub fn text() -> String {
    let (_, shipped) = SHIPPED.iter().find(|(file, _)| *file == "copd.toml").expect("it is shipped");
    let mut text = (*shipped).to_owned();
    for (from, to) in CHANGES {
        text = text.replacen(from, to, 1);
    }
    text
}

#[cfg(test)]
mod tests {
    use triage::{COPD, Programme};

    use super::*;

    #[test]
    fn each_change_has_its_one_place_and_the_examples_come_out() {
        for (from, _) in CHANGES {
            assert_eq!(COPD.matches(from).count(), 1, "{from}");
        }
        let programme = Programme::parse(&text(), FILE).unwrap();
        assert_eq!((programme.id(), programme.version()), ("copd", 2));
    }
}
