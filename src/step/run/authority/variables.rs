//! How tools are told of the authority that look into no bundle of the system.
//!
//! In: the bundle that they shall read, the image's settings of wget. Out: files in `/dev`, where
//! no layer sees them and nobody tidies up, and variables that name them: the same on every
//! machine.

use super::NAME;

/// Where the files are.
const FOLDER: &str = "/dev/cairn";
const BUNDLE: &str = "ca-certificates.pem";
const APT: &str = "apt.conf";
const WGET: &str = "wgetrc";

/// Variables that name a bundle. None of them prints anything, nor has a tool do something else
/// than before: those of Java's that take options (`JAVA_TOOL_OPTIONS`) print, those of npm
/// (`NPM_CONFIG_CAFILE`) would take the place of what Node.js trusts itself, and `SSL_CERT_DIR`
/// that of the system's folder.
pub(super) const BUNDLES: [&str; 13] = [
    // OpenSSL, and what is made with it: curl, Python, Ruby, PHP, Perl, wget; Go, rustls, .NET, uv.
    "SSL_CERT_FILE",
    // curl, and R.
    "CURL_CA_BUNDLE",
    // git, whatever TLS its libcurl has.
    "GIT_SSL_CAINFO",
    // pip, which brings its own bundle.
    "PIP_CERT",
    // Python's requests, which bring theirs: also in conda, poetry, twine, gcloud.
    "REQUESTS_CA_BUNDLE",
    // The AWS tools.
    "AWS_CA_BUNDLE",
    // Node.js and Bun, for what they install with, too: in addition to their own.
    "NODE_EXTRA_CA_CERTS",
    // Deno, likewise.
    "DENO_CERT",
    // cargo's libcurl, which is linked statically.
    "CARGO_HTTP_CAINFO",
    // Ruby's bundler.
    "BUNDLE_SSL_CA_CERT",
    // Elixir's mix.
    "HEX_CACERTS_PATH",
    // Perl's LWP.
    "PERL_LWP_SSL_CA_FILE",
    // What Nix builds, and Nix.
    "NIX_SSL_CERT_FILE",
];

/// Files and variables.
pub(super) struct Told {
    /// Their paths, and what is in them.
    pub(super) files: Vec<(String, Vec<u8>)>,
    /// Names and values.
    pub(super) env: Vec<(String, String)>,
}

/// What tells of a bundle. `wget` is the image's own file of settings for all users.
pub(super) fn tell(bundle: Vec<u8>, mut wget: Vec<u8>) -> Told {
    let at = |name: &str| format!("{FOLDER}/{name}");
    let apt = format!("Acquire::https::CAInfo \"{}\";\n", at(BUNDLE));
    if !wget.is_empty() && !wget.ends_with(b"\n") {
        wget.push(b'\n');
    }
    wget.extend(format!("# {NAME}\nca_certificate = {}\n", at(BUNDLE)).bytes());
    let mut env: Vec<_> = BUNDLES.map(|name| (name.to_owned(), at(BUNDLE))).to_vec();
    // Settings before those of the system's files; and, of wget with GnuTLS, in place of them.
    env.push(("APT_CONFIG".to_owned(), at(APT)));
    env.push(("SYSTEM_WGETRC".to_owned(), at(WGET)));
    Told {
        files: vec![
            (at(BUNDLE), bundle),
            (at(APT), apt.into_bytes()),
            (at(WGET), wget),
        ],
        env,
    }
}
