//! Bases with what cairn never writes: opaque whiteouts, annotations, fields of others, made with
//! umoci and by hand.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;

use cairn::canon::Digest;
use serde_json::{Value, json};

use crate::support::based::{Bench, layout, of_layout, whole_seconds};
use crate::support::programs::{program, run};
use crate::support::require;

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A tar of these members: a directory ends with a slash.
fn archive(members: &[&str]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for name in members {
        let mut header = tar::Header::new_ustar();
        let is_directory = name.ends_with('/');
        let content = if is_directory { "" } else { name };
        header.set_entry_type(match is_directory {
            true => tar::EntryType::Directory,
            false => tar::EntryType::Regular,
        });
        header.set_mode(if is_directory { 0o750 } else { 0o640 });
        header.set_uid(7);
        header.set_gid(8);
        header.set_mtime(1_000_000_000);
        header.set_size(content.len() as u64);
        builder
            .append_data(&mut header, name, content.as_bytes())
            .unwrap();
    }
    builder.into_inner().unwrap()
}

#[test]
fn what_umoci_writes_is_a_base() {
    if !require("umoci") || !require("setfattr") {
        return;
    }
    let bench = Bench::new();
    let image = format!("{}:made", text(&bench.at("umoci")));
    let umoci = |arguments: &[&str]| run(&mut program("umoci", arguments));
    umoci(&["init", "--layout", text(&bench.at("umoci"))]);
    umoci(&["new", "--image", &image]);
    let bundle = bench.at("bundle");
    let root = bundle.join("rootfs");
    let shell = |script: &str| {
        run(program("sh", &["-euc", script]).current_dir(&root));
    };
    umoci(&["unpack", "--image", &image, text(&bundle)]);
    shell(
        "mkdir -p srv/a srv/b/c srv/gone; echo 1 > srv/a/1; echo 2 > srv/a/2; ln srv/a/2 srv/b/two
         echo deep > srv/b/c/deep; echo x > srv/gone/x; mkfifo srv/pipe; mknod srv/null c 1 3
         chmod 4711 srv/a/1; chown 9:10 srv/b; setfattr -n user.note -v hello srv/b/c/deep
         setfattr -n security.capability -v 0x0100000200200000000000000000000000000000 srv/a/2
         touch -d '1999-12-31 23:59:59.25' srv/b/c/deep; ln -s a/1 srv/link",
    );
    umoci(&[
        "repack",
        "--refresh-bundle",
        "--image",
        &image,
        text(&bundle),
    ]);
    shell("rm -r srv/gone srv/a/1; rm srv/link; mkdir srv/link; echo new > srv/link/new");
    umoci(&[
        "repack",
        "--refresh-bundle",
        "--image",
        &image,
        text(&bundle),
    ]);
    let opaque = bench.at("opaque.tar");
    let members = [
        "srv/b/",
        "srv/b/new",
        "srv/b/.wh..wh..opq",
        "srv/b/c/",
        "srv/b/c/.wh.deep",
    ];
    std::fs::write(&opaque, archive(&members)).unwrap();
    umoci(&["raw", "add-layer", "--image", &image, text(&opaque)]);
    let annotation = "--manifest.annotation=org.example.note=kept";
    let config = [
        "config",
        annotation,
        "--config.user=9",
        "--config.env=A=b",
        "--image",
        &image,
    ];
    umoci(&config);

    let seen = bench.at("seen");
    umoci(&["unpack", "--image", &image, text(&seen)]);
    let files = whole_seconds(&seen.join("rootfs"));
    let names = files.keys().map(|path| String::from_utf8_lossy(path));
    let names: Vec<_> = names.collect();
    let left = [
        "srv",
        "srv/a",
        "srv/a/2",
        "srv/b",
        "srv/b/c",
        "srv/b/new",
        "srv/link",
    ];
    assert_eq!(
        names,
        [&left[..], &["srv/link/new", "srv/null", "srv/pipe"]].concat()
    );
    let (layers, execution) = of_layout(&bench.at("umoci"));
    assert_eq!(layers.len(), 3);
    bench.check(&layout("umoci"), Some(&layers), &execution, &files);
    let image = bench.build("from = { oci = \"umoci\", name = \"made\" }\n");
    assert_eq!(image.manifest["annotations"]["org.example.note"], "kept");
    assert_eq!(image.manifest["layers"], Value::from(layers));
}

/// Writes blobs of a layout, and gives their descriptors.
struct Layout<'a>(&'a Path);

impl Layout<'_> {
    fn put(&self, media_type: &str, bytes: &[u8], more: Value) -> Value {
        let digest = Digest::of(bytes);
        let folder = self.0.join("blobs/sha256");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(&*digest.hex()), bytes).unwrap();
        let size = bytes.len();
        let mut descriptor = json!({"mediaType": media_type, "digest": digest, "size": size});
        descriptor
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        descriptor
    }

    fn finish(&self, manifest: &Value) {
        std::fs::write(
            self.0.join("oci-layout"),
            br#"{"imageLayoutVersion":"1.0.0"}"#,
        )
        .unwrap();
        let index = json!({"schemaVersion": 2, "manifests": [manifest]});
        std::fs::write(self.0.join("index.json"), index.to_string()).unwrap();
    }
}

