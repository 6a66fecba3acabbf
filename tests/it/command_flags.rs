//! What `cairn build` is told about commands, how their failures look, and what they leave behind.
//!
//! In: Dockerfiles on an image with one program, this machine's busybox. Out: digests, texts, and
//! all that the store holds.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::support::recipes::below;
use crate::support::{cairn, require, temp};

struct Ground(tempfile::TempDir);

impl Ground {
    /// None where there is no busybox.
    fn new() -> Option<Ground> {
        if !require("busybox") {
            return None;
        }
        let ground = Ground(temp());
        let base = ground.path("base");
        std::fs::create_dir(&base).unwrap();
        std::fs::copy("/bin/busybox", base.join("sh")).unwrap();
        std::fs::create_dir(ground.path("context")).unwrap();
        let text = "FROM scratch\nCOPY --chmod=755 sh /bin/sh\nENV PATH=/bin\n";
        std::fs::write(base.join("Dockerfile"), text).unwrap();
        let built = ground
            .cairn(&["build", "-q", "-t", "base"])
            .arg(base)
            .output();
        assert!(built.unwrap().status.success());
        Some(ground)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn cairn(&self, arguments: &[&str]) -> Command {
        let mut command = cairn(&self.path("store"));
        command.args(arguments).current_dir(self.0.path());
        command
    }

    /// The build of `FROM base` and this.
    fn build(&self, lines: &str, arguments: &[&str]) -> Command {
        let text = format!("FROM base\n{lines}\n");
        std::fs::write(self.path("context/Dockerfile"), text).unwrap();
        let mut build = self.cairn(&["build", "--progress=plain"]);
        build.args(arguments).arg("context");
        build
    }

    /// What that says, and its exit code.
    #[track_caller]
    fn says(&self, lines: &str, arguments: &[&str], code: i32) -> String {
        said(&self.build(lines, arguments).output().unwrap(), code)
    }

    /// All files of the store, those that are compressed also as they were before.
    fn holds(&self, what: &[u8]) -> Option<PathBuf> {
        let store = self.path("store");
        let mut paths = below(&store).into_iter().map(|path| store.join(path));
        paths.find(|path| path.is_file() && file_holds(path, what))
    }
}

#[track_caller]
fn said(output: &Output, code: i32) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{text}");
    text
}

fn file_holds(path: &Path, what: &[u8]) -> bool {
    let bytes = std::fs::read(path).unwrap();
    let has = |bytes: &[u8]| bytes.windows(what.len()).any(|part| part == what);
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let mut plain = Vec::new();
        let mut gzip = flate2::read::MultiGzDecoder::new(&bytes[..]);
        gzip.read_to_end(&mut plain).unwrap();
        return has(&plain) || has(&bytes);
    }
    has(&bytes)
}

/// `bytes` as others may write them: plain, in hexadecimal digits, and as they stand in any text
/// of base64.
fn forms(bytes: &[u8]) -> Vec<Vec<u8>> {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let upper = hex.to_uppercase();
    let mut forms = vec![bytes.to_vec(), hex.into_bytes(), upper.into_bytes()];
    for before in 0..3 {
        // What neither depends on the bytes before nor on those behind.
        let skipped = (3 - before) % 3;
        let whole = (bytes.len() - skipped) / 3 * 3;
        forms.push(base64(&bytes[skipped..skipped + whole]));
    }
    forms
}

fn base64(bytes: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = bytes.chunks_exact(3).flat_map(|three| {
        let number = three
            .iter()
            .fold(0, |sum, &byte| sum << 8 | usize::from(byte));
        [18, 12, 6, 0].map(|shift| DIGITS[number >> shift & 63])
    });
    digits.collect()
}

#[test]
fn forms_are_found_in_longer_texts() {
    for text in ["xa secret", "xya secret", "xyza secret z"] {
        let padded = format!("{text:<15}");
        let encoded = base64(padded.as_bytes());
        let found = forms(b"a secret")
            .into_iter()
            .filter(|form| encoded.windows(form.len()).any(|part| part == &form[..]));
        assert_eq!(found.count(), 1, "{text}");
    }
}

