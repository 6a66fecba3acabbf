//! Source policies: what may be had, what is taken in its place, and the one that a lock gives.

use cairn::canon::Digest;
use serde_json::{Value, json};

use super::World;
use crate::support::{require, temp};

fn rule(action: &str, identifier: &str) -> Value {
    json!({ "action": action, "selector": { "identifier": identifier } })
}

fn convert(from: &str, updates: &Value) -> Value {
    json!({ "action": "CONVERT", "selector": { "identifier": from }, "updates": updates })
}

impl World {
    fn put_policy(&self, rules: &[Value]) {
        let text = json!({ "version": 1, "rules": rules }).to_string();
        self.write("policy.json", &text);
    }

    /// What a policy calls the branch, without its name.
    fn place(&self) -> String {
        format!("git://{}/repository/.git", self.server.address)
    }

    fn source(&self) -> String {
        format!("docker-image://{}", self.image())
    }
}

const POLICY: &str = "--source-policy-file=policy.json";

#[test]
fn what_is_denied_is_not_even_asked_for() {
    if !require("git") {
        return;
    }
    let mut world = World::new();
    let image = world.source();
    let others = [
        format!("{}#main", world.place()),
        world.url(),
        "local://context".to_owned(),
    ];
    // All of it is gone, and it isn't that that is told.
    world.end();
    let is_denied = |source: &str, arguments: &[&str]| {
        world.put_policy(&[
            rule("ALLOW", "*"),
            rule("DENY", source),
            rule("ALLOW", "docker-image://other.test/*"),
        ]);
        let (code, text) = world.told(arguments);
        assert_eq!(code, Some(3), "{arguments:?}: {text}");
        for part in ["`policy.json` denies", source, "rule 2"] {
            assert!(text.contains(part), "{arguments:?}: {part}: {text}");
        }
        text
    };
    // What comes on standard input is this machine's, too.
    let tar = ["build", POLICY, "-f", "Dockerfile", "-"];
    is_denied("local://dockerfile", &tar);
    for command in ["build", "lock", "plan"] {
        let text = is_denied(&image, &[command, POLICY]);
        assert!(text.contains("--> Dockerfile:1:6"), "{text}");
        is_denied("local://dockerfile", &[command, POLICY]);
        is_denied(
            "git://*",
            &[command, POLICY, &format!("{}#main", world.repository_url())],
        );
    }
    let dockerfile = std::fs::read_to_string(world.context().join("Dockerfile")).unwrap();
    let base = format!("FROM {}\n", world.image());
    world.write("Dockerfile", &dockerfile.replace(&base, "FROM scratch\n"));
    for source in &others {
        for command in ["build", "lock", "plan"] {
            let text = is_denied(source, &[command, POLICY]);
            assert!(text.contains("--> Dockerfile:"), "{text}");
        }
    }
    // Images of other places in a recipe.
    for recipe in [
        format!("FROM scratch\nCOPY --from={} / /\n", world.image()),
        "FROM scratch\nCOPY --from=named / /\n".to_owned(),
    ] {
        world.write("Dockerfile", &recipe);
        let context = format!("--build-context=named={image}");
        is_denied(&image, &["build", POLICY, &context]);
    }
}

#[test]
fn the_environment_names_a_policy_as_for_buildx() {
    if !require("git") {
        return;
    }
    let world = World::new();
    world.put_policy(&[rule("DENY", "local://*")]);
    let told = |variable: &str, arguments: &[&str]| {
        let mut command = world.command(arguments);
        command.env("EXPERIMENTAL_BUILDKIT_SOURCE_POLICY", variable);
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), text)
    };
    let (code, text) = told("policy.json", &["build"]);
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("`policy.json` denies `local://"), "{text}");
    let (code, text) = told("", &["build"]);
    assert_eq!(code, Some(0), "{text}");
    // What is given goes before it.
    world.write("other.json", "{}");
    let (code, text) = told("policy.json", &["build", "--source-policy-file=other.json"]);
    assert_eq!(code, Some(0), "{text}");
    for (text, part) in [
        ("{\"rules\": 1}", "invalid type"),
        ("{\"Rules\": []}", "`Rules`"),
    ] {
        world.write("other.json", text);
        let (code, text) = told("other.json", &["build"]);
        assert_eq!(code, Some(3), "{text}");
        assert!(
            text.contains(part) && text.contains("`other.json`"),
            "{text}"
        );
    }
    let (code, text) = told("nowhere.json", &["build"]);
    assert_eq!(code, Some(3), "{text}");
    assert!(
        text.contains("EXPERIMENTAL_BUILDKIT_SOURCE_POLICY"),
        "{text}"
    );
}

