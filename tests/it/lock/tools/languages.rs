//! What gets packages of languages: pip, npm, cargo, go.

use cairn::canon::{Digest, base64};
use serde_json::json;
use sha2::Digest as _;

use super::world::{Answers, Page, Pages, World};
use super::{Bench, Changes};
use crate::support::zip::zip;

/// Names that every registry has.
const NAMES: [&str; 2] = ["hello", "extra"];

/// A tar in gzip.
fn tar(files: &[(&str, &str)]) -> Vec<u8> {
    let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(gzip);
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        tar.append_data(&mut header, name, content.as_bytes())
            .unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

/// The registry that `registry` makes of versions, and its changes.
fn check(
    bench: Bench,
    registry: fn(&Bench, &[&str]) -> Pages,
    [old, new]: [&str; 2],
    said: &str,
    asks: (&str, &str),
    told: [&str; 2],
) {
    let newer = registry(&bench, &[old, new]);
    let first = registry(&bench, &[old]);
    bench.world.set(Answers::Pages(first));
    bench.check(&Changes {
        newer: &|world| world.set(Answers::Pages(newer.clone())),
        other: &World::spoil,
        said,
        other_said: "",
        asks,
        told,
    });
}

/// A simple index (PEP 503) and wheels. Zip archives may have anything before them: it is the digest
/// by which pip sees that one is another.
fn simple(_: &Bench, versions: &[&str]) -> Pages {
    let mut pages = Pages::new();
    for name in NAMES {
        let mut index = String::new();
        for version in versions {
            let file = format!("{name}-{version}-py3-none-any.whl");
            let info = format!("{name}-{version}.dist-info");
            let metadata = format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n");
            let kind = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n";
            let module = format!("{name}.py");
            let record =
                format!("{module},,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n");
            let wheel = zip(&[
                (&module, version.as_bytes()),
                (&format!("{info}/METADATA"), metadata.as_bytes()),
                (&format!("{info}/WHEEL"), kind.as_bytes()),
                (&format!("{info}/RECORD"), record.as_bytes()),
            ]);
            let digest = Digest::of(&wheel).hex();
            let link = format!("/files/{file}#sha256={digest}");
            index.push_str(&format!("<a href=\"{link}\">{file}</a>\n"));
            pages.insert(format!("/files/{file}"), wheel.into());
        }
        pages.insert(format!("/simple/{name}/"), Page::from(index));
    }
    pages
}

#[test]
fn pip() {
    let script = "python3 -m venv /venv
        export PIP_INDEX_URL=HTTPS/simple
        /venv/bin/pip install -q --no-compile --target /out -r /input/requirements.txt";
    let Some(bench) = Bench::new("pip", "python", "python:3.11-slim-bookworm", script) else {
        return;
    };
    bench.write("input/requirements.txt", "hello");
    check(
        bench,
        simple,
        ["1.0", "1.1"],
        "1 package changed, hello 1.0→1.1",
        ("requirements.txt", "extra"),
        [
            "`GET HTTPS/simple/extra/`",
            "`GET HTTPS/simple/hello/`: another path",
        ],
    );
}

/// `hello` of npm.
fn package(name: &str, version: &str) -> Vec<u8> {
    let manifest = json!({"name": name, "version": version}).to_string();
    tar(&[("package/package.json", &manifest)])
}

/// What npm proves a package by.
fn integrity(name: &str, version: &str) -> String {
    let digest = sha2::Sha512::digest(package(name, version));
    format!("sha512-{}", base64::encode(&digest))
}

fn npm_registry(bench: &Bench, versions: &[&str]) -> Pages {
    let mut pages = Pages::new();
    for name in NAMES {
        let mut all = serde_json::Map::new();
        for version in versions {
            let path = format!("/{name}/-/{name}-{version}.tgz");
            let dist = json!({
                "tarball": format!("{}{path}", bench.url()),
                "integrity": integrity(name, version),
            });
            let of = json!({"name": name, "version": version, "dist": dist});
            all.insert((*version).to_owned(), of);
            pages.insert(path, package(name, version).into());
        }
        let latest = versions.last().unwrap();
        let document = json!({"name": name, "dist-tags": {"latest": latest}, "versions": all});
        pages.insert(format!("/{name}"), document.to_string().into());
    }
    let audit = "/-/npm/v1/security/advisories/bulk".to_owned();
    pages.insert(audit, Page::from("{}"));
    pages
}

#[test]
fn npm() {
    // Tries again would have the test wait for minutes for a server that is gone.
    let script = "export NPM_CONFIG_REGISTRY=HTTPS/ NPM_CONFIG_FETCH_RETRIES=0
        cp -r /input/locked /input/loose /
        cd /locked
        npm ci
        cd /loose
        npm install
        cp -r /locked/node_modules /out/locked
        cp -r /loose/node_modules /out/loose";
    let Some(bench) = Bench::new("npm", "node", "node:18-bookworm-slim", script) else {
        return;
    };
    let wants =
        |name: &str| json!({"name": "app", "version": "1.0.0", "dependencies": {name: "*"}});
    let locked = json!({
        "name": "app", "version": "1.0.0", "lockfileVersion": 3, "requires": true,
        "packages": {
            "": wants("hello"),
            "node_modules/hello": {
                "version": "1.0.0",
                "resolved": format!("{}/hello/-/hello-1.0.0.tgz", bench.url()),
                "integrity": integrity("hello", "1.0.0"),
            },
        },
    });
    bench.write("input/locked/package.json", wants("hello").to_string());
    bench.write("input/locked/package-lock.json", locked.to_string());
    bench.write("input/loose/package.json", wants("hello").to_string());
    check(
        bench,
        npm_registry,
        ["1.0.0", "1.1.0"],
        "hello 1.0.0→1.0.0,1.1.0",
        ("loose/package.json", &wants("extra").to_string()),
        ["`GET HTTPS/extra`", "`GET HTTPS/hello`: another path"],
    );
}

/// A sparse index of cargo's, and crates.
fn crates(bench: &Bench, versions: &[&str]) -> Pages {
    let mut pages = Pages::new();
    for name in NAMES {
        let mut index = String::new();
        for version in versions {
            let manifest = format!("[package]\nname = \"{name}\"\nversion = \"{version}\"\n");
            let folder = format!("{name}-{version}");
            let bytes = tar(&[
                (&format!("{folder}/Cargo.toml"), &manifest),
                (&format!("{folder}/src/lib.rs"), ""),
            ]);
            let line = json!({
                "name": name, "vers": version, "deps": [], "features": {}, "yanked": false,
                "cksum": Digest::of(&bytes).hex().to_string(),
            });
            index.push_str(&format!("{line}\n"));
            pages.insert(format!("/crates/{name}/{version}/download"), bytes.into());
        }
        let path = format!("/index/{}/{}/{name}", &name[..2], &name[2..4]);
        pages.insert(path, Page::from(index));
    }
    let config = json!({"dl": format!("{}/crates", bench.url())});
    pages.insert("/index/config.json".to_owned(), config.to_string().into());
    pages
}

#[test]
fn cargo() {
    let script = "mkdir -p ~/.cargo
        echo '[source.crates-io]
        replace-with = \"world\"
        [source.world]
        registry = \"sparse+HTTPS/index/\"' >~/.cargo/config.toml
        cp -r /input /work
        cd /work
        mkdir src
        touch src/lib.rs
        cargo vendor -q --respect-source-config /out/vendor >/dev/null";
    let Some(bench) = Bench::new("cargo", "rust", "rust:1.78-bookworm", script) else {
        return;
    };
    let wants = |name: &str| {
        format!("[package]\nname = \"app\"\nversion = \"1.0.0\"\n[dependencies]\n{name} = \"*\"\n")
    };
    bench.write("input/Cargo.toml", wants("hello"));
    check(
        bench,
        crates,
        ["1.0.0", "1.1.0"],
        "1 package changed, hello 1.0.0→1.1.0",
        ("Cargo.toml", &wants("extra")),
        [
            "`GET HTTPS/index/ex/tr/extra`",
            "`GET HTTPS/index/he/ll/hello`: another path",
        ],
    );
}

/// A proxy of Go's modules.
fn modules(_: &Bench, versions: &[&str]) -> Pages {
    let mut pages = Pages::new();
    for name in NAMES {
        let module = format!("example.org/{name}");
        let at = |file: &str| format!("/go/{module}/@v/{file}");
        for version in versions {
            let manifest = format!("module {module}\n");
            let info = json!({"Version": version, "Time": "2020-01-01T00:00:00Z"});
            let folder = format!("{module}@{version}");
            let archive = zip(&[
                (&format!("{folder}/go.mod"), manifest.as_bytes()),
                (&format!("{folder}/hello.go"), b"package hello\n"),
            ]);
            pages.insert(at(&format!("{version}.info")), info.to_string().into());
            pages.insert(at(&format!("{version}.mod")), Page::from(manifest));
            pages.insert(at(&format!("{version}.zip")), archive.into());
        }
        pages.insert(at("list"), Page::from(versions.join("\n")));
    }
    pages
}

#[test]
fn go() {
    let script = "export GOPROXY=HTTPS/go GONOSUMDB=example.org
        go mod download $(cat /input/wanted)
        cp -r /go/pkg/mod/example.org /out/";
    let Some(bench) = Bench::new("go", "golang", "golang:1.19-bookworm", script) else {
        return;
    };
    bench.write("input/wanted", "example.org/hello@latest");
    check(
        bench,
        modules,
        ["v1.0.0", "v1.1.0"],
        "1 package changed, example.org/hello v1.0.0→v1.1.0",
        ("wanted", "example.org/extra@latest"),
        [
            "`GET HTTPS/go/example.org/extra/@v/list`",
            "`GET HTTPS/go/example.org/hello/@v/list`: another path",
        ],
    );
}
