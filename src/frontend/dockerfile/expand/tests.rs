//! The rules of expansion, row by row.

use std::collections::BTreeMap;

use super::*;

fn variables() -> BTreeMap<String, String> {
    let pairs = [
        ("x", "value"),
        ("y", "a b"),
        ("empty", ""),
        ("quoted", "\"q\""),
        ("path", "/usr/local/lib.so.6"),
        ("stars", "a*b?c"),
        ("star", "*"),
        ("lines", "one\ntwo"),
        ("ü", "umlaut"),
        ("dollar", "$x"),
        ("_1", "under"),
        ("0", "zero"),
    ];
    let owned = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
    BTreeMap::from(owned)
}

/// A raw word and what it comes out as; `!` begins an error's text.
const WORDS: &[(&str, &str)] = &[
    // Plain variables.
    ("", ""),
    ("plain", "plain"),
    ("$x", "value"),
    ("${x}", "value"),
    ("a$x", "avalue"),
    ("$x.b", "value.b"),
    ("$xb", ""),
    ("${x}b", "valueb"),
    ("$x$x", "valuevalue"),
    ("$x-$y", "value-a b"),
    ("$unset", ""),
    ("a${unset}b", "ab"),
    ("$empty", ""),
    ("$dollar", "$x"),
    ("$ü", "umlaut"),
    ("$_1", "under"),
    ("$0", "zero"),
    ("$1x", "x"),
    ("$12x", "x"),
    ("$", "$"),
    ("a$", "a$"),
    ("$.", "$."),
    ("$ x", "$ x"),
    ("$$", ""),
    ("$@x", "x"),
    ("$?", ""),
    ("${", "!never closed"),
    ("${x", "!never closed"),
    ("${}", "!the name of a variable"),
    ("${:}", "!the name of a variable"),
    ("${{x}}", "!the name of a variable"),
    ("${x!y}", "!no operator"),
    ("${x:y}", "!no operator"),
    ("${x:}", "!no operator"),
    ("${x:#v}", "!no operator"),
    ("${x:%v}", "!no operator"),
    ("${x:", "!never closed"),
    ("${x.y}", "!no operator"),
    // Escapes.
    ("\\$x", "$x"),
    ("\\${x}", "${x}"),
    ("\\\\$x", "\\value"),
    ("\\a", "a"),
    ("a\\ b", "a b"),
    ("a\\", "a"),
    ("\\\"", "\""),
    ("\\'$x", "'value"),
    ("`$x", "`value"),
    // Single quotes.
    ("'$x'", "$x"),
    ("'a\\b'", "a\\b"),
    ("'a'b'c'", "abc"),
    ("'a\"b'", "a\"b"),
    ("''", ""),
    ("'a", "!quote `'`"),
    ("'\\'", "\\"),
    // Double quotes.
    ("\"$x\"", "value"),
    ("\"${x}\"", "value"),
    ("\"a'b\"", "a'b"),
    ("\"a\\\"b\"", "a\"b"),
    ("\"\\$x\"", "$x"),
    ("\"\\\\\"", "\\"),
    ("\"\\n\"", "\\n"),
    ("\"a", "!quote `\"`"),
    ("\"$quoted\"", "\"q\""),
    ("\"${x", "!never closed"),
    ("a\"b\"c", "abc"),
    // Alternatives.
    ("${x-w}", "value"),
    ("${x:-w}", "value"),
    ("${unset-w}", "w"),
    ("${unset:-w}", "w"),
    ("${empty-w}", ""),
    ("${empty:-w}", "w"),
    ("${unset:-}", ""),
    ("${unset:-$x}", "value"),
    ("${unset:-${x}}", "value"),
    ("${unset:-${also:-deep}}", "deep"),
    ("${unset:-\"a}b\"}", "a}b"),
    ("${unset:-'$x'}", "$x"),
    ("${unset:-a\\}b}", "a}b"),
    ("${unset:-a b}", "a b"),
    ("${x+w}", "w"),
    ("${x:+w}", "w"),
    ("${unset+w}", ""),
    ("${unset:+w}", ""),
    ("${empty+w}", "w"),
    ("${empty:+w}", ""),
    ("${x:+$y}", "a b"),
    ("${x?w}", "value"),
    ("${x:?w}", "value"),
    ("${empty?w}", ""),
    ("${empty:?w}", "!`empty`: w"),
    ("${unset?w}", "!`unset`: w"),
    ("${unset:?$x}", "!`unset`: value"),
    ("${unset?}", "!it must be set"),
    ("${empty:?}", "!it must not be empty"),
    ("${unset:-w", "!never closed"),
    // Prefixes.
    ("${x#v}", "alue"),
    ("${x#x}", "value"),
    ("${x#?}", "alue"),
    ("${x#*l}", "ue"),
    ("${x#*}", "value"),
    ("${x##*}", ""),
    ("${path#*/}", "usr/local/lib.so.6"),
    ("${path##*/}", "lib.so.6"),
    ("${path#/usr}", "/local/lib.so.6"),
    ("${x#}", "value"),
    ("${x##}", "value"),
    ("${x#$x}", ""),
    ("${stars#a\\*}", "b?c"),
    ("${stars##*\\?}", "c"),
    ("${x#a\\b}", "!is no pattern"),
    ("${unset#a}", ""),
    ("${lines#*w}", "one\ntwo"),
    ("${lines#*e}", "\ntwo"),
    ("${x#[v]}", "value"),
    // Suffixes.
    ("${x%e}", "valu"),
    ("${x%x}", "value"),
    ("${x%?}", "valu"),
    ("${path%.*}", "/usr/local/lib.so"),
    ("${path%%.*}", "/usr/local/lib"),
    ("${path%/*}", "/usr/local"),
    ("${path%%/*}", ""),
    ("${x%*}", "value"),
    ("${x%%*}", ""),
    ("${x%\"lue\"}", "va"),
    ("${stars%\\?c}", "a*b"),
    ("${unset%a}", ""),
    // Replacements.
    ("${x/a/o}", "volue"),
    ("${path/l/L}", "/usr/Local/lib.so.6"),
    ("${path//l/L}", "/usr/LocaL/Lib.so.6"),
    ("${path//\\//-}", "-usr-local-lib.so.6"),
    ("${x/a*u/-}", "v-e"),
    ("${x//?/-}", "-----"),
    ("${x/x/y}", "value"),
    ("${x/value/}", ""),
    ("${x//*/y}", "y"),
    ("${x/a/$y}", "va blue"),
    ("${stars//\\*/+}", "a+b?c"),
    ("${x/a/$dollar}", "v$xlue"),
    ("${x/a}", "!no second `/`"),
    ("${x/a/b", "!never closed"),
    ("${unset/a/b}", ""),
    // Several at once.
    ("${x}'${x}'\"${x}\"", "value${x}value"),
    ("a=$x,b=\"$y\"", "a=value,b=a b"),
];

