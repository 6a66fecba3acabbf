//! The rules.
//!
//! In: nothing. Out: [`RULES`], each with its name, level, one line and a page. Docker's come
//! first, in the order of its documentation.

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Worth knowing: the build may come out otherwise some day. Fails nothing.
    Note,
    /// To be mended: `--check` fails.
    Warning,
}

/// What is looked for.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its identifier, for `# check=skip=` and `--explain`.
    pub name: &'static str,
    /// How bad it is.
    pub level: Level,
    /// Whether it is also one of Docker's.
    pub is_dockers: bool,
    /// Whether it is only looked for where the recipe says so.
    pub is_experimental: bool,
    /// In one line.
    pub description: &'static str,
    /// All that is to say about it.
    pub page: &'static str,
}

impl Rule {
    /// Its page in Docker's documentation.
    pub fn url(&self) -> Option<String> {
        let mut path = String::new();
        let chars: Vec<char> = self.name.chars().collect();
        for (at, c) in chars.iter().enumerate() {
            let before = at.checked_sub(1).and_then(|at| chars.get(at));
            let after = chars.get(at + 1);
            let begins = before.is_some_and(|before| before.is_lowercase())
                || before.is_some() && after.is_some_and(|after| after.is_lowercase());
            if c.is_uppercase() && begins {
                path.push('-');
            }
            path.push(c.to_ascii_lowercase());
        }
        let url = format!("https://docs.docker.com/go/dockerfile/rule/{path}/");
        self.is_dockers.then_some(url)
    }
}

macro_rules! rules {
    ($($constant:ident $name:literal $level:ident $origin:ident $description:literal)*) => {
        $(pub(super) static $constant: &Rule = &Rule {
            name: $name,
            level: Level::$level,
            is_dockers: rules!(@dockers $origin),
            is_experimental: rules!(@experimental $origin),
            description: $description,
            page: include_str!(concat!("pages/", $name, ".md")),
        };)*
        /// All of them.
        pub static RULES: &[&Rule] = &[$($constant),*];
    };
    (@dockers own) => { false };
    (@dockers $other:ident) => { true };
    (@experimental experimental) => { true };
    (@experimental $other:ident) => { false };
}

