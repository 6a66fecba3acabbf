//! Truth values, as people know them from Docker's flags.
//!
//! In: text. Out: what it says, if it says either.

/// A truth value as Go reads it (`strconv.ParseBool`), and so everything of Docker's.
pub fn truth(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::truth;

    #[test]
    fn it_is_as_go_reads_it() {
        for (text, expected) in [
            ("1", Some(true)),
            ("True", Some(true)),
            ("f", Some(false)),
            ("FALSE", Some(false)),
            ("tRUE", None),
            ("yes", None),
            ("", None),
        ] {
            assert_eq!(truth(text), expected, "{text}");
        }
    }
}