#[test]
fn what_is_converted_is_built_as_if_the_recipe_said_so() {
    if !require("git") {
        return;
    }
    let world = World::new();
    let commit = world.move_branch("two");
    world.move_branch("three");
    let other = world.served.name("other:2");
    let store = cairn::store::Store::open(&world.folder.path().join("registry")).unwrap();
    let digest = crate::support::served::named_image(&store, &other, "other");
    let checksum = Digest::of(b"one").to_string();
    world.put_policy(&[
        convert(
            &world.source(),
            &json!({ "identifier": format!("docker-image://{other}@{digest}") }),
        ),
        convert(
            &format!("{}#main", world.place()),
            &json!({ "identifier": format!("{}#{commit}", world.place()) }),
        ),
        convert(
            &world.url(),
            &json!({ "identifier": format!("{}?other", world.url()),
                     "attrs": { "http.checksum": checksum } }),
        ),
    ]);
    let layers = |arguments: &[&str]| {
        world.run(&[&["build", "-q", "-t", "built"], arguments].concat());
        let image: Value =
            serde_json::from_str(&world.run(&["inspect", "--json", "built"])).unwrap();
        let layers = image["images"][0]["layers"].as_array().unwrap();
        layers
            .iter()
            .map(|layer| layer["diffId"].clone())
            .collect::<Vec<_>>()
    };
    let converted = layers(&[POLICY]);
    assert_eq!(converted.len(), 4);
    let dockerfile = std::fs::read_to_string(world.context().join("Dockerfile")).unwrap();
    let said = dockerfile
        .replace(&world.image(), &other)
        .replace("#main", &format!("#{commit}"))
        .replace(&world.url(), &format!("{}?other", world.url()));
    // Nothing is pinned by a lock that the policy pins.
    let (code, text) = world.told(&["build", POLICY, "--progress=plain", "--no-cache"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(!text.contains("not pinned"), "{text}");
    let told = format!(
        "`policy.json` takes `{other}@{digest}` in place of `{}`",
        world.image()
    );
    assert!(text.contains(&told), "{text}");
    world.run(&["lock", POLICY]);
    let lock = world.lock();
    assert!(lock.contains(&format!("{other}@{digest}")), "{lock}");
    assert!(lock.contains("?other"), "{lock}");
    // The lock is of what the policy made of the recipe.
    let (code, text) = world.told(&["lock", "--check"]);
    assert_eq!(code, Some(1), "{text}");
    world.run(&["lock", "--check", POLICY]);
    std::fs::remove_file(world.context().join("cairn.lock")).unwrap();
    std::fs::remove_file(world.context().join("policy.json")).unwrap();
    world.write("Dockerfile.said", &said);
    assert_eq!(layers(&["-f", "Dockerfile.said"]), converted);
    assert_ne!(layers(&[]), converted);
}

#[test]
fn what_is_not_what_the_policy_says_is_refused() {
    if !require("git") {
        return;
    }
    let world = World::new();
    let checksum = Digest::of(b"two").to_string();
    world.put_policy(&[convert(
        &world.url(),
        &json!({ "attrs": { "http.checksum": checksum } }),
    )]);
    let (code, text) = world.told(&["build", POLICY]);
    assert_eq!(code, Some(4), "{text}");
    for part in [&checksum, "the recipe or the source policy says"] {
        assert!(text.contains(part), "{text}");
    }
    world.move_file(Some("two"));
    world.run(&["build", "-q", POLICY]);
}

#[test]
fn what_is_locked_is_judged_too() {
    if !require("git") {
        return;
    }
    let world = World::new();
    let (base, commit) = (world.move_image("two"), world.move_branch("two"));
    world.run(&["lock"]);
    // What names mean is none of what rules about names say.
    world.put_policy(&[
        rule("DENY", "*"),
        rule("ALLOW", "local://*"),
        rule("ALLOW", &world.source()),
        rule("ALLOW", &format!("{}#main", world.place())),
        rule("ALLOW", &world.url()),
    ]);
    world.run(&["build", "-q", "--locked", POLICY]);
    for denied in [format!("*@{base}"), format!("*#{commit}")] {
        world.put_policy(&[rule("DENY", &denied)]);
        let (code, text) = world.told(&["build", "--locked", POLICY]);
        assert_eq!(code, Some(3), "{text}");
        assert!(text.contains(&denied), "{text}");
    }
    let constraint = json!({ "key": "http.checksum", "value": Digest::of(b"one").to_string() });
    let mut rule = rule("DENY", "*");
    rule["selector"]["constraints"] = json!([constraint]);
    world.put_policy(&[rule]);
    let (code, text) = world.told(&["build", "--locked", POLICY]);
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains(&world.url()), "{text}");
}

#[test]
fn a_lock_gives_a_policy_that_pins_the_same() {
    if !require("git") {
        return;
    }
    let world = World::new();
    let written = world.run(&["lock", "--write-policy", "-"]);
    let locked = world.run(&["build", "-q"]);
    world.run(&["lock", "--write-policy", "../written.json"]);
    let path = world.folder.path().join("written.json");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), written);
    world.move_image("two");
    world.move_branch("two");
    std::fs::remove_file(world.context().join("cairn.lock")).unwrap();
    let other = temp();
    let build = |policy: Option<&str>| {
        let mut command = world.command_in(other.path(), &["build", "-q"]);
        command.args(policy);
        crate::support::run(&mut command)
    };
    assert_eq!(build(Some("--source-policy-file=../written.json")), locked);
    assert_ne!(build(None), locked);
    world.move_file(Some("two"));
    let other = temp();
    let arguments = ["build", "--source-policy-file=../written.json"];
    let output = world.command_in(other.path(), &arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(4));
}

