//! Numbers that look random and are the same each time: a failed test can be run again.

/// xorshift64* (Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled").
pub struct Random(u64);

impl Random {
    /// The numbers of a seed.
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x2545_f491_4f6c_dd1d)
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Bytes that don't compress.
    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        std::iter::repeat_with(|| (self.next() >> 56) as u8)
            .take(length)
            .collect()
    }

    /// Bytes that do: words of a small vocabulary.
    pub fn text(&mut self, length: usize) -> Vec<u8> {
        const WORDS: [&[u8]; 8] = [
            b"stone ", b"heap ", b"path ", b"fog\n", b"ridge ", b"marker ", b"valley ", b"rain\n",
        ];
        let mut text = Vec::with_capacity(length + 8);
        while text.len() < length {
            text.extend_from_slice(WORDS[(self.next() >> 61) as usize]);
        }
        text.truncate(length);
        text
    }

    /// Another order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}
