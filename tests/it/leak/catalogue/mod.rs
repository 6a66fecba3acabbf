//! Where it is shown that each known source of difference is gone, or that it is left.
//!
//! Rows B are [what a command finds around itself](surroundings), rows C [what its tools write
//! down](tools). What an image's own form has to do with it `layers` and `golden` show. Whether what is
//! named here is there is a test's; whether the ways are the same in all builds, that of [`super`].

mod surroundings;
mod tools;

use std::path::Path;

use super::known;

/// A source of difference.
pub struct Row {
    name: &'static str,
    what: &'static str,
    shown: &'static [Shown],
}

/// Where a row is shown.
pub enum Shown {
    /// Ways of the probe that are the same in all builds; `*` stands for anything.
    Same(&'static [&'static str]),
    /// Ways that are known to differ.
    Left(&'static [&'static str]),
    /// Tests, by their files and names.
    By(&'static [(&'static str, &'static str)]),
    /// Projects of the corpus.
    Corpus(&'static [&'static str]),
    /// Nowhere, for a reason.
    Nowhere(&'static str),
}

const fn row(name: &'static str, what: &'static str, shown: &'static [Shown]) -> Row {
    Row { name, what, shown }
}

/// All of them.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    surroundings::ROWS.iter().chain(tools::ROWS)
}

impl Row {
    /// What of the row doesn't hold, where these ways are there and those differ.
    pub fn problems<'a>(
        &self,
        ways: impl Iterator<Item = &'a str> + Clone,
        differs: impl Fn(&str) -> bool,
    ) -> Vec<String> {
        let mut problems = Vec::new();
        for pattern in self.shown.iter().flat_map(Shown::same) {
            let mut of_it = ways.clone().filter(|way| known::is_like(way, pattern));
            if of_it.clone().next().is_none() {
                problems.push(format!("{}: no way is like `{pattern}`", self.name));
            }
            if let Some(way) = of_it.find(|way| differs(way)) {
                problems.push(format!("{} ({}): `{way}` differs", self.name, self.what));
            }
        }
        problems
    }
}

impl Shown {
    fn same(&self) -> &'static [&'static str] {
        match self {
            Shown::Same(patterns) => patterns,
            _ => &[],
        }
    }
}

/// Rows are in order, none is missing, and what they name is there.
#[test]
fn every_row_names_what_shows_it() {
    let names = rows().map(|row| row.name.to_owned());
    let numbered = |letter, count| (1..=count).map(move |number| format!("{letter}{number}"));
    let expected: Vec<_> = numbered('B', 25).chain(numbered('C', 40)).collect();
    assert_eq!(names.collect::<Vec<_>>(), expected);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for row in rows() {
        assert!(!row.shown.is_empty(), "{}", row.name);
        for shown in row.shown {
            match shown {
                Shown::Same(ways) => assert!(!ways.is_empty()),
                Shown::Left(ways) => {
                    for way in *ways {
                        assert!(known::of(way).is_some(), "{}: {way}", row.name);
                    }
                }
                Shown::By(tests) => {
                    for (file, test) in *tests {
                        let text = std::fs::read_to_string(root.join(file)).unwrap();
                        let is_there = text.contains(&format!("fn {test}()"));
                        assert!(is_there, "{}: {file}: {test}", row.name);
                    }
                }
                Shown::Corpus(projects) => {
                    for project in *projects {
                        let recipe = format!("testdata/corpus/{project}/Dockerfile");
                        assert!(root.join(&recipe).is_file(), "{}: {recipe}", row.name);
                    }
                }
                Shown::Nowhere(why) => assert!(!why.is_empty()),
            }
        }
    }
}
