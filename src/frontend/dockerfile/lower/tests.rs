//! In: Dockerfiles. Out: what is planned of them.

use std::collections::BTreeMap;

use super::*;
use crate::canon::Source as Text;
use crate::frontend::address::Http;
use crate::frontend::{NamedContext, toml};
use crate::plan::command::MountKind;
use crate::plan::print;

fn options() -> Options {
    Options::new("linux/amd64".parse().unwrap())
}

fn args(given: &[(&str, &str)]) -> Options {
    let pair = |(name, value): &(&str, &str)| (name.to_string(), value.to_string());
    Options {
        build_args: given.iter().map(pair).collect(),
        ..options()
    }
}

fn source(text: &str) -> Text {
    Text::new("Dockerfile", text.into(), 1 << 20).unwrap()
}

/// The plan, every base being an image with this config.
fn planned_on(text: &str, options: &Options, base: &BaseConfig) -> Result<Plan, Vec<String>> {
    let messages = |problems: Vec<Problem>| {
        let messages = problems.into_iter().map(|problem| problem.message);
        messages.collect::<Vec<_>>()
    };
    let file = crate::frontend::dockerfile::parse(&source(text)).map_err(messages)?;
    let mut known = Bases::new();
    loop {
        let asked = bases(&file, options, &known).map_err(messages)?;
        if asked.is_empty() {
            return plan(&file, options, &known).map_err(messages);
        }
        let answers = asked.into_iter().map(|(asked, _)| (asked, base.clone()));
        known.extend(answers);
    }
}

fn planned(text: &str, options: &Options) -> Result<Plan, Vec<String>> {
    planned_on(text, options, &BaseConfig::default())
}

fn plain(text: &str) -> Plan {
    planned(text, &options()).unwrap()
}

fn names(plan: &Plan) -> Vec<&str> {
    plan.steps.iter().map(|step| step.name.as_str()).collect()
}

fn commands(plan: &Plan) -> Vec<&crate::plan::Command> {
    let steps = plan.steps.iter();
    let command = steps.filter_map(|step| match &step.operation {
        Operation::Run(command) => Some(&**command),
        _ => None,
    });
    command.collect()
}

/// A variable of the last command.
fn variable<'a>(plan: &'a Plan, name: &str) -> Option<&'a str> {
    let last = commands(plan).into_iter().last()?;
    let found = last.env.iter().find(|(other, _)| other == name);
    found.map(|(_, value)| value.as_str())
}

