//! What a run that failed ends with: its code, and as JSON its last line.

use std::path::PathBuf;

use serde_json::Value;

use super::{Case, FAILED, MISMATCH, UNAVAILABLE};
use crate::support::cairn;
use crate::support::random::Random;
use crate::support::recipes::entries;

const FILE: &str = "[[steps]]\nfile = { path = \"/file\", content = \"x\" }\n";

#[test]
fn a_source_that_is_not_there_ends_alike_wherever_it_is_looked_for() {
    let of_context = Case::new("[[steps]]\ncopy = { paths = [\"none\"], to = \"/\" }\n");
    of_context.must_fail(UNAVAILABLE, &["there is no `none`"]);
    let of_stage = Case::new(
        "[stages.other]\nfrom = \"scratch\"\n\
         [[steps]]\ncopy = { from = { stage = \"other\" }, paths = [\"none\"], to = \"/\" }\n",
    );
    of_stage.must_fail(UNAVAILABLE, &["there is no `none`"]);
    let not_to_be_made = Case::new(
        "[[steps]]\nfile = { path = \"/a\", content = \"\" }\n\
         [[steps]]\nfile = { path = \"/a/b\", content = \"\" }\n",
    );
    let mut command = not_to_be_made.command();
    assert_eq!(command.output().unwrap().status.code(), Some(FAILED));
}

/// The largest blob of the case's store: its layer.
fn layer(case: &Case) -> PathBuf {
    let blobs = entries(&case.path("store/blobs/sha256")).into_iter();
    let size = |path: &PathBuf| std::fs::metadata(path).unwrap().len();
    blobs.max_by_key(size).unwrap()
}

#[test]
fn a_damaged_layer_of_the_store_is_told_by_all_that_read_it() {
    for compression in ["uncompressed", "gzip", "zstd"] {
        let case = Case::new("[[steps]]\ncopy = { paths = [\".\"], to = \"/\" }\n");
        // Smaller blobs are read whole by each build, and made again where they are damaged.
        std::fs::write(case.context("file"), Random::new(1).bytes(3 << 20)).unwrap();
        let build = |recipe: &str, output: &[&str]| {
            let mut command = cairn(&case.path("store"));
            command.args(["build", "-q", "--compression", compression, "-f"]);
            command.arg(case.path(recipe)).args(output);
            command.arg(case.path("context"));
            command
        };
        crate::support::run(&mut build("cairn.toml", &["-t", "127.0.0.1:1/image"]));
        let layer = layer(&case);
        let mut bytes = std::fs::read(&layer).unwrap();
        bytes[2 << 20] ^= 1;
        std::fs::write(&layer, bytes).unwrap();
        let recipe = "platforms = [\"linux/amd64\"]\nfrom = \"scratch\"\n\
            [stages.made]\nfrom = \"scratch\"\n\
            [[stages.made.steps]]\ncopy = { paths = [\".\"], to = \"/\" }\n\
            [[steps]]\ncopy = { from = { stage = \"made\" }, paths = [\"/file\"], to = \"/other\" }\n";
        std::fs::write(case.path("staged.toml"), recipe).unwrap();
        let dest = case.path("image").display().to_string();
        let name = layer.file_name().unwrap().to_str().unwrap();
        let says = [name, "remove that blob"];
        for kind in ["tar", "local"] {
            let output = format!("type={kind},dest={dest}");
            let output = build("cairn.toml", &["-o", &output]).output().unwrap();
            super::must_be_clear(&output, MISMATCH, &says);
        }
        let output = build("staged.toml", &[]).output().unwrap();
        super::must_be_clear(&output, MISMATCH, &says);
    }
}

#[test]
fn json_of_a_failure_ends_with_its_message() {
    let failing = Case::new("[[steps]]\ncopy = { paths = [\"none\"], to = \"/\" }\n");
    let unread = Case::new("[[steps]]\ncopi = {}\n");
    for (case, flags, code) in [
        (&failing, &["--progress=json"][..], UNAVAILABLE),
        (
            &failing,
            &["--progress=json", "-q", "--color=always"],
            UNAVAILABLE,
        ),
        (&unread, &["--progress=json"], FAILED),
    ] {
        let mut command = cairn(&case.path("store"));
        command.arg("build").args(flags).arg("-f");
        command
            .arg(case.path("cairn.toml"))
            .arg(case.path("context"));
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(code));
        let text = String::from_utf8(output.stderr).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        let lines: Vec<Value> = lines.collect();
        let last = lines.last().unwrap();
        assert_eq!(
            (&last["event"], &last["code"]),
            (&"error".into(), &code.into())
        );
        let message = last["message"].as_str().unwrap();
        assert!(
            message.starts_with("error: ") && message.contains("hint: "),
            "{message}"
        );
        assert_eq!(
            flags.contains(&"-q"),
            lines.len() == 1 && code == UNAVAILABLE
        );
    }
    let good = Case::new(FILE);
    let mut command = good.command();
    command.arg("--progress=json");
    assert!(command.output().unwrap().stderr.is_empty());
}
