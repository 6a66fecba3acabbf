//! Which packages go together: what is asked for, all that it needs, and nothing that it breaks.
//!
//! In: an [`Index`], a [`Question`]. Out: the numbers of the packages to install, or an
//! [`Unsolvable`] that says which needs which. The preferences are apt's: what is installed stays,
//! the first alternative before the others, the newest version, and what is chosen already before
//! what isn't. What is installed is never removed. The same question has the same answer.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use resolvo::{
    Candidates, Condition, ConditionId, Dependencies, DependencyProvider,
    HintDependenciesAvailable, Interner, KnownDependencies, NameId, Problem, Requirement,
    SolvableId, Solver, SolverCache, StringId, UnsolvableOrCancelled, VersionSetId,
    VersionSetUnionId,
};

use super::index::{Candidate, Index};
use super::relation::{Clause, Relation, clauses};
pub use super::unsolvable::Unsolvable;

/// What is to be solved.
#[derive(Debug, Clone, Default)]
pub struct Question {
    /// What must be there in the end: the newest version that goes.
    pub wanted: Vec<Relation>,
    /// Whether every essential package must be there, too: nothing works without them.
    pub essential: bool,
    /// Whether those of priority `required` must be there, and apt.
    pub required: bool,
    /// Whether what packages recommend is installed where it can be.
    pub recommends: bool,
    /// Names that are preferred where several will do.
    pub preferred: Vec<String>,
    /// `amd64`, …
    pub architecture: String,
}

/// The numbers of the packages to install, ascending: what is installed already is left out.
pub fn solve(index: &Index, question: &Question) -> Result<Vec<usize>, Unsolvable> {
    for relation in &question.wanted {
        check(index, relation, &question.architecture)?;
    }
    let mut clauses: Vec<Clause> = question
        .wanted
        .iter()
        .map(|one| vec![one.clone()])
        .collect();
    let mut there = BTreeSet::new();
    for candidate in index.packages() {
        let is_base = (question.essential && candidate.is_essential)
            || (question.required && (candidate.priority == "required" || candidate.name == "apt"));
        if candidate.archive.is_none() || is_base {
            there.insert(candidate.name);
        }
    }
    let named = |name: &str| Relation {
        name: name.to_owned(),
        architecture: None,
        versions: None,
    };
    clauses.extend(there.iter().map(|name| vec![named(name)]));
    let mut chosen = attempt(index, question, &clauses)?;
    if question.recommends {
        chosen = with_recommended(index, question, &mut clauses, chosen);
    }
    let is_new = |number: &usize| index.get(*number).is_some_and(|one| one.archive.is_some());
    Ok(chosen.into_iter().filter(is_new).collect())
}

/// Adds what packages recommend, and what these need and recommend, as far as it can be.
fn with_recommended(
    index: &Index,
    question: &Question,
    clauses: &mut Vec<Clause>,
    mut chosen: Vec<usize>,
) -> Vec<usize> {
    let mut asked: BTreeSet<(usize, usize)> = BTreeSet::new();
    loop {
        let mut more = Vec::new();
        for &number in &chosen {
            let Some(one) = index.get(number).filter(|one| one.archive.is_some()) else {
                continue;
            };
            let text = one.paragraph.get("Recommends").unwrap_or("");
            for (place, clause) in self::clauses(text).into_iter().enumerate() {
                if asked.insert((number, place)) {
                    more.push(clause);
                }
            }
        }
        if more.is_empty() {
            return chosen;
        }
        let all: Vec<Clause> = clauses.iter().chain(&more).cloned().collect();
        if let Ok(solved) = attempt(index, question, &all) {
            (*clauses, chosen) = (all, solved);
            continue;
        }
        for clause in more {
            clauses.push(clause);
            match attempt(index, question, clauses) {
                Ok(solved) => chosen = solved,
                Err(_) => drop(clauses.pop()),
            }
        }
    }
}

