//! Devices of the host, as recipes name them.
//!
//! In: the options of one, which both kinds of recipe write as `NAME[,required]` (BuildKit,
//! `instructions.ParseDevice`). Out: [`Device`], or what is wrong.

use super::suggest;
use super::toml::value::{Fault, fault, quoted};
use crate::canon::truth;
use crate::plan::command::Device;

/// Reads the options of one device.
pub fn parse<'a>(options: impl Iterator<Item = &'a str>) -> Result<Device, Fault> {
    let mut name: Option<String> = None;
    let mut required = false;
    for option in options {
        let (key, value) = match option.split_once('=') {
            Some((key, value)) => (key, Some(value)),
            None => (option, None),
        };
        match (&key.to_ascii_lowercase()[..], value) {
            ("required", None) => required = true,
            ("required", Some(value)) => required = switch(value)?,
            ("name", Some(value)) => match &name {
                None => name = Some(value.to_owned()),
                Some(name) => {
                    let message = format!("the device has a name already: {}", quoted(name));
                    return fault(message, "give each device a `--device` of its own");
                }
            },
            // CDI has names with a `=` in them.
            _ if name.is_none() => name = Some(option.to_owned()),
            (key, _) => {
                let hint = suggest::hint(key, ["name", "required"], "its keys are");
                return fault(
                    format!("a device has no {}", quoted(key)),
                    hint.unwrap_or_default(),
                );
            }
        }
    }
    match name.filter(|name| !name.is_empty()) {
        Some(name) => Ok(Device { name, required }),
        None => fault(
            "the device has no name",
            "write its path, as in `/dev/fuse`",
        ),
    }
}

fn switch(text: &str) -> Result<bool, Fault> {
    match truth(text) {
        Some(is_so) => Ok(is_so),
        None => fault(
            format!("`required` can't be {}", quoted(text)),
            "it is `true` or `false`",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_whether_they_are_required_come_in_any_order() {
        let read = |text: &str| parse(text.split(',')).map(|device| device.to_string());
        for (text, expected) in [
            ("/dev/fuse", "/dev/fuse"),
            ("required,name=/dev/fuse", "/dev/fuse,required"),
            (
                "vendor.com/class=a,Required=t",
                "vendor.com/class=a,required",
            ),
            ("/dev/kvm,required=false", "/dev/kvm"),
        ] {
            assert_eq!(read(text).unwrap(), expected);
        }
        for (text, expected) in [
            ("required", "the device has no name"),
            ("name=a,name=b", "a name already: `a`"),
            ("a,required=yes", "`required` can't be `yes`"),
            ("a,requierd=1", "has no `requierd`"),
            ("a,b", "has no `b`"),
        ] {
            let fault = read(text).unwrap_err();
            assert!(fault.message.contains(expected), "{fault:?}");
            assert!(!fault.hint.is_empty());
        }
    }
}
