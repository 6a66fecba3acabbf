//! Where RubyGems built a gem's extension.
//!
//! In: the `Makefile` that mkmf wrote for it, which stays in the gem. Out: the same, where the folder into which
//! the extension was first installed, which is gone, has no time, process and chance in its name:
//! `./.gem.20260801-6-mhvaqt`, as `Dir.mktmpdir` makes it (`rubygems/ext/ext_conf_builder.rb`).

use super::File;

/// What such a folder's name begins with.
const BEGIN: &[u8] = b"./.gem.";

pub(super) fn unnamed(file: &File<'_>) -> Option<Vec<u8>> {
    let mut rest = file.content;
    let mut changed = Vec::with_capacity(rest.len());
    while let Some(at) = rest.windows(BEGIN.len()).position(|it| it == BEGIN) {
        let (before, after) = rest.split_at(at + BEGIN.len());
        changed.extend_from_slice(before);
        let name = name(after).unwrap_or(0);
        if name > 0 {
            changed.extend_from_slice(b"folder");
        }
        rest = &after[name..];
    }
    changed.extend_from_slice(rest);
    Some(changed)
}

/// Bytes of a day, a process's number, and letters and digits, with `-` between.
fn name(text: &[u8]) -> Option<usize> {
    let many = |text: &[u8], is: fn(&u8) -> bool| text.iter().take_while(|byte| is(byte)).count();
    let day = many(text, u8::is_ascii_digit);
    let process = many(text.get(day + 1..)?, u8::is_ascii_digit);
    let chance = |byte: &u8| byte.is_ascii_digit() || byte.is_ascii_lowercase();
    let begin = day + process + 2;
    let chance = many(text.get(begin..)?, chance);
    let has_dashes = text[day] == b'-' && text[begin - 1] == b'-';
    (has_dashes && day == 8 && process > 0 && chance > 0).then_some(begin + chance)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normal::times::tests::judged;

    #[test]
    fn folders_that_are_gone_have_no_chance_in_their_names() {
        let made = |name: &str| {
            format!("a = $(DESTDIR)./.gem.{name}\nb = $(DESTDIR)./.gem.{name}\nall: $(a)\n")
        };
        let changed = judged(unnamed, made("20261130-6-mhvaqt").as_bytes()).unwrap();
        assert_eq!(changed, made("folder").as_bytes());
        assert_eq!(judged(unnamed, &changed), None);
        for other in [
            "",
            "2026",
            "20261130-6-",
            "20261130-x-y",
            "specification",
            "20261130-6",
        ] {
            assert_eq!(judged(unnamed, made(other).as_bytes()), None, "{other}");
        }
    }
}
