//! The authority's PEM block (RFC 7468) in texts.
//!
//! In: a text of certificates, whoever wrote it. Out: the text as it would have been without ours.

/// What begins a certificate's block; OpenSSL's own kind holds more behind the certificate.
const BEGINS: [&[u8]; 2] = [
    b"-----BEGIN CERTIFICATE-----",
    b"-----BEGIN TRUSTED CERTIFICATE-----",
];
const ENDS: [&[u8]; 2] = [
    b"-----END CERTIFICATE-----",
    b"-----END TRUSTED CERTIFICATE-----",
];

/// The text without the blocks of the certificate that is `base64` without line ends. With a block
/// go the comments right above it, and the empty line that p11-kit puts between blocks.
pub(super) fn cut(text: &[u8], base64: &str) -> Vec<u8> {
    let lines: Vec<&[u8]> = text.split_inclusive(|&byte| byte == b'\n').collect();
    let mut kept: Vec<&[u8]> = Vec::new();
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        let length = match BEGINS.contains(&line.trim_ascii()) {
            true => block(&lines[at..]),
            false => None,
        };
        let block = length.map(|length| &lines[at..at + length]);
        let Some(block) = block.filter(|block| holds(block, base64)) else {
            kept.push(line);
            at += 1;
            continue;
        };
        at += block.len();
        let comments = kept.iter().rev();
        let comments = comments.take_while(|line| line.starts_with(b"#")).count();
        kept.truncate(kept.len() - comments);
        let is_empty = |line: Option<&&[u8]>| line.is_some_and(|line| line.trim_ascii().is_empty());
        if is_empty(lines.get(at)) && (kept.is_empty() || is_empty(kept.last())) {
            at += 1;
        } else if comments > 0 && at == lines.len() && is_empty(kept.last()) {
            kept.pop();
        }
    }
    kept.concat()
}

/// How many lines the block has that begins there.
fn block(lines: &[&[u8]]) -> Option<usize> {
    const MOST_LINES: usize = 1 << 10;
    let end = lines
        .iter()
        .take(MOST_LINES)
        .position(|line| ENDS.contains(&line.trim_ascii()))?;
    Some(end + 1)
}

fn holds(block: &[&[u8]], base64: &str) -> bool {
    let Some((_, [body @ .., _])) = block.split_first() else {
        return false;
    };
    let digits = body.iter().copied().flatten();
    let digits = digits.filter(|byte| !byte.is_ascii_whitespace());
    let text: Vec<u8> = digits.copied().collect();
    // What follows in OpenSSL's own blocks changes the last digits.
    let whole = base64.trim_end_matches('=').len() / 4 * 4;
    text.starts_with(&base64.as_bytes()[..whole])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::step::run::authority::tests::authority;

    const OTHER: &str = "-----BEGIN CERTIFICATE-----\nMIIB\nAAAA\n-----END CERTIFICATE-----\n";

    #[test]
    fn only_ours_is_cut_whatever_is_around_it() {
        let authority = authority();
        let ours = authority.pem();
        let windows = ours.replace('\n', "\r\n");
        let wide = {
            let digits: Vec<_> = authority.base64.as_bytes().chunks(76).collect();
            let digits = String::from_utf8(digits.join(&b'\n')).unwrap();
            format!("-----BEGIN CERTIFICATE-----\n{digits}\n-----END CERTIFICATE-----\n")
        };
        for (before, after) in [
            (format!("{OTHER}{ours}{OTHER}"), format!("{OTHER}{OTHER}")),
            (format!("{OTHER}{windows}"), OTHER.to_owned()),
            (format!("{wide}{OTHER}"), OTHER.to_owned()),
            (ours.to_owned(), String::new()),
            (format!("{ours}{OTHER}{ours}"), OTHER.to_owned()),
            (
                format!("# All\n\n# A\n{OTHER}\n# Ours\n{ours}\n# B\n{OTHER}\n"),
                format!("# All\n\n# A\n{OTHER}\n# B\n{OTHER}\n"),
            ),
            (
                format!("# Ours\n{ours}\n# A\n{OTHER}\n# Ours\n{ours}"),
                format!("# A\n{OTHER}"),
            ),
            (format!("{OTHER}\n{ours}"), format!("{OTHER}\n")),
            (format!("# A\n{OTHER}\n"), format!("# A\n{OTHER}\n")),
            (
                format!("-----BEGIN CERTIFICATE-----\n{OTHER}"),
                format!("-----BEGIN CERTIFICATE-----\n{OTHER}"),
            ),
            (ours.trim_end().to_owned(), String::new()),
        ] {
            let cut = cut(before.as_bytes(), &authority.base64);
            assert_eq!(String::from_utf8(cut).unwrap(), after);
        }
    }

    #[test]
    fn a_block_with_more_behind_the_certificate_is_ours_too() {
        let authority = authority();
        let more = [authority.der(), b"more"].concat();
        let block = crate::canon::base64::encode(&more);
        let text = format!(
            "-----BEGIN TRUSTED CERTIFICATE-----\n{block}\n-----END TRUSTED CERTIFICATE-----\n"
        );
        assert_eq!(cut(text.as_bytes(), &authority.base64), b"");
    }
}
