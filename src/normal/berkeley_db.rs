//! What Berkeley DB calls a database by.
//!
//! In: a database file: pages, of which the first, and each that another database in the file begins with,
//! says what it is, and how the file is called (`dbinc/db_page.h`, `DBMETA`): by the numbers of its inode and
//! device, a time, and a counter that begins with a process's number (`os/os_fid.c`). Out: the same without the
//! first two; the others tell databases apart. A page that was in the memory where such a one had been before
//! has it still, where nothing is.

use super::File;

/// The first bytes of a page: where they say what it is, of which size all are, whether it has a sum of its
/// bytes, and how the file is called.
/// Before that which file of a log has the page's last change, from 1 on.
const LOG: usize = 0;
const MAGIC: usize = 12;
const PAGE_SIZE: usize = 20;
const FLAGS: usize = 26;
const NAME: usize = 52;
/// Bytes of that.
const WHOLE: usize = 20;
/// Bytes of an inode's number and a device's.
const NUMBERS: usize = 8;
/// Of a page of items (`PAGE`): how many there are, where they begin, and where it is said where each is.
const ENTRIES: usize = 20;
const ITEMS: usize = 22;
const PLACES: usize = 26;
/// Trees, hashes, queues, heaps.
const MAGICS: [u32; 4] = [0x0005_3162, 0x0006_1561, 0x0004_2253, 0x0007_4582];
/// `DBMETA_CHKSUM`.
const HAS_SUM: u8 = 1;

fn word(page: &[u8], at: usize) -> Option<u32> {
    let bytes = page.get(at..at + 4)?.try_into().ok()?;
    Some(u32::from_le_bytes(bytes))
}

fn is_meta(page: &[u8]) -> bool {
    word(page, MAGIC).is_some_and(|magic| MAGICS.contains(&magic))
}

/// Whether a file begins as one of those of machines with the least byte first.
pub(super) fn begins(head: &[u8]) -> bool {
    is_meta(head) && page_size(head).is_some()
}

fn page_size(first: &[u8]) -> Option<usize> {
    let size = usize::try_from(word(first, PAGE_SIZE)?).ok()?;
    (size.is_power_of_two() && (512..=65536).contains(&size)).then_some(size)
}

/// Whether nothing is where the name would be in a page of items: their places are counted from its begin on,
/// and they lie at its end.
fn is_free(page: &[u8]) -> bool {
    let half = |at: usize| {
        let bytes = page.get(at..at + 2)?.try_into().ok()?;
        Some(usize::from(u16::from_le_bytes(bytes)))
    };
    let free = half(ENTRIES).zip(half(ITEMS));
    free.is_some_and(|(entries, items)| PLACES + 2 * entries <= NAME && items >= NAME + WHOLE)
}

pub(super) fn unnumbered(file: &File<'_>) -> Option<Vec<u8>> {
    let size = page_size(file.content)?;
    let name = file.content.get(NAME..NAME + WHOLE)?;
    let mut changed = file.content.to_vec();
    for page in changed.chunks_mut(size) {
        let has = |bytes| page.get(NAME..NAME + bytes) == name.get(..bytes);
        match is_meta(page) {
            true if !has(NUMBERS) => continue,
            // Who logs knows it by its whole name when it recovers.
            true if page[FLAGS] & HAS_SUM != 0 || word(page, LOG)? != 0 => return None,
            true => {}
            false if has(WHOLE) && is_free(page) => {}
            false => continue,
        }
        page[NAME..NAME + NUMBERS].fill(0);
    }
    Some(changed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normal::times::tests::judged;

    /// A file of four pages, of which the third begins another database, and the last is where the first had
    /// been.
    fn database(numbers: [u8; 8], flags: u8) -> Vec<u8> {
        let mut page = vec![0; 512];
        page[MAGIC..MAGIC + 4].copy_from_slice(&MAGICS[1].to_le_bytes());
        page[PAGE_SIZE..PAGE_SIZE + 4].copy_from_slice(&512_u32.to_le_bytes());
        page[FLAGS] = flags;
        page[NAME..NAME + NUMBERS].copy_from_slice(&numbers);
        page[NAME + NUMBERS..NAME + WHOLE].fill(7);
        let mut other = page.clone();
        other[NAME + 16] = 8;
        let mut left = page.clone();
        left[..NAME].fill(0);
        left[ENTRIES] = 1;
        left[ITEMS..ITEMS + 2].copy_from_slice(&507_u16.to_le_bytes());
        // Where its one item is: no flag, however it looks.
        left[PLACES..PLACES + 2].copy_from_slice(&507_u16.to_le_bytes());
        [&page[..], &[9; 512], &other, &left].concat()
    }

    #[test]
    fn a_database_forgets_its_inode_and_keeps_what_tells_it_from_others() {
        let made = database([1, 2, 3, 4, 45, 0, 0, 0], 0);
        assert!(begins(&made[..512]));
        let changed = judged(unnumbered, &made).unwrap();
        assert_eq!(changed, database([0; 8], 0));
        assert_eq!(judged(unnumbered, &changed), None);
        // What only looks like a part of it is somebody's.
        let mut somebodys = made.clone();
        somebodys[3 * 512 + NAME + WHOLE - 1] = 1;
        let kept = judged(unnumbered, &somebodys).unwrap();
        assert_eq!(kept[3 * 512..], somebodys[3 * 512..]);
        // So is what items have.
        let mut full = made.clone();
        full[3 * 512 + ITEMS] = 60;
        full[3 * 512 + ITEMS + 1] = 0;
        let kept = judged(unnumbered, &full).unwrap();
        assert_eq!(kept[3 * 512..], full[3 * 512..]);
        // A log has its name.
        let mut logged = made.clone();
        logged[LOG] = 1;
        assert_eq!(judged(unnumbered, &logged), None);
        // One with sums would be damaged.
        assert_eq!(judged(unnumbered, &database([1; 8], HAS_SUM)), None);
        for other in [&b""[..], &[0; 512], &made[..20]] {
            assert!(!begins(other));
        }
    }
}
