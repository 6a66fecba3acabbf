//! When certificates came into a keystore of Java's.
//!
//! In: a keystore whose password everybody knows. Out: the same with other times.

use super::File;
use super::keystore::jks;

pub(super) use jks::is_one as begins;

const MILLISECONDS: u64 = 1_000;

/// With the epoch where the command's own moment stands.
pub(super) fn dated(file: &File<'_>) -> Option<Vec<u8>> {
    let epoch = u64::try_from(file.times.epoch)
        .ok()?
        .checked_mul(MILLISECONDS)?;
    jks::dated(file.content, &|was| {
        let seconds = i64::try_from(was / MILLISECONDS).ok()?;
        file.times.leaked(seconds).then_some(epoch)
    })
}
