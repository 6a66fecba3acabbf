//! What several rebuilders agree on.
//!
//! In: how many of how many have to agree, their statements. Out: an [`Agreement`]. A rebuilder counts
//! once, however often it speaks: it is known by its name, and one without a name doesn't count. Of
//! one that says different things none counts.

use std::collections::BTreeMap;
use std::str::FromStr;

use super::{Statement, Verdict};
use crate::canon::Digest;

/// How many rebuilders of how many have to say that an image is identical: `2-of-3`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quorum {
    needed: usize,
    of: usize,
}

/// Whether they do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreement {
    /// Who says that it is identical.
    pub agree: Vec<String>,
    /// Who says something else, and what; [`None`] of one who contradicts himself.
    pub disagree: Vec<(String, Option<Verdict>)>,
    /// Statements that don't count: about another image, or by nobody.
    pub ignored: usize,
    /// Whether enough agree.
    pub is_enough: bool,
}

impl FromStr for Quorum {
    type Err = String;

    fn from_str(text: &str) -> Result<Quorum, String> {
        let wrong = || "it is of the form `2-of-3`".to_owned();
        let (needed, of) = text.split_once("-of-").ok_or_else(wrong)?;
        let number = |text: &str| text.parse::<usize>().map_err(|_| wrong());
        let (needed, of) = (number(needed)?, number(of)?);
        match (1..=of).contains(&needed) {
            true => Ok(Quorum { needed, of }),
            false => Err(format!("{needed} of {of} can't be")),
        }
    }
}

impl Quorum {
    /// What the statements about the image come to.
    ///
    /// # Errors
    /// More rebuilders speak than the quorum is of: it was made for others.
    pub fn decide(&self, image: &Digest, statements: &[Statement]) -> Result<Agreement, String> {
        let mut said: BTreeMap<&str, Option<Verdict>> = BTreeMap::new();
        let mut ignored = 0;
        for statement in statements {
            let verdict = statement.rebuild.verdict;
            match &statement.rebuild.rebuilder {
                Some(name) if statement.subject == *image && !name.is_empty() => {
                    let known = said.entry(name).or_insert(Some(verdict));
                    if *known != Some(verdict) {
                        *known = None;
                    }
                }
                _ => ignored += 1,
            }
        }
        if said.len() > self.of {
            return Err(format!(
                "{} rebuilders speak, and {} of {} were asked for: say of how many there are",
                said.len(),
                self.needed,
                self.of
            ));
        }
        let (agree, disagree): (Vec<_>, Vec<_>) = said
            .into_iter()
            .map(|(name, verdict)| (name.to_owned(), verdict))
            .partition(|(_, verdict)| *verdict == Some(Verdict::Identical));
        let agree: Vec<_> = agree.into_iter().map(|(name, _)| name).collect();
        Ok(Agreement {
            is_enough: agree.len() >= self.needed,
            agree,
            disagree,
            ignored,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::Rebuild;

    fn said(image: &[u8], rebuilder: Option<&str>, verdict: Verdict) -> Statement {
        Statement {
            name: String::new(),
            subject: Digest::of(image),
            rebuild: Rebuild {
                verdict,
                passes: Vec::new(),
                rebuilt: None,
                varied: [].into(),
                not_varied: [].into(),
                materials: Vec::new(),
                parameters: BTreeMap::new(),
                format: 1,
                builder: String::new(),
                rebuilder: rebuilder.map(str::to_owned),
            },
        }
    }

    #[test]
    fn rebuilders_count_once_and_by_name() {
        use Verdict::{Different, Identical, SameContent};
        let image = Digest::of(b"it");
        let quorum: Quorum = "2-of-3".parse().unwrap();
        let decide = |statements: &[(Option<&str>, Verdict)]| {
            let all = statements.iter();
            let all: Vec<_> = all
                .map(|(by, verdict)| said(b"it", *by, *verdict))
                .collect();
            quorum
                .decide(&image, &all)
                .map(|agreement| agreement.is_enough)
        };
        let (a, b, c, d) = (Some("a"), Some("b"), Some("c"), Some("d"));
        assert_eq!(decide(&[(a, Identical), (b, Identical)]), Ok(true));
        assert_eq!(decide(&[(a, Identical), (a, Identical)]), Ok(false));
        assert_eq!(decide(&[(a, Identical), (None, Identical)]), Ok(false));
        assert_eq!(decide(&[(a, Identical), (b, SameContent)]), Ok(false));
        assert_eq!(
            decide(&[(a, Identical), (b, Identical), (c, Different)]),
            Ok(true)
        );
        assert_eq!(
            decide(&[(a, Identical), (b, Identical), (b, Different)]),
            Ok(false)
        );
        let four = [
            (a, Identical),
            (b, Identical),
            (c, Identical),
            (d, Identical),
        ];
        assert!(decide(&four).is_err());
        let others = [said(b"another", a, Identical), said(b"it", b, Identical)];
        let agreement = quorum.decide(&image, &others).unwrap();
        assert_eq!((agreement.is_enough, agreement.ignored), (false, 1));
    }

    #[test]
    fn what_is_no_quorum_is_refused() {
        for text in ["", "2", "2of3", "3-of-2", "0-of-2", "-1-of-2", "a-of-b"] {
            assert!(text.parse::<Quorum>().is_err(), "{text}");
        }
    }
}