#[test]
fn words_come_out_as_documented() {
    let variables = variables();
    assert!(WORDS.len() > 100);
    for (raw, expected) in WORDS {
        let result = Expander::new('\\').word(raw, &variables);
        match (expected.strip_prefix('!'), result) {
            (Some(part), Err(error)) => {
                assert!(error.to_string().contains(part), "{raw}: {error}");
            }
            (None, Ok(result)) => assert_eq!(result.text, *expected, "{raw}"),
            (_, result) => panic!("{raw}: {result:?}, not {expected}"),
        }
    }
}

#[test]
fn words_fall_apart_at_blanks_that_are_not_quoted() {
    let variables = variables();
    for (raw, expected) in [
        ("", &[][..]),
        ("a b", &["a", "b"]),
        ("  a\t b  ", &["a", "b"]),
        ("$y", &["a", "b"]),
        ("\"$y\"", &["a b"]),
        ("x$y", &["xa", "b"]),
        ("a\\ b", &["a b"]),
        ("'a b' c", &["a b", "c"]),
        ("a' 'b", &["a b"]),
        ("$unset", &[]),
        ("''", &[]),
        ("$empty a", &["a"]),
        ("${unset:-a b}", &["a", "b"]),
        ("${unset:-\"a b\"}", &["a", "b"]),
        ("$y$y", &["a", "ba", "b"]),
        ("80 443", &["80", "443"]),
        ("<< EOF x", &["<< EOF", "x"]),
        ("a < b", &["a", "<", "b"]),
    ] {
        let result = Expander::new('\\').word(raw, &variables).unwrap();
        assert_eq!(result.words, expected, "{raw}");
    }
}