/// Says of one relation alone whether it can be had.
fn check(index: &Index, relation: &Relation, architecture: &str) -> Result<(), Unsolvable> {
    let satisfies = |number: &&usize| {
        let one = index.get(**number);
        one.is_some_and(|one| one.satisfies(relation, architecture))
    };
    let named = index.named(&relation.name);
    if named.iter().any(|number| satisfies(&number)) {
        return Ok(());
    }
    let name = |number: &usize| index.get(*number).map(|one| one.name);
    let providers = index.providing(&relation.name).iter().filter(satisfies);
    let providers: BTreeSet<&str> = providers.filter_map(name).collect();
    let wanted = relation.to_string();
    match providers.len() {
        0 if named.is_empty() => Err(Unsolvable::Unknown(relation.name.clone())),
        0 => {
            let version = |number: &usize| index.get(*number).map(|one| one.version.to_string());
            let there: Vec<String> = named.iter().filter_map(version).collect();
            let there = there.join(", ");
            Err(Unsolvable::NoVersion { wanted, there })
        }
        1 => Ok(()),
        _ => {
            let providers = providers.into_iter().collect::<Vec<_>>().join(", ");
            Err(Unsolvable::Virtual { wanted, providers })
        }
    }
}

/// One run of the solver: every clause must hold.
fn attempt(
    index: &Index,
    question: &Question,
    clauses: &[Clause],
) -> Result<Vec<usize>, Unsolvable> {
    let provider = Provider::new(index, question);
    let requirements = clauses
        .iter()
        .map(|clause| provider.requirement(clause).into())
        .collect();
    let mut solver = Solver::new(provider);
    match solver.solve(Problem::new().requirements(requirements)) {
        Ok(solvables) => {
            let numbers = solvables.iter().map(|one| one.into_raw() as usize);
            let numbers: BTreeSet<usize> = numbers.collect();
            Ok(numbers.into_iter().collect())
        }
        Err(UnsolvableOrCancelled::Unsolvable(conflict)) => {
            let told = conflict.display_user_friendly(&solver).to_string();
            Err(Unsolvable::Conflict(told.trim_end().to_owned()))
        }
        Err(UnsolvableOrCancelled::Cancelled(_)) => Err(Unsolvable::Conflict(String::new())),
    }
}

/// Packages of one name.
struct VersionSet {
    name: NameId,
    /// Numbers of packages, the preferred first.
    numbers: Vec<usize>,
    /// For people.
    shown: String,
}

/// What the solver asks.
struct Provider<'i, 'a> {
    index: &'i Index<'a>,
    question: &'i Question,
    /// Names that are asked for: their newest version is preferred to the one that is there.
    wanted: BTreeSet<&'i str>,
    numbers: BTreeMap<&'a str, u32>,
    names: Vec<&'a str>,
    sets: RefCell<Vec<VersionSet>>,
    unions: RefCell<Vec<Vec<VersionSetId>>>,
    /// Clauses that nothing satisfies, by the name that they have for the solver.
    missing: RefCell<Vec<String>>,
}

impl<'i, 'a> Provider<'i, 'a> {
    fn new(index: &'i Index<'a>, question: &'i Question) -> Provider<'i, 'a> {
        let names: Vec<&str> = index.names().collect();
        let numbers = names.iter().enumerate();
        let numbers = numbers
            .map(|(number, name)| (*name, number as u32))
            .collect();
        Provider {
            index,
            question,
            wanted: question
                .wanted
                .iter()
                .map(|one| one.name.as_str())
                .collect(),
            numbers,
            names,
            sets: RefCell::default(),
            unions: RefCell::default(),
            missing: RefCell::default(),
        }
    }

