//! As much of DER (ITU-T X.690) as certificates and keystores need.
//!
//! In: bytes. Out: the values that stand in them one after the other, and values made of bytes.

/// A number.
pub const INTEGER: u8 = 0x02;
/// Bytes.
pub const OCTETS: u8 = 0x04;
/// The name of something that is registered.
pub const OID: u8 = 0x06;
/// Text in UTF-8.
pub const UTF8: u8 = 0x0c;
/// Text of 16-bit letters.
pub const BMP: u8 = 0x1e;
/// Values in order.
pub const SEQUENCE: u8 = 0x30;
/// Values in none.
pub const SET: u8 = 0x31;
/// `[0]`, holding other values.
pub const CONTEXT_0: u8 = 0xa0;

/// One value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Value<'a> {
    /// What kind of value it is.
    pub tag: u8,
    /// What it holds.
    pub content: &'a [u8],
    /// All of it, with tag and length.
    pub whole: &'a [u8],
}

impl<'a> Value<'a> {
    /// The values that it holds; none where these are no values, or where it isn't a `tag`.
    pub fn values(&self, tag: u8) -> Option<Vec<Value<'a>>> {
        match self.tag == tag {
            true => values(self.content),
            false => None,
        }
    }
}

/// The value that `bytes` begin with, and what is behind it. Lengths that aren't told before and
/// tags of several bytes are none that DER or certificates have.
pub fn first(bytes: &[u8]) -> Option<(Value<'_>, &[u8])> {
    let (&tag, &length) = (bytes.first()?, bytes.get(1)?);
    if tag & 0x1f == 0x1f {
        return None;
    }
    let (length, head) = match length {
        0..=0x7f => (usize::from(length), 2),
        0x81..=0x84 => {
            let head = 2 + usize::from(length & 0x7f);
            let digits = bytes.get(2..head)?;
            let length = digits
                .iter()
                .fold(0, |sum, &byte| sum << 8 | usize::from(byte));
            (length, head)
        }
        _ => return None,
    };
    let end = head.checked_add(length)?;
    let (whole, rest) = bytes.split_at_checked(end)?;
    let content = whole.get(head..)?;
    Some((
        Value {
            tag,
            content,
            whole,
        },
        rest,
    ))
}

/// All values in `bytes`; none where something else stands there.
pub fn values(mut bytes: &[u8]) -> Option<Vec<Value<'_>>> {
    let mut values = Vec::new();
    while !bytes.is_empty() {
        let (value, rest) = first(bytes)?;
        values.push(value);
        bytes = rest;
    }
    Some(values)
}

/// The value `tag` that holds `content`.
pub fn write(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut value = vec![tag];
    match u8::try_from(content.len()) {
        Ok(length @ 0..=0x7f) => value.push(length),
        _ => {
            let length = content.len().to_be_bytes();
            let skipped = length.iter().take_while(|&&byte| byte == 0).count();
            value.push(0x80 | (length.len() - skipped) as u8);
            value.extend(&length[skipped..]);
        }
    }
    value.extend(content);
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for length in [0, 1, 127, 128, 255, 256, 65_535, 65_536] {
            let content = vec![7; length];
            let mut bytes = write(OCTETS, &content);
            bytes.push(9);
            let (value, rest) = first(&bytes).unwrap();
            assert_eq!((value.tag, value.content), (OCTETS, &content[..]));
            assert_eq!(rest, [9]);
            assert_eq!(value.whole.len() + 1, bytes.len());
        }
    }

    #[test]
    fn what_is_cut_off_or_has_no_length_is_refused() {
        for bytes in [
            &b""[..],
            b"\x04",
            b"\x04\x02a",
            b"\x04\x80ab\0\0",
            b"\x04\x84\xff\xff\xff\xffa",
            b"\x04\x88\xff\xff\xff\xff\xff\xff\xff\xffa",
            b"\x1f\x01a",
        ] {
            assert_eq!(first(bytes), None, "{bytes:?}");
        }
    }
}