#[test]
fn backticks_escape_where_the_file_says_so() {
    let variables = variables();
    for (raw, expected) in [
        ("`$x", "$x"),
        ("\\$x", "\\value"),
        ("c:\\dir\\$x", "c:\\dir\\value"),
        ("\"`\"\"", "\""),
        ("\"\\\"", "\\"),
        ("${unset:-`}}", "}"),
    ] {
        let result = Expander::new('`').word(raw, &variables).unwrap();
        assert_eq!(result.text, expected, "{raw}");
    }
}

#[test]
fn modes_keep_what_they_say() {
    let mode = |raw_quotes, raw_escapes, no_quotes, keep_unset| Mode {
        raw_quotes,
        raw_escapes,
        no_quotes,
        keep_unset,
    };
    let variables = variables();
    for (raw, mode, expected) in [
        (
            "'a' \"$x\"",
            mode(true, false, false, false),
            "'a' \"value\"",
        ),
        ("\\$x \"\\$\"", mode(false, true, false, false), "\\$x \\$"),
        ("it's $x", mode(false, false, true, false), "it's value"),
        (
            "$a ${a} ${a:-b} ${a//b/c}",
            mode(false, false, false, true),
            "$a ${a} ${a:-b} ${a//b/c}",
        ),
        (
            "${a#b} ${a%%b} $x",
            mode(false, false, false, true),
            "${a#b} ${a%%b} value",
        ),
    ] {
        let result = Expander::new('\\').with(raw, &variables, mode).unwrap();
        assert_eq!(result.text, expected, "{raw}");
    }
}

#[test]
fn bodies_of_heredocs_know_no_quotes() {
    let expander = Expander::new('`');
    let body = expander
        .heredoc("it's \"$x\" \\$x\n", &variables())
        .unwrap();
    assert_eq!(body, "it's \"value\" $x\n");
}

#[test]
fn what_was_asked_for_is_told() {
    let result = Expander::new('\\')
        .word(
            "$x ${no} ${maybe:-$nor} '$quoted' \\$x ${y:+w}",
            &variables(),
        )
        .unwrap();
    assert_eq!(result.used, ["x", "y"].map(str::to_owned).into());
    assert_eq!(result.unset, ["no", "nor"].map(str::to_owned).into());
}

#[test]
fn the_last_of_a_list_counts() {
    let list = vec![
        ("a".to_owned(), "1".to_owned()),
        ("a".to_owned(), "2".to_owned()),
    ];
    assert_eq!(Expander::new('\\').word("$a", &list).unwrap().text, "2");
    assert_eq!(Expander::new('\\').word("$a", &()).unwrap().text, "");
}

#[test]
fn billions_are_refused_cheaply() {
    // Each doubles the one before.
    let expander = Expander::new('\\');
    let mut variables = BTreeMap::from([("v0".to_owned(), "x".repeat(64))]);
    let error = (1..100).find_map(|at| {
        let raw = format!("$v{}", at - 1).repeat(2);
        match expander.word(&raw, &variables) {
            Ok(result) => {
                variables.insert(format!("v{at}"), result.text);
                None
            }
            Err(error) => Some(error),
        }
    });
    assert_eq!(error, Some(Error::TooLong));
    // Each fits, all together are too much.
    let variables = BTreeMap::from([("v".to_owned(), "x".repeat(LONGEST / 2))]);
    let error = (0..100_000).find_map(|_| expander.word("$v$v", &variables).err());
    assert_eq!(error, Some(Error::TooMuch));
}

#[test]
fn depth_and_patterns_are_limited() {
    let deep = format!("{}x{}", "${a:-".repeat(100_000), "}".repeat(100_000));
    let expander = Expander::new('\\');
    assert_eq!(expander.word(&deep, &()), Err(Error::TooDeep));
    let variables = BTreeMap::from([("v".to_owned(), "a".repeat(100_000))]);
    let pattern = "*a?".repeat(30_000);
    for raw in [
        format!("${{v##{pattern}b}}"),
        format!("${{v//{pattern}b/x}}"),
        format!("${{v%%b{pattern}}}"),
    ] {
        assert_eq!(expander.word(&raw, &variables), Err(Error::TooMuch));
    }
}