#[test]
fn secrets_are_in_no_file_of_the_store_and_in_no_key() {
    let Some(ground) = Ground::new() else {
        return;
    };
    let secrets = ["correct-horse-7301", "battery-staple-4410"];
    let lines = "RUN --mount=type=secret,id=file --mount=type=secret,id=var,env=VAR \
        test \"$(cat /run/secrets/file)\" = \"$EXPECTED\" || echo \"$VAR\" > /dev/null; \
        cat /run/secrets/file; echo; echo \"it is $VAR.\"; echo done > /x";
    let failing = "RUN --mount=type=secret,id=file --mount=type=secret,id=var,env=VAR \
        cat /run/secrets/file >&2; echo \"$VAR\"; exit 3";
    let arguments = |file: &str, debug: bool| {
        std::fs::write(ground.path("secret"), file).unwrap();
        let mut arguments = vec![
            "--secret",
            "id=file,src=secret",
            "--secret",
            "id=var,env=VAR",
        ];
        arguments.extend(debug.then_some("--debug"));
        arguments
    };
    let mut all = String::new();
    let mut build = ground.build(lines, &arguments(secrets[0], true));
    all += &said(&build.env("VAR", secrets[1]).output().unwrap(), 0);
    assert!(all.contains("it is ***."), "{all}");
    let mut build = ground.build(failing, &arguments(secrets[0], true));
    all += &said(&build.env("VAR", secrets[1]).output().unwrap(), 1);
    // Another secret makes no other key.
    let mut build = ground.build(lines, &arguments("other", false));
    let text = said(&build.env("VAR", "another").output().unwrap(), 0);
    assert!(text.contains("(cached)"), "{text}");
    for secret in secrets {
        assert!(!all.contains(secret), "{all}");
        for form in forms(secret.as_bytes()) {
            let shown = String::from_utf8_lossy(&form).into_owned();
            assert_eq!(ground.holds(&form), None, "{shown}");
        }
        let digest = cairn::canon::Digest::of(secret.as_bytes());
        assert_eq!(ground.holds(digest.hex().as_bytes()), None);
    }
    // What is looked for would be found.
    assert!(ground.holds(b"it is ***.").is_some() && ground.holds(b"done\n").is_some());
}

#[test]
fn proxies_reach_commands_and_nothing_else() {
    let Some(ground) = Ground::new() else {
        return;
    };
    // Both are there in both spellings.
    let lines = "RUN test -n \"$HTTP_PROXY\" -a \"$HTTP_PROXY\" = \"$http_proxy\" && \
        test -n \"$HTTPS_PROXY\" -a \"$HTTPS_PROXY\" = \"$https_proxy\" && echo it has > /x";
    let proxy = |number: u8| format!("http://ann:pass-{number}@proxy.test:1");
    let argument = |number| format!("https_proxy={}", proxy(number));
    let mut build = ground.build(lines, &["--build-arg", &argument(2)]);
    said(&build.env("HTTP_PROXY", proxy(1)).output().unwrap(), 0);
    let mut build = ground.build(lines, &["--build-arg", &argument(3)]);
    let text = said(&build.output().unwrap(), 0);
    assert!(text.contains("(cached)"), "{text}");
    assert_eq!(ground.holds(b"proxy.test"), None);
}