rules! {
    STAGE_NAME_CASING "StageNameCasing" Warning docker
        "names of stages are in lower case"
    FROM_AS_CASING "FromAsCasing" Warning docker
        "`AS` is written in the case of its `FROM`"
    NO_EMPTY_CONTINUATION "NoEmptyContinuation" Warning docker
        "no blank lines inside of an instruction"
    CONSISTENT_INSTRUCTION_CASING "ConsistentInstructionCasing" Warning docker
        "all instructions are written in one case"
    DUPLICATE_STAGE_NAME "DuplicateStageName" Warning docker
        "no two stages have one name"
    RESERVED_STAGE_NAME "ReservedStageName" Warning docker
        "no stage is called `scratch` or `context`"
    JSON_ARGS_RECOMMENDED "JSONArgsRecommended" Warning docker
        "CMD and ENTRYPOINT are arrays, so that signals reach the program"
    MAINTAINER_DEPRECATED "MaintainerDeprecated" Warning docker
        "a label names the author, not MAINTAINER"
    UNDEFINED_ARG_IN_FROM "UndefinedArgInFrom" Warning docker
        "FROM uses arguments that are declared before it"
    WORKDIR_RELATIVE_PATH "WorkdirRelativePath" Warning docker
        "a stage's first WORKDIR is absolute"
    UNDEFINED_VAR "UndefinedVar" Warning docker
        "variables are set before they are used"
    MULTIPLE_INSTRUCTIONS_DISALLOWED "MultipleInstructionsDisallowed" Warning docker
        "one CMD, ENTRYPOINT and HEALTHCHECK in a stage"
    LEGACY_KEY_VALUE_FORMAT "LegacyKeyValueFormat" Warning docker
        "ENV and LABEL are written with `=`"
    INVALID_BASE_IMAGE_PLATFORM "InvalidBaseImagePlatform" Warning docker
        "a base is for the platform that is built for"
    REDUNDANT_TARGET_PLATFORM "RedundantTargetPlatform" Warning docker
        "no `--platform=$TARGETPLATFORM`: it is the default"
    SECRETS_USED_IN_ARG_OR_ENV "SecretsUsedInArgOrEnv" Warning docker
        "no secrets in ARG and ENV"
    INVALID_DEFAULT_ARG_IN_FROM "InvalidDefaultArgInFrom" Warning docker
        "FROM names an image also where no argument is given"
    FROM_PLATFORM_FLAG_CONST_DISALLOWED "FromPlatformFlagConstDisallowed" Warning docker
        "no fixed `--platform` in FROM"
    COPY_IGNORED_FILE "CopyIgnoredFile" Warning docker
        "nothing is copied that the ignore file leaves out"
    INVALID_DEFINITION_DESCRIPTION "InvalidDefinitionDescription" Warning experimental
        "a comment above ARG and FROM begins with the name that it describes"
    EXPOSE_PROTO_CASING "ExposeProtoCasing" Warning docker
        "protocols of EXPOSE are in lower case"
    EXPOSE_INVALID_FORMAT "ExposeInvalidFormat" Warning docker
        "EXPOSE has ports, and no addresses"
    INVALID_CHECK_DIRECTIVE "InvalidCheckDirective" Warning own
        "`# check=` names settings and rules that there are"
    FOREIGN_SYNTAX "ForeignSyntax" Note own
        "`# syntax=` names Docker's language, the one that is read"
    MISSPELT_STAGE "MisspeltStage" Warning own
        "no image is called almost like a stage"
    UNPINNED_BASE "UnpinnedBase" Note own
        "images are named by digest"
    UNPINNED_GIT "UnpinnedGit" Warning own
        "Git repositories are named with a commit"
    UNVERIFIED_ADD "UnverifiedAdd" Warning own
        "ADD of a URL has a checksum"
    UNVERIFIED_DOWNLOAD "UnverifiedDownload" Warning own
        "what RUN downloads is compared with a checksum"
    PIPED_DOWNLOAD "PipedDownload" Warning own
        "no download is run unseen"
    UNPINNED_APT "UnpinnedApt" Note own
        "apt installs from a snapshot, or named versions"
    UNPINNED_APK "UnpinnedApk" Note own
        "apk installs named versions"
    UNPINNED_RPM "UnpinnedRpm" Note own
        "dnf, yum and zypper install named versions"
    SYSTEM_UPGRADE "SystemUpgrade" Warning own
        "no upgrade of everything"
    UNPINNED_PIP "UnpinnedPip" Note own
        "pip installs named versions"
    UNPINNED_NPM "UnpinnedNpm" Note own
        "npm, yarn and pnpm install what a lock file says"
    UNPINNED_GEM "UnpinnedGem" Note own
        "gem installs named versions"
    UNPINNED_GO "UnpinnedGo" Note own
        "go installs named versions"
    UNPINNED_CARGO "UnpinnedCargo" Note own
        "cargo installs named versions, locked"
    UNPINNED_COMPOSER "UnpinnedComposer" Note own
        "composer installs what a lock file says"
    UNLOCKED_INSTALL "UnlockedInstall" Note own
        "package managers keep to their lock files"
    CLOCK_IN_RUN "ClockInRun" Warning own
        "no time of the build in what it makes"
    RANDOM_IN_RUN "RandomInRun" Warning own
        "nothing random in what a build makes"
    HOST_IN_RUN "HostInRun" Note own
        "nothing of the host in what a build makes"
    IMPURE_RUN "ImpureRun" Warning own
        "no host network, privileges or devices"
    GIT_FOLDER_COPIED "GitFolderCopied" Note own
        "`.git` is left out of the context"
}

/// The names of those whose findings are no more where a lock holds what moves.
pub const HELD_BY_LOCK: &[&str] = &[
    UNPINNED_BASE.name,
    UNPINNED_GIT.name,
    UNVERIFIED_ADD.name,
    UNVERIFIED_DOWNLOAD.name,
    UNPINNED_APT.name,
    UNPINNED_APK.name,
    UNPINNED_RPM.name,
    SYSTEM_UPGRADE.name,
    UNPINNED_PIP.name,
    UNPINNED_NPM.name,
    UNPINNED_GEM.name,
    UNPINNED_GO.name,
    UNPINNED_CARGO.name,
    UNPINNED_COMPOSER.name,
];
