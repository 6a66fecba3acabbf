//! Whole files.

mod hostile;
mod mounts;

use super::syntax::*;
use super::*;

fn source(text: &str) -> Source {
    Source::new("Dockerfile", text.into(), LARGEST).unwrap()
}

fn tree(text: &str) -> Dockerfile {
    parse(&source(text)).unwrap_or_else(|problems| panic!("{text}\n{problems:#?}"))
}

/// The only instruction behind `FROM a`.
fn kind(instruction: &str) -> Kind {
    let file = tree(&format!("FROM a\n{instruction}"));
    let [stage] = &file.stages[..] else {
        panic!("{instruction}: not one stage");
    };
    let [only] = &stage.instructions[..] else {
        panic!("{instruction}: not one instruction");
    };
    only.kind.clone()
}

/// Messages, each with what it points at.
fn problems(text: &str) -> Vec<(String, String)> {
    let problems = match parse(&source(text)) {
        Ok(_) => Vec::new(),
        Err(problems) => problems,
    };
    let each = problems.into_iter().map(|problem| {
        let at = problem.span.map_or("", |span| &text[span]);
        (problem.message, at.to_owned())
    });
    each.collect()
}

fn raws(words: &[Word]) -> Vec<&str> {
    words.iter().map(|word| &word.raw[..]).collect()
}

fn values(words: &[Spanned<String>]) -> Vec<&str> {
    words.iter().map(|word| &word.value[..]).collect()
}

#[test]
fn stages_hold_their_instructions() {
    let text = "ARG V=1\nFROM --platform=$BUILDPLATFORM a:$V As Build\nRUN x\nfrom build\nCMD y\n";
    let file = tree(text);
    assert_eq!(file.globals[0].kind[0].name.raw, "V");
    let [first, second] = &file.stages[..] else {
        panic!("{file:#?}");
    };
    let from = &first.from.kind;
    assert_eq!(from.image.raw, "a:$V");
    assert_eq!(from.platform.as_ref().unwrap().raw, "$BUILDPLATFORM");
    let name = from.name.as_ref().unwrap();
    assert_eq!((&name.value[..], &name.written[..]), ("build", "Build"));
    assert_eq!(name.keyword.value, "As");
    assert_eq!(&text[name.span.clone()], "Build");
    assert_eq!(&text[from.image.span.clone()], "a:$V");
    assert_eq!(first.instructions.len(), 1);
    assert_eq!(second.from.keyword.value, "from");
    assert_eq!(&text[second.from.span.clone()], "from build");
    assert_eq!(second.instructions[0].text, "CMD y");
}

#[test]
fn directives_are_those_before_anything_else() {
    for (text, escape, syntax, check) in [
        ("# escape=`\nFROM a", '`', None, None),
        ("#ESCAPE = `  \nFROM a", '`', None, None),
        ("\u{feff}# escape=`\r\nFROM a", '`', None, None),
        (
            "# syntax=x\n# check=skip=all\nFROM a",
            '\\',
            Some("x"),
            Some("skip=all"),
        ),
        ("# hello\n# escape=`\nFROM a", '\\', None, None),
        ("\n# escape=`\nFROM a", '\\', None, None),
        ("# unknown=x\n# escape=`\nFROM a", '\\', None, None),
        ("FROM a\n# escape=`", '\\', None, None),
        ("#syntax=a b \nFROM a", '\\', Some("a b"), None),
    ] {
        let found = tree(text).directives;
        let value = |spanned: &Option<Spanned<String>>| {
            spanned.as_ref().map(|spanned| {
                assert_eq!(text[spanned.span.clone()], spanned.value);
                spanned.value.clone()
            })
        };
        assert_eq!(found.escape, escape, "{text}");
        assert_eq!(value(&found.syntax).as_deref(), syntax, "{text}");
        assert_eq!(value(&found.check).as_deref(), check, "{text}");
    }
    let told = problems("# escape=x\nFROM a");
    assert_eq!(
        told,
        [("`x` can't be the escape character".into(), "x".into())]
    );
    let told = problems("# escape=`\n# escape=`\nFROM a");
    assert_eq!(told[0].0, "the directive `escape` is there twice");
}

