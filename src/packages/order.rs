//! In which order packages are installed, and which come first where there is nothing yet.
//!
//! In: the packages that go together. Out: their numbers: what a package needs stands before it,
//! as far as they don't need each other. Essential ones come first, since all rely on them.

use std::collections::BTreeSet;

use super::index::Candidate;
use super::relation::{Clause, clauses};

/// Packages that go together, and what each needs of the others.
pub struct Needs<'c, 'a> {
    packages: &'c [Candidate<'a>],
    pre_depends: Vec<Vec<usize>>,
    depends: Vec<Vec<usize>>,
}

impl<'c, 'a> Needs<'c, 'a> {
    /// Of `packages`.
    pub fn new(packages: &'c [Candidate<'a>], architecture: &str) -> Needs<'c, 'a> {
        let met = |clause: &Clause| {
            let satisfying = |relation| {
                let mut all = packages.iter();
                all.position(|one: &Candidate| one.satisfies(relation, architecture))
            };
            clause.iter().find_map(satisfying)
        };
        let needs = |field: &str| {
            let of = |one: &Candidate| {
                let text = one.paragraph.get(field).unwrap_or("");
                clauses(text).iter().filter_map(met).collect()
            };
            packages.iter().map(of).collect()
        };
        Needs {
            packages,
            pre_depends: needs("Pre-Depends"),
            depends: needs("Depends"),
        }
    }

    /// The numbers of all in the order in which they are installed.
    pub fn order(&self) -> Vec<usize> {
        let mut begin: Vec<usize> = (0..self.packages.len()).collect();
        begin.sort_by_key(|&number| {
            let one = &self.packages[number];
            (!one.is_essential, one.name)
        });
        let mut order = Vec::new();
        let mut seen = BTreeSet::new();
        for number in begin {
            self.visit(number, &mut seen, &mut order);
        }
        order
    }

    /// Without recursion: chains of dependencies are as long as an archive wants.
    fn visit(&self, first: usize, seen: &mut BTreeSet<usize>, order: &mut Vec<usize>) {
        if !seen.insert(first) {
            return;
        }
        let mut open = vec![(first, 0)];
        while let Some((number, place)) = open.pop() {
            let needed = self.pre_depends[number].iter().chain(&self.depends[number]);
            match needed.skip(place).copied().next() {
                None => order.push(number),
                Some(next) => {
                    open.push((number, place + 1));
                    if seen.insert(next) {
                        open.push((next, 0));
                    }
                }
            }
        }
    }

    /// The essential packages and all that they need.
    pub fn essential(&self) -> BTreeSet<usize> {
        let essential = self.packages.iter().enumerate();
        let essential = essential.filter(|(_, one)| one.is_essential);
        self.closure(essential.map(|(number, _)| number))
    }

    /// What must be configured before the package is unpacked: those that it pre-depends on, and
    /// all that they need.
    pub fn before(&self, number: usize) -> BTreeSet<usize> {
        self.closure(self.pre_depends[number].iter().copied())
    }

    fn closure(&self, begin: impl Iterator<Item = usize>) -> BTreeSet<usize> {
        let mut open: Vec<usize> = begin.collect();
        let mut closure = BTreeSet::new();
        while let Some(number) = open.pop() {
            if closure.insert(number) {
                open.extend(&self.pre_depends[number]);
                open.extend(&self.depends[number]);
            }
        }
        closure
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packages::control::paragraphs;

    fn order(text: &str) -> Vec<String> {
        let packages: Vec<_> = paragraphs(text)
            .map(|paragraph| Candidate::new(paragraph, Some(0)).unwrap())
            .collect();
        let needs = Needs::new(&packages, "amd64");
        let order = needs.order();
        order
            .into_iter()
            .map(|number| packages[number].name.to_owned())
            .collect()
    }

    #[test]
    fn what_is_needed_comes_first_and_circles_end() {
        let package = |name: &str, more: &str| {
            format!("Package: {name}\nVersion: 1\nArchitecture: all\n{more}\n\n")
        };
        let text = [
            package("app", "Depends: lib | other, virtual"),
            package("base", "Essential: yes\nPre-Depends: core"),
            package("core", "Depends: core-data"),
            package("core-data", "Depends: core"),
            package("lib", ""),
            package("real", "Provides: virtual"),
        ];
        let expected = ["core-data", "core", "base", "lib", "real", "app"];
        assert_eq!(order(&text.concat()), expected);
        let mut text = text;
        text.reverse();
        assert_eq!(order(&text.concat()), expected);
    }
}
