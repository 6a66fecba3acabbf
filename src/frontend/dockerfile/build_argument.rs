//! Build arguments that a Dockerfile makes nothing of, and those that are BuildKit's own.
//!
//! In: a tree, what the caller gave, the triggers of base images. Out: what the caller should hear
//! (Dockerfile reference, "ARG", "Predefined ARGs", "BuildKit built-in build args").

use std::collections::BTreeSet;

use super::syntax::{Dockerfile, Instruction, Kind};
use super::trigger;
use crate::canon::Problem;
use crate::frontend::toml::value;
use crate::frontend::{Options, suggest};

/// Where BuildKit's caches of commands belong to a namespace.
pub const CACHE_NAMESPACE: &str = "BUILDKIT_CACHE_MOUNT_NS";
/// What BuildKit's commands have as the name of their host.
const HOST_NAME: &str = "BUILDKIT_SANDBOX_HOSTNAME";

/// Those of BuildKit's own that have no use here, and why.
const PASSED_OVER: [(&str, &str); 2] = [
    (
        "BUILDKIT_SYNTAX",
        "cairn reads the Dockerfile itself, whatever frontend is named",
    ),
    (
        "BUILDKIT_MULTI_PLATFORM",
        "several platforms give an index, and one gives none",
    ),
];

/// The name of the host that commands are on, where the caller gave one.
pub fn hostname(options: &Options) -> Result<Option<String>, Box<Problem>> {
    let given = options.build_args.get(HOST_NAME);
    let given = given.filter(|name| !name.is_empty());
    let read = given.map(|name| value::hostname(name)).transpose();
    read.map_err(|fault| {
        let problem = Problem::new(format!("{HOST_NAME}: {}", fault.message));
        Box::new(problem.hint(fault.hint))
    })
}

/// What to tell the caller about the arguments that it gave.
pub fn remarks(file: &Dockerfile, options: &Options, triggers: &[String]) -> Vec<String> {
    let given = || options.build_args.keys().map(String::as_str);
    let mut remarks = Vec::new();
    for (name, why) in PASSED_OVER {
        if given().any(|given| given == name) {
            remarks.push(format!("the build argument `{name}` is passed over: {why}"));
        }
    }
    let Some(asked) = asked(file, triggers) else {
        return remarks;
    };
    for name in given().filter(|name| !is_predefined(name) && !asked.contains(*name)) {
        let near = suggest::near(name, asked.iter().map(String::as_str));
        let hint = near.map_or_else(String::new, |near| format!(": {near}"));
        remarks.push(format!(
            "the build argument `{name}` is not used, as no `ARG` names it{hint}"
        ));
    }
    remarks
}

/// The names that an `ARG` asks for; none where one is only known when it is expanded.
fn asked(file: &Dockerfile, triggers: &[String]) -> Option<BTreeSet<String>> {
    let triggers: Vec<Instruction> = triggers
        .iter()
        .filter_map(|text| trigger(text).ok())
        .collect();
    let stages = file.stages.iter().flat_map(|stage| &stage.instructions);
    let kinds = stages.chain(&triggers).map(|instruction| {
        match &instruction.kind {
            // That of the stages that begin with this one.
            Kind::OnBuild(trigger) => &trigger.instruction.kind,
            kind => kind,
        }
    });
    let arguments = kinds.filter_map(|kind| match kind {
        Kind::Arg(arguments) => Some(arguments),
        _ => None,
    });
    let globals = file.globals.iter().map(|node| &node.kind);
    let all = globals.chain(arguments).flatten();
    let names = all.map(|argument| {
        let name = &argument.name.raw;
        let is_plain = !name.contains(['$', '\\', '"', '\'']);
        is_plain.then(|| name.clone())
    });
    names.collect()
}

/// Whether it means something without an `ARG`.
fn is_predefined(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    let is_proxy = ["HTTP", "HTTPS", "FTP", "NO", "ALL"]
        .iter()
        .any(|kind| upper == format!("{kind}_PROXY"));
    let of_platform = ["BUILD", "TARGET"]
        .iter()
        .find_map(|kind| name.strip_prefix(kind))
        .is_some_and(|what| matches!(what, "PLATFORM" | "OS" | "ARCH" | "VARIANT" | "STAGE"));
    is_proxy || of_platform || name == "SOURCE_DATE_EPOCH" || name.starts_with("BUILDKIT_")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canon::Source;
    use crate::frontend::dockerfile;

    fn of(text: &str, given: &[&str], triggers: &[&str]) -> Vec<String> {
        let source = Source::new("Dockerfile", text.into(), dockerfile::LARGEST).unwrap();
        let file = dockerfile::parse(&source).unwrap();
        let mut options = Options::new("linux/amd64".parse().unwrap());
        let given = given.iter().map(|&name| (name.to_owned(), "1".to_owned()));
        options.build_args.extend(given);
        let triggers: Vec<_> = triggers.iter().map(|&text| text.to_owned()).collect();
        remarks(&file, &options, &triggers)
    }

    #[test]
    fn arguments_that_nothing_asks_for_are_told() {
        let text = "ARG A\nFROM scratch AS x\nARG B=1 C\nONBUILD ARG D\nFROM scratch\n";
        assert_eq!(of(text, &["A", "B", "C", "D"], &[]), [""; 0]);
        let told = of(text, &["VERSION", "E"], &["ARG E", "no trigger"]);
        assert_eq!(
            told,
            ["the build argument `VERSION` is not used, as no `ARG` names it"]
        );
        let known = [
            "no_proxy",
            "TARGETARCH",
            "SOURCE_DATE_EPOCH",
            "BUILDKIT_INLINE_CACHE",
            "BUILDKIT_BUILD_NAME",
            "BUILDKIT_CONTEXT_KEEP_GIT_DIR",
        ];
        assert_eq!(of("FROM scratch\n", &known, &[]), [""; 0]);
        // Its name is known when it is expanded.
        assert_eq!(of("ARG A=b\nARG $A\nFROM scratch\n", &["c"], &[]), [""; 0]);
        let told = of("FROM scratch\n", &["BUILDKIT_SYNTAX"], &[]);
        assert!(told[0].contains("`BUILDKIT_SYNTAX` is passed over"));
        let told = of("FROM scratch\nARG VERSION\n", &["VERSOIN"], &[]);
        assert!(told[0].contains("did you mean `VERSION`"), "{told:?}");
    }
}
