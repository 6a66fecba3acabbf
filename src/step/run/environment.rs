//! The variables that every command has.
//!
//! In: the recipe's variables, the user's home, the epoch. Out: the whole environment. What the recipe
//! sets stays as it is. As a command may write its environment down, these are constants of the format,
//! and few: each has a tool's result depend on the recipe alone where that took chance or the
//! machine otherwise, and means nothing to any other tool.
//!
//! | variable | what it does |
//! | --- | --- |
//! | `PATH` | where programs are looked for, as Docker has it |
//! | `HOME` | the user's home, by the image's `/etc/passwd` |
//! | `SOURCE_DATE_EPOCH` | who writes times down takes the epoch: <https://reproducible-builds.org/specs/source-date-epoch> |
//! | `PYTHONHASHSEED=0` | sets and dictionaries of Python go through strings in the same order each time (Python, "Command line and environment") |
//! | `PERL_HASH_SEED=0` | so do hashes of Perl (perlrun(1)); the keys' order is still another for each hash, if not for |
//! | `PERL_PERTURB_KEYS=0` | this |
//! | `ZERO_AR_DATE=1` | Apple's `ar`, `libtool` and linker, which cross compilers bring, write no times into libraries (Xcode's libtool(1)) |
//!
//! What is left out, and why: `LC_ALL`, `LANG` and `TZ` change meanings, and without them there is `C` and
//! UTC; `OPENSSL_ia32cap` takes the processor's chance from OpenSSL, which mixes it with what the kernel
//! gives, so that its keys would be as good or bad as that alone; `QT_NO_CPU_FEATURE`, `SYSTEMD_RDRAND` and
//! `UV_NO_INSTALLER_METADATA` are for one program each, that hardly writes down what comes of it.

use crate::canon::Epoch;

/// What commands get that have no `PATH`: Docker's.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The recipe's variables, and the others of the table.
pub fn of(given: Vec<(String, String)>, home: &str, epoch: Epoch) -> Vec<(String, String)> {
    let epoch = epoch.seconds().to_string();
    let all = [
        ("PATH", PATH),
        ("HOME", home),
        ("SOURCE_DATE_EPOCH", &epoch),
        ("PYTHONHASHSEED", "0"),
        ("PERL_HASH_SEED", "0"),
        ("PERL_PERTURB_KEYS", "0"),
        ("ZERO_AR_DATE", "1"),
    ];
    let mut env = given;
    for (name, value) in all {
        if env.iter().all(|(other, _)| other != name) {
            env.push((name.to_owned(), value.to_owned()));
        }
    }
    env
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recipe_has_the_last_word() {
        let given = vec![("PYTHONHASHSEED".to_owned(), "random".to_owned())];
        let env = of(given, "/root", Epoch::default());
        let mut seeds = env.iter().filter(|(name, _)| name == "PYTHONHASHSEED");
        assert_eq!(
            seeds.next().map(|(_, value)| value.as_str()),
            Some("random")
        );
        assert!(seeds.next().is_none());
        let epoch = ("SOURCE_DATE_EPOCH".to_owned(), "315532800".to_owned());
        assert!(env.contains(&epoch) && env.contains(&("HOME".to_owned(), "/root".to_owned())));
    }
}
