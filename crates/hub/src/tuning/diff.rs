//! What differs between two texts, line by line: the longest common sequence stays, with a few lines around what changes.

use super::{
    budget::Moved,
    ladder::{Limit, Text},
};

/// Lines shown around a change.
const AROUND: usize = 2;
/// Beyond so many lines that differ on either side, everything between is told as taken out and put in: a programme has hundreds.
const LINES_MAX: usize = 4_000;

/// The differing lines, each with `-`, `+` or a space before it; `...` where unchanged lines are left out. Empty where nothing differs.
#[must_use]
pub fn lines(from: &str, to: &str) -> Vec<String> {
    let (from, to): (Vec<&str>, Vec<&str>) = (from.lines().collect(), to.lines().collect());
    let start = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let (from_rest, to_rest) = (&from[start..], &to[start..]);
    let end = from_rest.iter().rev().zip(to_rest.iter().rev()).take_while(|(a, b)| a == b).count();
    let (old, new) = (&from_rest[..from_rest.len() - end], &to_rest[..to_rest.len() - end]);
    let mut marked: Vec<(char, &str)> = from[..start].iter().map(|line| (' ', *line)).collect();
    marked.extend(between(old, new));
    marked.extend(from_rest[from_rest.len() - end..].iter().map(|line| (' ', *line)));
    near_changes(&marked)
}

/// Limits that moved while the source of their rule stayed as it was, each in a sentence: no number may stand as from a source that did not state it.
#[must_use]
pub fn unsourced(from: &str, to: &str) -> Vec<String> {
    let (Ok(from), Ok(to)) = (Text::read(from), Text::read(to)) else { return Vec::new() };
    let before = from.limits();
    let unsourced = |Limit { place, at }: Limit| {
        let was = before.iter().find(|limit| limit.place == place)?.at;
        let source = to.source(&place.rule).filter(|source| from.source(&place.rule) == Some(*source))?;
        let has_moved = was.units_to(at) != 0 || at.units_to(was) != 0;
        let moved = Moved { rule: place.rule.clone(), limit: place.rung, from: was, to: at };
        has_moved.then(|| format!("{moved}, and its source is still {source:?}: want one that states {at}"))
    };
    to.limits().into_iter().filter_map(unsourced).collect()
}

/// Taken out and put in, by the longest common sequence.
fn between<'t>(old: &[&'t str], new: &[&'t str]) -> Vec<(char, &'t str)> {
    if old.len() > LINES_MAX || new.len() > LINES_MAX {
        return old.iter().map(|line| ('-', *line)).chain(new.iter().map(|line| ('+', *line))).collect();
    }
    let width = new.len() + 1;
    let mut common = vec![0_u16; (old.len() + 1) * width];
    for (i, a) in old.iter().enumerate().rev() {
        for (j, b) in new.iter().enumerate().rev() {
            common[i * width + j] = if a == b {
                common[(i + 1) * width + j + 1] + 1
            } else {
                common[(i + 1) * width + j].max(common[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j, mut marked) = (0, 0, Vec::new());
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            marked.push((' ', old[i]));
            (i, j) = (i + 1, j + 1);
        } else if j >= new.len() || (i < old.len() && common[(i + 1) * width + j] >= common[i * width + j + 1]) {
            marked.push(('-', old[i]));
            i += 1;
        } else {
            marked.push(('+', new[j]));
            j += 1;
        }
    }
    marked
}

fn near_changes(marked: &[(char, &str)]) -> Vec<String> {
    let is_near = |at: usize| {
        let around = at.saturating_sub(AROUND)..marked.len().min(at + AROUND + 1);
        marked[around].iter().any(|(mark, _)| *mark != ' ')
    };
    let mut shown = Vec::new();
    let mut skipped = false;
    for (at, (mark, line)) in marked.iter().enumerate() {
        if is_near(at) {
            if skipped && !shown.is_empty() {
                shown.push("...".to_owned());
            }
            skipped = false;
            shown.push(format!("{mark}{line}"));
        } else {
            skipped = true;
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::{lines, unsourced};

    #[test]
    fn a_limit_that_moved_without_its_source_is_told() {
        let rule = |source: &str, at: &str| {
            format!(
                "[[rule]]\nid = \"spo2\"\n{source}bands = [{{ mark = \"yellow\", at_most = {at} }}, {{ mark = \"green\", above = {at} }}]\n"
            )
        };
        let plan = "source = \"NPU03011\"\n";
        let told = ["spo2 yellow_low from 88 to 86, and its source is still \"NPU03011\": want one that states 86"];
        assert_eq!(unsourced(&rule(plan, "88"), &rule(plan, "86")), told);
        for (to, at) in [(plan, "88.0"), ("source = \"ours\"\n", "86"), ("", "86")] {
            assert!(unsourced(&rule(plan, "88"), &rule(to, at)).is_empty(), "{to} {at}");
        }
    }

    #[test]
    fn changes_with_the_lines_around_them() {
        let from = "a\nb\nc\nd\ne\nf\ng\nh\ni\nj";
        let to = "a\nb\nc\nD\ne\nf\ng\nh\ni\nj\nk";
        assert_eq!(lines(from, to), [" b", " c", "-d", "+D", " e", " f", "...", " i", " j", "+k"]);
        assert!(lines(from, from).is_empty());
        assert_eq!(lines("", "a"), ["+a"]);
        assert_eq!(lines("a\nb", "b"), ["-a", " b"]);
    }
}
