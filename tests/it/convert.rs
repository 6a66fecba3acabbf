//! A Dockerfile and the `cairn.toml` that says the same have one plan, one set of keys, one digest;
//! and `cairn convert` writes that recipe where it can be said.

use std::path::Path;

use cairn::canon::Source;
use cairn::frontend::dockerfile::{self, BaseConfig, Bases};
use cairn::frontend::{Options, toml};
use cairn::plan::{Plan, print};

use crate::support::recipes::{entries, testdata};
use crate::support::{cairn, temp};

fn options() -> Options {
    Options::new("linux/amd64".parse().unwrap())
}

fn of_dockerfile(text: &[u8]) -> Option<Plan> {
    let source = Source::new("Dockerfile", text.into(), dockerfile::LARGEST).ok()?;
    let file = dockerfile::parse(&source).ok()?;
    let mut known = Bases::new();
    loop {
        let asked = dockerfile::bases(&file, &options(), &known).ok()?;
        if asked.is_empty() {
            return dockerfile::plan(&file, &options(), &known).ok();
        }
        for (question, _) in asked {
            let env = vec![("PATH".to_owned(), "/bin".to_owned())];
            let config = BaseConfig {
                env,
                ..BaseConfig::default()
            };
            known.insert(question, config);
        }
    }
}

fn of_toml(text: &str) -> Plan {
    let source = Source::new("cairn.toml", text.into(), toml::LARGEST).unwrap();
    toml::plan(&source, &options()).unwrap_or_else(|problems| panic!("{problems:#?}\n{text}"))
}

#[test]
fn what_is_converted_has_the_same_plan() {
    let (mut said, mut unsaid) = (0, Vec::new());
    for collection in ["dockerfile", "reference"] {
        for folder in entries(&testdata().join(collection)) {
            let Ok(text) = std::fs::read(folder.join("Dockerfile")) else {
                continue;
            };
            let Some(plan) = of_dockerfile(&text) else {
                continue;
            };
            match toml::write(&plan, &options()) {
                Ok(text) => {
                    let made = of_toml(&text);
                    assert_eq!(print::json(&made).unwrap(), print::json(&plan).unwrap());
                    said += 1;
                }
                Err(problems) => {
                    let problem = problems.first().unwrap();
                    let name = folder.file_name().unwrap().to_string_lossy().into_owned();
                    unsaid.push(format!("{name}: {problem:?}"));
                }
            }
        }
    }
    println!("{said} said; not: {}", unsaid.join("\n"));
    assert!(
        said > unsaid.len() * 3,
        "{said} said; not:\n{}",
        unsaid.join("\n")
    );
}

#[test]
fn what_arguments_make_of_commands_is_written_down() {
    let text = "FROM scratch\nRUN --mount=type=cache,target=/k a\n";
    let mut options = options();
    options.hostname = Some("builder.test".to_owned());
    let namespace = ("BUILDKIT_CACHE_MOUNT_NS".to_owned(), "ns".to_owned());
    options.build_args.extend([namespace]);
    let source = Source::new("Dockerfile", text.into(), dockerfile::LARGEST).unwrap();
    let file = dockerfile::parse(&source).unwrap();
    let plan = dockerfile::plan(&file, &options, &Bases::new()).unwrap();
    let written = toml::write(&plan, &options).unwrap();
    assert!(written.contains("hostname = \"builder.test\"") && written.contains("\"ns//k\""));
    assert_eq!(
        print::json(&of_toml(&written)).unwrap(),
        print::json(&plan).unwrap()
    );
}

