//! How values of the sandbox stand in the messages to its agent: bytes as escaped text.
//!
//! In and out: `#[serde(with = …)]` modules. Whoever reads checks: a path that comes in is as
//! sound as one that was made here.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::canon::EntryPath;
use crate::canon::path::{escape, unescape};

fn unescaped<'de, D: Deserializer<'de>>(text: &str) -> Result<Vec<u8>, D::Error> {
    unescape(text).ok_or_else(|| D::Error::custom("text that is not escaped"))
}

/// Any bytes.
pub(super) mod bytes {
    use super::*;

    pub fn serialize<S: Serializer>(value: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&escape(value))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        unescaped::<D>(&String::deserialize(deserializer)?)
    }
}

/// Any bytes that won't grow.
pub(super) mod boxed_bytes {
    use super::*;

    pub use super::bytes::serialize;

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Box<[u8]>, D::Error> {
        bytes::deserialize(deserializer).map(Vec::into_boxed_slice)
    }
}

/// A path in an image.
pub(super) mod entry_path {
    use super::*;

    pub fn serialize<S: Serializer>(value: &EntryPath, serializer: S) -> Result<S::Ok, S::Error> {
        value.serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<EntryPath, D::Error> {
        EntryPath::new(&bytes::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// Paths in an image.
pub(super) mod entry_paths {
    use super::*;

    pub fn serialize<S: Serializer>(value: &[EntryPath], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(value)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<EntryPath>, D::Error> {
        let all = Vec::<String>::deserialize(deserializer)?;
        let path = |text: String| EntryPath::new(&unescaped::<D>(&text)?).map_err(D::Error::custom);
        all.into_iter().map(path).collect()
    }
}

/// A path of the host.
pub(super) mod host_path {
    use super::*;

    pub fn serialize<S: Serializer>(value: &Path, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&escape(value.as_os_str().as_bytes()))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
        let bytes = bytes::deserialize(deserializer)?;
        Ok(PathBuf::from(OsString::from_vec(bytes)))
    }
}

/// Paths of the host.
pub(super) mod host_paths {
    use super::*;

    pub fn serialize<S: Serializer>(value: &[PathBuf], serializer: S) -> Result<S::Ok, S::Error> {
        let escaped = value.iter().map(|path| escape(path.as_os_str().as_bytes()));
        serializer.collect_seq(escaped)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<PathBuf>, D::Error> {
        let all = Vec::<String>::deserialize(deserializer)?;
        let path = |text: String| unescaped::<D>(&text).map(|path| OsString::from_vec(path).into());
        all.into_iter().map(path).collect()
    }
}

/// Extended attributes as pairs.
pub(super) mod xattrs {
    use super::*;
    use crate::layer::entry::Xattrs;

    pub fn serialize<S: Serializer>(value: &Xattrs, serializer: S) -> Result<S::Ok, S::Error> {
        let pairs = value.iter();
        serializer.collect_seq(pairs.map(|(name, value)| (escape(name), escape(value))))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Xattrs, D::Error> {
        let pairs = Vec::<(String, String)>::deserialize(deserializer)?;
        let pair = |(name, value): (String, String)| {
            Ok((
                unescaped::<D>(&name)?.into(),
                unescaped::<D>(&value)?.into(),
            ))
        };
        pairs.into_iter().map(pair).collect()
    }
}

/// A device's numbers as a pair.
pub(super) mod device {
    use super::*;
    use crate::layer::entry::Device;

    pub fn serialize<S: Serializer>(value: &Device, serializer: S) -> Result<S::Ok, S::Error> {
        (value.major, value.minor).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Device, D::Error> {
        let (major, minor) = Deserialize::deserialize(deserializer)?;
        Ok(Device { major, minor })
    }
}