#[test]
fn lines_go_on_behind_an_escape() {
    for (text, command) in [
        ("RUN a \\\n  b", "a   b"),
        ("RUN a\\\nb", "ab"),
        ("RUN a \\  \t\n b", "a  b"),
        ("RUN a \\\r\n b\r\n", "a  b"),
        ("RUN a \\\n# comment\n  # another \\\n b", "a  b"),
        ("RUN a \\\n\n\n b", "a  b"),
        ("RUN a \\\n", "a"),
        ("RUN a \\\\\nCMD x", "a \\\\"),
        ("  RUN a", "a"),
        ("RUN \\\n a", "a"),
        ("\\\nRUN a", "a"),
        ("RUN a # b", "a # b"),
        ("RUN\ta  b ", "a  b"),
        ("R\\\nUN a", "a"),
    ] {
        let file = tree(&format!("FROM a\n{text}"));
        let Kind::Run(run) = &file.stages[0].instructions[0].kind else {
            panic!("{text}");
        };
        let RunCommand::Shell(found) = &run.command else {
            panic!("{text}: {run:?}");
        };
        assert_eq!(found.value, command, "{text}");
    }
    let empty = tree("FROM a\nRUN b \\\n\n c\n").empty_continuations;
    assert_eq!(empty, vec![15..16; 1]);
    let file = tree("# escape=`\nFROM a\nRUN dir c:\\`\n  x");
    assert_eq!(file.stages[0].instructions[0].text, "RUN dir c:\\  x");
}

#[test]
fn spans_lead_back_through_continuations() {
    let text = "FROM a\nENV A=b \\\n  # c\n  C=\"d e\"\n";
    let file = tree(text);
    let node = &file.stages[0].instructions[0];
    let Kind::Env(pairs) = &node.kind else {
        panic!("{node:?}");
    };
    assert_eq!(&text[pairs[1].key.span.clone()], "C");
    assert_eq!(&text[pairs[1].value.span.clone()], "\"d e\"");
    assert_eq!(
        &text[node.span.clone()],
        text["FROM a\n".len()..].trim_end()
    );
    assert_eq!(&text[node.keyword.span.clone()], "ENV");
}

#[test]
fn commands_are_for_the_shell_or_arrays() {
    for (text, expected) in [
        ("CMD a b", Err("a b")),
        ("CMD [\"a\", \"b\"]", Ok(&["a", "b"][..])),
        ("CMD [\"a\", 'b']", Err("[\"a\", 'b']")),
        ("CMD [\"a\"] # b", Err("[\"a\"] # b")),
        ("CMD []", Ok(&[])),
        ("CMD", Err("")),
        ("cmd \\\n [\"a\", \\\n \"b\\n\"]", Ok(&["a", "b\n"])),
        ("ENTRYPOINT [ \"\\u00e4\" ]", Ok(&["ä"])),
        ("entrypoint a", Err("a")),
    ] {
        let (Kind::Cmd(command) | Kind::Entrypoint(command)) = kind(text) else {
            panic!("{text}");
        };
        match (&command, expected) {
            (CommandLine::Exec(words), Ok(expected)) => assert_eq!(values(words), expected),
            (CommandLine::Shell(found), Err(expected)) => assert_eq!(found.value, expected),
            _ => panic!("{text}: {command:?}"),
        }
    }
    let told = problems("FROM a\nCMD [\"a\", 1]");
    assert_eq!(told[0].1, "[\"a\", 1]");
}

