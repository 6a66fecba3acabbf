//! Archives made member by member, however hostile.

/// A member: path, type, link target or content.
pub type Member<'a> = (&'a str, u8, &'a str);

/// A tar with names and links exactly as given. All of it is 0640 and 1:2, and each member is a
/// second younger than the one before it.
pub fn archive(members: &[Member]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (number, (path, kind, text)) in (1..).zip(members) {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::new(*kind));
        header.set_mode(0o640);
        header.set_uid(1);
        header.set_gid(2);
        header.set_mtime(number);
        let content = if *kind == b'0' { *text } else { "" };
        header.set_size(content.len() as u64);
        // Straight into the fields, as the crate would refuse hostile names.
        let old = header.as_old_mut();
        old.name[..path.len()].copy_from_slice(path.as_bytes());
        if *kind != b'0' {
            old.linkname[..text.len()].copy_from_slice(text.as_bytes());
        }
        if matches!(kind, b'3' | b'4') {
            header.set_device_major(1).unwrap();
            header.set_device_minor(3).unwrap();
        }
        header.set_cksum();
        builder.append(&header, content.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap()
}
