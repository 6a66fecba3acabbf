//! Whom a command runs as.
//!
//! In: `user[:group]`, and the image's `/etc/passwd` and `/etc/group`. Out: numbers, further
//! groups, a home, by the rules of `USER` and `RUN` (Dockerfile reference, "USER").

use std::io;

use crate::canon::EntryPath;
use crate::layer::rootfs::Inode;
use crate::layer::view::resolve;
use crate::layer::{Kind, Rootfs};
use crate::step::{Error, owner};

/// Whom a command runs as.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct User {
    pub uid: u32,
    pub gid: u32,
    /// Beside `gid`.
    pub groups: Vec<u32>,
    /// For `HOME`.
    pub home: String,
}

/// Reads a file of the image: the number of the layer that has it, and where it is there.
pub type Read<'a> = dyn Fn(usize, &EntryPath) -> io::Result<Vec<u8>> + 'a;

/// Finds `user`, root if there is none.
pub fn find(user: Option<&str>, rootfs: &Rootfs, read: &Read) -> Result<User, Error> {
    let passwd = Table::new("etc/passwd", rootfs)?;
    let group = Table::new("etc/group", rootfs)?;
    let read_inode = |inode: Inode| {
        let mut tables = [&passwd, &group].into_iter().flatten();
        let table = tables.find(|table| table.inode == inode);
        let table = table.ok_or(io::ErrorKind::NotFound)?;
        read(inode.layer as usize, &table.path)
    };
    let user = user.unwrap_or("0");
    // `root` needs no table, and has no further groups, as where nobody is named.
    let (uid, gid) = match user {
        "root" => (0, 0),
        user => owner::numbers(user, rootfs, &read_inode)?,
    };
    let lines = |table: &Option<Table>| match table {
        Some(table) => table.lines(read),
        None => Ok(Vec::new()),
    };
    let users = lines(&passwd)?;
    let number = uid.to_string();
    let own = users.iter().find(|fields| fields.get(2) == Some(&number));
    // A bare number is the user that has it, in its group, or else in root's.
    let (gid, name) = match user.parse::<u32>() {
        Ok(_) if uid != 0 => (
            own.and_then(|fields| fields.get(3)?.parse().ok())
                .unwrap_or(0),
            own.and_then(|fields| fields.first()).map(String::as_str),
        ),
        Ok(_) => (gid, None),
        Err(_) => (gid, Some(user)),
    };
    let name = name.filter(|_| user != "root" && !user.contains(':'));
    let groups = match name {
        Some(_) => lines(&group)?,
        None => Vec::new(),
    };
    let is_in = |fields: &&Vec<String>| {
        let members = fields.get(3).map_or("", String::as_str);
        members.split(',').any(|member| Some(member) == name)
    };
    let groups = groups.iter().filter(is_in);
    let groups = groups.filter_map(|fields| fields.get(2)?.parse().ok());
    let home = own.and_then(|fields| fields.get(5));
    let home = home.filter(|home| !home.is_empty()).cloned();
    Ok(User {
        uid,
        gid,
        groups: groups.filter(|&group: &u32| group != gid).collect(),
        home: home.unwrap_or_else(|| "/".to_owned()),
    })
}

/// A file of lines with fields between colons.
struct Table {
    path: EntryPath,
    inode: Inode,
}

impl Table {
    /// The largest that is read, in bytes.
    const LARGEST: u64 = 1 << 20;

    fn new(name: &str, rootfs: &Rootfs) -> Result<Option<Table>, Error> {
        let path = EntryPath::new(name.as_bytes()).unwrap_or_default();
        let path = resolve(rootfs, &path, true)?;
        let node = rootfs.get(&path);
        let is_small =
            |kind: &Kind| matches!(kind, Kind::File { size, .. } if *size <= Table::LARGEST);
        let inode = node.filter(|node| is_small(&node.kind));
        let inode = inode.and_then(|node| node.inode);
        Ok(inode.map(|inode| Table { path, inode }))
    }

    fn lines(&self, read: &Read) -> Result<Vec<Vec<String>>, Error> {
        let bytes = read(self.inode.layer as usize, &self.path).map_err(|source| Error::Io {
            path: self.path.clone(),
            source,
        })?;
        let text = String::from_utf8_lossy(&bytes);
        let fields = |line: &str| line.split(':').map(str::to_owned).collect();
        Ok(text.lines().map(fields).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canon::Digest;
    use crate::layer::{Entry, Meta, Tree};

    #[test]
    fn users_have_the_groups_and_the_home_that_the_image_says() {
        let file = |text: &str| Entry {
            path: EntryPath::new(text.as_bytes()).unwrap(),
            kind: Kind::File {
                size: 10,
                digest: Digest::of(b""),
            },
            meta: Meta::plain(0o644, 0),
        };
        let mut rootfs = Rootfs::default();
        let tree = Tree::new(vec![file("etc/group"), file("etc/passwd")]).unwrap();
        rootfs.push(&tree, &[]);
        let read = |layer: usize, path: &EntryPath| {
            assert_eq!(layer, 0);
            Ok(match path.as_bytes() {
                b"etc/group" => b"adm:x:4:web,other\nweb:x:34:web\nnone:x:9:\n".to_vec(),
                _ => b"root:x:0:0::/root:\nweb:x:33:34::/srv:\nbare:x:7:8\n".to_vec(),
            })
        };
        let found = |user| {
            let user = find(user, &rootfs, &read).unwrap();
            format!("{} {} {:?} {}", user.uid, user.gid, user.groups, user.home)
        };
        assert_eq!(found(None), "0 0 [] /root");
        assert_eq!(found(Some("root")), "0 0 [] /root");
        assert_eq!(found(Some("web")), "33 34 [4] /srv");
        assert_eq!(found(Some("web:adm")), "33 4 [] /srv");
        assert_eq!(found(Some("33")), "33 34 [4] /srv");
        assert_eq!(found(Some("10")), "10 0 [] /");
        assert_eq!(found(Some("7:9")), "7 9 [] /");
        assert!(find(Some("nobody"), &rootfs, &read).is_err());
        let nothing = Rootfs::default();
        assert_eq!(find(Some("root"), &nothing, &read).unwrap().home, "/");
    }
}
