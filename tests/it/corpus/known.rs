//! Which projects aren't identical, or have no image, and why. Without a line here that is a failure.

/// The project, and the reason.
pub const KNOWN: &[(&str, &str)] = &[
    (
        "java",
        "`java -Xshare:dump` writes its archive of classes in an order that threads decide",
    ),
    (
        "mariadb",
        "MariaDB's tables and logs hold uuids that it makes of clocks that run, and its threads take numbers of transactions in any order",
    ),
    (
        "npm",
        "npm's debug logs have what goes on beside each other in the order in which it ends",
    ),
    (
        "php",
        "composer names its autoloader by the clock, which goes on by how often it looks whether its children are done; and systemd says in apt's log that a user without a range can't give /var/log/journal to a group",
    ),
    (
        "pnpm",
        "pnpm keeps when it checked a file to the millisecond, and answers before or after it has completed them",
    ),
    (
        "postgresql",
        "not looked into: cairn ended as if interrupted in the second build",
    ),
    (
        "uv",
        "uv keeps when files of layers were made, and when what is told of them last changed, which is when they were unpacked; and it gives folders of its cache other names each time",
    ),
    (
        "wheels",
        "a database of Berkeley DB (Python's shelve) begins with its own inode number",
    ),
];

/// Those that leave private keys in their images, as Debian's packages make them, or on purpose:
/// `--allow-keys` is for them.
pub const WITH_KEYS: &[&str] = &["apache", "certs", "java", "postgresql", "sshd"];

/// What `cairn` is told besides for a project.
pub fn flags(name: &str) -> &'static [&'static str] {
    match WITH_KEYS.contains(&name) {
        true => &["--allow-keys"],
        false => &[],
    }
}

/// The reason of a project that has one.
pub fn reason(name: &str) -> Option<&'static str> {
    let known = KNOWN.iter().find(|(known, _)| *known == name);
    known.map(|(_, reason)| *reason)
}