/// A Dockerfile's instructions behind `FROM scratch`, and what stands for them: the steps of the
/// stage, and the config.
const PAIRS: [(&str, &str, &str); 14] = [
    ("COPY a /x", r#"copy = { paths = ["a"], to = "/x" }"#, ""),
    (
        "COPY --link --chmod=600 a /x/",
        r#"copy = { paths = ["a"], to = "/x/", mode = "0600", link = true }"#,
        "",
    ),
    (
        "COPY --chown=1:2 d /x",
        r#"copy = { paths = ["d"], to = "/x", owner = "1:2" }"#,
        "",
    ),
    (
        "COPY --exclude=*.md d /x",
        r#"copy = { paths = ["d"], to = "/x", exclude = ["*.md"], missing-ok = true }"#,
        "",
    ),
    (
        "COPY --parents d/b.md /x/",
        r#"copy = { paths = ["d/b.md"], to = "/x/", parents = true }"#,
        "",
    ),
    (
        "ADD a /x",
        r#"copy = { paths = ["a"], to = "/x", unpack = true }"#,
        "",
    ),
    (
        "COPY <<E /x\nhello\nE",
        r#"file = { path = "/x", name = "E", content = "hello\n" }"#,
        "",
    ),
    (
        "COPY <<E /x/\nhello\nE",
        r#"file = { path = "/x/E", content = "hello\n" }"#,
        "",
    ),
    (
        "WORKDIR /w",
        r#"directory = { path = "/w", keep = true }"#,
        "workdir = \"/w\"",
    ),
    (
        "ENV B=1 A=2\nLABEL l=m",
        "",
        "env = { PATH = \"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\", B = \"1\", A = \"2\" }\nlabels = { l = \"m\" }",
    ),
    (
        "ENTRYPOINT [\"/e\"]\nCMD [\"c\"]\nUSER 1",
        "",
        "entrypoint = [\"/e\"]\ncmd = [\"c\"]\nargs-escaped = true\nuser = \"1\"",
    ),
    (
        "SHELL [\"/s\", \"-c\"]\nONBUILD RUN x",
        "",
        "shell = [\"/s\", \"-c\"]\non-build = [\"RUN x\"]",
    ),
    ("STOPSIGNAL quit", "", "stop-signal = \"quit\""),
    (
        "EXPOSE 80\nVOLUME /v\nSTOPSIGNAL SIGINT\nHEALTHCHECK --interval=5s CMD [\"h\"]",
        "",
        "ports = [\"80\"]\nvolumes = [\"/v\"]\nstop-signal = \"SIGINT\"\nhealthcheck = { test = [\"CMD\", \"h\"], interval = \"5s\" }",
    ),
];

const PATH: &str =
    "env = { PATH = \"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\" }\n";

fn recipe(step: &str, config: &str) -> String {
    let mut text = "from = { stage = \"0\" }\n[stages.0]\nfrom = \"scratch\"\n".to_owned();
    if !step.is_empty() {
        text += &format!("[[stages.0.steps]]\n{step}\n");
    }
    text += "[stages.0.config]\n";
    if !config.contains("workdir") {
        text += "workdir = \"/\"\n";
    }
    if !config.contains("env =") {
        text += PATH;
    }
    text + config + "\n"
}

fn digest(context: &Path, recipe: &Path) -> String {
    let store = temp();
    let mut build = cairn(store.path());
    build.args(["build", "-q", "--platform=linux/amd64", "-f"]);
    let output = build.arg(recipe).arg(context).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn pairs_have_one_plan_and_one_digest() {
    let folder = temp();
    let context = folder.path().join("context");
    std::fs::create_dir_all(context.join("d")).unwrap();
    for file in ["a", "d/b.md", "d/c"] {
        std::fs::write(context.join(file), file).unwrap();
    }
    let [dockerfile, toml] = ["Dockerfile", "cairn.toml"].map(|name| folder.path().join(name));
    for (instructions, step, config) in PAIRS {
        let text = format!("FROM scratch\n{instructions}\n");
        let recipe = recipe(step, config);
        let one = of_dockerfile(text.as_bytes()).unwrap();
        let other = of_toml(&recipe);
        assert_eq!(
            print::json(&one).unwrap(),
            print::json(&other).unwrap(),
            "{text}"
        );
        std::fs::write(&dockerfile, text).unwrap();
        std::fs::write(&toml, recipe).unwrap();
        let digests = [&dockerfile, &toml].map(|recipe| digest(&context, recipe));
        assert_eq!(digests[0], digests[1], "{instructions}");
    }
}

/// Commands have all that a Dockerfile says of them.
#[test]
fn commands_have_one_plan() {
    for (run, said) in [
        ("RUN a b", r#"command = "a b""#),
        ("RUN [\"a\", \"b\"]", r#"command = ["a", "b"]"#),
        (
            "RUN --network=none --security=insecure a",
            r#"command = "a", network = "none", security = "insecure""#,
        ),
        (
            "RUN --device=/dev/kvm --device=required,name=/dev/fuse a",
            r#"command = "a", devices = ["/dev/kvm", "/dev/fuse,required"]"#,
        ),
        (
            "RUN --mount=target=/m,source=d,rw a",
            r#"command = "a", mounts = [{ type = "bind", target = "/m", source = "d", writable = true }]"#,
        ),
        (
            "RUN --mount=type=cache,id=c,target=/m,sharing=locked,uid=5 a",
            r#"command = "a", mounts = [{ type = "cache", id = "c", target = "/m", sharing = "locked", uid = 5 }]"#,
        ),
        (
            "RUN --mount=type=tmpfs,target=/m,size=1k,ro a",
            r#"command = "a", mounts = [{ type = "tmpfs", target = "/m", size = 1024, read-only = true }]"#,
        ),
        (
            "RUN --mount=type=secret,id=s,required,mode=0444 a",
            r#"command = "a", mounts = [{ type = "secret", id = "s", required = true, mode = "0444" }]"#,
        ),
        (
            "RUN --mount=type=secret,id=s,env=S a",
            r#"command = "a", mounts = [{ type = "secret", id = "s", variable = "S" }]"#,
        ),
        (
            "RUN --mount=type=ssh a",
            r#"command = "a", mounts = [{ type = "ssh" }]"#,
        ),
        // Mounts go by their targets, in whatever order they are written.
        (
            "RUN --mount=type=tmpfs,target=/m/sub --mount=target=/m,source=d a",
            r#"command = "a", mounts = [{ type = "bind", target = "/m", source = "d" }, { type = "tmpfs", target = "/m/sub" }]"#,
        ),
        (
            "RUN --mount=target=/m,source=d --mount=type=tmpfs,target=/m/sub a",
            r#"command = "a", mounts = [{ type = "tmpfs", target = "/m/sub" }, { type = "bind", target = "/m", source = "d" }]"#,
        ),
        (
            "RUN <<E\n#!/b\nE",
            r##"command = ["/dev/pipes/E"], mounts = [{ type = "file", target = "/dev/pipes/E", content = "#!/b\n", mode = "0755" }]"##,
        ),
        ("SHELL [\"/s\"]\nRUN a", r#"command = "a", shell = ["/s"]"#),
    ] {
        let text = format!("FROM scratch\n{run}\n");
        let said = format!("run = {{ {said}, {} }}", PATH.trim_end());
        let config = if run.starts_with("SHELL") {
            "shell = [\"/s\"]"
        } else {
            ""
        };
        let one = of_dockerfile(text.as_bytes()).unwrap();
        let other = of_toml(&recipe(&said, config));
        assert_eq!(
            print::json(&one).unwrap(),
            print::json(&other).unwrap(),
            "{text}"
        );
    }
}

#[test]
fn a_symbolic_mode_is_told_where_it_stands() {
    for copy in ["COPY --chmod=u=rwX a /b", "COPY --chmod=a+x <<E /b\nE"] {
        let text = format!("FROM scratch\nCOPY a /\n{copy}\nCOPY a /c\n");
        let plan = of_dockerfile(text.as_bytes()).unwrap();
        let problems = toml::write(&plan, &options()).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:?}");
        let problem = &problems[0];
        assert!(problem.message.contains("symbolic mode"), "{problem:?}");
        assert!(problem.hint.as_ref().unwrap().contains("digits"));
        let place = problem.span.clone().unwrap();
        assert!(text[place].starts_with("COPY --chmod"), "{problem:?}");
    }
}

#[test]
fn a_login_is_not_left_out_without_a_word() {
    let folder = temp();
    let digest = "0".repeat(64);
    let recipe = |login: &str| {
        let recipe =
            format!("FROM scratch\nADD --checksum=sha256:{digest} https://{login}a.test/x /x\n");
        std::fs::write(folder.path().join("Dockerfile"), recipe).unwrap();
        let mut command = cairn(&folder.path().join("store"));
        command.arg("convert").arg(folder.path().join("Dockerfile"));
        let output = command.output().unwrap();
        (
            output.status.success(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    assert!(recipe("").0);
    let (is_done, said) = recipe("me:secret@");
    assert!(!is_done && said.contains("a login in an address") && !said.contains("secret"));
}
