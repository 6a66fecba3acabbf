//! `cairn explain` of an image: which step made a file, what is in a layer, what makes it so big.

use crate::support::{cairn, run, temp};

const RECIPE: &str = "FROM scratch
COPY a /data/a
COPY b /data/b
COPY a2 /data/a
COPY empty /data/b/../c
";

#[test]
fn steps_of_files_contents_of_layers_and_their_sizes_are_told() {
    let home = temp();
    let context = home.path().join("context");
    std::fs::create_dir(&context).unwrap();
    for (name, size) in [("a", 3000), ("b", 50_000), ("a2", 70_000), ("empty", 0)] {
        std::fs::write(context.join(name), vec![b'x'; size]).unwrap();
    }
    std::fs::write(context.join("Dockerfile"), RECIPE).unwrap();
    run(cairn(home.path())
        .args(["build", "-q", "-t", "app:1"])
        .arg(&context));
    let told = |arguments: &[&str]| run(cairn(home.path()).arg("explain").args(arguments));
    let rows = |text: &str| -> Vec<Vec<String>> {
        let lines = text.lines().skip(1);
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect();
        lines.map(words).collect()
    };

    let path = rows(&told(&["--path", "/data/a", "app:1"]));
    assert_eq!(path.len(), 2, "{path:?}");
    assert_eq!((path[0][0].as_str(), path[0][1].as_str()), ("0", "added"));
    assert_eq!((path[1][0].as_str(), path[1][1].as_str()), ("2", "changed"));
    assert!(path[1].join(" ").contains("70.0 kB, 0644, 0:0"), "{path:?}");
    assert!(path[1].join(" ").ends_with("copy a2 → /data/a"), "{path:?}");

    let layer = told(&["--layer", "1", "app:1"]);
    assert!(layer.starts_with("copy b → /data/b"), "{layer}");
    assert!(layer.contains("\n/data/b  50.0 kB, 0644, 0:0\n"), "{layer}");

    let size = told(&["--size", "app:1"]);
    let table: Vec<_> = rows(&size);
    // What the third layer replaced is in the image all the same.
    assert_eq!(table[0][..6].join(" "), "0 1 3.0 kB 3.0 kB", "{size}");
    assert_eq!(table[2][..6].join(" "), "2 1 70.0 kB 0 B", "{size}");
    let mut files = size.lines().filter(|line| !line.contains('→'));
    let largest = files.find(|line| line.ends_with("/data/a")).unwrap();
    assert!(largest.contains("70.0 kB"), "{size}");

    for (arguments, code, why) in [
        (
            &["--path", "/data/none", "app:1"][..],
            3,
            "no layer of the image has",
        ),
        (&["--layer", "9", "app:1"], 2, "the image has 4 layers"),
        (&["--size"], 2, "is no image"),
        (&["--path", "/", "app:1"], 2, "is all of the image"),
        (&["--size", "absent:1"], 3, "no image"),
    ] {
        let output = cairn(home.path())
            .arg("explain")
            .args(arguments)
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(why), "{said}");
        assert_eq!(output.status.code(), Some(code), "{said}");
    }
}
