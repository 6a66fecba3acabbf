//! What installs packages of a system: apt.

use std::path::Path;

use cairn::canon::Digest;

use super::world::{Answers, Page, Pages, World};
use super::{Bench, Changes};
use crate::support::programs::program;
use crate::support::{require, run};

/// A package, and its paragraph of `Packages`.
fn package(folder: &Path, name: &str, version: &str) -> (Vec<u8>, String) {
    let tree = folder.join(format!("{name}-{version}"));
    let at = |path: &str, content: &str| {
        let path = tree.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    };
    let control = format!(
        "Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: Nobody <nobody@example.org>\nDescription: nothing\n"
    );
    at("DEBIAN/control", &control);
    at(&format!("usr/share/hello/{name}"), version);
    let deb = folder.join(format!("{name}_{version}_all.deb"));
    let arguments = ["--root-owner-group", "--build"];
    run(program("dpkg-deb", &arguments).args([&tree, &deb]));
    let bytes = std::fs::read(&deb).unwrap();
    let (size, digest) = (bytes.len(), Digest::of(&bytes).hex());
    let file =
        format!("Filename: ./pool/{name}_{version}_all.deb\nSize: {size}\nSHA256: {digest}\n");
    (bytes, format!("{control}{file}\n"))
}

/// Two flat repositories.
fn archive(folder: &Path, version: &str) -> Pages {
    let mut pages = Pages::new();
    let all = [("debian", "hello"), ("debian", "extra"), ("more", "more")];
    for part in ["debian", "more"] {
        let mut index = String::new();
        for (_, name) in all.iter().filter(|(of, _)| *of == part) {
            let (bytes, paragraph) = package(folder, name, version);
            let path = format!("/{part}/pool/{name}_{version}_all.deb");
            pages.insert(path, bytes.into());
            index.push_str(&paragraph);
        }
        let digest = Digest::of(index.as_bytes()).hex();
        let release = format!(
            "Origin: test\nDate: Wed, 01 Jan 2020 00:00:00 UTC\nSHA256:\n {digest} {} Packages\n",
            index.len()
        );
        pages.insert(format!("/{part}/Packages"), index.into());
        pages.insert(format!("/{part}/Release"), Page::from(release));
    }
    pages
}

#[test]
fn apt() {
    let script = "rm -f /etc/apt/sources.list.d/*
        echo 'deb [trusted=yes] HTTPS/debian ./' >/etc/apt/sources.list
        echo 'deb [trusted=yes] HTTP/more ./' >>/etc/apt/sources.list
        apt-get -qq update
        apt-get -qq install -y --no-install-recommends $(cat /input/wanted) more
        cp /usr/share/hello/* /out/";
    if !require("dpkg-deb") {
        return;
    }
    let Some(bench) = Bench::new("apt", "debian", "debian:bookworm", script) else {
        return;
    };
    bench.write("input/wanted", "hello");
    let folder = bench.folder.path().to_owned();
    bench.world.set(Answers::Pages(archive(&folder, "1.0")));
    bench.check(&Changes {
        newer: &|world| world.set(Answers::Pages(archive(&folder, "1.1"))),
        other: &World::spoil,
        said: "2 packages changed, hello 1.0→1.1, more 1.0→1.1",
        other_said: "",
        asks: ("wanted", "extra"),
        told: [
            "`GET HTTPS/debian/./pool/extra_1.0_all.deb`",
            "`GET HTTPS/debian/./pool/hello_1.0_all.deb`: another path",
        ],
    });
}
