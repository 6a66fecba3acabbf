//! Members of two archives.
//!
//! In: their names, fields and content, in the order of the archives. Out: which only one has, what
//! differs in the others, and whether their order does.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::{Budget, Found, Odd, inside, shown};
use crate::compare::report::{Aspect, Detail, Finding};

/// Most members that are told of as being in one archive alone.
const MOST_ALONE: usize = 200;

/// What a member takes of a budget, as what is said of it takes memory.
pub(super) const COST: u64 = 2048;

/// A member of an archive.
pub(super) struct Member<'a> {
    pub(super) name: Vec<u8>,
    /// What is said of it.
    pub(super) fields: Vec<(&'static str, String)>,
    /// What it holds, as it stands in the archive.
    pub(super) content: Cow<'a, [u8]>,
    /// The name of its compression, where it is compressed.
    pub(super) method: u16,
}

/// What expands the content of a member.
pub(super) type Expand = fn(&Member, &mut Budget) -> Result<Vec<u8>, Odd>;

/// Compares members that stand in their archives as they are.
pub(super) fn compare_plain(
    before: &[Member],
    after: &[Member],
    budget: &mut Budget,
) -> Result<Found, Odd> {
    compare(
        before,
        after,
        |member, _| Ok(member.content.to_vec()),
        budget,
    )
}

pub(super) fn compare(
    before: &[Member],
    after: &[Member],
    expand: Expand,
    budget: &mut Budget,
) -> Result<Found, Odd> {
    let mut found = Found::default();
    let (first, second) = (keyed(before, budget)?, keyed(after, budget)?);
    let places: BTreeMap<_, _> = second
        .iter()
        .enumerate()
        .map(|(at, (key, _))| (key, at))
        .collect();
    let mut is_paired = vec![false; second.len()];
    let mut alone = Vec::new();
    let mut last = None;
    let mut out_of_order = None;
    for (key, one) in &first {
        let Some(&at) = places.get(key) else {
            alone.push(Aspect::new(title(key), Some(said(one)), None));
            continue;
        };
        let other = second[at].1;
        is_paired[at] = true;
        if last.is_some_and(|last| last > at) && out_of_order.is_none() {
            out_of_order = Some(title(key));
        }
        last = Some(at);
        match pair(title(key), one, other, expand, budget) {
            Ok(finding) => found.inside.extend(finding),
            Err(odd) => {
                found.note(format!(
                    "nothing from `{}` on is compared: {}",
                    title(key),
                    odd.note()
                ));
                return Ok(found);
            }
        }
    }
    let rest = second
        .iter()
        .zip(is_paired)
        .filter(|(_, is_paired)| !is_paired);
    alone.extend(rest.map(|((key, other), _)| Aspect::new(title(key), None, Some(said(other)))));
    let more = alone.len().saturating_sub(MOST_ALONE);
    found.details.extend(
        alone
            .into_iter()
            .flatten()
            .take(MOST_ALONE)
            .map(Detail::Field),
    );
    if more > 0 {
        found.note(format!("{more} members more are in one of them alone"));
    }
    if let Some(name) = out_of_order {
        found.note(format!(
            "members stand in another order, `{name}` the first of them"
        ));
    }
    Ok(found)
}

/// A name, and how many members before have it.
type Key<'a> = (&'a [u8], usize);

fn keyed<'a>(
    members: &'a [Member<'a>],
    budget: &mut Budget,
) -> Result<Vec<(Key<'a>, &'a Member<'a>)>, Odd> {
    let mut seen: BTreeMap<&[u8], usize> = BTreeMap::new();
    let mut keyed = Vec::with_capacity(members.len());
    for member in members {
        budget.member()?;
        let count = seen.entry(&member.name).or_default();
        keyed.push(((&member.name[..], *count), member));
        *count += 1;
    }
    Ok(keyed)
}

fn title((name, count): &Key) -> String {
    match count {
        0 => shown(name),
        _ => format!("{} (number {})", shown(name), count + 1),
    }
}

/// A member that only one archive has.
fn said(member: &Member) -> String {
    let fields = member
        .fields
        .iter()
        .map(|(name, value)| format!("{name} {value}"));
    fields.collect::<Vec<_>>().join(", ")
}

fn pair(
    title: String,
    before: &Member,
    after: &Member,
    expand: Expand,
    budget: &mut Budget,
) -> Result<Option<Finding>, Odd> {
    let mut details = Vec::new();
    let fields = before.fields.iter().map(|(name, _)| name);
    let names = fields.chain(after.fields.iter().map(|(name, _)| name));
    let value = |member: &Member, name: &str| {
        let field = member.fields.iter().find(|(other, _)| *other == name);
        field.map(|(_, value)| value.clone())
    };
    let mut told: Vec<&str> = Vec::new();
    for name in names {
        if !told.contains(name) {
            told.push(name);
            let aspect = Aspect::new(*name, value(before, name), value(after, name));
            details.extend(aspect.map(Detail::Field));
        }
    }
    let mut finding = None;
    // Members may lie on each other, and many of them on one large one.
    budget.take(before.content.len().min(after.content.len()) as u64)?;
    if before.method != after.method || before.content != after.content {
        let contents = (expand(before, budget), expand(after, budget));
        match contents {
            (Ok(one), Ok(other)) if one == other => {
                details.push(Detail::Note(
                    "what it holds is the same, compressed otherwise".to_owned(),
                ));
            }
            (Ok(one), Ok(other)) => {
                finding = inside(title.clone(), &before.name, [&one, &other], budget);
            }
            // Nothing of the rest of the archive could be opened either.
            (Err(Odd::TooMuch), _) | (_, Err(Odd::TooMuch)) => return Err(Odd::TooMuch),
            (Err(odd), _) | (_, Err(odd)) => details.push(Detail::Note(odd.note())),
        }
    }
    Ok(match finding {
        Some(mut finding) => {
            finding.details.splice(0..0, details);
            Some(finding)
        }
        None if details.is_empty() => None,
        None => Some(Finding {
            kind: super::Kind::Bytes,
            name: Some(title),
            details,
            inside: Vec::new(),
        }),
    })
}
