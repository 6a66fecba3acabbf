//! One record of comma-separated values, as Docker reads those of its flags.
//!
//! In: `type=oci,"dest=a,b"`. Out: its fields. The rules are RFC 4180's: a field that begins with
//! a quotation mark goes to the next single one, and holds commas, and each two quotation marks as
//! one; in any other field there are none.

/// The fields of `text`, or what is wrong with it.
pub fn fields(text: &str) -> Result<Vec<String>, &'static str> {
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let (field, after) = match rest.strip_prefix('"') {
            Some(quoted) => in_quotes(quoted)?,
            None => {
                let (field, after) = rest.split_at(rest.find(',').unwrap_or(rest.len()));
                if field.contains('"') {
                    return Err("a quotation mark stands inside of a field without any around it");
                }
                (field.to_owned(), after)
            }
        };
        fields.push(field);
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None if after.is_empty() => return Ok(fields),
            None => return Err("something follows the quotation mark that ends a field"),
        }
    }
}

/// A field whose first quotation mark is gone, and what follows its last.
fn in_quotes(text: &str) -> Result<(String, &str), &'static str> {
    let (mut field, mut rest) = (String::new(), text);
    while let Some((part, after)) = rest.split_once('"') {
        field.push_str(part);
        match after.strip_prefix('"') {
            Some(more) => {
                field.push('"');
                rest = more;
            }
            None => return Ok((field, after)),
        }
    }
    Err("a quotation mark is not closed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_parted_by_commas_outside_of_quotes() {
        for (text, expected) in [
            ("a", Some(&["a"][..])),
            ("a,b", Some(&["a", "b"])),
            (",a,", Some(&["", "a", ""])),
            (r#"a,"b,c",d"#, Some(&["a", "b,c", "d"])),
            (r#""b ""c"", d""#, Some(&[r#"b "c", d"#])),
            (r#""""#, Some(&[""])),
            (r#""""""#, Some(&["\""])),
            (r#"a"b"#, None),
            (r#""a"b"#, None),
            (r#""a"#, None),
            (r#"a,""#, None),
        ] {
            let expected =
                expected.map(|fields| fields.iter().map(ToString::to_string).collect::<Vec<_>>());
            assert_eq!(fields(text).ok(), expected, "{text}");
        }
    }
}
