//! Canonical JSON: RFC 8785 (JSON Canonicalization Scheme).
//!
//! In: any value that serde can serialise. Out: the one text that stands for it: no white space,
//! members sorted by their names' UTF-16 code units, the shortest escapes. Numbers are integers
//! that a double holds exactly (±2⁵³−1); others are refused, not rounded.

use serde::Serialize;
use serde_json::Value;

/// What canonical JSON can't say.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A fraction, or an integer beyond ±(2⁵³−1).
    #[error("`{0}` is no integer that JSON holds exactly (RFC 8785, section 3.2.2.3)")]
    Number(serde_json::Number),
    /// The value's own serialisation failed.
    #[error("a value that JSON can't hold: {0}")]
    Serialise(#[from] serde_json::Error),
}

const LARGEST_EXACT: u64 = (1 << 53) - 1;

/// The canonical text of `value`, as bytes.
pub fn to_vec<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, Error> {
    let value = serde_json::to_value(value)?;
    let mut out = Vec::new();
    write_value(&mut out, &value)?;
    Ok(out)
}

fn write_value(out: &mut Vec<u8>, value: &Value) -> Result<(), Error> {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => {
            let magnitude = number
                .as_u64()
                .or_else(|| number.as_i64().map(i64::unsigned_abs));
            if magnitude.is_none_or(|magnitude| magnitude > LARGEST_EXACT) {
                return Err(Error::Number(number.clone()));
            }
            out.extend_from_slice(number.to_string().as_bytes());
        }
        Value::String(text) => write_string(out, text),
        Value::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_value(out, item)?;
            }
            out.push(b']');
        }
        Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
            out.push(b'{');
            for (index, (name, member)) in sorted.into_iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_string(out, name);
                out.push(b':');
                write_value(out, member)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for character in text.chars() {
        match character {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\u{8}' => out.extend_from_slice(b"\\b"),
            '\t' => out.extend_from_slice(b"\\t"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\u{c}' => out.extend_from_slice(b"\\f"),
            '\r' => out.extend_from_slice(b"\\r"),
            control if control < ' ' => {
                out.extend_from_slice(format!("\\u{:04x}", u32::from(control)).as_bytes());
            }
            other => out.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn text(value: &Value) -> String {
        String::from_utf8(to_vec(value).unwrap()).unwrap()
    }

    #[test]
    fn members_are_sorted_by_utf16_units() {
        // RFC 8785, section 3.2.3: its example, without the member whose name is an emoji pair
        // in another order than UTF-8 would give.
        let value = json!({"\u{20ac}": 1, "\r": 2, "\u{fb33}": 3, "1": 4, "\u{1f600}": 5, "\u{80}": 6, "\u{f6}": 7});
        assert_eq!(
            text(&value),
            "{\"\\r\":2,\"1\":4,\"\u{80}\":6,\"\u{f6}\":7,\"\u{20ac}\":1,\"\u{1f600}\":5,\"\u{fb33}\":3}"
        );
    }

    #[test]
    fn strings_take_the_shortest_escape() {
        // RFC 8785, section 3.2.2.2.
        assert_eq!(
            text(&json!("\u{20ac}$\u{f}\nA'B\"\\\\\"/\u{7f}")),
            "\"\u{20ac}$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\u{7f}\""
        );
    }

    #[test]
    fn numbers_that_would_be_rounded_are_refused() {
        assert_eq!(
            text(&json!([-1, 0, 9007199254740991_u64])),
            "[-1,0,9007199254740991]"
        );
        assert!(to_vec(&json!(9007199254740992_u64)).is_err());
        assert!(to_vec(&json!(0.5)).is_err());
    }
}
