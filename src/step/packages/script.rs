//! What configures packages: a script for the image's own shell and dpkg.
//!
//! In: packages, how each was or is to be unpacked. Out: text. What is run is what
//! `apt-get install` runs, in its order; where there is nothing yet, what mmdebstrap runs.

use std::collections::BTreeSet;

use super::deb::Deb;
use crate::canon::Epoch;
use crate::packages::order::Needs;

/// Where what the script needs is meanwhile.
pub const FOLDER: &str = ".cairn-packages";
/// The script's name there.
pub const NAME: &str = "configure";

/// How packages get into the image.
pub struct Unpacking {
    /// Those that are unpacked already and configured first, as all others rely on them.
    pub first: Vec<usize>,
    /// Those that dpkg unpacks, since what it does then can't be done before.
    pub by_dpkg: Vec<usize>,
    /// File triggers of packages below that the unpacked files are for.
    pub triggers: BTreeSet<String>,
}

/// The environment of the script. What writes down a day (`/etc/shadow`) takes it from there.
pub fn environment(epoch: Epoch) -> Vec<(String, String)> {
    let epoch = epoch.seconds().to_string();
    let set = [
        ("SOURCE_DATE_EPOCH", epoch.as_str()),
        (
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        ),
        ("HOME", "/root"),
        ("DEBIAN_FRONTEND", "noninteractive"),
        ("DEBCONF_NONINTERACTIVE_SEEN", "true"),
        ("LC_ALL", "C.UTF-8"),
        ("LANG", "C.UTF-8"),
    ];
    set.map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
}

/// What is called for each package that is unpacked by dpkg.
pub fn deb_name(deb: &Deb) -> String {
    format!("{}.deb", deb.name())
}

/// The script.
pub fn script(debs: &[Deb], needs: &Needs, unpacking: &Unpacking) -> String {
    let mut script = BEGIN.replace("FOLDER", FOLDER);
    let names = |numbers: &mut dyn Iterator<Item = usize>| {
        let names = numbers.map(|number| debs[number].name());
        names.collect::<Vec<_>>().join(" ")
    };
    for &number in &unpacking.first {
        let deb = &debs[number];
        if deb.info("preinst").is_some() {
            let (package, architecture) = (deb.name(), deb.field("Architecture"));
            script += &format!("preinst {package} {architecture}\n");
        }
    }
    let mut configured: BTreeSet<usize> = unpacking.first.iter().copied().collect();
    if !unpacking.first.is_empty() {
        let first = names(&mut unpacking.first.iter().copied());
        script += &format!("packages --force-depends --configure {first}\n");
    }
    for &number in &unpacking.by_dpkg {
        let before = needs.before(number);
        let mut before = before.difference(&configured).copied().peekable();
        if before.peek().is_some() {
            script += &format!("packages --configure {}\n", names(&mut before));
        }
        configured.extend(needs.before(number));
        let name = deb_name(&debs[number]);
        script += &format!("packages --unpack /{FOLDER}/{name}\n");
    }
    for trigger in &unpacking.triggers {
        let quoted = trigger.replace('\'', "'\\''");
        script += &format!("dpkg-trigger --by-package=dpkg --no-await '{quoted}'\n");
    }
    script + &END.replace("FOLDER", FOLDER)
}

const BEGIN: &str = r#"set -eu
umask 022
cd /
export DPKG_ROOT= DPKG_ADMINDIR=/var/lib/dpkg

packages() {
    dpkg --force-unsafe-io --log=/dev/null "$@"
}

# From where dpkg runs it: debconf looks there for the package's name and templates.
preinst() {
    mv "/FOLDER/$1" /var/lib/dpkg/tmp.ci
    DPKG_MAINTSCRIPT_PACKAGE=$1 DPKG_MAINTSCRIPT_ARCH=$2 DPKG_MAINTSCRIPT_NAME=preinst \
        DPKG_MAINTSCRIPT_PACKAGE_REFCOUNT=1 DPKG_MAINTSCRIPT_DEBUG=0 \
        /var/lib/dpkg/tmp.ci/preinst install
    rm -rf /var/lib/dpkg/tmp.ci
}

# No service is started while packages are configured.
policy=/usr/sbin/policy-rc.d
if [ -e $policy ]; then
    policy=
else
    printf '#!/bin/sh\nexit 101\n' > $policy
    chmod 755 $policy
fi

"#;

const END: &str = r#"
packages --configure -a
if [ -n "$policy" ]; then
    rm -f $policy
fi
rm -rf /FOLDER
"#;
