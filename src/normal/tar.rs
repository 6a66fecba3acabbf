//! The times in tars.
//!
//! In: a tar that isn't compressed. Out: the same with other times of its members, where these stand in
//! the headers themselves: a tar whose extended headers hold times (POSIX.1-2024, pax) stays as it is.

use std::ops::Range;

use super::File;

const BLOCK: usize = 512;
const SIZE: Range<usize> = 124..136;
const TIME: Range<usize> = 136..148;
const SUM: Range<usize> = 148..156;
const KIND: usize = 156;
const MAGIC: Range<usize> = 257..262;

pub(super) fn begins(head: &[u8]) -> bool {
    head.get(MAGIC).is_some_and(|magic| magic == b"ustar")
}

/// With the epoch where the command's own moment stands.
pub(super) fn dated(file: &File<'_>) -> Option<Vec<u8>> {
    let mut content = file.content.to_vec();
    let epoch = format!("{:011o}", u64::try_from(file.times.epoch).ok()?);
    let mut at = 0_usize;
    if epoch.len() != 11 {
        return None;
    }
    loop {
        let head = content.get_mut(at..at.checked_add(BLOCK)?)?;
        if head.iter().all(|&byte| byte == 0) {
            // Nothing but zeros is behind the end.
            let is_end = content.get(at..)?.iter().all(|&byte| byte == 0);
            return is_end.then_some(content);
        }
        if !begins(head) || number(&head[SUM])? != sum(head) {
            return None;
        }
        let size = usize::try_from(number(&head[SIZE])?).ok()?;
        if file.times.leaked(number(&head[TIME])?) {
            head[TIME][..11].copy_from_slice(epoch.as_bytes());
            // Six digits, or seven; behind them what was there.
            let digits = if head[SUM][6].is_ascii_digit() { 7 } else { 6 };
            let sum = format!("{:0digits$o}", sum(head));
            head[SUM]
                .get_mut(..sum.len())?
                .copy_from_slice(sum.as_bytes());
        }
        let is_extended = matches!(head[KIND], b'x' | b'g');
        let from = at.checked_add(BLOCK)?;
        let end = from.checked_add(size)?;
        let data = content.get(from..end)?;
        if is_extended && memchr::memmem::find(data, b"time=").is_some() {
            return None;
        }
        at = end.checked_next_multiple_of(BLOCK)?;
    }
}

/// Octal digits with a NUL or a blank behind them.
fn number(field: &[u8]) -> Option<i64> {
    let text = str::from_utf8(field).ok()?;
    let text = text.trim_start_matches(' ').trim_end_matches(['\0', ' ']);
    let is_octal = text.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    i64::from_str_radix(text, 8).ok().filter(|_| is_octal)
}

/// The sum of a header's bytes, its own field taken for blanks.
fn sum(head: &[u8]) -> i64 {
    let bytes = head.iter().enumerate();
    let bytes = bytes.map(|(at, &byte)| match SUM.contains(&at) {
        true => b' ',
        false => byte,
    });
    bytes.map(i64::from).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normal::times::tests::judged;

    fn archive(times: [u64; 2]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, time) in ["one", "two"].into_iter().zip(times) {
            let mut header = tar::Header::new_ustar();
            header.set_size(600);
            header.set_mode(0o644);
            header.set_mtime(time);
            builder
                .append_data(&mut header, name, &[b'x'; 600][..])
                .unwrap();
        }
        builder.into_inner().unwrap()
    }

    #[test]
    fn the_moment_becomes_the_epoch_and_other_times_stay() {
        let other = 1_000_000_003;
        let now = archive([1_790_000_003, other]);
        assert_eq!(judged(dated, &now), Some(archive([315_532_800, other])));
        for length in 0..now.len() - 1024 {
            assert_eq!(judged(dated, &now[..length]), None, "{length}");
        }
        let mut more = now.clone();
        more.push(1);
        assert_eq!(judged(dated, &more), None);
        let mut damaged = now;
        damaged[0] ^= 1;
        assert_eq!(judged(dated, &damaged), None);
    }

    #[test]
    fn a_tar_with_times_in_extended_headers_stays() {
        let mut builder = tar::Builder::new(Vec::new());
        builder
            .append_pax_extensions([("mtime", &b"1790000003.5"[..])])
            .unwrap();
        let mut tar = builder.into_inner().unwrap();
        let behind = archive([1_790_000_003, 0]);
        tar.truncate(1024);
        tar.extend(behind);
        assert_eq!(judged(dated, &tar), None);
    }
}