    fn one(&self, solvable: SolvableId) -> Option<&Candidate<'a>> {
        self.index.get(solvable.into_raw() as usize)
    }

    fn name(&self, name: &str) -> Option<NameId> {
        self.numbers
            .get(name)
            .map(|&number| NameId::from_raw(number))
    }

    /// The numbers of those that `relation` admits: packages of that name first, the preferred
    /// version first, then those that provide it.
    fn satisfying(&self, relation: &Relation) -> Vec<usize> {
        let is_fine = |number: &usize| {
            let one = self.index.get(*number);
            one.is_some_and(|one| one.satisfies(relation, &self.question.architecture))
        };
        let named = self.index.named(&relation.name).iter().copied();
        let mut named: Vec<usize> = named.filter(is_fine).collect();
        self.sort(&mut named);
        let providing = self.index.providing(&relation.name).iter().copied();
        let mut providing: Vec<usize> = providing.filter(is_fine).collect();
        providing.retain(|number| !named.contains(number));
        self.sort(&mut providing);
        providing.sort_by_key(|&number| self.index.get(number).map(rank));
        named.append(&mut providing);
        named
    }

    /// Packages of one name by version: the one that is there, unless the name is asked for, then
    /// the newest.
    fn sort(&self, numbers: &mut [usize]) {
        numbers.sort_by(|&a, &b| {
            let (Some(a), Some(b)) = (self.index.get(a), self.index.get(b)) else {
                return std::cmp::Ordering::Equal;
            };
            let is_kept =
                |one: &Candidate| one.archive.is_none() && !self.wanted.contains(one.name);
            let newest_first = b.version.compare(&a.version);
            is_kept(b)
                .cmp(&is_kept(a))
                .then(newest_first)
                .then(a.archive.cmp(&b.archive))
        });
    }

    fn requirement(&self, clause: &Clause) -> Requirement {
        let mut by_name: Vec<(&str, Vec<usize>)> = Vec::new();
        for relation in clause {
            for number in self.satisfying(relation) {
                let Some(one) = self.index.get(number) else {
                    continue;
                };
                match by_name.iter_mut().find(|(name, _)| *name == one.name) {
                    Some((_, numbers)) if numbers.contains(&number) => {}
                    Some((_, numbers)) => numbers.push(number),
                    None => by_name.push((one.name, vec![number])),
                }
            }
        }
        let is_preferred = |name: &str| self.question.preferred.iter().any(|one| one == name);
        by_name.sort_by_key(|(name, _)| !is_preferred(name));
        let shown: Vec<String> = clause.iter().map(ToString::to_string).collect();
        let shown = shown.join(" | ");
        let sets = by_name.into_iter().filter_map(|(name, numbers)| {
            let name = self.name(name)?;
            Some(self.set(name, numbers, &shown))
        });
        let sets: Vec<VersionSetId> = sets.collect();
        match sets[..] {
            [one] => Requirement::Single(one),
            [] => {
                let mut missing = self.missing.borrow_mut();
                missing.push(shown.clone());
                let name = NameId::from_raw((self.names.len() + missing.len() - 1) as u32);
                Requirement::Single(self.set(name, Vec::new(), &shown))
            }
            _ => {
                let mut unions = self.unions.borrow_mut();
                unions.push(sets);
                Requirement::Union(VersionSetUnionId(unions.len() as u32 - 1))
            }
        }
    }

    fn set(&self, name: NameId, numbers: Vec<usize>, shown: &str) -> VersionSetId {
        let mut sets = self.sets.borrow_mut();
        sets.push(VersionSet {
            name,
            numbers,
            shown: shown.to_owned(),
        });
        VersionSetId(sets.len() as u32 - 1)
    }

    /// Of each name that `relation` forbids beside `owner`: those packages that may be there.
    fn allowed(&self, relation: &Relation, owner: &Candidate) -> Vec<VersionSetId> {
        let broken: BTreeSet<usize> = self.satisfying(relation).into_iter().collect();
        let names = broken.iter().filter_map(|&number| self.index.get(number));
        let names: BTreeSet<&str> = names.map(|one| one.name).collect();
        let set = |name: &str| {
            let allowed = self.index.named(name).iter().copied();
            let allowed = allowed.filter(|number| !broken.contains(number)).collect();
            Some(self.set(self.name(name)?, allowed, &format!("without {relation}")))
        };
        // No package is in its own way (Debian Policy 7.4).
        let others = names.into_iter().filter(|name| *name != owner.name);
        others.filter_map(set).collect()
    }
}

/// Among those that provide the same, the more important before others, then by name.
fn rank<'c>(one: &Candidate<'c>) -> (usize, &'c str) {
    const PRIORITIES: [&str; 4] = ["required", "important", "standard", "optional"];
    let place = PRIORITIES.iter().position(|other| *other == one.priority);
    let place = if one.is_essential {
        None
    } else {
        Some(place.unwrap_or(PRIORITIES.len()))
    };
    (place.map_or(0, |place| place + 1), one.name)
}

impl Interner for Provider<'_, '_> {
    type NameId = NameId;
    type SolvableId = SolvableId;

