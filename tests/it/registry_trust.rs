//! How a registry is reached: passwords, helpers and certificates, against docker-registry.

use std::process::Stdio;

use cairn::canon::{Digest, Reference};
use cairn::registry::{Error, Paths};

use crate::support::programs::{program, run};
use crate::support::registry::{DockerRegistry, Heard, TestStore, write};
use crate::support::require;

#[test]
fn passwords_come_from_dockers_and_podmans_files() {
    if !require("docker-registry") || !require("htpasswd") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let password = run(&mut program("htpasswd", &["-nbB", "user", "s3cret"]));
    let htpasswd = folder.path().join("htpasswd");
    std::fs::write(&htpasswd, password).unwrap();
    let auth = format!(
        "auth: {{htpasswd: {{realm: test, path: {}}}}}",
        htpasswd.display()
    );
    let registry = DockerRegistry::in_folder(folder, "", &auth);
    let root = registry.folder.path();
    // `printf user:s3cret | base64`, `printf user:wrong | base64`
    let file = |key: &str, auth: &str| format!(r#"{{"auths":{{"{key}":{{"auth":"{auth}"}}}}}}"#);
    let (right, wrong) = ("dXNlcjpzM2NyZXQ=", "dXNlcjp3cm9uZw==");
    let host = registry.host.clone();
    write(&root.join("docker/config.json"), &file(&host, right));
    write(&root.join("wrong/config.json"), &file(&host, wrong));
    write(
        &root.join("auth.json"),
        &file(&format!("{host}/team"), right),
    );
    let docker = |name: &str| Paths {
        docker_config: Some(root.join(name)),
        ..Paths::default()
    };
    let here = TestStore::new();
    let image = here.image("amd64", &[b"layer"]);
    let push = |paths: Paths, name: &str| {
        let heard = Heard::with(paths);
        let pushed = heard
            .client
            .push(&here.store, &image, &registry.reference(name), &[]);
        (pushed, heard.text())
    };
    let (pushed, text) = push(docker("docker"), "any/app:1");
    pushed.unwrap();
    assert!(
        text.contains("docker/config.json") && text.contains("user `user`"),
        "{text}"
    );
    assert!(!text.contains("s3cret") && !text.contains(right), "{text}");
    let podman = Paths {
        auth_files: vec![root.join("auth.json")],
        ..docker("wrong")
    };
    push(podman.clone(), "team/app:1").0.unwrap();

    let says = |result: Result<Digest, Error>, words: &[&str]| {
        let error = result.unwrap_err();
        assert!(matches!(error, Error::Unauthorised { .. }), "{error}");
        for word in words {
            assert!(error.to_string().contains(word), "{error}");
        }
        assert!(!error.to_string().contains("wrong\""), "{error}");
    };
    says(
        push(Paths::default(), "any/app:1").0,
        &["none", "docker login localhost:"],
    );
    says(
        push(docker("wrong"), "any/app:1").0,
        &["wrong/config.json", "user `user`"],
    );
    says(push(podman, "other/app:1").0, &["wrong/config.json"]);
}

#[test]
fn a_helper_is_asked_and_a_broken_one_is_said() {
    if !require("docker-registry") || !require("htpasswd") {
        return;
    }
    // Helpers are found by PATH, which only another process can have otherwise.
    const INNER: &str = "CAIRN_TEST_HELPER_HOST";
    #[expect(clippy::disallowed_methods, reason = "how this test speaks to itself")]
    let inner = std::env::var(INNER);
    if let Ok(folder) = inner {
        let folder = std::path::PathBuf::from(folder);
        let host = std::fs::read_to_string(folder.join("host")).unwrap();
        let reference: Reference = format!("{host}/a:1").parse().unwrap();
        let here = TestStore::new();
        let image = here.image("amd64", &[b"layer"]);
        for (name, works) in [("good", true), ("broken", false), ("none", false)] {
            let config = format!(r#"{{"credHelpers":{{"{host}":"cairn-{name}"}}}}"#);
            write(&folder.join("config.json"), &config);
            let heard = Heard::with(Paths {
                docker_config: Some(folder.join("config.json")),
                ..Paths::default()
            });
            let pushed = heard.client.push(&here.store, &image, &reference, &[]);
            assert_eq!(pushed.is_ok(), works, "{name}: {pushed:?}");
            let warned = heard.text().contains("fails: the keyring is locked");
            assert_eq!(warned, name == "broken", "{}", heard.text());
        }
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_owned();
    let password = run(&mut program("htpasswd", &["-nbB", "user", "s3cret"]));
    std::fs::write(root.join("htpasswd"), password).unwrap();
    let auth = format!(
        "auth: {{htpasswd: {{realm: test, path: {}/htpasswd}}}}",
        root.display()
    );
    let registry = DockerRegistry::in_folder(folder, "", &auth);
    write(&root.join("host"), &registry.host);
    for (name, script) in [
        (
            "good",
            "read server; test \"$1 $server\" = \"get $(cat ROOT/host)\" || exit 1; echo '{\"ServerURL\":\"x\",\"Username\":\"user\",\"Secret\":\"s3cret\"}'",
        ),
        (
            "broken",
            "cat >/dev/null; echo the keyring is locked >&2; exit 1",
        ),
        (
            "none",
            "cat >/dev/null; echo credentials not found in native keychain; exit 1",
        ),
    ] {
        let path = root.join(format!("docker-credential-cairn-{name}"));
        let script = script.replace("ROOT", &root.display().to_string());
        write(&path, &format!("#!/bin/sh\n{script}\n"));
        run(program("chmod", &["+x"]).arg(&path));
    }
    let this = std::env::current_exe().unwrap();
    let mut again = program(
        this.to_str().unwrap(),
        &[
            "--exact",
            "registry_trust::a_helper_is_asked_and_a_broken_one_is_said",
            "--nocapture",
        ],
    );
    let path = format!("{}:/usr/sbin:/usr/bin:/bin", root.display());
    let status = again
        .env(INNER, &root)
        .env("PATH", path)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(
        status.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&status.stderr)
    );
    assert!(text.contains("1 passed"), "{text}");
}

#[test]
fn a_certificate_is_trusted_only_by_its_ca() {
    if !require("docker-registry") || !require("openssl") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_owned();
    let openssl = |arguments: &str| {
        let arguments: Vec<_> = arguments.split(' ').collect();
        run(program("openssl", &arguments)
            .current_dir(&root)
            .stderr(Stdio::null()))
    };
    openssl(
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ca.key -out ca.crt -days 2 -subj /CN=test-ca",
    );
    openssl(
        "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout tls.key -out tls.csr -subj /CN=localhost",
    );
    write(
        &root.join("extensions"),
        "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n",
    );
    openssl(
        "x509 -req -in tls.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out tls.crt -days 2 -extfile extensions",
    );
    let tls = format!(
        "  tls: {{certificate: {0}/tls.crt, key: {0}/tls.key}}",
        root.display()
    );
    let registry = DockerRegistry::in_folder(folder, &tls, "");
    let here = TestStore::new();
    let image = here.image("amd64", &[b"layer"]);
    let push = |paths: Paths| {
        let heard = Heard::with(paths);
        heard
            .client
            .push(&here.store, &image, &registry.reference("a:1"), &[])
    };
    // Loopback may be plain HTTP, but where there is TLS it is checked.
    let error = push(Paths::default()).unwrap_err();
    assert!(matches!(error, Error::Tls { .. }), "{error}");
    assert!(
        error
            .to_string()
            .contains(&format!("certs.d/{}/ca.crt", registry.host)),
        "{error}"
    );
    let ca = std::fs::read_to_string(root.join("ca.crt")).unwrap();
    push(Paths {
        extra_ca: Some(root.join("ca.crt")),
        ..Paths::default()
    })
    .unwrap();
    let certs = |name: &str| Paths {
        certs_dirs: vec![root.join(name)],
        ..Paths::default()
    };
    write(&root.join("a").join(&registry.host).join("ca.crt"), &ca);
    push(certs("a")).unwrap();
    let server = format!("server = \"https://{}\"\n", registry.host);
    let toml = |name: &str, line: &str| {
        write(
            &root.join(name).join(&registry.host).join("hosts.toml"),
            &format!("{server}{line}"),
        );
    };
    toml("b", "ca = \"../../ca.crt\"");
    push(certs("b")).unwrap();
    toml("c", "skip_verify = true");
    push(certs("c")).unwrap();
    toml("d", "");
    assert!(matches!(push(certs("d")).unwrap_err(), Error::Tls { .. }));
    let insecure = format!(
        "[[registry]]\nlocation = \"{}\"\ninsecure = true",
        registry.host
    );
    write(&root.join("registries.conf"), &insecure);
    push(Paths {
        registries_conf: vec![root.join("registries.conf")],
        ..Paths::default()
    })
    .unwrap();
}

#[test]
fn a_client_shows_its_certificate_where_there_is_one() {
    if !require("docker-registry") || !require("openssl") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_owned();
    // One certificate is the server's, its CA's and the client's.
    run(program(
        "openssl",
        &[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-keyout",
            "tls.key",
            "-out",
            "tls.crt",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost",
        ],
    )
    .current_dir(&root)
    .stderr(Stdio::null()));
    let at = root.display();
    let tls = format!(
        "  tls: {{certificate: {at}/tls.crt, key: {at}/tls.key, clientcas: [{at}/tls.crt]}}"
    );
    let registry = DockerRegistry::in_folder(folder, &tls, "");
    let here = TestStore::new();
    let image = here.image("amd64", &[b"layer"]);
    let push = |folder: &str| {
        let heard = Heard::with(Paths {
            certs_dirs: vec![root.join(folder)],
            ..Paths::default()
        });
        let reference = registry.reference("a:1");
        heard.client.push(&here.store, &image, &reference, &[])
    };
    let put = |folder: &str, name: &str, from: &str| {
        let text = std::fs::read_to_string(root.join(from)).unwrap();
        write(&root.join(folder).join(&registry.host).join(name), &text);
    };
    let server = format!(
        "server = \"https://{}\"\nskip_verify = true\n",
        registry.host
    );
    let toml = |folder: &str, line: &str| {
        let path = root.join(folder).join(&registry.host).join("hosts.toml");
        write(&path, &format!("{server}{line}"));
    };
    toml("nobody", "");
    assert!(push("nobody").is_err());
    toml("pair", "client = [[\"../../tls.crt\", \"../../tls.key\"]]");
    push("pair").unwrap();
    toml("beside", "");
    put("beside", "client.cert", "tls.crt");
    let error = push("beside").unwrap_err().to_string();
    assert!(
        error.contains("client.key` can't be used: there is no such file"),
        "{error}"
    );
    put("beside", "client.key", "tls.key");
    push("beside").unwrap();
    put("beside", "client.key", "tls.crt");
    let error = push("beside").unwrap_err().to_string();
    assert!(error.contains("client.cert` can't be used"), "{error}");
}
