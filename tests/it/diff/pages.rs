//! How a comparison is told: on a terminal, in numbers, as a page.

use super::Case;
use crate::support::{require, run};

/// Names and contents that would do harm where they stood as they are.
fn hostile() -> Case {
    let case = Case::new();
    let name = "<script>alert(1)</script>&\"'\u{1b}[31m\u{202e}fdp.exe\u{ffff}";
    let path = name.replace('/', "|");
    case.image(
        "a",
        &[(&path, b"one\n"), ("page", b"<b>\n")],
        "ENV X=\"]]><!--\"\n",
    );
    let content = "</pre><img src=x onerror=alert(1)>\u{1b}]0;x\u{7}\u{2066}\r\n\u{fffe}&amp;\n";
    case.image(
        "b",
        &[(&path, content.as_bytes()), ("page", b"\x00\x1b<i>")],
        "ENV X=\"--><script>\"\n",
    );
    case
}

#[test]
fn a_terminal_is_sent_nothing_but_text() {
    let case = hostile();
    for arguments in [
        &["a", "b"][..],
        &["a", "b", "--stat"],
        &["a", "b", "--color=never"],
    ] {
        let text = case.diff(1, arguments);
        let bad = text
            .chars()
            .find(|c| (c.is_control() && *c != '\n') || ('\u{202a}'..='\u{2069}').contains(c));
        assert_eq!(bad, None, "{text}");
    }
    let text = case.diff(1, &["a", "b"]);
    assert!(text.contains("\\u{1b}[31m\\u{202e}fdp.exe"), "{text}");
    let colours = case.diff(1, &["a", "b", "--color=always"]);
    assert!(colours.contains("\u{1b}[32m"), "{colours}");
}

#[test]
fn a_page_is_sound_and_holds_no_markup_of_others() {
    let case = hostile();
    let page = case.at("page.html");
    let told = case.diff(
        1,
        &["a", "b", "--format", "html", "-o", page.to_str().unwrap()],
    );
    assert_eq!(told, "");
    let text = std::fs::read_to_string(&page).unwrap();
    for harm in [
        "<script", "<img", "<b>", "<i>", "<!--", "]]>", "src=\"", "href=",
    ] {
        assert!(!text.contains(harm), "{harm}");
    }
    assert!(
        text.contains("&lt;script&gt;alert(1)&lt;|script&gt;&amp;"),
        "{text}"
    );
    assert!(text.contains("prefers-color-scheme"));
    if require("xmllint") {
        run(std::process::Command::new("xmllint")
            .arg("--noout")
            .arg(&page));
    }
    let parse =
        "import html5lib, sys; html5lib.HTMLParser(strict=True).parse(open(sys.argv[1], 'rb'))";
    let mut python = std::process::Command::new("/usr/bin/python3");
    let has_parser = std::process::Command::new("/usr/bin/python3")
        .args(["-c", "import html5lib"])
        .output();
    if has_parser.is_ok_and(|output| output.status.success()) {
        run(python.args(["-c", parse]).arg(&page));
    } else {
        crate::support::programs::skipped("python3 has no html5lib");
    }
}

#[test]
fn what_differs_is_counted_by_directory() {
    let case = Case::new();
    case.image(
        "a",
        &[("x/one", b"1"), ("x/two", b"22"), ("y/z/three", b"3")],
        "",
    );
    case.image(
        "b",
        &[
            ("x/one", b"1111"),
            ("y/z/three", b"3"),
            ("y/z/four", b"4444"),
        ],
        "",
    );
    let text = case.diff(1, &["a", "b", "--stat"]);
    let rows: Vec<Vec<&str>> = text
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    // Added, removed, changed; 4 bytes where there was 1, and 2 that are gone; 4 that came.
    for row in [["/x", "0", "1", "1", "+1"], ["/y/z", "1", "0", "0", "+4"]] {
        assert!(rows.contains(&row.to_vec()), "{text}");
    }
}

#[test]
fn many_paths_of_which_the_times_differ_stand_in_a_few_lines() {
    let case = Case::new();
    let names: Vec<String> = (0..500).map(|number| format!("d/{number:03}")).collect();
    let files: Vec<(&str, &[u8])> = names.iter().map(|name| (&name[..], &b"x"[..])).collect();
    for folder in ["a", "b"] {
        case.write(folder, &files);
    }
    for (folder, time) in [("a", "@1000000000"), ("b", "@1000000001")] {
        let mut touch = std::process::Command::new("find");
        touch
            .arg(case.at(folder))
            .args(["-exec", "touch", "-d", time, "{}", "+"]);
        run(&mut touch);
    }
    let text = case.diff(1, &["./a", "./b"]);
    assert!(text.lines().count() < 15, "{text}");
    // The two folders, 500 files, and three that are told.
    assert!(
        text.contains("499 paths more, of which mtime alone differs"),
        "{text}"
    );
    let report = case.report(1, &["./a", "./b"]);
    assert_eq!(report["entries"].as_array().unwrap().len(), 502);
}
