//! What proves who asked is nowhere afterwards; what it gave is.

use std::path::Path;
use std::process::Command;

use cairn::canon::{Digest, base64};

use super::Bench;
use super::world::Answers;
use crate::support::programs::program;
use crate::support::rude::{Reply, Request};
use crate::support::{run, temp};

/// What the command has as a secret.
const TOKEN: &str = "5ec7e7-of-the-command";
/// What the server gives to remember.
const SESSION: &str = "5e5510-of-the-server";

fn answer(request: &Request) -> Reply {
    let shown = [request.header("authorization"), request.header("cookie")];
    let shown = shown.into_iter().flatten().chain([request.path.as_str()]);
    let shown: Vec<_> = shown.collect();
    let shows = |what: &str| shown.iter().any(|shown| shown.contains(what));
    let basic = base64::encode(format!("user:{TOKEN}").as_bytes());
    if !(shows(TOKEN) || shows(&basic) || shows(SESSION)) {
        return Reply::new(401, "who is there?");
    }
    match request.path.split('?').next().unwrap_or_default() {
        "/login" => Reply::new(302, "")
            .with("Set-Cookie", format!("session={SESSION}; Path=/"))
            .with("Location", format!("/inside?page=2&token={SESSION}")),
        path => Reply::new(200, format!("what {path} has")),
    }
}

/// Files below `folder` that have `what` in them.
fn having(folder: &Path, what: &str) -> String {
    let mut grep = program("grep", &["-rlF", what]);
    let output = grep.arg(folder).output().unwrap();
    assert!(output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn what_proves_who_asked_is_in_no_lock_store_or_log() {
    let Some(bench) = Bench::new("secrets", "tools", "tools:1", "") else {
        return;
    };
    let url = bench.url();
    let dockerfile = format!(
        "FROM tools:1 AS fetch
RUN --mount=type=secret,id=token <<END
set -e
mkdir /out
token=$(cat /run/secrets/token)
curl -fsS -H \"Authorization: Bearer $token\" {url}/bearer -o /out/bearer
curl -fsS -u \"user:$token\" {url}/user -o /out/user
curl -fsS -b \"session=$token\" {url}/cookie -o /out/cookie
curl -fsS -b '' -L -H \"Authorization: Bearer $token\" {url}/login -o /out/login
curl -fsS \"{url}/query?X-Amz-Signature=$token&page=1\" -o /out/query
cat /out/*
END
FROM scratch
COPY --from=fetch /out /
"
    );
    bench.write("Dockerfile", dockerfile);
    bench.world.set(Answers::Custom(answer));
    let store = temp();
    let secret = bench.folder.path().join("secret");
    let given = format!("id=token,src={}", secret.display());
    let command = |arguments: &[&str]| -> Command {
        let more = ["--secret", &given, "--progress=plain", "--debug"];
        bench.command_in(store.path(), &[arguments, &more].concat())
    };
    std::fs::write(&secret, TOKEN).unwrap();
    let mut digests = Vec::new();
    // Who has another secret gets what the first gave.
    for (token, arguments) in [
        (TOKEN, &["lock"][..]),
        (TOKEN, &["build", "--locked", "--no-cache"]),
        ("another", &["build", "--locked", "--no-cache"]),
    ] {
        std::fs::write(&secret, token).unwrap();
        let output = command(arguments).output().unwrap();
        let said = String::from_utf8([output.stdout.clone(), output.stderr].concat()).unwrap();
        assert!(output.status.success(), "{said}");
        assert!(said.contains("what /query has"), "{said}");
        for what in [TOKEN, SESSION] {
            assert!(!said.contains(what), "{said}");
        }
        digests.push(output.stdout);
    }
    assert_eq!(digests[1], digests[2]);
    let basic = base64::encode(format!("user:{TOKEN}").as_bytes());
    for what in [TOKEN, SESSION, &basic] {
        assert_eq!(having(store.path(), what), "");
        assert_eq!(having(&bench.context(), what), "");
    }
    // Where there is something, it is found.
    assert_ne!(having(store.path(), "what /query has"), "");
    let lock = bench.lock();
    for path in ["/bearer", "/user", "/cookie", "/inside", "/query"] {
        let digest = Digest::of(format!("what {path} has").as_bytes()).hex();
        assert!(lock.contains(&*digest), "{path}: {lock}");
    }
    for kept in ["/inside?page=2", "/query?page=1"] {
        assert!(lock.contains(&format!("{url}{kept}\"")), "{kept}: {lock}");
    }
}

/// Tokens are one time this, another time that.
fn token(request: &Request) -> Reply {
    let path = &request.path;
    Reply::new(
        200,
        format!("{{\"access_token\":\"{SESSION}\",\"of\":\"{path}\"}}"),
    )
    .with("Content-Type", "application/json")
}

#[test]
fn a_token_that_was_given_is_in_no_image_of_the_lock() {
    let fetch = "curl -fsS HTTPS/token -o /out/token";
    let Some(bench) = Bench::new("token", "tools", "tools:1", fetch) else {
        return;
    };
    bench.write("input/none", "");
    bench.world.set(Answers::Custom(token));
    let store = temp();
    let run = |arguments: &[&str]| run(&mut bench.command_in(store.path(), arguments));
    run(&["lock"]);
    // What was made while it was recorded is no part of that.
    let built = run(&["build", "-q", "--locked"]);
    assert_eq!(run(&["build", "-q", "--locked", "--no-cache"]), built);
    let into = format!(
        "type=local,dest={}",
        bench.folder.path().join("into").display()
    );
    run(&["build", "-q", "--locked", "-o", &into]);
    let got = std::fs::read_to_string(bench.folder.path().join("into/token")).unwrap();
    assert_eq!(got, r#"{"access_token":"removed-by-cairn","of":"/token"}"#);
}
