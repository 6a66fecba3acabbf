//! Which projects aren't identical, or have no image, and why. Without a line here that is a failure.

/// The project, and the reason.
pub const KNOWN: &[(&str, &str)] = &[
    ("golang", "go keeps in its cache how long tests took"),
    (
        "java",
        "`java -Xshare:dump` writes its archive of classes in an order that threads decide, mostly the same",
    ),
    (
        "mariadb",
        "MariaDB's tables and logs hold uuids that it makes of clocks that run, and its threads take numbers of transactions in any order",
    ),
    (
        "uv",
        "uv keeps when files of layers were made, and when what is told of them last changed, which is when they were unpacked; and it gives folders of its cache other names each time",
    ),
];

/// Those that leave private keys in their images, as Debian's packages make them, or on purpose:
/// `--allow-keys` is for them.
pub const WITH_KEYS: &[&str] = &["apache", "certs", "java", "postgresql", "sshd"];

/// Those whose result depends on races: `--strict` is for them. ccache counts in a folder that goes by
/// its process's number, and ninja begins several at once. Composer names its autoloader by the clock, which
/// goes on by how often it looks whether its children are done. PostgreSQL's processes tell each other what
/// changed, and keep where that was in memory.
pub const STRICT: &[&str] = &["cmake", "php", "postgresql"];

/// What `cairn` is told besides for a project.
pub fn flags(name: &str) -> &'static [&'static str] {
    match (WITH_KEYS.contains(&name), STRICT.contains(&name)) {
        (true, true) => &["--allow-keys", "--strict"],
        (true, false) => &["--allow-keys"],
        (false, true) => &["--strict"],
        (false, false) => &[],
    }
}

/// The reason of a project that has one.
pub fn reason(name: &str) -> Option<&'static str> {
    let known = KNOWN.iter().find(|(known, _)| *known == name);
    known.map(|(_, reason)| *reason)
}