#[test]
fn proxies_of_dockers_users_are_theirs_here_too() {
    let Some(ground) = Ground::new() else {
        return;
    };
    let config = ground.path("config.json");
    let proxies = r#"{"default": {"httpProxy": "http://docker.test:1", "noProxy": "x.test"}}"#;
    std::fs::write(&config, format!(r#"{{"proxies": {proxies}}}"#)).unwrap();
    let says = |expected: &str, arguments: &[&str], env: &[(&str, &str)]| {
        let lines = format!("RUN test \"$HTTP_PROXY $http_proxy $no_proxy\" = \"{expected}\"");
        let mut build = ground.build(&lines, arguments);
        build
            .env("DOCKER_CONFIG", &config)
            .envs(env.iter().copied());
        said(&build.output().unwrap(), 0)
    };
    let docker = "http://docker.test:1";
    says(&format!("{docker} {docker} x.test"), &[], &[]);
    let other = [("http_proxy", "http://own.test:1")];
    says("http://own.test:1 http://own.test:1 x.test", &[], &other);
    says("  x.test", &["--build-arg", "HTTP_PROXY="], &other);
    std::fs::write(&config, r#"{"proxies": 1}"#).unwrap();
    let text = says("  ", &[], &[]);
    assert!(text.contains("docker's proxies are not used"), "{text}");
}

#[test]
fn a_failure_says_how_where_and_what_to_do() {
    let Some(ground) = Ground::new() else {
        return;
    };
    let text = ground.says("RUN echo first\nRUN echo near >&2; exit 7", &[], 1);
    let key = text.split("`cairn log ").nth(1).unwrap();
    let key = key.split('`').next().unwrap().to_owned();
    for part in [
        "error: the command ended with exit code 7\n",
        " --> context/Dockerfile:3:1\n",
        "3 | RUN echo near >&2; exit 7\n",
        "it wrote last:\n          near\n",
        "`--debug-shell` opens a shell where it failed",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let log = ground.cairn(&["log", &key[..5]]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&log.stdout), "near\n");
    let list = ground.cairn(&["log"]).output().unwrap();
    let list = String::from_utf8_lossy(&list.stdout).into_owned();
    let rows: Vec<_> = list.lines().collect();
    assert!(rows.len() == 3 && rows[1].contains("done") && rows[1].ends_with("echo first"));
    assert!(
        rows[2].starts_with(&key) && rows[2].contains("failed"),
        "{list}"
    );
    for (key, code) in [("abc", 2), ("nokey", 2), ("0000000000", 3)] {
        said(&ground.cairn(&["log", key]).output().unwrap(), code);
    }
    let text = ground.says("RUN kill -9 $$", &[], 1);
    assert!(
        text.contains("by signal 9 (SIGKILL), and wrote nothing"),
        "{text}"
    );
    // There is nothing to be seen in its log.
    assert!(!text.contains("cairn log"), "{text}");
    let text = ground.says("RUN sleep 60", &["--timeout", "200ms"], 1);
    assert!(
        text.contains("its time was over") && text.contains("`--timeout`"),
        "{text}"
    );
    let large = "RUN dd if=/dev/zero of=/dev/null bs=500M count=1";
    ground.says(large, &["--memory", "64m"], 1);
    let many = format!("RUN {}\n{}", "echo a; \\\n".repeat(40), "  exit 1");
    let text = ground.says(&many, &[], 1);
    assert!(!text.contains("20 | "), "{text}");
}

#[test]
fn commands_have_what_the_flags_say() {
    let Some(ground) = Ground::new() else {
        return;
    };
    let lines = "RUN test \"$(ulimit -n)\" = 77 && grep -q '10.9.8.7.*peer' /etc/hosts && \
        df -k /dev/shm | grep -q ' 2048 '";
    let flags = [
        "--ulimit",
        "nofile=77",
        "--add-host",
        "peer:10.9.8.7",
        "--shm-size=2m",
    ];
    ground.says(lines, &flags, 0);
    let agent = ground.path("agent");
    let listener = std::os::unix::net::UnixListener::bind(&agent).unwrap();
    let lines = "RUN --mount=type=ssh,required test -S $SSH_AUTH_SOCK";
    let mut build = ground.build(lines, &["--ssh", "default"]);
    said(&build.env("SSH_AUTH_SOCK", &agent).output().unwrap(), 0);
    ground.says(lines, &["--ssh", "default=agent", "--no-cache"], 0);
    // Other mounts don't count, the first socket is the one, and a variable of one's own stays.
    let lines = "RUN --mount=type=tmpfs,target=/t --mount=type=ssh,required \
        --mount=type=ssh,required,target=/a test \"$SSH_AUTH_SOCK\" = /run/buildkit/ssh_agent.0\n\
        ENV SSH_AUTH_SOCK=/mine\n\
        RUN --mount=type=ssh,required test \"$SSH_AUTH_SOCK\" = /mine && \
        test -S /run/buildkit/ssh_agent.0";
    ground.says(lines, &["--ssh", "default=agent"], 0);
    drop(listener);
    let filtered = "RUN echo a\nFROM base AS other\nRUN echo b\nCOPY --from=0 / /a/";
    ground.says(filtered, &[], 0);
    let text = ground.says(filtered, &["--no-cache-filter=other"], 0);
    assert!(
        text.contains("run echo a (cached)") && !text.contains("run echo b (cached)"),
        "{text}"
    );
    let none = ground.says("RUN true", &["--network=none"], 0);
    assert!(!none.contains("reach the network"), "{none}");
}

#[test]
fn what_has_to_be_allowed_is_refused_without_and_named_with() {
    let Some(ground) = Ground::new() else {
        return;
    };
    for (line, what) in [
        ("RUN --network=host true", "network.host"),
        ("RUN --security=insecure true", "security.insecure"),
        ("RUN --device=/dev/null true", "device"),
    ] {
        let text = ground.says(line, &[], 1);
        assert!(text.contains(&format!("`--allow {what}`")), "{text}");
        assert!(text.contains("the recipe asks for"), "{text}");
    }
    let text = ground.says("RUN true", &["--network=host"], 1);
    assert!(
        text.contains("`--network host` gives commands the host's network")
            && text.contains("`--allow network.host`")
            && !text.contains("the recipe asks"),
        "{text}"
    );
    let text = ground.says("RUN --network=host true", &["--allow=network.host"], 0);
    assert!(
        text.contains("warning: a command has the host's network"),
        "{text}"
    );
    ground.says(
        "RUN --device=/dev/null true",
        &["--allow=device=/dev/zero"],
        1,
    );
    let allowed = &["--allow=device"][..];
    // What isn't there has to be, or is gone without.
    let text = ground.says("RUN --device=/dev/no-such,required true", allowed, 3);
    assert!(text.contains("no device `/dev/no-such`"), "{text}");
    let text = ground.says("RUN --device=/dev/no-such test ! -e /dev/no-such", &[], 0);
    assert!(
        text.contains("goes without") && !text.contains("has devices"),
        "{text}"
    );
    let text = ground.says("RUN --device=vendor.com/gpu=all true", allowed, 1);
    assert!(text.contains("hint: name the device's own files"), "{text}");
}

#[test]
fn what_a_flag_can_not_have_is_told() {
    let Some(ground) = Ground::new() else {
        return;
    };
    let secret = "RUN --mount=type=secret,id=a,required cat /run/secrets/a";
    for (line, flags, code, expected) in [
        (secret, &[][..], 3, "`--secret id=a,src=FILE`"),
        (
            secret,
            &["--secret", "id=a,src=gone"],
            3,
            "the secret `a`: can't read `gone`",
        ),
        (
            secret,
            &["--secret", "id=a,env=GONE"],
            3,
            "there is no secret `a`",
        ),
        (
            secret,
            &["--build-arg", "BUILDKIT_SANDBOX_HOSTNAME=a b"],
            2,
            "BUILDKIT_SANDBOX_HOSTNAME: `a b` is no name of a host",
        ),
        (secret, &["--ssh", "default"], 3, "SSH_AUTH_SOCK names none"),
        (secret, &["--ssh", "a=context/Dockerfile"], 2, "ssh-add"),
        (secret, &["--debug-shell"], 2, "needs a terminal"),
        (secret, &["--cache-to=type=inline"], 2, "CAIRN_HOME"),
        (secret, &["-f", "https://127.0.0.1:1/Dockerfile"], 2, "curl"),
    ] {
        let text = ground.says(line, flags, code);
        assert!(text.contains(expected), "{expected} in {text}");
    }
}

#[test]
fn a_shell_opens_where_a_command_failed() {
    let Some(ground) = Ground::new().filter(|_| require("script")) else {
        return;
    };
    let lines = "RUN echo evi''dence > /left; exit 1";
    let build = ground.build(lines, &["--debug-shell"]);
    let words = std::iter::once(build.get_program()).chain(build.get_args());
    // The checkout's path may have spaces.
    let words: Vec<_> = words.map(|word| format!("'{}'", word.display())).collect();
    let mut script = Command::new("script");
    script.args(["-qec", &words.join(" "), "/dev/null"]);
    script
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("TERM", "dumb");
    script
        .env("CAIRN_HOME", ground.path("store"))
        .current_dir(ground.0.path());
    script.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut running = script.spawn().unwrap();
    let mut typed = running.stdin.take().unwrap();
    typed.write_all(b"cat /left\nexit\n").unwrap();
    let mut shown = String::new();
    running
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut shown)
        .unwrap();
    drop(typed);
    assert_eq!(running.wait().unwrap().code(), Some(1), "{shown}");
    assert!(
        shown.contains("evidence") && shown.contains("exit code 1"),
        "{shown}"
    );
    assert!(!shown.contains("--debug-shell"), "{shown}");
}

#[test]
fn the_doctor_tries_everything() {
    let home = temp();
    let output = cairn(home.path())
        .args(["doctor", "--json"])
        .output()
        .unwrap();
    said(&output, 0);
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["ok"], true);
    let checks = told["checks"].as_array().unwrap();
    assert!(checks.len() > 6);
    for check in checks {
        let state = check["state"].as_str().unwrap();
        let is_sound = state == "good" || state == "slower" && check["remedy"].is_string();
        assert!(is_sound, "{check}");
    }
    let output = cairn(home.path()).arg("doctor").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(
        text.lines().filter(|line| !line.starts_with(' ')).count(),
        checks.len()
    );
}