#[test]
fn pairs_have_a_new_form_and_an_old_one() {
    for (text, expected) in [
        ("ENV A=b", &[("A", "b", false)][..]),
        (
            "ENV A=b C=\"d e\" F='g h' I=j\\ k",
            &[
                ("A", "b", false),
                ("C", "\"d e\"", false),
                ("F", "'g h'", false),
                ("I", "j\\ k", false),
            ],
        ),
        ("ENV A=", &[("A", "", false)]),
        ("ENV A b c=d", &[("A", "b c=d", true)]),
        ("ENV A   \"b  c\"", &[("A", "\"b  c\"", true)]),
        (
            "LABEL \"a b\"=c d=e=f",
            &[("\"a b\"", "c", false), ("d", "e=f", false)],
        ),
        ("ENV A=a\\\nb", &[("A", "ab", false)]),
    ] {
        let (Kind::Env(pairs) | Kind::Label(pairs)) = kind(text) else {
            panic!("{text}");
        };
        let found: Vec<_> = pairs
            .iter()
            .map(|pair| (&pair.key.raw[..], &pair.value.raw[..], pair.is_legacy))
            .collect();
        assert_eq!(found, expected, "{text}");
    }
    let Kind::Arg(arguments) = kind("ARG a b= c=d") else {
        panic!();
    };
    let found: Vec<_> = arguments
        .iter()
        .map(|argument| {
            let default = argument.default.as_ref().map(|word| &word.raw[..]);
            (&argument.name.raw[..], default)
        })
        .collect();
    assert_eq!(found, [("a", None), ("b", Some("")), ("c", Some("d"))]);
}

#[test]
fn copies_have_flags_sources_and_a_destination() {
    let text =
        "COPY --from=b --chown=1:2 --chmod=u+x --link --parents --exclude=*.a --exclude=b c d /e/";
    let Kind::Copy(copy) = kind(text) else {
        panic!();
    };
    assert_eq!(copy.from.unwrap().value, "b");
    assert!(copy.parents && copy.transfer.link);
    assert_eq!(copy.transfer.chown.unwrap().raw, "1:2");
    assert_eq!(copy.transfer.chmod.unwrap().raw, "u+x");
    assert_eq!(raws(&copy.transfer.exclude), ["*.a", "b"]);
    assert_eq!(copy.transfer.sources.len(), 2);
    assert_eq!(copy.transfer.destination.raw, "/e/");
    let Kind::Add(add) = kind(
        "ADD --checksum=sha256:$S --keep-git-dir=true --unpack=false --link=FALSE [\"a b\", \"/c\"]",
    ) else {
        panic!();
    };
    assert_eq!(add.checksum.unwrap().raw, "sha256:$S");
    assert!(add.keep_git_dir.unwrap().value && !add.unpack.unwrap().value);
    assert!(!add.transfer.link);
    let [TransferSource::Path(path)] = &add.transfer.sources[..] else {
        panic!();
    };
    assert_eq!(path.raw, "a b");
}

#[test]
fn heredocs_are_files_of_copies() {
    let text =
        "FROM a\nCOPY <<EOF <<-\"B C\" x /d/\nit's $x\nEOF\n\tb\nx B C\nB C \n\tB C\nCMD e\n";
    let file = tree(text);
    let [copy, cmd] = &file.stages[0].instructions[..] else {
        panic!("{file:#?}");
    };
    assert_eq!(&text[cmd.span.clone()], "CMD e");
    let Kind::Copy(Copy { transfer, .. }) = &copy.kind else {
        panic!();
    };
    // Words of COPY end at blanks, quoted or not.
    assert_eq!(transfer.sources.len(), 4);
    let TransferSource::Heredoc(first) = &transfer.sources[0] else {
        panic!("{transfer:?}");
    };
    assert_eq!(first.content(), "it's $x\n");
    assert!(first.expands && !first.chomps);
    assert_eq!(&text[first.span.clone()], "<<EOF");
    assert_eq!(&text[first.body.span.clone()], "it's $x\n");

    let Kind::Add(Add { transfer, .. }) = kind("ADD <<-'a.txt' /d\n\t\tx\n\ty\r\n\ta.txt") else {
        panic!();
    };
    let TransferSource::Heredoc(heredoc) = &transfer.sources[0] else {
        panic!();
    };
    assert_eq!(heredoc.content(), "x\ny\r\n");
    assert!(!heredoc.expands);
}

