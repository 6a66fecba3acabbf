//! Java's keystores, JKS and JCEKS.
//!
//! In: two keystores. Out: aliases that one has alone, and what differs in the others: when they
//! were made, certificates by their sha256, and whether sealed keys are the same bytes. Nothing is
//! decrypted, nor is the seal at the end checked. The format is that of OpenJDK's
//! `sun.security.provider.JavaKeyStore`.

use std::borrow::Cow;

use super::members::{self, Member};
use super::number::{be16, be32};
use super::{Budget, Found, Odd, Pair};
use crate::canon::Digest;

/// Most entries, and most certificates of one.
const MOST_ENTRIES: u32 = 20_000;
const LONGEST_CHAIN: u32 = 100;

pub(super) fn compare(pair: Pair) -> Result<Found, Odd> {
    let odd = || Odd::Other("its entries can't be told apart".to_owned());
    let (before, after) = (
        read(pair[0]).ok_or_else(odd)?,
        read(pair[1]).ok_or_else(odd)?,
    );
    let mut found = members::compare(
        &before.entries,
        &after.entries,
        |_, _| Ok(Vec::new()),
        &mut Budget::default(),
    )?;
    let mut own = Found::default();
    own.field("version", before.version, after.version);
    found.details.splice(0..0, own.details);
    Ok(found)
}

struct Keystore<'a> {
    version: u32,
    entries: Vec<Member<'a>>,
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn short(&mut self) -> Option<u16> {
        let number = be16(self.bytes, self.at)?;
        self.at += 2;
        Some(number)
    }

    fn int(&mut self) -> Option<u32> {
        let number = be32(self.bytes, self.at)?;
        self.at += 4;
        Some(number)
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(length)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn text(&mut self) -> Option<&'a [u8]> {
        let length = self.short()?;
        self.take(length.into())
    }

    fn certificate(&mut self, version: u32) -> Option<&'a [u8]> {
        if version == 2 {
            self.text()?;
        }
        let length = self.int()?;
        self.take(length as usize)
    }
}

fn read(bytes: &[u8]) -> Option<Keystore<'_>> {
    const KEY: u32 = 1;
    const CERTIFICATE: u32 = 2;
    let mut cursor = Cursor { bytes, at: 4 };
    let version = cursor.int()?;
    let count = cursor.int().filter(|count| *count <= MOST_ENTRIES)?;
    let mut entries = Vec::new();
    for _ in 0..count {
        let tag = cursor.int()?;
        let alias = cursor.text()?;
        let made = u64::from(cursor.int()?) << 32 | u64::from(cursor.int()?);
        let mut fields = vec![("made, in milliseconds", made.to_string())];
        match tag {
            KEY => {
                let length = cursor.int()?;
                let sealed = cursor.take(length as usize)?;
                fields.push(("sealed key", Digest::of(sealed).to_string()));
                let mut chain = Vec::new();
                let length = cursor.int().filter(|length| *length <= LONGEST_CHAIN)?;
                for _ in 0..length {
                    chain.push(Digest::of(cursor.certificate(version)?).to_string());
                }
                fields.push(("certificates", chain.join(" ")));
            }
            CERTIFICATE => {
                let certificate = cursor.certificate(version)?;
                fields.push(("certificate", Digest::of(certificate).to_string()));
            }
            _ => return None,
        }
        entries.push(Member {
            name: alias.to_vec(),
            fields,
            content: Cow::Borrowed(&[]),
            method: 0,
        });
    }
    Some(Keystore { version, entries })
}