#[test]
fn fields_and_annotations_of_others_are_kept() {
    let bench = Bench::new();
    let place = bench.at("foreign");
    let foreign = Layout(&place);
    let tars = [
        archive(&["srv/", "srv/a", "srv/b/", "srv/b/x", "etc/", "etc/hosts"]),
        archive(&["srv/b/", "srv/b/.wh..wh..opq", "srv/b/y", "srv/.wh.a"]),
        archive(&["srv/z"]),
    ];
    let gzip = |bytes: &[u8]| {
        let level = flate2::Compression::best();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), level);
        gzip.write_all(bytes).unwrap();
        gzip.finish().unwrap()
    };
    let oci = "application/vnd.oci.image.layer.v1.tar";
    let layers = [
        foreign.put(
            "application/vnd.docker.image.rootfs.diff.tar.gzip",
            &gzip(&tars[0]),
            json!({"annotations": {"org.example.layer": "first"}}),
        ),
        foreign.put(
            &format!("{oci}+zstd"),
            &zstd::encode_all(&tars[1][..], 19).unwrap(),
            json!({"urls": ["https://example.org/layer"], "annotations": {"b": "2"}}),
        ),
        foreign.put(oci, &tars[2], json!({})),
    ];
    let execution = json!({
        "Env": ["PATH=/bin", "A=1"], "Entrypoint": ["/a"], "Cmd": ["b"], "User": "3:4",
        "ArgsEscaped": true, "OnBuild": ["RUN x"], "Shell": ["/bin/bash", "-c"],
        "Healthcheck": {"Test": ["CMD-SHELL", "true"], "Interval": 1_000_000_000, "StartPeriod": 5},
        "Memory": 1, "org.example.Vendor": {"nested": [1, "two", null]},
    });
    let history = json!([
        {"created": "2001-02-03T04:05:06.789Z", "created_by": "one", "comment": "c", "author": "me"},
        {"created_by": "none", "empty_layer": true},
        {"created_by": "two"}, {"created_by": "three"},
    ]);
    let diff_ids: Vec<_> = tars.iter().map(|tar| Digest::of(tar)).collect();
    let config = json!({
        "architecture": "amd64", "os": "linux", "created": "2001-02-03T04:05:06Z",
        "author": "somebody", "os.version": "1.2", "os.features": ["f"],
        "docker_version": "1.0", "org.example.top": {"a": 1}, "config": execution,
        "rootfs": {"type": "layers", "diff_ids": diff_ids}, "history": history,
    });
    let config_type = "application/vnd.oci.image.config.v1+json";
    let descriptor = foreign.put(config_type, config.to_string().as_bytes(), json!({}));
    let annotations = BTreeMap::from([("org.example.one", "1"), ("org.example.two", "ü")]);
    let manifest_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({
        "schemaVersion": 2, "mediaType": manifest_type, "config": descriptor,
        "layers": layers, "annotations": annotations,
    });
    let manifest = foreign.put(manifest_type, manifest.to_string().as_bytes(), json!({}));
    foreign.finish(&manifest);

    let image = bench.build(
        "from = { oci = \"foreign\" }\n[[steps]]\nfile = { path = \"/etc/new\", content = \"n\" }\n\
         [config]\nannotations = { \"org.example.three\" = \"3\" }\nenv = { A = \"2\" }\n",
    );
    let mut expected = execution;
    expected["Env"] = json!(["PATH=/bin", "A=2"]);
    assert_eq!(image.config["config"], expected);
    for key in [
        "author",
        "os.version",
        "os.features",
        "docker_version",
        "org.example.top",
    ] {
        assert_eq!(image.config[key], config[key], "{key}");
    }
    let told = image.config["history"].as_array().unwrap();
    assert_eq!(told[..4], history.as_array().unwrap()[..]);
    assert_eq!(told.len(), 5);
    let annotated = json!({
        "org.example.one": "1", "org.example.two": "ü", "org.example.three": "3",
    });
    assert_eq!(image.manifest["annotations"], annotated);
    let found = image.manifest["layers"].as_array().unwrap();
    let mut kept = layers.to_vec();
    kept[0]["mediaType"] = format!("{oci}+gzip").into();
    assert_eq!(found[..3], kept[..]);
    let names: Vec<_> = image
        .files
        .keys()
        .map(|path| String::from_utf8_lossy(path))
        .collect();
    let left = [
        "etc",
        "etc/hosts",
        "etc/new",
        "srv",
        "srv/b",
        "srv/b/y",
        "srv/z",
    ];
    assert_eq!(names, left);
    let directory = &image.files[&b"etc"[..]];
    assert_eq!((directory.mode, directory.owner), (0o750, (7, 8)));
}
