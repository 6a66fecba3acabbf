//! What a database of SQLite's in WAL mode left of its index.
//!
//! In: a `-shm` file. Out: none of it: who opens the database first throws it away, and makes it of
//! the `-wal` file (SQLite, "WAL-mode File Format", 2: it holds no persistent content). That one,
//! which may hold what the database doesn't, stays.

use super::File;

/// The version of the index's format, as this machine writes numbers.
const VERSION: [u8; 4] = 3_007_000_u32.to_ne_bytes();
/// The header is there twice.
const COPY: usize = 48;

/// Nothing, where it is one.
pub(super) fn emptied(file: &File<'_>) -> Option<Vec<u8>> {
    let copy = file.content.get(COPY..COPY + VERSION.len())?;
    (file.content.starts_with(&VERSION) && copy == VERSION).then(Vec::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normal::times::tests::judged;

    #[test]
    fn an_index_goes_and_what_is_only_called_so_stays() {
        let mut index = vec![0; 32 << 10];
        assert_eq!(judged(emptied, &index), None);
        index[..4].copy_from_slice(&VERSION);
        assert_eq!(judged(emptied, &index), None);
        index[COPY..COPY + 4].copy_from_slice(&VERSION);
        assert_eq!(judged(emptied, &index), Some(Vec::new()));
        assert_eq!(judged(emptied, &index[..COPY + 3]), None);
        assert_eq!(judged(emptied, b"text"), None);
    }
}
