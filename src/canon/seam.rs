//! Bytes that are searched piece by piece. Pure.
//!
//! In: pieces, in order. Out: whether one holds what is looked for, or two where they meet.

/// The end of the pieces so far.
#[derive(Debug, Default)]
pub struct Seam {
    before: Vec<u8>,
}

impl Seam {
    /// Whether `is_in` says yes to the next piece, or to the seam between it and those before. `longest` is
    /// how many bytes of what is looked for one side of a seam can hold.
    pub fn is_in(&mut self, piece: &[u8], longest: usize, is_in: impl Fn(&[u8]) -> bool) -> bool {
        self.before.extend(&piece[..piece.len().min(longest)]);
        let found = is_in(&self.before) || is_in(piece);
        if piece.len() > longest {
            self.before.clear();
            self.before.extend(&piece[piece.len() - longest..]);
        }
        let from = self.before.len().saturating_sub(longest);
        self.before.drain(..from);
        found
    }
}
