//! Packages of Ubuntu: an archive as Ubuntu lays it out, with what only Ubuntu has.
//!
//! In: packages in zstd; suites with several components, one of which is taken up in phases. Out: the
//! same as apt installs.

use cairn::canon::Digest;

use crate::packages::{Ground, told, tools};
use crate::support::archive::{Archive, Signer};
use crate::support::programs::program;
use crate::support::run;

/// The paragraphs of packages whose files' names begin so.
fn listed(all: &str, begins: &[&str]) -> String {
    let is_meant = |paragraph: &&str| {
        let name = paragraph
            .lines()
            .find_map(|line| line.strip_prefix("Filename: pool/"));
        begins.iter().any(|begin| name.unwrap().starts_with(begin))
    };
    let paragraphs = all
        .split("\n\n")
        .filter(|paragraph| paragraph.contains("Package: "));
    let paragraphs = paragraphs
        .filter(is_meant)
        .map(|paragraph| paragraph.trim().to_owned());
    paragraphs.collect::<Vec<_>>().join("\n\n") + "\n"
}

/// Serves a suite with these indexes by component, as `Packages.gz`.
fn publish(archive: &Archive, signer: &Signer, suite: &str, components: &[(&str, String)]) {
    let place = format!("debian/dists/{suite}");
    let mut hashes = String::new();
    let mut files = archive.files.lock().unwrap();
    for (component, text) in components {
        let path = format!("{component}/binary-amd64/Packages.gz");
        let gzip = flate2::Compression::default();
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), gzip);
        std::io::Write::write_all(&mut packed, text.as_bytes()).unwrap();
        let packed = packed.finish().unwrap();
        let digest = Digest::of(&packed).hex();
        hashes += &format!(" {digest} {} {path}\n", packed.len());
        let by_hash = format!("{place}/{component}/binary-amd64/by-hash/SHA256/{digest}");
        files.insert(by_hash, packed);
    }
    let release = format!(
        "Origin: Ubuntu\nLabel: Ubuntu\nSuite: {suite}\nVersion: 24.04\nCodename: noble\n\
         Architectures: amd64 arm64 armhf i386 ppc64el riscv64 s390x\n\
         Components: main restricted universe multiverse\nAcquire-By-Hash: yes\n\
         SHA256:\n{hashes}"
    );
    let signed = signer.sign(&release).into_bytes();
    files.insert(format!("{place}/InRelease"), signed);
}

#[test]
fn packages_of_ubuntu_are_chosen_and_unpacked() {
    if !tools() {
        return;
    }
    let mut archive = Archive::new();
    archive.compressor = "zstd";
    let app = "Depends: lib, data\n";
    archive.add("app", app, &[], &[("usr/bin/app", "app")]);
    archive.add("data", "", &[], &[("usr/share/data", "data")]);
    // Who has none of it yet is in every phase (apt_preferences(5), "Phased updates").
    let phased = "Version: 2\nPhased-Update-Percentage: 10\n";
    archive.add("lib", "Version: 1\n", &[], &[("usr/lib/lib.so", "one")]);
    archive.add("lib", phased, &[], &[("usr/lib/lib.so", "two")]);
    let signer = Signer::new("never");
    archive.publish(&signer, "");
    let all = archive.files.lock().unwrap()["debian/dists/test/main/binary-amd64/Packages"].clone();
    let all = String::from_utf8(all).unwrap();
    assert!(all.contains("Phased-Update-Percentage: 10"), "{all}");
    let main = listed(&all, &["lib_1"]);
    let universe = listed(&all, &["app", "data"]);
    publish(
        &archive,
        &signer,
        "noble",
        &[("main", main), ("universe", universe)],
    );
    let main = listed(&all, &["lib_2"]);
    publish(
        &archive,
        &signer,
        "noble-updates",
        &[("main", main), ("universe", String::new())],
    );
    for deb in ["app", "lib_2"] {
        let deb = &archive.files.lock().unwrap()[&format!("debian/pool/{deb}.deb")];
        let has = |name: &[u8]| deb.windows(name.len()).any(|part| part == name);
        assert!(has(b"control.tar.zst") && has(b"data.tar.zst"));
    }

    let ground = Ground::new(&archive, &signer);
    ground.write(
        "cairn.toml",
        "from = \"scratch\"\n[[steps]]\npackages.ubuntu = { suite = \"noble\", components = [\"main\", \"universe\"], \
         sources = [{ suite = \"noble-updates\" }], variant = \"distroless\", keys = [\"archive.asc\"], install = [\"app\"] }\n",
    );
    let (code, said) = told(ground.build(&[], &[])).unwrap_err();
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("CAIRN_UBUNTU_MIRROR"), "{said}");
    let root = ground.path().join("root");
    let output = format!("type=local,dest={}", root.display());
    let mirror = archive.url();
    // Debian's mirror has none of it.
    let variables = [
        ("CAIRN_DEBIAN_MIRROR", "http://127.0.0.1:9/debian"),
        ("CAIRN_UBUNTU_MIRROR", mirror.as_str()),
    ];
    told(ground.build(&variables, &["-o", &output])).unwrap();
    let text = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    assert_eq!(text("usr/bin/app") + &text("usr/share/data"), "appdata");
    assert_eq!(text("usr/lib/lib.so"), "two");
    let database = format!("--admindir={}", root.join("var/lib/dpkg").display());
    let format = "-f=${binary:Package} ${Version}\n";
    let listed = run(&mut program("dpkg-query", &[&database, "-W", format]));
    assert_eq!(listed, "app 1\ndata 1\nlib 2\n");
}
