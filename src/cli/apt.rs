//! Where this machine's apt gets its packages.
//!
//! In: `/etc/apt/sources.list` and `sources.list.d`. Out: archives; none where there is no apt.

use std::path::{Path, PathBuf};

use crate::packages::sources::{self, Archive};

/// Largest file that is read, in bytes.
const LARGEST: u64 = 1 << 20;

/// All that the files say, in the order in which apt reads them.
pub fn archives() -> Vec<Archive> {
    let folder = Path::new("/etc/apt");
    let mut archives = read(&folder.join("sources.list"), sources::lines);
    for path in files(&folder.join("sources.list.d")) {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("list") => archives.extend(read(&path, sources::lines)),
            Some("sources") => archives.extend(read(&path, sources::stanzas)),
            _ => {}
        }
    }
    archives
}

#[expect(clippy::disallowed_methods, reason = "the names are sorted")]
fn files(folder: &Path) -> Vec<PathBuf> {
    let items = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = items.map(|item| item.path()).collect();
    paths.sort();
    paths
}

fn read(path: &Path, archives: fn(&str) -> Vec<Archive>) -> Vec<Archive> {
    use std::io::Read as _;
    let mut text = String::new();
    let file = std::fs::File::open(path).map(|file| file.take(LARGEST));
    match file.and_then(|mut file| file.read_to_string(&mut text)) {
        Ok(_) => archives(&text),
        Err(_) => Vec::new(),
    }
}
