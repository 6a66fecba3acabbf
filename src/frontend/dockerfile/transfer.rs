//! `COPY` and `ADD`.
//!
//! In: what follows their names. Out: [`Copy`], [`Add`].

use super::flag::Flags;
use super::heredoc;
use super::instruction::Reader;
use super::joined::Part;
use super::syntax::*;
use super::words::{self, Json};
use crate::canon::Problem;

/// Flags that both have.
struct Common {
    chown: Option<Word>,
    chmod: Option<Word>,
    link: bool,
    exclude: Vec<Word>,
}

fn common(flags: &mut Flags<'_>) -> Common {
    Common {
        chown: flags.text("chown"),
        chmod: flags.text("chmod"),
        link: flags.switch("link").is_some_and(|link| link.value),
        exclude: flags.texts("exclude"),
    }
}

pub(super) fn copy(reader: &mut Reader<'_>, keyword: Part<'_>, rest: Part<'_>) -> Option<Copy> {
    let (written, rest) = words::flags(rest);
    let mut flags = Flags::new(keyword, written, reader.problems);
    let from = flags.text("from");
    let parents = flags.switch("parents").is_some_and(|parents| parents.value);
    let common = common(&mut flags);
    flags.end();
    if let Some(from) = &from {
        reader.problems.extend(variable_in_from("--from", from));
    }
    Some(Copy {
        from: from.map(|from| Spanned::new(from.raw, from.span)),
        parents,
        transfer: transfer(reader, keyword, rest, common)?,
    })
}

pub(super) fn add(reader: &mut Reader<'_>, keyword: Part<'_>, rest: Part<'_>) -> Option<Add> {
    let (written, rest) = words::flags(rest);
    let mut flags = Flags::new(keyword, written, reader.problems);
    let checksum = flags.text("checksum");
    let keep_git_dir = flags.switch("keep-git-dir");
    let unpack = flags.switch("unpack");
    let common = common(&mut flags);
    flags.end();
    Some(Add {
        checksum,
        keep_git_dir,
        unpack,
        transfer: transfer(reader, keyword, rest, common)?,
    })
}

/// Stages must be known before variables are.
pub(super) fn variable_in_from(flag: &str, word: &Word) -> Option<Problem> {
    let at = word.raw.find('$')?;
    (at + 1 < word.raw.len()).then(|| {
        Problem::new(format!("variables are not expanded in `{flag}`"))
            .at(word.span.clone())
            .hint("name a stage for it: `FROM $IMAGE AS name`, and copy from that")
    })
}

fn transfer(
    reader: &mut Reader<'_>,
    keyword: Part<'_>,
    rest: Part<'_>,
    common: Common,
) -> Option<Transfer> {
    let is_array = matches!(words::json(rest), Json::Strings(_));
    let mut words = reader.list(rest)?;
    let name = keyword.text().to_ascii_uppercase();
    let hint = format!("write `{name} SOURCE DESTINATION`");
    let destination = match (words.pop(), words.is_empty()) {
        (Some(last), false) => last,
        (Some(last), true) => {
            let message = format!("{name} needs a source and a destination");
            return reader.fail(last.span, message, hint);
        }
        (None, _) => {
            let message = format!("{name} needs a source and a destination");
            return reader.fail(keyword.span(), message, hint);
        }
    };
    if !is_array && heredoc::opening(&destination.raw).is_some() {
        let message = format!("{name} can't take a here-document for its destination");
        return reader.fail(destination.span, message, hint);
    }
    let source = |word: Word| {
        let opening = heredoc::opening(&word.raw).filter(|_| !is_array);
        let Some(opening) = opening else {
            return TransferSource::Path(word);
        };
        // Of several with one name the last counts.
        let bodies = reader.heredocs.iter().rev();
        match bodies.into_iter().find(|body| body.name == opening.name) {
            Some(heredoc) => TransferSource::Heredoc(Heredoc {
                span: word.span,
                ..heredoc.clone()
            }),
            None => TransferSource::Path(word),
        }
    };
    let sources = words.into_iter().map(source).collect();
    Some(Transfer {
        chown: common.chown,
        chmod: common.chmod,
        link: common.link,
        exclude: common.exclude,
        sources,
        destination,
    })
}