    fn display_solvable(&self, solvable: SolvableId) -> impl Display + '_ {
        let one = self.one(solvable);
        one.map_or_else(String::new, |one| format!("{} {}", one.name, one.version))
    }

    fn display_merged_solvables(&self, solvables: &[SolvableId]) -> impl Display + '_ {
        let all = solvables.iter().filter_map(|&solvable| self.one(solvable));
        let all: Vec<_> = all
            .map(|one| format!("{} {}", one.name, one.version))
            .collect();
        all.join(" | ")
    }

    fn display_name(&self, name: NameId) -> impl Display + '_ {
        let number = name.into_raw() as usize;
        match self.names.get(number) {
            Some(name) => (*name).to_owned(),
            None => "".to_owned(),
        }
    }

    fn display_version_set(&self, set: VersionSetId) -> impl Display + '_ {
        let sets = self.sets.borrow();
        let set = sets.get(set.0 as usize);
        set.map_or_else(String::new, |set| format!("[{}]", set.shown))
    }

    fn display_string(&self, _: StringId) -> impl Display + '_ {
        ""
    }

    fn version_set_name(&self, set: VersionSetId) -> NameId {
        let sets = self.sets.borrow();
        sets.get(set.0 as usize)
            .map_or(NameId::from_raw(0), |set| set.name)
    }

    fn solvable_name(&self, solvable: SolvableId) -> NameId {
        let name = self.one(solvable).and_then(|one| self.name(one.name));
        name.unwrap_or(NameId::from_raw(0))
    }

    fn version_sets_in_union(
        &self,
        union: VersionSetUnionId,
    ) -> impl Iterator<Item = VersionSetId> {
        let sets = self.unions.borrow().get(union.0 as usize).cloned();
        sets.unwrap_or_default().into_iter()
    }

    fn resolve_condition(&self, _: ConditionId) -> Condition {
        // None is ever made.
        Condition::Requirement(VersionSetId(0))
    }
}

impl DependencyProvider for Provider<'_, '_> {
    async fn filter_candidates(
        &self,
        candidates: &[SolvableId],
        set: VersionSetId,
        inverse: bool,
    ) -> Vec<SolvableId> {
        let sets = self.sets.borrow();
        let numbers = sets.get(set.0 as usize).map_or(&[][..], |set| &set.numbers);
        let is_in = |one: &SolvableId| numbers.contains(&(one.into_raw() as usize));
        let candidates = candidates.iter().copied();
        candidates.filter(|one| is_in(one) != inverse).collect()
    }

    async fn get_candidates(&self, name: NameId) -> Option<Candidates<SolvableId>> {
        let name = self.names.get(name.into_raw() as usize)?;
        let numbers = self.index.named(name).iter();
        let candidates: Vec<_> = numbers
            .map(|&one| SolvableId::from_raw(one as u32))
            .collect();
        Some(Candidates {
            hint_dependencies_available: HintDependenciesAvailable::None,
            candidates,
            ..Candidates::default()
        })
    }

    async fn sort_candidates(&self, _: &SolverCache<Self>, solvables: &mut [SolvableId]) {
        let mut numbers: Vec<usize> = solvables
            .iter()
            .map(|one| one.into_raw() as usize)
            .collect();
        self.sort(&mut numbers);
        for (place, number) in solvables.iter_mut().zip(numbers) {
            *place = SolvableId::from_raw(number as u32);
        }
    }

    async fn get_dependencies(&self, solvable: SolvableId) -> Dependencies {
        let mut known = KnownDependencies::default();
        let Some(one) = self.one(solvable) else {
            return Dependencies::Known(known);
        };
        for (field, value) in one.paragraph.fields() {
            match field {
                "Depends" | "Pre-Depends" => {
                    for clause in clauses(value) {
                        // What is installed and lacks something did without.
                        if one.archive.is_none() && !self.is_met(&clause) {
                            continue;
                        }
                        known.requirements.push(self.requirement(&clause).into());
                    }
                }
                "Conflicts" | "Breaks" => {
                    for relation in clauses(value).iter().flatten() {
                        known.constrains.extend(self.allowed(relation, one));
                    }
                }
                _ => {}
            }
        }
        Dependencies::Known(known)
    }
}

impl Provider<'_, '_> {
    /// Whether what is installed satisfies `clause`.
    fn is_met(&self, clause: &Clause) -> bool {
        let numbers = clause.iter().flat_map(|relation| self.satisfying(relation));
        let mut packages = numbers.filter_map(|number| self.index.get(number));
        packages.any(|one| one.archive.is_none())
    }
}

#[cfg(test)]
#[path = "solve_tests.rs"]
mod tests;