#[test]
fn heredocs_are_scripts_or_belong_to_the_shell() {
    let command = |text: &str| match kind(text) {
        Kind::Run(run) => run.command,
        other => panic!("{text}: {other:?}"),
    };
    for text in [
        "RUN <<EOF\na\nEOF",
        "RUN <<-EOF\n\ta\n\tEOF",
        "RUN << EOF\na\nEOF",
    ] {
        let RunCommand::Script(heredoc) = command(text) else {
            panic!("{text}");
        };
        assert_eq!(heredoc.content(), "a\n", "{text}");
    }
    for (text, expected) in [
        ("RUN cat <<A 3<<B\nx\nA\ny\nB\n", "cat <<A 3<<B\nx\nA\ny\nB"),
        ("RUN <<-A cat\n\tx\n\tA\n", "<<-A cat\n\tx\nA"),
        ("RUN echo '<<A'", "echo '<<A'"),
        (
            "RUN [ 1 -lt 2 ] && cat <<A\nA\n",
            "[ 1 -lt 2 ] && cat <<A\nA",
        ),
        ("RUN a <<A \\\n && b\nx\\\nA\n", "a <<A  && b\nx\\\nA"),
        ("RUN a <<<b", "a <<<b"),
    ] {
        let RunCommand::Shell(found) = command(text) else {
            panic!("{text}");
        };
        assert_eq!(found.value, expected, "{text}");
    }
    let RunCommand::Exec(words) = command("RUN [\"cat\", \"<<EOF\"]") else {
        panic!();
    };
    assert_eq!(values(&words), ["cat", "<<EOF"]);
    let text = "FROM a\nRUN <<A b <<B\nA\n";
    let expected = [("the here-document `B` never ends".into(), "<<B".into())];
    assert_eq!(problems(text), expected);
}

#[test]
fn runs_have_mounts_and_modes() {
    let Kind::Run(run) = kind(
        "RUN --mount=type=cache,target=/a --mount=type=bind,from=b,target=c --network=none --security=insecure --device=x,required a",
    ) else {
        panic!();
    };
    assert_eq!(
        raws(&run.mounts),
        ["type=cache,target=/a", "type=bind,from=b,target=c"]
    );
    assert_eq!(run.network.unwrap().value, Network::None);
    assert_eq!(run.security.unwrap().value, Security::Insecure);
    let devices: Vec<_> = run.devices.iter().map(|at| at.value.to_string()).collect();
    assert_eq!(devices, ["x,required"]);
}

#[test]
fn triggers_are_instructions_themselves() {
    let Kind::OnBuild(trigger) = kind("ONBUILD  run <<EOF\na\nEOF\n") else {
        panic!();
    };
    assert_eq!(trigger.trigger, "run <<EOF\na\nEOF");
    assert!(matches!(trigger.instruction.kind, Kind::Run(_)));
    let read = super::trigger(&trigger.trigger).unwrap();
    assert_eq!(read.kind.clone(), {
        let Kind::Run(run) = read.kind else { panic!() };
        Kind::Run(run)
    });
    for text in [
        "ONBUILD RUN a",
        "FROM a",
        "RUN a\nRUN b",
        "",
        "MAINTAINER x",
        "RNU x",
    ] {
        assert!(super::trigger(text).is_err(), "{text}");
    }
    for text in [
        "ONBUILD ONBUILD RUN a",
        "ONBUILD FROM a",
        "ONBUILD MAINTAINER a",
        "ONBUILD",
    ] {
        assert_eq!(problems(&format!("FROM a\n{text}")).len(), 1, "{text}");
    }
}

#[test]
fn healthchecks_have_times() {
    let Kind::Healthcheck(Healthcheck::Command(check)) =
        kind("HEALTHCHECK --interval=1m30s --retries=3 --timeout=0s CMD curl x || exit 1")
    else {
        panic!();
    };
    assert_eq!(check.interval.unwrap().value, 90_000_000_000);
    assert_eq!(check.retries.unwrap().value, 3);
    assert_eq!(check.timeout.unwrap().value, 0);
    assert!(matches!(check.command, CommandLine::Shell(_)));
    assert_eq!(
        kind("HEALTHCHECK none"),
        Kind::Healthcheck(Healthcheck::None)
    );
}

