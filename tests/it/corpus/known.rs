//! Which projects aren't identical, or have no image, and why. Without a line here that is a failure.

/// The project, and the reason.
pub const KNOWN: &[(&str, &str)] = &[(
    "git",
    "no image: a hard link to a file of a lower layer has another inode number than the file, which `git clone` of a local repository refuses",
)];

/// The reason of a project that has one.
pub fn reason(name: &str) -> Option<&'static str> {
    let known = KNOWN.iter().find(|(known, _)| *known == name);
    known.map(|(_, reason)| *reason)
}
