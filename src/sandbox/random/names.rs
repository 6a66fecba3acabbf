//! Names that programs make up from a clock that runs. Pure.
//!
//! In: the path that a program is about to make. Out: where in it the characters are that it made up.
//!
//! glibc up to 2.36, and coreutils up to 9.1 with it, take the nanoseconds of the monotonic clock for
//! the names of mkstemp(3) and its kin, and that clock is real. So the programs whose names end up
//! elsewhere get others before the kernel reads them: `mktemp`, whose folders are built in, the compilers
//! of GCC, and R, which builds packages in such a folder. What those make is of known form, so that nothing
//! else is renamed.

use std::ops::Range;

/// What `mktemp` makes where its caller gives no template: that of coreutils, and of busybox.
const TEMPLATES: [&[u8]; 2] = [b"tmp.XXXXXXXXXX", b"tmp.XXXXXX"];
/// The fewest places of a template that it takes.
const FEWEST: usize = 3;
/// What the compilers' files begin with (libiberty, `make_temp_file`), and how many characters follow.
const OF_COMPILER: (&[u8], usize) = (b"cc", 6);
/// R's folder of a session, likewise (`R_TempDir`).
const OF_R: (&[u8], usize) = (b"Rtmp", 6);
/// Programs that make such files. What they start to fill these (`cc1`, `as`) makes none.
const COMPILERS: [&[u8]; 8] = [
    b"cc",
    b"c++",
    b"gcc",
    b"g++",
    b"collect2",
    b"lto-wrapper",
    b"cpp",
    b"gfortran",
];

/// What characters are made up of, in programs and here.
pub const LETTERS: &[u8; 62] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/// Where in `path` a program made characters up, if it did; its arguments as `/proc` has them.
pub fn made_up(path: &[u8], arguments: &[u8]) -> Option<Range<usize>> {
    let mut arguments = arguments.split(|byte| *byte == 0);
    let program = arguments.next()?.rsplit(|byte| *byte == b'/').next()?;
    let start = path
        .iter()
        .rposition(|byte| *byte == b'/')
        .map_or(0, |at| at + 1);
    let name = path.get(start..)?;
    let found = match program {
        b"mktemp" => {
            let is_template = |it: &&[u8]| !it.starts_with(b"-") && places(it).is_some();
            let has_length = |it: &&&[u8]| it.len() == name.len();
            let default = || TEMPLATES.iter().find(has_length).copied();
            let template = arguments.rfind(is_template).or_else(default)?;
            let template = template.rsplit(|byte| *byte == b'/').next()?;
            let places = places(template)?;
            // A suffix may come by an option.
            name.starts_with(&template[..places.start])
                .then_some(places)?
        }
        b"R" => behind(OF_R, name)?,
        _ if is_compiler(program) => behind(OF_COMPILER, name)?,
        _ => return None,
    };
    let is_made_up = |part: &[u8]| part.iter().all(|byte| LETTERS.contains(byte));
    let is_so = name.get(found.clone()).is_some_and(is_made_up);
    is_so.then_some(start + found.start..start + found.end)
}

/// The places of so many characters behind such a beginning of a name, which a suffix may follow.
fn behind((start, count): (&[u8], usize), name: &[u8]) -> Option<Range<usize>> {
    let places = start.len()..start.len() + count;
    let is_its = name.starts_with(start) && matches!(name.get(places.end), None | Some(b'.'));
    is_its.then_some(places)
}

/// Where a template's last row of `X` is.
fn places(template: &[u8]) -> Option<Range<usize>> {
    let end = template.iter().rposition(|byte| *byte == b'X')? + 1;
    let others = template.get(..end)?;
    let start = others
        .iter()
        .rposition(|byte| *byte != b'X')
        .map_or(0, |at| at + 1);
    (end - start >= FEWEST).then_some(start..end)
}

/// Also by the names that Debian has for them: `x86_64-linux-gnu-gcc-12`.
fn is_compiler(program: &[u8]) -> bool {
    let is_version = |part: &[u8]| {
        part.iter()
            .all(|byte| byte.is_ascii_digit() || *byte == b'.')
    };
    let end = program.iter().rposition(|byte| *byte == b'-');
    let name = match end {
        Some(end) if is_version(&program[end + 1..]) => &program[..end],
        _ => program,
    };
    COMPILERS
        .iter()
        .any(|it| name == *it || name.ends_with(&[b"-", *it].concat()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, arguments: &str) -> Option<String> {
        let arguments = arguments.replace(' ', "\0") + "\0";
        let found = made_up(path.as_bytes(), arguments.as_bytes())?;
        Some(format!(
            "{}[{}]{}",
            &path[..found.start],
            &path[found.clone()],
            &path[found.end..]
        ))
    }

    #[test]
    fn what_mktemp_made_up_is_found_by_its_template() {
        for (path, arguments, expected) in [
            ("/tmp/tmp.abcDEF0123", "mktemp", "/tmp/tmp.[abcDEF0123]"),
            (
                "/tmp/tmp.abcDEF0123",
                "/usr/bin/mktemp -d",
                "/tmp/tmp.[abcDEF0123]",
            ),
            ("/tmp/tmp.abcDEF", "mktemp", "/tmp/tmp.[abcDEF]"),
            ("out-a1b", "mktemp -q out-XXX", "out-[a1b]"),
            (
                "/a/b/out-a1bc.txt",
                "mktemp /a/b/out-XXXX.txt",
                "/a/b/out-[a1bc].txt",
            ),
            (
                "/t/x.a1bc.html",
                "mktemp --suffix=.html -p /t x.XXXX",
                "/t/x.[a1bc].html",
            ),
        ] {
            assert_eq!(
                found(path, arguments).as_deref(),
                Some(expected),
                "{arguments}"
            );
        }
    }

    #[test]
    fn what_r_made_up_is_found_by_its_form() {
        let program = "/usr/lib/R/bin/exec/R --no-echo -e 1";
        let expected = Some("/tmp/Rtmp[AbCd12]".to_owned());
        assert_eq!(found("/tmp/RtmpAbCd12", program), expected);
    }

    #[test]
    fn what_compilers_made_up_is_found_by_its_form() {
        for program in [
            "gcc",
            "/usr/bin/x86_64-linux-gnu-gcc-12",
            "g++",
            "c++",
            "cc",
            "collect2",
        ] {
            let arguments = format!("{program} -c a.c");
            let made = found("/tmp/ccAbCd12.s", &arguments);
            assert_eq!(made.as_deref(), Some("/tmp/cc[AbCd12].s"), "{program}");
            assert_eq!(found("/tmp/ccAbCd12x.s", &arguments), None);
            assert_eq!(found("/tmp/a.out", &arguments), None);
        }
    }

    #[test]
    fn nothing_else_is_renamed() {
        for (path, arguments) in [
            ("/tmp/tmp.abcDEF0123", "sh -c mktemp"),
            ("/tmp/ccAbCd12.s", "ccache gcc"),
            (
                "/tmp/ccAbCd12.s",
                "/usr/lib/gcc/x86_64-linux-gnu/12/cc1 -quiet",
            ),
            ("/tmp/ccAbCd12.s", "cc1plus"),
            ("/tmp/RtmpAbCd12", "Rscript -e 1"),
            ("/tmp/Rtmp/AbCd12", "R"),
            ("/tmp/lock", "mktemp"),
            ("/tmp/tmp.abc", "mktemp"),
            ("/tmp/x.ab/d", "mktemp x.XXXX"),
            ("", ""),
        ] {
            assert_eq!(found(path, arguments), None, "{path} {arguments}");
        }
    }
}
