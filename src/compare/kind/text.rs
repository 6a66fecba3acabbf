//! Text, line by line.
//!
//! In: two texts in UTF-8. Out: the lines that differ with three around them, as unified diffs have
//! them; of long lines, where they differ.

use similar::{Algorithm, ChangeTag, DiffOp, capture_diff_slices, group_diff_ops};

use super::{Budget, Found, Odd, Pair, bytes};
use crate::compare::report::{Detail, Line, Sign};

/// Lines shown around those that differ.
const AROUND: usize = 3;
/// Most lines that are shown of one pair of texts.
const MOST_SHOWN: usize = 400;
/// Most lines of a text.
const MOST_LINES: usize = 2_000_000;
/// Longest line that is shown whole, in bytes.
const LONGEST: usize = 1000;
/// Most steps that finding the shortest difference may take: the product of the lines.
const MOST_STEPS: u64 = 64 << 20;

pub(super) fn compare(pair: Pair, budget: &mut Budget) -> Result<Found, Odd> {
    let utf8 =
        |bytes| std::str::from_utf8(bytes).map_err(|_| Odd::Other("it is no UTF-8".to_owned()));
    let (before, after) = (utf8(pair[0])?, utf8(pair[1])?);
    let lines = |bytes| memchr::memchr_iter(b'\n', bytes).count();
    if pair.into_iter().any(|bytes| lines(bytes) > MOST_LINES) {
        return Err(Odd::Other(format!("it has more than {MOST_LINES} lines")));
    }
    let (before, after): (Vec<&str>, Vec<&str>) = (
        before.split_inclusive('\n').collect(),
        after.split_inclusive('\n').collect(),
    );
    let mut found = Found::default();
    let mut shown = 0;
    let mut is_long = false;
    for group in group_diff_ops(operations(&before, &after, budget)?, AROUND) {
        let Some(first) = group.first() else { continue };
        let (at, other) = (first.old_range().start, first.new_range().start);
        let mut lines = Vec::new();
        for change in group.iter().flat_map(|op| op.iter_changes(&before, &after)) {
            let sign = match change.tag() {
                ChangeTag::Equal => Sign::Both,
                ChangeTag::Delete => Sign::Before,
                ChangeTag::Insert => Sign::After,
            };
            is_long |= sign != Sign::Both && change.value().len() > LONGEST;
            shown += 1;
            if shown > MOST_SHOWN {
                break;
            }
            lines.push(line(sign, change.value()));
        }
        found.details.push(Detail::Lines {
            before: at + 1,
            after: other + 1,
            lines,
        });
        if shown > MOST_SHOWN {
            found.note(format!("only the first {MOST_SHOWN} lines are shown"));
            break;
        }
    }
    if is_long {
        found.details.extend(bytes::compare(pair).details);
    }
    Ok(found)
}

fn operations(before: &[&str], after: &[&str], budget: &mut Budget) -> Result<Vec<DiffOp>, Odd> {
    let equal = |one: &[&str], other: &[&str]| {
        let pairs = one.iter().zip(other);
        pairs.take_while(|(one, other)| one == other).count()
    };
    let head = equal(before, after);
    let (first, second) = (&before[head..], &after[head..]);
    let backwards = first.iter().rev().zip(second.iter().rev());
    let tail = backwards.take_while(|(one, other)| one == other).count();
    let (old_len, new_len) = (first.len() - tail, second.len() - tail);
    let steps = (old_len as u64).saturating_mul(new_len as u64);
    if steps > MOST_STEPS || budget.take(steps).is_err() {
        let (old_index, new_index, len) = (head, head, head);
        let equal = DiffOp::Equal {
            old_index: 0,
            new_index: 0,
            len,
        };
        let differs = DiffOp::Replace {
            old_index,
            old_len,
            new_index,
            new_len,
        };
        return Ok(vec![equal, differs]);
    }
    Ok(capture_diff_slices(Algorithm::Myers, before, after))
}

fn line(sign: Sign, text: &str) -> Line {
    let without_end = text.strip_suffix('\n');
    let mut shown = without_end.unwrap_or(text).to_owned();
    if shown.len() > LONGEST {
        let mut places = (0..=LONGEST).rev();
        let cut = places.find(|&at| shown.is_char_boundary(at)).unwrap_or(0);
        let left = shown.len() - cut;
        shown.truncate(cut);
        shown.push_str(&format!("… ({left} bytes more)"));
    }
    if without_end.is_none() {
        shown.push_str(" (without a line end)");
    }
    Line { sign, text: shown }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(before: &str, after: &str) -> Vec<String> {
        let found = compare(
            [before.as_bytes(), after.as_bytes()],
            &mut Budget::default(),
        )
        .unwrap();
        let mut out = Vec::new();
        for detail in found.details {
            match detail {
                Detail::Lines {
                    before,
                    after,
                    lines,
                } => {
                    out.push(format!("@{before},{after}"));
                    out.extend(
                        lines
                            .iter()
                            .map(|line| format!("{}{}", line.sign.character(), line.text)),
                    );
                }
                other => out.push(format!("{other:?}")),
            }
        }
        out
    }

    #[test]
    fn lines_are_told_with_those_around_them() {
        let before: String = (1..=20).map(|line| format!("{line}\n")).collect();
        let after = before.replace("10\n", "ten\n") + "end";
        assert_eq!(
            shown(&before, &after),
            [
                "@7,7",
                " 7",
                " 8",
                " 9",
                "-10",
                "+ten",
                " 11",
                " 12",
                " 13",
                "@18,18",
                " 18",
                " 19",
                " 20",
                "+end (without a line end)"
            ]
        );
    }

    #[test]
    fn texts_that_share_nothing_end_soon() {
        let text = |letter: char| -> String {
            (0..200_000)
                .map(|line| format!("{letter}{line}\n"))
                .collect()
        };
        let shown = shown(&text('a'), &text('b'));
        assert!(shown.len() < MOST_SHOWN + 5);
        assert!(
            shown
                .last()
                .is_some_and(|last| last.contains("only the first"))
        );
    }

    #[test]
    fn a_long_line_is_cut_and_its_place_told() {
        let before = "x".repeat(5000) + "a";
        let after = "x".repeat(5000) + "é";
        let shown = shown(&before, &after);
        assert!(shown.iter().all(|line| line.len() < LONGEST + 100));
        assert!(
            shown.iter().any(|line| line.contains("offset: 5000")),
            "{shown:?}"
        );
    }
}