#[test]
fn comments_above_stay_with_their_instruction() {
    let file = tree("FROM a\n# lost\n\n# one\n#\n# two\n#three\nRUN b\nRUN c");
    let comments = values(&file.stages[0].instructions[0].comments);
    assert_eq!(comments, ["two", "three"]);
    assert!(file.stages[0].instructions[1].comments.is_empty());
}

#[test]
fn everything_wrong_is_told_at_once() {
    let text = "FORM a\nFROM a\nRUNN b\nCOPY c\nCOPY --chmood=1 --from=$X a b\nSHELL sh\nENV A\nENV =b\nLABEL a=b c\nFROM a b\nFROM a AS 1\nVOLUME [\"\"]\nHEALTHCHECK --interval=1 CMD a\nHEALTHCHECK NONE x\nUSER\nARG =x\nRUN --network=hots x\nRUN --mount a\nCOPY --link=1 a b\nCOPY --from=a --from=b a b\nCOPY a <<X\nX\n";
    let told: Vec<_> = problems(text)
        .into_iter()
        .map(|(message, at)| format!("{message} | {at}"))
        .collect();
    let expected = [
        "there is no instruction `FORM` | FORM",
        "there is no instruction `RUNN` | RUNN",
        "COPY needs a source and a destination | c",
        "COPY has no flag `--chmood` | --chmood=1",
        "variables are not expanded in `--from` | $X",
        "SHELL takes a JSON array of strings | sh",
        "ENV gives `A` no value | A",
        "a key of ENV is empty | =b",
        "`c` has no `=` | c",
        "FROM takes an image, and `AS` and a name after it | b",
        "`1` can't be the name of a stage | 1",
        "the path of a volume is empty | \"\"",
        "`1` is no time | 1",
        "nothing may follow HEALTHCHECK NONE | x",
        "USER needs a value | USER",
        "the name of the argument is empty | =x",
        "`--network` can't be `hots` | hots",
        "`--mount` has no value | --mount",
        "`--link` can't be `1` | --link=1",
        "COPY has `--from` twice | --from=b",
        "COPY can't take a here-document for its destination | <<X",
    ];
    assert_eq!(told, expected);
}

#[test]
fn hints_show_the_way_out() {
    for (text, hint) in [
        ("FROM a\nRUNN b", "did you mean `RUN`?"),
        ("FROM a\nCOPY --chmood=1 a b", "did you mean `--chmod`?"),
        ("FROM a\nRUN --network=hots b", "did you mean `host`?"),
        ("FROM a\nWORKDIR --x=y b", "it takes no flags"),
        ("", "begin with `FROM IMAGE`, or `FROM scratch`"),
        ("ARG a", "begin with `FROM IMAGE`, or `FROM scratch`"),
        ("RUN a", "only ARG may: begin the stage with `FROM IMAGE`"),
    ] {
        let problems = parse(&source(text)).unwrap_err();
        assert_eq!(problems[0].hint.as_deref(), Some(hint), "{text}");
        assert_eq!(problems.len(), 1, "{text}");
    }
}

#[test]
fn there_are_limits() {
    let many = |line: &str, times: usize| format!("FROM a\n{}", line.repeat(times));
    for (text, message) in [
        (
            many("RUN a\n", 30_000),
            "there are more than 20000 instructions",
        ),
        (many("FROM a\n", 3_000), "there are more than 1000 stages"),
    ] {
        assert_eq!(problems(&text)[0].0, message);
    }
    assert_eq!(problems(&many("x\n", 1_000)).len(), 100);
    let text = "#".repeat(LARGEST + 1);
    let source = Source::new("r", text.into(), LARGEST * 2).unwrap();
    assert_eq!(parse(&source).unwrap_err().len(), 1);
}
