//! Owners and devices that a session can't have, kept in an extended attribute.
//!
//! In and out: `user.cairn.owner`, `UID:GID` in decimal, and of a device `UID:GID:c:MAJOR:MINOR`
//! (or `b`), which then stands on an empty regular file.

use crate::layer::entry::Device;

/// The attribute's name.
pub(super) const NAME: &str = "user.cairn.owner";

/// What is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kept {
    pub uid: u32,
    pub gid: u32,
    pub device: Option<KeptDevice>,
}

/// A device that is a file in truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KeptDevice {
    pub is_block: bool,
    pub device: Device,
}

impl Kept {
    /// As the attribute's value.
    pub(super) fn text(&self) -> String {
        let Kept { uid, gid, device } = self;
        match device {
            None => format!("{uid}:{gid}"),
            Some(KeptDevice { is_block, device }) => {
                let kind = if *is_block { 'b' } else { 'c' };
                format!("{uid}:{gid}:{kind}:{}:{}", device.major, device.minor)
            }
        }
    }

    /// From the attribute's value; none where it says nothing. No command
    /// can have written it (`notify::attribute`).
    pub(super) fn read(value: &[u8]) -> Option<Kept> {
        let mut fields = std::str::from_utf8(value).ok()?.split(':');
        let number = |text: Option<&str>| text?.parse::<u32>().ok();
        let (uid, gid) = (number(fields.next())?, number(fields.next())?);
        let device = match fields.next() {
            None => None,
            Some(kind @ ("b" | "c")) => {
                let (major, minor) = (number(fields.next())?, number(fields.next())?);
                // What a layer can hold.
                let is_sound = major < 1 << 21 && minor < 1 << 21;
                Some(is_sound.then_some(KeptDevice {
                    is_block: kind == "b",
                    device: Device { major, minor },
                })?)
            }
            Some(_) => return None,
        };
        fields.next().is_none().then_some(Kept { uid, gid, device })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back() {
        let plain = Kept {
            uid: 33,
            gid: 4_294_967_294,
            device: None,
        };
        let device = Some(KeptDevice {
            is_block: false,
            device: Device { major: 1, minor: 3 },
        });
        for kept in [plain, Kept { device, ..plain }] {
            assert_eq!(Kept::read(kept.text().as_bytes()), Some(kept));
        }
        for bad in [
            "",
            "1",
            "1:x",
            "1:2:",
            "1:2:c:1",
            "1:2:d:1:2",
            "1:2:c:1:2:3",
            "-1:0",
        ] {
            assert_eq!(Kept::read(bad.as_bytes()), None, "{bad}");
        }
    }
}
