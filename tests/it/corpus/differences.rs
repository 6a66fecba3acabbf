//! Which paths differ between two images of two stores: what `cairn diff` says.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::text;
use crate::support::{cairn, run, temp};

/// An image: a store, and the digest of a manifest in it.
pub type Image = (PathBuf, String);

/// A line a path, with how it differs; what differs only below, where an upper layer hides it, by
/// its layer. In `kept` all of it is told, as deep as files can be opened.
pub fn between(one: &Image, two: &Image, kept: &Path) -> Vec<String> {
    std::fs::create_dir_all(kept.parent().unwrap()).unwrap();
    let mut lines = Vec::new();
    for format in ["text", "json"] {
        let mut command = cairn(&one.0);
        let output = format!("{}.{format}", text(kept));
        command.args(["diff", "--format", format, "-o", &output]);
        // A database's files are zeros, most of all.
        command.args(["--max-expansion", "100000"]);
        command.args(
            [one, two].map(|(store, digest)| format!("oci-layout://{}@{digest}", text(store))),
        );
        let said = command.output().unwrap();
        // As of diff(1).
        let told = String::from_utf8_lossy(&said.stderr);
        assert_eq!(said.status.code(), Some(1), "{told}");
        if format == "json" {
            let json: Value = serde_json::from_slice(&std::fs::read(output).unwrap()).unwrap();
            lines = read(&json);
        }
    }
    lines
}

fn read(json: &Value) -> Vec<String> {
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    let entries = json["entries"].as_array().unwrap().iter().map(|entry| {
        let aspects = entry["aspects"].as_array().unwrap();
        let aspects: Vec<_> = aspects.iter().map(|aspect| word(&aspect["what"])).collect();
        let how = match word(&entry["change"]).as_str() {
            "changed" => aspects.join(", "),
            other => other.to_owned(),
        };
        format!("/{} ({how})", word(&entry["path"]))
    });
    let mut lines: Vec<_> = entries.collect();
    if lines.is_empty() {
        let layers = json["layers"].as_array().unwrap().iter().enumerate();
        let layers = layers.filter(|(_, layer)| layer["state"] != "same");
        lines.extend(layers.map(|(at, _)| format!("layer {at} alone")));
    }
    lines
}

#[test]
fn each_way_to_differ_is_told() {
    let folder = temp();
    let [one, two] = ["one", "two"].map(|name| {
        let (context, store) = (folder.path().join(name), folder.path().join(name.to_owned() + "-store"));
        std::fs::create_dir(&context).unwrap();
        std::fs::write(context.join("same"), "same").unwrap();
        std::fs::write(context.join("other"), name).unwrap();
        std::fs::write(context.join(name), "").unwrap();
        let mode = if name == "one" { "0600" } else { "0644" };
        let recipe = format!(
            "from = \"scratch\"\n[[steps]]\ncopy = {{ paths = [\"same\", \"other\", \"{name}\"], to = \"/etc/\" }}\n\
             [[steps]]\nfile = {{ path = \"/mode\", content = \"\", mode = \"{mode}\" }}\n"
        );
        std::fs::write(context.join("cairn.toml"), recipe).unwrap();
        let digest = run(cairn(&store).args(["build", "-q", text(&context)]));
        (store, digest.trim().to_owned())
    });
    let kept = folder.path().join("kept/diff");
    let expected = [
        "/etc/one (removed)",
        "/etc/other (sha256)",
        "/etc/two (added)",
        "/mode (mode)",
    ];
    assert_eq!(between(&one, &two, &kept), expected);
    let told = std::fs::read_to_string(folder.path().join("kept/diff.text")).unwrap();
    assert!(told.contains("-one"), "{told}");
}
