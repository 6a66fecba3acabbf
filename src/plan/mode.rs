//! Permission bits that a recipe asks for: numbers, or symbolic changes as chmod(1) has them.
//!
//! In: `0644`, `u=rwX,go=rX`. Out: [`Mode`], which says what becomes of the bits of a file.

use serde::Serialize;

/// Permission bits, or a change of those that a file has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(untagged)]
pub enum Mode {
    /// All twelve of them.
    Bits(u16),
    /// A change.
    Symbolic(Symbolic),
}

/// A change of permission bits (POSIX, chmod, "symbolic_mode"); without a class it is for all,
/// as no umask is known here.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Symbolic {
    text: String,
    #[serde(skip)]
    clauses: Vec<Clause>,
}

/// Some classes, and what is done to them, in order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Clause {
    /// The bits of all classes that are meant, with those that only these may set.
    classes: u16,
    actions: Vec<Action>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Action {
    operator: Operator,
    what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Operator {
    Add,
    Remove,
    Set,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    /// Bits for every class, and whether `X` is among them.
    Bits { bits: u16, search: bool },
    /// What that class has: shifted by so many bits.
    Copy { shift: u16 },
}

const SET_UID: u16 = 0o4000;
const SET_GID: u16 = 0o2000;
const STICKY: u16 = 0o1000;
const EXECUTE: u16 = 0o111;

impl Mode {
    /// Reads octal digits up to 7777, or a symbolic mode; the error is what is wrong with it.
    pub fn parse(text: &str) -> Result<Mode, String> {
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            return match u16::from_str_radix(text, 8) {
                Ok(bits) if bits <= 0o7777 => Ok(Mode::Bits(bits)),
                _ => Err(format!("`{text}` is no mode: octal digits up to 7777")),
            };
        }
        Symbolic::parse(text).map(Mode::Symbolic)
    }

    /// What becomes of `bits`.
    pub fn apply(&self, bits: u16, is_directory: bool) -> u16 {
        match self {
            Mode::Bits(bits) => *bits,
            Mode::Symbolic(symbolic) => symbolic.apply(bits, is_directory),
        }
    }
}

impl Symbolic {
    /// Most bytes of one.
    const LONGEST: usize = 256;

    fn parse(text: &str) -> Result<Symbolic, String> {
        let refuse = || {
            let text = text.escape_debug();
            format!("`{text}` is no mode: write octal digits, or changes such as `u=rwX,go=rX`")
        };
        if text.len() > Symbolic::LONGEST {
            return Err(refuse());
        }
        let clauses = text.split(',').map(Clause::parse);
        let clauses = clauses.collect::<Option<Vec<_>>>().ok_or_else(refuse)?;
        let text = text.to_owned();
        Ok(Symbolic { text, clauses })
    }

    fn apply(&self, mut bits: u16, is_directory: bool) -> u16 {
        for clause in &self.clauses {
            for action in &clause.actions {
                bits = action.apply(bits, clause.classes, is_directory);
            }
        }
        bits
    }
}

impl Clause {
    fn parse(text: &str) -> Option<Clause> {
        let operators = ['+', '-', '='];
        let at = text.find(operators)?;
        let (who, mut rest) = text.split_at(at);
        let mut classes = 0;
        for letter in who.chars() {
            classes |= match letter {
                'u' => 0o700 | SET_UID,
                'g' => 0o070 | SET_GID,
                'o' => 0o007,
                'a' => 0o777 | SET_UID | SET_GID | STICKY,
                _ => return None,
            };
        }
        if who.is_empty() {
            classes = 0o7777;
        }
        let mut actions = Vec::new();
        while let Some(first) = rest.chars().next() {
            let operator = match first {
                '+' => Operator::Add,
                '-' => Operator::Remove,
                _ => Operator::Set,
            };
            let tail = &rest[1..];
            let end = tail.find(operators).unwrap_or(tail.len());
            let what = What::parse(&tail[..end])?;
            actions.push(Action { operator, what });
            rest = &tail[end..];
        }
        Some(Clause { classes, actions })
    }
}

impl What {
    fn parse(text: &str) -> Option<What> {
        match text {
            "u" => return Some(What::Copy { shift: 6 }),
            "g" => return Some(What::Copy { shift: 3 }),
            "o" => return Some(What::Copy { shift: 0 }),
            _ => {}
        }
        let (mut bits, mut search) = (0, false);
        for letter in text.chars() {
            match letter {
                'r' => bits |= 0o444,
                'w' => bits |= 0o222,
                'x' => bits |= EXECUTE,
                'X' => search = true,
                's' => bits |= SET_UID | SET_GID,
                't' => bits |= STICKY,
                _ => return None,
            }
        }
        Some(What::Bits { bits, search })
    }
}

impl Action {
    fn apply(&self, old: u16, classes: u16, is_directory: bool) -> u16 {
        let meant = match self.what {
            What::Bits { bits, search } => {
                let may_search = search && (is_directory || old & EXECUTE != 0);
                bits | if may_search { EXECUTE } else { 0 }
            }
            What::Copy { shift } => {
                let class = old >> shift & 0o7;
                class << 6 | class << 3 | class
            }
        };
        let meant = meant & (classes | STICKY);
        match self.operator {
            Operator::Add => old | meant,
            Operator::Remove => old & !meant,
            // What is not named stays: the special bits of a directory, as chmod(1) leaves them.
            Operator::Set => {
                let kept = if is_directory { 0o7000 & !meant } else { 0 };
                old & !(classes & !kept) | meant
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_change_bits_as_chmod_does() {
        for (text, before, is_directory, after) in [
            ("0640", 0o777, false, 0o640),
            ("644", 0o4755, false, 0o644),
            ("u=rwX,go=rX", 0o640, false, 0o644),
            ("u=rwX,go=rX", 0o750, false, 0o755),
            ("u=rwX,go=rX", 0o700, true, 0o755),
            ("a=rX,u+w", 0o777, false, 0o755),
            ("+x", 0o644, false, 0o755),
            ("o-rwx", 0o757, false, 0o750),
            ("g=u", 0o640, false, 0o660),
            ("go=", 0o666, false, 0o600),
            ("u+s,+t", 0o755, false, 0o5755),
            ("u-x+w", 0o500, false, 0o600),
            ("g+s", 0o755, true, 0o2755),
        ] {
            let mode = Mode::parse(text).unwrap();
            let got = mode.apply(before, is_directory);
            assert_eq!(got, after, "{text} of {before:o} gave {got:o}");
        }
    }

    #[test]
    fn what_is_no_mode_is_refused() {
        for text in ["", "888", "10000", "u", "u+q", "z+x", "u+x,", "u=rwx;go=rx"] {
            assert!(Mode::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn bits_stay_a_number_in_keys() {
        let json = |text| serde_json::to_string(&Mode::parse(text).unwrap()).unwrap();
        assert_eq!(json("0644"), "420");
        assert_eq!(json("u+x"), r#""u+x""#);
    }
}
