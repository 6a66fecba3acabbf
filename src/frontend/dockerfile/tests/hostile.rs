//! Any text at all.

use proptest::prelude::*;

use crate::canon::Source;
use crate::frontend::dockerfile::expand::Expander;
use crate::frontend::dockerfile::{LARGEST, mount, parse, syntax::*, trigger};

/// A file with a bit of everything.
const REAL: &str = include_str!("everything.Dockerfile");

/// Everything that is done with a text: it gives a value or problems, whose places are in it.
fn survive(text: &str) {
    let source = Source::new("r", text.into(), LARGEST).unwrap();
    let in_text = |span: &Span| {
        assert!(text.get(span.clone()).is_some(), "{span:?} of {text:?}");
    };
    let _ = trigger(text);
    let file = match parse(&source) {
        Ok(file) => file,
        Err(problems) => {
            assert!(!problems.is_empty());
            for problem in problems {
                problem.span.iter().for_each(in_text);
            }
            return;
        }
    };
    let expander = Expander::new(file.directives.escape);
    let variables = vec![("x".to_owned(), "a b".to_owned())];
    let expand = |word: &Word| {
        in_text(&word.span);
        let _ = expander.word(&word.raw, &variables);
    };
    file.empty_continuations.iter().for_each(in_text);
    for stage in &file.stages {
        in_text(&stage.from.span);
        expand(&stage.from.kind.image);
        for node in &stage.instructions {
            in_text(&node.span);
            in_text(&node.keyword.span);
            node.comments.iter().for_each(|at| in_text(&at.span));
            match &node.kind {
                Kind::Env(pairs) | Kind::Label(pairs) => {
                    for pair in pairs {
                        expand(&pair.key);
                        expand(&pair.value);
                    }
                }
                Kind::Copy(Copy { transfer, .. }) | Kind::Add(Add { transfer, .. }) => {
                    expand(&transfer.destination);
                    for source in &transfer.sources {
                        match source {
                            TransferSource::Path(word) => expand(word),
                            TransferSource::Heredoc(heredoc) => {
                                in_text(&heredoc.body.span);
                                in_text(&heredoc.span);
                                let _ = expander.heredoc(&heredoc.content(), &variables);
                            }
                        }
                    }
                }
                Kind::Run(run) => {
                    run.command.span().iter().for_each(in_text);
                    for word in &run.mounts {
                        expand(word);
                        let mut same = |word: &Word| Ok(word.raw.clone());
                        let _ = mount::parse(word, &mut same);
                    }
                }
                Kind::OnBuild(on_build) => {
                    in_text(&on_build.instruction.span);
                    let _ = trigger(&on_build.trigger);
                }
                Kind::User(word) | Kind::Workdir(word) | Kind::StopSignal(word) => expand(word),
                Kind::Expose(words) | Kind::Volume(words) => words.iter().for_each(expand),
                _ => {}
            }
        }
    }
}

#[test]
fn the_real_one_is_understood() {
    let source = Source::new("r", REAL.into(), LARGEST).unwrap();
    let file = parse(&source).unwrap();
    assert_eq!(file.stages[0].instructions.len(), 17);
    survive(REAL);
    survive(&REAL.replace('\n', "\r\n"));
}

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn any_text_is_survived(text in "\\PC{0,200}") {
        survive(&text);
    }

    #[test]
    fn lines_of_the_language_are_survived(
        lines in proptest::collection::vec(
            "(FROM|RUN|COPY|ADD|ENV|ARG|LABEL|ONBUILD|HEALTHCHECK|SHELL|#|) ?\
             (--[a-z]{1,8}(=|)|)[ \\t\\\\`\"'$\\[\\]{}<>,=:/#%a-cE\r-]{0,24}",
            0..12,
        ),
    ) {
        survive(&format!("FROM a\n{}", lines.join("\n")));
        survive(&lines.join("\n"));
    }

    #[test]
    fn mutations_of_a_real_one_are_survived(
        changes in proptest::collection::vec(
            (any::<prop::sample::Index>(), 0..8_usize, "[\\PC\n\r\t\\\\\"'${}<=]"),
            1..8,
        ),
    ) {
        let mut chars: Vec<char> = REAL.chars().collect();
        for (index, what, with) in &changes {
            if chars.is_empty() {
                break;
            }
            let at = index.index(chars.len());
            match what {
                0..3 => drop(chars.remove(at)),
                3..6 => with.chars().for_each(|c| chars.insert(at, c)),
                6 => chars.truncate(at.max(1)),
                _ => chars[at] = with.chars().next().unwrap_or(' '),
            }
        }
        survive(&chars.iter().collect::<String>());
    }

    #[test]
    fn words_are_survived(word in "[a-c$\\\\`{}:+?#%/*'\" -]{0,60}") {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let variables = vec![pair("a", "abc/abc"), pair("b", "*a")];
        for escape in ['\\', '`'] {
            let _ = Expander::new(escape).word(&word, &variables);
        }
    }
}
