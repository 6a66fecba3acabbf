//! Flags of `docker buildx build` and `docker build` that cairn has no use for.
//!
//! In: such a flag. Out: nothing, where leaving it out is all that it asks for; else why it is
//! refused, and the way out. A flag that was silently passed over would promise what isn't done.

use clap::Args;

use super::csv;
use super::exit::Failure;

/// Flags of other builders.
#[derive(Debug, Default, Args)]
pub struct Foreign {
    #[arg(long, hide = true)]
    builder: Option<String>,
    #[arg(long, hide = true)]
    cache_from: Vec<String>,
    #[arg(long, hide = true)]
    cache_to: Vec<String>,
    #[arg(long, hide = true)]
    cgroup_parent: Option<String>,
    #[arg(long, hide = true)]
    isolation: Option<String>,
    #[arg(long, hide = true)]
    policy: Vec<String>,
    #[arg(long, hide = true)]
    security_opt: Vec<String>,
    #[arg(long, hide = true)]
    squash: bool,
    #[arg(long, hide = true)]
    attest: Vec<String>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    provenance: Option<String>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    sbom: Option<String>,
    /// What happens anyway: nothing is left of a container.
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    rm: Option<String>,
    #[arg(long, hide = true)]
    force_rm: bool,
}

const STORE: &str = "steps are cached in the store: keep its folder, which `--store` or CAIRN_HOME names, from run to run";
const LIMITS: &str = "limit commands with `--memory`, `--processes` and `--timeout`";

impl Foreign {
    /// Refuses those that ask for something.
    pub fn refuse(&self) -> Result<(), Failure> {
        let builder = self.builder.as_deref().filter(|name| *name != "default");
        let refused = [
            (
                builder.is_some(),
                "`--builder` names another program, and cairn builds by itself",
                "leave it out, or say `--builder=default`",
            ),
            (
                !self.cache_from.is_empty(),
                "`--cache-from`: cairn reads no cache from elsewhere",
                STORE,
            ),
            (
                !self.cache_to.is_empty(),
                "`--cache-to`: cairn writes no cache to elsewhere",
                STORE,
            ),
            (
                self.cgroup_parent.is_some(),
                "`--cgroup-parent`: cairn makes the control groups of commands itself, below its own",
                LIMITS,
            ),
            (
                self.isolation.is_some(),
                "`--isolation` chooses among Windows' containers, and commands run in cairn's own sandbox",
                "leave it out",
            ),
            (
                !self.policy.is_empty(),
                "`--policy`: cairn evaluates no policies",
                "pin what comes from outside by its digest",
            ),
            (
                !self.security_opt.is_empty(),
                "`--security-opt` is Docker's, and commands run in cairn's own sandbox",
                "say `RUN --security=insecure` in the recipe, and `--allow security.insecure`",
            ),
            (
                self.squash,
                "`--squash`: cairn keeps the layers that the recipe makes",
                "copy what counts into a last stage: `FROM scratch`, `COPY --from=build / /`",
            ),
            (
                self.attest.iter().any(|text| !is_disabled(text)),
                "`--attest`: cairn writes no attestations yet",
                "leave it out: the digest is the same with and without",
            ),
            (
                is_wanted(self.provenance.as_deref()),
                "`--provenance`: cairn writes no provenance yet",
                "leave it out, or say `--provenance=false`",
            ),
            (
                is_wanted(self.sbom.as_deref()),
                "`--sbom`: cairn writes no bill of materials yet",
                "leave it out, or say `--sbom=false`",
            ),
        ];
        match refused.iter().find(|(is_given, ..)| *is_given) {
            None => Ok(()),
            Some((_, message, hint)) => Err(Failure::usage(*message, hint)),
        }
    }
}

fn is_wanted(value: Option<&str>) -> bool {
    value.is_some_and(|value| !matches!(value, "false" | "0") && !is_disabled(value))
}

fn is_disabled(text: &str) -> bool {
    let fields = csv::fields(text).unwrap_or_default();
    fields
        .iter()
        .any(|field| matches!(field.as_str(), "disabled=true" | "disabled=1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        foreign: Foreign,
    }

    #[test]
    fn what_asks_for_nothing_is_taken_and_the_rest_refused() {
        for (line, is_taken) in [
            ("", true),
            ("--builder=default", true),
            ("--builder mine", false),
            ("--provenance=false", true),
            ("--provenance", false),
            ("--provenance=mode=max", false),
            ("--sbom=false", true),
            ("--sbom=true", false),
            ("--attest type=sbom,disabled=true", true),
            ("--attest type=sbom", false),
            ("--cache-to type=inline", false),
            ("--cache-from type=gha", false),
            ("--squash", false),
            ("--rm --force-rm", true),
            ("--rm=false", true),
        ] {
            let words = std::iter::once("cairn").chain(line.split_whitespace());
            let parsed = <Line as clap::Parser>::try_parse_from(words).unwrap();
            assert_eq!(parsed.foreign.refuse().is_ok(), is_taken, "{line}");
        }
    }
}