#[test]
fn a_context_that_is_fetched_is_judged_as_what_it_is() {
    if !require("git") {
        return;
    }
    let world = World::new();
    let recipe = ("Dockerfile", "FROM scratch\nCOPY file /\n");
    let commit = world.repository.commit(&[recipe, ("file", "old")]);
    world.repository.commit(&[("file", "new")]);
    let build = |name: &str, arguments: &[&str]| {
        let context = format!("{}#{name}", world.repository_url());
        world.run(&[&["build", "-q", &context], arguments].concat())
    };
    let (old, new) = (build(&commit, &[]), build("main", &[]));
    assert_ne!(old, new);
    let to = json!({ "identifier": format!("{}#{commit}", world.place()) });
    let from = format!("{}#main", world.place());
    // It is no folder of this machine.
    world.put_policy(&[convert(&from, &to), rule("DENY", "local://*")]);
    assert_eq!(build("main", &[POLICY]), old);
    world.put_policy(&[rule("DENY", &format!("*#{commit}"))]);
    let context = format!("{}#{commit}", world.repository_url());
    let (code, text) = world.told(&["build", &context, POLICY]);
    assert_eq!(code, Some(3), "{text}");
}

#[test]
fn what_a_command_fetches_is_judged_too() {
    if !require("git") || !require("busybox") {
        return;
    }
    let world = World::new();
    std::fs::copy("/bin/busybox", world.context().join("busybox")).unwrap();
    let at = format!("http://files.test:{}", world.server.address.port());
    let dockerfile = format!(
        "FROM scratch\nCOPY busybox /bin/wget\nRUN [\"/bin/wget\", \"-q\", \"-O\", \"/got\", \"{at}/file\"]\n"
    );
    world.write("Dockerfile", &dockerfile);
    let with = |command: &'static str| [command, POLICY, "--add-host=files.test:host-gateway"];
    let denying = [rule("ALLOW", "*"), rule("DENY", &format!("{at}/*"))];
    world.put_policy(&denying);
    for command in ["build", "lock"] {
        let (code, text) = world.told(&with(command));
        assert_eq!(code, Some(3), "{text}");
        assert!(
            text.contains(&format!("`policy.json` denies `{at}/file`: rule 2")),
            "{text}"
        );
    }
    assert_eq!(world.server.seen("GET", "/file").len(), 0);
    // Another takes its place, for a build without a lock and in a lock.
    let other = convert(
        &format!("{at}/file"),
        &json!({ "identifier": format!("{at}/other") }),
    );
    world.put_policy(&[other]);
    let judged = world.run(&[&with("build")[..], &["-q"]].concat());
    world.run(&with("lock"));
    assert_eq!(
        world.run(&[&with("build")[..], &["-q", "--locked"]].concat()),
        judged
    );
    assert_eq!(world.server.seen("GET", "/file").len(), 0);
    assert_eq!(world.server.seen("GET", "/other").len(), 2);
    // What is in the lock is judged, too.
    world.put_policy(&denying);
    let cached = [&with("build")[..], &["--locked"]].concat();
    let again = [&cached[..], &["--no-cache"]].concat();
    for build in [&cached, &again] {
        let (code, text) = world.told(build);
        assert_eq!(code, Some(3), "{text}");
        assert!(text.contains("denies"), "{text}");
    }
    // An answer that isn't what the policy asks for is refused.
    let checksum = format!("sha256:{}", "0".repeat(64));
    let checked = convert(
        &format!("{at}/file"),
        &json!({ "attrs": { "http.checksum": checksum } }),
    );
    world.put_policy(&[checked]);
    for build in [&cached, &again] {
        let (code, text) = world.told(build);
        assert_eq!(code, Some(4), "{text}");
        assert!(text.contains(&checksum), "{text}");
    }
}
