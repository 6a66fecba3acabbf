//! Which projects aren't identical, and why. A project that differs and has no line here fails.

/// The project, and the reason.
pub const KNOWN: &[(&str, &str)] = &[];
