//! The packages that a file system says it has.
//!
//! In: a stack of layers. Out: names and versions, as dpkg's and apk's own records have them; for
//! people, so that what can't be read is none.

use std::collections::BTreeSet;
use std::io::Read;

use super::layers::Stack;
use super::stage::StackContent;
use crate::canon::EntryPath;
use crate::layer::Kind;
use crate::layer::codec::Expansion;
use crate::lock::package_url::Named;
use crate::store::Store;

/// Largest record, in bytes.
const LARGEST: u64 = 64 << 20;

/// Package managers' records: where they are, how the lines of a name and of a version begin.
const RECORDS: [(&str, &str, &str); 2] = [
    ("var/lib/dpkg/status", "Package: ", "Version: "),
    ("lib/apk/db/installed", "P:", "V:"),
];

/// The packages of `stack`.
pub fn packages(stack: &Stack, store: &Store, limit: Expansion) -> BTreeSet<Named> {
    let Ok(rootfs) = stack.rootfs(store, limit) else {
        return BTreeSet::new();
    };
    let content = StackContent::new(stack, store, limit);
    let text = |path: &str| {
        let node = rootfs.get(&EntryPath::new(path.as_bytes()).ok()?)?;
        let (Kind::File { .. }, Some(inode)) = (&node.kind, node.inode) else {
            return None;
        };
        let origin = content.origin(inode);
        let mut text = String::new();
        let mut limited = origin.open().ok()?.take(LARGEST);
        limited.read_to_string(&mut text).ok()?;
        Some(text)
    };
    let mut found = BTreeSet::new();
    for (path, name, version) in RECORDS {
        found.extend(read(&text(path).unwrap_or_default(), name, version));
    }
    found
}

fn read(text: &str, name: &str, version: &str) -> Vec<Named> {
    let paragraphs = text.split("\n\n").filter_map(|paragraph| {
        let field = |key: &str| paragraph.lines().find_map(|line| line.strip_prefix(key));
        Some(Named {
            name: field(name)?.trim().to_owned(),
            version: field(version)?.trim().to_owned(),
        })
    });
    paragraphs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_tell_names_and_versions() {
        let text = "Package: a\nStatus: install ok installed\nVersion: 1:2-3\n\nPackage: b\n";
        let [(_, name, version), _] = RECORDS;
        let found = read(text, name, version);
        let expected = Named {
            name: "a".to_owned(),
            version: "1:2-3".to_owned(),
        };
        assert_eq!(found, [expected]);
    }
}
