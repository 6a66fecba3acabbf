//! The machine's name.
//!
//! In: the content. Out: none of it.

use super::File;

/// A machine's name as machine-id(5) has it: 32 hexadecimal digits. Empty, it is made when a machine
/// begins; `uninitialized` stays.
pub(super) fn empty(file: &File<'_>) -> Option<Vec<u8>> {
    let digits = file.content.strip_suffix(b"\n").unwrap_or(file.content);
    let is_name = digits.len() == 32 && digits.iter().all(u8::is_ascii_hexdigit);
    is_name.then(Vec::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normal::times::tests::times;

    #[test]
    fn a_machines_name_goes_and_nothing_else() {
        let times = times();
        for (content, goes) in [
            (&b"0123456789abcdef0123456789abcdef\n"[..], true),
            (b"0123456789abcdef0123456789abcdef", true),
            (b"uninitialized\n", false),
            (b"0123456789abcdef0123456789abcdefx\n", false),
            (b"", false),
        ] {
            let file = File {
                content,
                below: None,
                times: &times,
            };
            assert_eq!(empty(&file), goes.then(Vec::new));
        }
    }
}
