//! "Did you mean …?"
//!
//! In: a word that isn't known, and those that are. Out: the way out, as a hint.

/// Names the known word that `word` is a slip of the keyboard away from, else all of them;
/// `what` begins the list of them. None where nothing is known.
pub fn hint<'a>(
    word: &str,
    known: impl IntoIterator<Item = &'a str>,
    what: &str,
) -> Option<String> {
    let known: Vec<_> = known.into_iter().collect();
    if let Some(near) = near(word, known.iter().copied()) {
        return Some(near);
    }
    const MOST: usize = 20;
    let mut list: Vec<_> = known.iter().map(|name| format!("`{name}`")).collect();
    if list.len() > MOST {
        list.truncate(MOST);
        list.push("…".to_owned());
    }
    (!list.is_empty()).then(|| format!("{what} {}", list.join(", ")))
}

/// Names the known word that `word` is a slip of the keyboard away from, if there is one.
pub fn near<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let known: Vec<_> = known.into_iter().collect();
    let near = nearest(word, &known)?;
    Some(format!("did you mean `{near}`?"))
}

/// Most names that one is compared with: hostile recipes have many.
const MOST_COMPARED: usize = 1_000;

/// The one among `known` that differs least, when it differs little.
pub fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    // Distances take time in proportion to both lengths.
    if word.len() > 64 {
        return None;
    }
    let plain = word.to_lowercase().replace('_', "-");
    let most = 1 + plain.chars().count() / 4;
    let is_close = |name: &&&str| name.len() <= 64 && name.len().abs_diff(word.len()) <= 3 * most;
    let distances = known
        .iter()
        .filter(is_close)
        .take(MOST_COMPARED)
        .map(|&name| {
            let distance = strsim::damerau_levenshtein(&plain, &name.to_lowercase());
            (distance, name)
        });
    let (_, name) = distances.filter(|(distance, _)| *distance <= most).min()?;
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_strangers_are_not() {
        let known = ["copy", "symlink", "stop-signal", "env"];
        for (word, expected) in [
            ("cpoy", Some("copy")),
            ("Copy", Some("copy")),
            ("simlink", Some("symlink")),
            ("stop_signal", Some("stop-signal")),
            ("environment", None),
            ("xyz", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, &known), expected, "{word}");
        }
    }

    #[test]
    fn without_a_near_one_all_are_listed() {
        assert_eq!(
            hint("q", ["a1", "b1"], "its keys are"),
            Some("its keys are `a1`, `b1`".to_owned())
        );
        assert_eq!(hint("q", [], "its keys are"), None);
    }
}