#[test]
fn what_says_the_same_is_the_same() {
    let dockerfile = r#"
FROM scratch AS lib
COPY vendor /lib/

FROM scratch
COPY --exclude=*.md site/ ./pages /srv/www/
COPY --from=lib --chown=1:2 --chmod=0640 /lib/a /opt/
ADD archive.tar.gz /data/
WORKDIR /srv
COPY <<END /etc/motd
hello
END
ENV A=1 B="two words"
LABEL org.example.name=shop
EXPOSE 80 53/udp
VOLUME /data
USER www
STOPSIGNAL SIGINT
MAINTAINER me
"#;
    let recipe = r#"
from = "scratch"
steps = [
  { copy = { paths = ["site", "pages"], to = "/srv/www/", exclude = ["*.md"], missing-ok = true } },
  { copy = { from = { stage = "lib" }, paths = ["lib/a"], to = "/opt/", owner = "1:2", mode = "0640" } },
  { copy = { paths = ["archive.tar.gz"], to = "/data/", unpack = true } },
  { directory = { path = "/srv", keep = true } },
  { file = { path = "/etc/motd", name = "END", content = "hello\n" } },
]
[stages.lib]
from = "scratch"
steps = [{ copy = { paths = ["vendor"], to = "/lib/" } }]
[stages.lib.config]
env = { PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" }
workdir = "/"
[config]
env = { PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", A = "1", B = "two words" }
workdir = "/srv"
labels = { "org.example.name" = "shop" }
ports = ["80", "53/udp"]
volumes = ["/data"]
user = "www"
stop-signal = "SIGINT"
author = "me"
"#;
    let keys = |plan: &Plan| {
        let mut members: Vec<_> = plan.steps.iter().map(shown_step).collect();
        members.sort();
        (members, plan.images[0].config.clone())
    };
    fn shown_step(step: &crate::plan::Step) -> String {
        let operation = serde_json::to_string(&step.operation).unwrap();
        format!("{} {operation}", step.name)
    }
    let dockerfile = plain(dockerfile);
    let recipe = toml::plan(&source(recipe), &options()).unwrap();
    assert_eq!(keys(&dockerfile), keys(&recipe));
    // The order in which stages are laid out is the frontend's: it is in no key.
    let lines = |plan: &Plan| print::tree(plan).lines().count();
    assert_eq!(lines(&dockerfile), lines(&recipe));
}

#[test]
fn arguments_reach_where_they_are_named() {
    let text = "ARG V=1\nARG W=$V.2\nFROM scratch\nARG V\nARG W=3\nARG X\nARG TARGETARCH\nRUN x\n";
    let plan = planned(text, &options()).unwrap();
    assert_eq!(variable(&plan, "V"), Some("1"));
    assert_eq!(variable(&plan, "W"), Some("3"));
    assert_eq!(variable(&plan, "X"), None);
    assert_eq!(variable(&plan, "TARGETARCH"), Some("amd64"));
    assert_eq!(variable(&plan, "TARGETOS"), None);
    let given = [
        ("V", "9"),
        ("X", ""),
        ("HTTP_PROXY", "p"),
        ("TARGETARCH", "t"),
    ];
    let plan = planned(text, &args(&given)).unwrap();
    assert_eq!(variable(&plan, "V"), Some("9"));
    assert_eq!(variable(&plan, "X"), Some(""));
    assert_eq!(variable(&plan, "TARGETARCH"), Some("t"));
    assert_eq!(variable(&plan, "HTTP_PROXY"), None);
}

#[test]
fn variables_are_expanded_with_what_was_known_before() {
    let plan = plain("FROM scratch\nENV a=hello\nENV a=bye b=$a\nRUN x\n");
    assert_eq!(variable(&plan, "b"), Some("hello"));
    assert_eq!(variable(&plan, "a"), Some("bye"));
}

#[test]
fn a_stage_has_what_its_base_has() {
    let base = BaseConfig {
        env: vec![("PATH".to_owned(), "/bin".to_owned())],
        workdir: Some("/w".to_owned()),
        user: Some("u".to_owned()),
        shell: Some(vec!["/b".to_owned(), "-ec".to_owned()]),
        on_build: vec!["RUN first".to_owned(), "COPY --from=other a b".to_owned()],
    };
    let text = "FROM scratch AS other\nFROM y\nRUN second\n";
    let plan = planned_on(text, &options(), &base).unwrap();
    let commands = commands(&plan);
    let last = commands.last().unwrap();
    assert_eq!(last.arguments, ["/b", "-ec", "second"]);
    assert_eq!(last.workdir.to_string(), "/w");
    assert_eq!(last.user.as_deref(), Some("u"));
    assert_eq!(last.env, [("PATH".to_owned(), "/bin".to_owned())]);
    assert!(names(&plan).contains(&"copy a → /w/b from stage other"));
    assert!(names(&plan).contains(&"run first"));
    // It was for the stage above its image, and is for no other.
    assert_eq!(plan.images[0].config[0].unset.len(), 1);
}

#[test]
fn triggers_of_a_stage_are_for_those_that_begin_with_it() {
    let plan = plain("FROM scratch AS a\nONBUILD RUN one\nRUN two\nFROM a\nRUN three\n");
    assert_eq!(names(&plan)[1..], ["run two", "run one", "run three"]);
    assert_eq!(plan.images[0].config[0].on_build, ["RUN one"]);
    assert_eq!(plan.images[0].config[1].unset.len(), 1);
    let plan = plain("FROM scratch\nONBUILD RUN one\n");
    assert_eq!(plan.images[0].config[0].on_build, ["RUN one"]);
}

#[test]
fn what_the_target_does_not_need_makes_no_steps() {
    let text = "FROM scratch AS a\nCOPY a /\nFROM scratch AS b\nCOPY b /\nFROM scratch\nCOPY --from=a x /\n";
    assert!(!names(&plain(text)).contains(&"read b"));
    let target = |name: &str| Options {
        target: Some(name.to_owned()),
        ..options()
    };
    let plan = planned(text, &target("B")).unwrap();
    assert_eq!(names(&plan), ["scratch", "read b", "copy b → /"]);
    let error = planned(text, &target("c")).unwrap_err();
    assert_eq!(error, ["the recipe has no stage `c` to be the target"]);
}

#[test]
fn scripts_are_run_or_given_to_the_shell() {
    let text = "FROM scratch\nRUN <<E\necho hi\nE\nRUN <<E\n#!/usr/bin/python\nprint(1)\nE\nRUN cat <<E >/x\nhi\nE\nRUN [\"a\", \"b\"]\nSHELL [\"/bin/bash\", \"-c\"]\nRUN a\n";
    let plan = plain(text);
    let arguments: Vec<_> = commands(&plan)
        .iter()
        .map(|command| command.arguments.clone())
        .collect();
    assert_eq!(arguments[0], ["/bin/sh", "-c", "echo hi\n"]);
    assert_eq!(arguments[1], ["/dev/pipes/E"]);
    assert_eq!(
        arguments[2],
        ["/bin/sh", "-c", "cat <<E >/x\nhi\nE"],
        "as the shell wants it"
    );
    assert_eq!(arguments[3], ["a", "b"]);
    assert_eq!(arguments[4], ["/bin/bash", "-c", "a"]);
    assert_eq!(commands(&plan)[1].mounts.len(), 1);
}

#[test]
fn mounts_take_from_stages_contexts_and_images() {
    let text = "FROM scratch AS a\nFROM scratch\nWORKDIR /w\nRUN --mount=type=bind,from=a,source=/s,target=t --mount=target=/c,rw --mount=type=cache,target=/k --mount=type=secret,id=s,env=S --mount=type=tmpfs,target=/t,size=5 --mount=type=ssh x\n";
    let plan = plain(text);
    let command = commands(&plan)[0];
    let shown = serde_json::to_value(&command.mounts).unwrap();
    assert_eq!(
        shown,
        serde_json::json!([
            {"target": "c", "type": "bind", "source": "", "writable": true},
            {"target": "k", "type": "cache", "id": "/k", "sharing": "shared", "mode": 0o755, "uid": 0, "gid": 0},
            {"target": "t", "type": "tmpfs", "size": 5},
            {"target": "w/t", "type": "bind", "source": "s"},
            {"target": "run/secrets/s", "type": "secret", "id": "s", "file": false, "variable": "S", "mode": 0o400, "uid": 0, "gid": 0},
            {"target": "run/buildkit/ssh_agent.0", "type": "ssh", "id": "default", "mode": 0o600, "uid": 0, "gid": 0},
        ])
    );
    let run = plan.steps.last().unwrap();
    assert_eq!(run.inputs.len(), 3);
}

#[test]
fn a_download_is_a_context_with_one_file() {
    let mut options = options();
    let context = NamedContext::Http(Http {
        url: "https://a.example/x.tgz".to_owned(),
        login: None,
    });
    options.contexts.insert("h".to_owned(), context);
    let text = "FROM h AS a\nFROM scratch\nCOPY --from=h context /b\nRUN --mount=from=h,source=context,target=/m x\nCOPY --from=a / /\n";
    let plan = planned(text, &options).unwrap();
    let copied = plan.steps.iter().filter_map(|step| match &step.operation {
        Operation::Select { selection } => Some(selection.sources.join(" ")),
        Operation::Copy { unpack, .. } => Some(format!("{} {unpack}", step.name)),
        _ => None,
    });
    assert_eq!(
        copied.collect::<Vec<_>>(),
        [
            "http https://a.example/x.tgz → / false",
            "context",
            "copy context → /b from context h false",
            ".",
            "copy . → / from stage a false",
        ]
    );
    let mount = &commands(&plan)[0].mounts[0].kind;
    assert!(matches!(mount, MountKind::Bind { source, .. } if source.to_string() == "/context"));
}

#[test]
fn caches_belong_to_a_namespace() {
    let text =
        "FROM scratch\nRUN --mount=type=cache,target=/k --mount=type=cache,id=c,target=/l x\n";
    let plan = planned(text, &args(&[("BUILDKIT_CACHE_MOUNT_NS", "ns")])).unwrap();
    let ids = commands(&plan)[0]
        .mounts
        .iter()
        .map(|mount| match &mount.kind {
            MountKind::Cache { id, .. } => &id[..],
            _ => "",
        });
    assert_eq!(ids.collect::<Vec<_>>(), ["ns//k", "ns/c"]);
}

#[test]
fn what_is_only_copied_from_is_of_the_targets_platform() {
    let text = "FROM --platform=linux/arm64 y\nCOPY --from=z a b\nRUN --mount=from=m,target=/m x\n";
    let plan = plain(text);
    let images = plan.steps.iter().filter_map(|step| match &step.operation {
        Operation::Image { platform, .. } => Some(format!("{} {platform}", step.name)),
        _ => None,
    });
    assert_eq!(
        images.collect::<Vec<_>>(),
        [
            "image docker.io/library/y:latest linux/arm64",
            "image docker.io/library/z:latest linux/amd64",
            "image docker.io/library/m:latest linux/amd64",
        ]
    );
}

#[test]
fn links_do_not_depend_on_what_is_below() {
    let plan = plain("FROM x\nCOPY --link a /b/\n");
    let expected = [
        "image docker.io/library/x:latest",
        "read a",
        "scratch",
        "copy a → /b/",
        "link copy a → /b/",
    ];
    assert_eq!(names(&plan)[1..], expected[1..]);
    let named = plain("FROM x\nCOPY --link --chown=me a /b/\n");
    assert!(names(&named).iter().all(|name| !name.starts_with("link")));
}

#[test]
fn downloads_and_repositories_are_told_apart() {
    let text = "FROM scratch\nADD https://a.example/x/y%20z /\nADD https://a.example/b.git#main:sub /s/\nADD git@a.example:b /t/\n";
    let plan = plain(text);
    let shown = |step: &crate::plan::Step| match &step.operation {
        Operation::Http { file_name, .. } => Some(format!("http {file_name}")),
        Operation::Git {
            url,
            revision,
            selection,
            ..
        } => {
            let revision = serde_json::to_string(revision).unwrap();
            let sources = selection.sources.join(" ");
            Some(format!("git {url} {revision} {sources}"))
        }
        _ => None,
    };
    let operations: Vec<_> = plan.steps.iter().filter_map(shown).collect();
    assert_eq!(
        operations,
        [
            "http y z",
            r#"git https://a.example/b.git {"ref":{"name":"main"}} sub"#,
            r#"git git@a.example:b {"ref":{}} ."#,
        ]
    );
    let error = planned("FROM scratch\nCOPY https://a.example/x /\n", &options()).unwrap_err();
    assert_eq!(
        error,
        ["`COPY` fetches nothing, and `https://a.example/x` is an address"]
    );
}

#[test]
fn contexts_take_the_place_of_stages_and_images() {
    let contexts = |name: &str, context: &str| Options {
        contexts: BTreeMap::from([(name.to_owned(), NamedContext::parse(context).unwrap())]),
        ..options()
    };
    let text = "FROM busybox AS a\nRUN x\nFROM scratch\nCOPY --from=a f /\n";
    let plan = planned(text, &contexts("a", "/dir")).unwrap();
    let folders = BTreeMap::from([("a".to_owned(), "/dir".to_owned())]);
    assert_eq!(plan.contexts, folders);
    assert!(commands(&plan).is_empty());
    let image = contexts("busybox:latest", "docker-image://b.example/c:1");
    let plan = planned(text, &image).unwrap();
    assert!(names(&plan).contains(&"image b.example/c:1"));
}

#[test]
fn an_entrypoint_drops_the_command_below_it_alone() {
    let change = |text: &str| plain(text).images[0].config[0].clone();
    let both = change("FROM x\nCMD [\"a\"]\nENTRYPOINT [\"b\"]\n");
    assert_eq!(both.cmd.unwrap(), ["a"]);
    assert!(both.args_escaped);
    let none = change("FROM x\nENTRYPOINT []\n");
    assert_eq!((none.entrypoint, none.unset.len()), (None, 2));
    let shell = change("FROM x\nSHELL [\"s\"]\nCMD a  b\nHEALTHCHECK --retries=3 CMD c\n");
    assert_eq!(shell.cmd.unwrap(), ["s", "a  b"]);
    assert_eq!(shell.healthcheck.unwrap().test, ["CMD-SHELL", "c"]);
}

#[test]
fn what_is_wrong_is_told_at_once() {
    let text = "FROM scratch\nCOPY --from=2 a /\nCOPY --chmod=9 a /\nEXPOSE 99999\nVOLUME $NONE\nENV A=${B:?no}\nUSER a\n";
    let errors = planned(text, &options()).unwrap_err();
    assert_eq!(
        errors,
        [
            "stage 2 is not above this one",
            "`9` is no mode: octal digits up to 7777",
            "`99999` is no port",
            "a volume's path is empty",
            "variable `B`: no",
        ]
    );
    let error = planned("FROM $NONE\n", &options()).unwrap_err();
    assert_eq!(
        error,
        ["`FROM` names no image, once its variables are expanded"]
    );
}
