//! Packages: from the words of a recipe to an operation.
//!
//! In: [`Packages`] as they are written. Out: a [`Step`] of the draft, or problems.

use super::address;
use super::check::{Checker, Owner};
use super::draft::Step;
use super::field::{At, Field, List};
use super::packages::{self, Packages, Set};
use super::value::{self, Fault, fault, quoted};
use crate::canon::Platform;
use crate::packages::relation;
use crate::plan::packages::{Archive, Distribution, Mirror, Variant};
use crate::plan::{self, Operation, name};

/// A step of the draft; none when it is faulty.
pub fn lower(checker: &mut Checker, owner: &Owner<'_>, packages: &Packages) -> Option<Step> {
    let all = [
        (Distribution::Debian, &packages.debian),
        (Distribution::Ubuntu, &packages.ubuntu),
    ];
    if all.iter().any(|(_, set)| matches!(set, Field::Faulty)) {
        return None;
    }
    let given = all.iter().filter_map(|(of, set)| Some((*of, set.given()?)));
    let (distribution, set) = match given.collect::<Vec<_>>()[..] {
        [one] => one,
        [_, (_, second), ..] => {
            let message = "a step installs packages of one distribution";
            checker.fault(second.span.clone(), message, "leave one of them out");
            return None;
        }
        [] => {
            let message = "`packages` says no distribution";
            let hint = "write `packages.debian = { suite = \"…\", install = [\"…\"] }`";
            checker.fault(owner.span.clone(), message, hint);
            return None;
        }
    };
    let owner = Owner {
        name: match distribution {
            Distribution::Debian => "packages.debian",
            Distribution::Ubuntu => "packages.ubuntu",
        },
        span: set.span.clone(),
    };
    let variant = checker.optional(&set.value.variant, variant);
    let install = checker.items(set.value.install.items(), wanted);
    let keys = match &set.value.keys {
        Field::Absent => Some(Vec::new()),
        keys => checker.list(
            "keys",
            keys,
            "leave it out: the image's own keys do",
            value::relative,
        ),
    };
    let archives = archives(checker, &owner, &set.value);
    if install.is_empty()
        && set.value.install.items().is_empty()
        && variant != Some(Variant::Minbase)
    {
        let message = format!("`{}` installs nothing", owner.name);
        let hint =
            "name packages: `install = [\"curl\"]`; or begin an image: `variant = \"minbase\"`";
        checker.fault(owner.span.clone(), message, hint);
        return None;
    }
    let operation = Operation::Packages(Box::new(plan::Packages {
        distribution,
        // Each image's own, once it is known which there are.
        platform: Platform::new("linux", "amd64", None),
        archives: archives?,
        install,
        keys: keys?,
        variant: variant.unwrap_or_default(),
        recommends: set.value.recommends.given().copied().unwrap_or_default(),
        solved: None,
    }));
    Some(Step {
        name: name::step(&operation, &[], ""),
        span: owner.span,
        operation,
        files: Vec::new(),
        is_linked: false,
    })
}

/// The suites: the first, and those of `sources`, which have from it what they don't say.
fn archives(checker: &mut Checker, owner: &Owner<'_>, set: &Set) -> Option<Vec<Archive>> {
    let suite = checker.required(owner, "suite", &set.suite, suite);
    let components = components(checker, &set.components);
    let mirror = mirror(checker, &set.mirror, &set.snapshot);
    let mut archives = Vec::new();
    if let Some(suite) = suite {
        archives.push(Archive {
            suite,
            components: components
                .clone()
                .unwrap_or_else(|| vec!["main".to_owned()]),
            mirror: mirror.clone(),
        });
    }
    let mut is_faulty = archives.is_empty();
    for source in set.sources.given().map_or(&[][..], |list| &list.0) {
        let archive = further(checker, source, components.as_deref(), mirror.as_ref());
        is_faulty |= archive.is_none();
        archives.extend(archive);
    }
    (!is_faulty).then_some(archives)
}

fn further(
    checker: &mut Checker,
    source: &At<packages::Archive>,
    of_first: Option<&[String]>,
    mirror_of_first: Option<&Mirror>,
) -> Option<Archive> {
    let owner = Owner {
        name: "sources",
        span: source.span.clone(),
    };
    let source = &source.value;
    let suite = checker.required(&owner, "suite", &source.suite, suite);
    let components = components(checker, &source.components);
    let mirror = mirror(checker, &source.mirror, &source.snapshot);
    let main = || vec!["main".to_owned()];
    Some(Archive {
        suite: suite?,
        components: components
            .or(of_first.map(<[_]>::to_vec))
            .unwrap_or_else(main),
        mirror: mirror.or(mirror_of_first.cloned()),
    })
}

fn components(checker: &mut Checker, field: &Field<At<List<At<String>>>>) -> Option<Vec<String>> {
    checker.list(
        "components",
        field,
        "leave it out: `main` is meant then",
        suite,
    )
}

fn mirror(
    checker: &mut Checker,
    mirror: &Field<At<String>>,
    snapshot: &Field<At<String>>,
) -> Option<Mirror> {
    if let (Some(_), Some(second)) = (mirror.given(), snapshot.given()) {
        let message = "both `mirror` and `snapshot` say where the archive is";
        checker.fault(second.span.clone(), message, "leave one of them out");
    }
    let today = checker.optional(mirror, archive).map(Mirror::Today);
    today.or(checker.optional(snapshot, dated).map(Mirror::Snapshot))
}

/// A word of a path below `dists`.
fn suite(text: &str) -> Result<String, Fault> {
    let is_fine = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let mut parts = text.split('/');
    match parts.all(|part| {
        part.starts_with(|c: char| c.is_ascii_alphanumeric()) && part.chars().all(is_fine)
    }) {
        true => Ok(text.to_owned()),
        false => fault(
            format!("{} is no name of a suite or component", quoted(text)),
            "",
        ),
    }
}

fn archive(text: &str) -> Result<String, Fault> {
    let url = address::http_url(text)?;
    Ok(url.trim_end_matches('/').to_owned())
}

fn dated(text: &str) -> Result<String, Fault> {
    let is_instant = |part: &str| {
        let digits = part.strip_suffix('Z').and_then(|part| part.split_once('T'));
        let is_number =
            |text: &str, many| text.len() == many && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.is_some_and(|(day, time)| is_number(day, 8) && is_number(time, 6))
    };
    match text.split('/').any(is_instant) {
        true => archive(text),
        false => fault(
            format!("{} says no instant", quoted(text)),
            "write the address of an archive as it was: `https://HOST/archive/debian/20250520T000000Z`",
        ),
    }
}

fn wanted(text: &str) -> Result<String, Fault> {
    match relation::wanted(text) {
        Ok(relation) => Ok(relation.to_string()),
        Err(reason) => fault(
            format!("{} can't be installed: {reason}", quoted(text)),
            "write a name, `name (>= version)` or `name=version`",
        ),
    }
}

fn variant(text: &str) -> Result<Variant, Fault> {
    match text {
        "minbase" => Ok(Variant::Minbase),
        "distroless" => Ok(Variant::Distroless),
        _ => fault(
            format!("there is no variant {}", quoted(text)),
            "the variants are `minbase` and `distroless`; without one, what is asked for is installed",
        ),
    }
}
