//! Packages to a layer: what `apt-get install` would have made of them.
//!
//! In: packages as blobs, in the order in which they are installed, and the layers below. Out:
//! [`Change`]. They are unpacked here, all at a time, with what dpkg writes down of that; then the
//! image's own dpkg configures them in the sandbox, without a network. Where dpkg does more than to
//! unpack – scripts that run before, files that are left out or put elsewhere – it unpacks itself.

mod below;
mod database;
mod deb;
mod debris;
mod place;
mod script;

use std::collections::BTreeSet;
use std::sync::Arc;

use rayon::prelude::*;

pub use below::Below;

use self::database::{Database, put_bytes};
use self::deb::Deb;
use self::place::{Conffiles, Placing};
use self::script::Unpacking;
use super::run::{self, Ran, Runner};
use super::{Change, Draft};
use crate::canon::event::Work;
use crate::canon::{EntryPath, Epoch, StepKey};
use crate::inputs::{Origin, Stack, layers};
use crate::layer::codec::Expansion;
use crate::layer::view::View as _;
use crate::layer::{Kind, Meta, Tree};
use crate::lock::{self, PackageSet};
use crate::packages::index::Candidate;
use crate::packages::order::Needs;
use crate::plan::packages::Variant;
use crate::plan::{Command, command};
use crate::store::{Blob, Store};

/// Why packages can't be installed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A package that is none.
    #[error("the package `{name}` is refused: {reason}")]
    Deb {
        /// Which.
        name: String,
        /// Why.
        reason: String,
    },
    /// A list of packages, or keys, without an end.
    #[error("`{0}` of the image below is larger than {1} bytes\nhint: name another image")]
    TooLarge(EntryPath, u64),
    /// A package that isn't what was solved.
    #[error(
        "the package `{wanted}` says that it is `{got}`\nhint: solve it anew: `cairn lock --update`; where there is no lock, the archive is wrong, and another mirror may not be"
    )]
    Other {
        /// As it was solved.
        wanted: String,
        /// As it says itself.
        got: String,
    },
    /// A directory over something else, or the other way round.
    #[error("`{path}` is a directory of one package and none of another")]
    InTheWay {
        /// Where.
        path: EntryPath,
    },
    /// Two packages with one file.
    #[error("the package `{name}` would overwrite `{path}` of `{other}`, which it doesn't replace")]
    Overwrites {
        /// Which file.
        path: EntryPath,
        /// The package that comes second.
        name: String,
        /// The package that has it.
        other: String,
    },
    /// An image whose packages nothing can add to.
    #[error(
        "the image below has packages of Debian, but no dpkg that could configure others\nhint: with `variant = \"distroless\"` they are unpacked without it"
    )]
    NoDpkg,
    /// Configuring.
    #[error(transparent)]
    Run(#[from] run::Error),
    /// A file.
    #[error(transparent)]
    Step(#[from] super::Error),
    /// A layer below.
    #[error(transparent)]
    Layers(#[from] layers::Error),
    /// The store.
    #[error(transparent)]
    Store(#[from] crate::store::Error),
    /// What can't be.
    #[error("this is a bug in cairn: {0}")]
    Bug(&'static str),
}

/// Installs packages.
pub struct Installer<'a> {
    /// Where everything is kept.
    pub store: &'a Store,
    /// What runs scripts.
    pub runner: &'a Runner<'a>,
    /// The time of what is made.
    pub epoch: Epoch,
    /// How far packages may expand.
    pub expansion: Expansion,
    /// What Debian calls that of the image.
    pub architecture: &'a str,
    /// What the image below has.
    pub below: &'a Below,
    /// Its layers.
    pub stack: &'a Stack,
}

/// What came of it.
pub struct Installed {
    /// The layer.
    pub change: Change,
    /// What is to be said.
    pub warnings: Vec<String>,
}

impl Installer<'_> {
    /// Installs the packages of `set`, which are `blobs`. The log is put where `key` says.
    pub fn install(
        &self,
        set: &PackageSet,
        blobs: &[Blob],
        variant: Variant,
        key: &StepKey,
        work: &Work,
    ) -> Result<Installed, Error> {
        let opened = set.packages.par_iter().zip(blobs);
        let opened = opened.map(|(package, blob)| {
            let deb = Deb::open(blob, &package.name, self.store, self.expansion)?;
            let got = format!(
                "{} {} {}",
                deb.name(),
                deb.field("Version"),
                deb.field("Architecture")
            );
            let wanted = format!(
                "{} {} {}",
                package.name, package.version, package.architecture
            );
            match got == wanted {
                true => Ok(deb),
                false => Err(Error::Other { wanted, got }),
            }
        });
        let debs = opened.collect::<Result<Vec<Deb>, Error>>()?;
        if debs.is_empty() {
            return Ok(Installed {
                change: Change {
                    tree: Tree::default(),
                    origins: Vec::new(),
                },
                warnings: Vec::new(),
            });
        }
        if variant == Variant::Distroless {
            return self.without_scripts(&debs);
        }
        let architecture = self.architecture;
        let candidates: Vec<_> = debs
            .iter()
            .filter_map(|deb| Candidate::new(deb.paragraph(), Some(0)))
            .collect();
        let needs = Needs::new(&candidates, architecture);
        let contested = self.below.contested();
        let mut plan = self.plan(&debs, &needs);
        let mut placing = self.place(set, &debs, &contested, &plan)?;
        if placing.needs_dpkg {
            plan = Unpacking {
                first: Vec::new(),
                by_dpkg: (0..debs.len()).collect(),
                triggers: BTreeSet::new(),
            };
            placing = self.place(set, &debs, &contested, &plan)?;
        }
        if !self.below.is_empty() && !self.below.has_dpkg() {
            return Err(Error::NoDpkg);
        }
        plan.triggers = self.triggers(&placing);
        let meta = Meta::plain(0o755, self.epoch.seconds());
        let text = script::script(&debs, &needs, &plan);
        let path = format!("{}/{}", script::FOLDER, script::NAME);
        put_bytes(&mut placing, &path, Arc::from(text.into_bytes()), meta)?;
        let mut draft = Draft::new(&self.below.rootfs, self.epoch, (0, 0));
        placing.finish(&mut draft)?;
        let fill = draft.finish()?;
        drop(candidates);
        let keys = run::Keys {
            log: key,
            seed: key,
        };
        let ran = self
            .runner
            .run_in(&fill, &command(&path, self.epoch), self.stack, keys, work)?;
        let Ran { change, .. } = ran;
        Ok(Installed {
            change: debris::without(change, &self.below.rootfs)?,
            warnings: Vec::new(),
        })
    }

    /// Who unpacks what.
    fn plan(&self, debs: &[Deb], needs: &Needs) -> Unpacking {
        let is_first = self.below.is_empty();
        let first = match is_first {
            true => needs.essential(),
            false => BTreeSet::new(),
        };
        let known = self.known();
        let all = self.below.leaves_out();
        let by_dpkg = (0..debs.len()).filter(|number| {
            let deb = &debs[*number];
            let has_script = deb.info("preinst").is_some();
            let is_known = known.contains(deb.name());
            all || is_known || (has_script && !first.contains(number))
        });
        Unpacking {
            by_dpkg: by_dpkg.collect(),
            first: (0..debs.len())
                .filter(|number| first.contains(number))
                .collect(),
            triggers: BTreeSet::new(),
        }
    }

    /// The names of packages that dpkg knows below, installed or not.
    fn known(&self) -> BTreeSet<String> {
        let status = self.below.text("status");
        let names = status
            .lines()
            .filter_map(|line| line.strip_prefix("Package: "));
        names.map(|name| name.trim().to_owned()).collect()
    }

    /// All files at their places.
    fn place<'s>(
        &'s self,
        set: &PackageSet,
        debs: &[Deb],
        contested: &'s BTreeSet<EntryPath>,
        plan: &Unpacking,
    ) -> Result<Placing<'s>, Error> {
        let mut placing = Placing::new(
            &self.below.rootfs,
            !self.below.is_empty(),
            contested,
            self.epoch,
        );
        if self.below.is_empty() {
            self.merge_usr(&mut placing, debs)?;
        }
        let by_dpkg: BTreeSet<usize> = plan.by_dpkg.iter().copied().collect();
        let first: BTreeSet<usize> = plan.first.iter().copied().collect();
        let mut unpacked = Vec::new();
        for number in 0..debs.len() {
            if by_dpkg.contains(&number) {
                let deb = &debs[number];
                let path = format!("{}/{}", script::FOLDER, script::deb_name(deb));
                let path =
                    EntryPath::new(path.as_bytes()).map_err(|_| Error::Bug("a path is none"))?;
                let kind = Kind::File {
                    size: deb.blob.size,
                    digest: deb.blob.digest,
                };
                let meta = Meta::plain(0o644, self.epoch.seconds());
                placing.put(&path, kind, meta, Origin::Blob(Box::new(deb.blob.clone())))?;
                continue;
            }
            // What others rely on before it is configured has its configuration, too, as
            // mmdebstrap has it.
            let conffiles = match first.contains(&number) {
                true => Conffiles::Both,
                false => Conffiles::Waiting,
            };
            placing.unpack(debs, number, conffiles)?;
            unpacked.push(number);
            if first.contains(&number) && debs[number].info("preinst").is_some() {
                self.control(&mut placing, &debs[number])?;
            }
        }
        let database = Database::new(debs, &self.below.existing, self.epoch);
        if !unpacked.is_empty() {
            database.write(&mut placing, &unpacked, true)?;
        }
        self.states(&mut placing, set)?;
        Ok(placing)
    }

    /// All that a package says of itself, in a folder for its script.
    fn control(&self, placing: &mut Placing, deb: &Deb) -> Result<(), Error> {
        let folder = format!("{}/{}", script::FOLDER, deb.name());
        let meta = Meta::plain(0o644, self.epoch.seconds());
        let control = Arc::from(deb.control.as_bytes());
        put_bytes(placing, &format!("{folder}/control"), control, meta)?;
        for info in &deb.info {
            let path = format!("{folder}/{}", info.name);
            put_bytes(placing, &path, info.content.clone(), info.meta.clone())?;
        }
        Ok(())
    }

    /// The links of a merged /usr, which packages that rely on it expect to be there before they
    /// are unpacked: as debootstrap makes them.
    fn merge_usr(&self, placing: &mut Placing, debs: &[Deb]) -> Result<(), Error> {
        const FOLDERS: [&str; 7] = ["bin", "sbin", "lib", "lib32", "lib64", "libo32", "libx32"];
        if debs.iter().all(|deb| deb.name() != "usr-is-merged") {
            return Ok(());
        }
        for name in FOLDERS {
            let path = EntryPath::new(name.as_bytes()).map_err(|_| Error::Bug("a path is none"))?;
            let has = |deb: &Deb| deb.data.tree().get(&path).is_some();
            if !debs.iter().any(has) || placing.seen(&path).is_some() {
                continue;
            }
            let target = format!("usr/{name}").into_bytes();
            let meta = Meta::plain(0o777, self.epoch.seconds());
            placing.put(&path, Kind::Symlink(target.into()), meta, Origin::None)?;
        }
        Ok(())
    }

    /// What apt writes down: which packages are there for others alone.
    fn states(&self, placing: &mut Placing, set: &PackageSet) -> Result<(), Error> {
        let has_apt = self.below.existing.contains_key(below::STATES)
            || set.packages.iter().any(|package| package.name == "apt")
            || self
                .below
                .text("status")
                .lines()
                .any(|line| line == "Package: apt");
        // Of what was there before it is known why it is.
        let known = self.known();
        let is_new = |package: &&lock::Package| !known.contains(package.name.as_str());
        let automatic = set.packages.iter().filter(|package| package.automatic);
        let mut automatic = automatic.filter(is_new).peekable();
        if !has_apt || automatic.peek().is_none() {
            return Ok(());
        }
        let mut states = self.below.text(below::STATES);
        for package in automatic {
            let (name, architecture) = (&package.name, self.architecture);
            states +=
                &format!("Package: {name}\nArchitecture: {architecture}\nAuto-Installed: 1\n\n");
        }
        let meta = Meta::plain(0o644, self.epoch.seconds());
        put_bytes(placing, below::STATES, Arc::from(states.into_bytes()), meta)
    }

    /// File triggers of the packages below that what was placed is for.
    fn triggers(&self, placing: &Placing) -> BTreeSet<String> {
        let triggers = self.below.file_triggers().into_iter();
        let is_meant = |trigger: &String| {
            let path = EntryPath::new(trigger.as_bytes());
            path.is_ok_and(|path| placing.has_below(&path))
        };
        triggers.filter(is_meant).collect()
    }

    /// Nothing but the packages' files, and dpkg's list of them.
    fn without_scripts(&self, debs: &[Deb]) -> Result<Installed, Error> {
        let contested = BTreeSet::new();
        let mut placing = Placing::new(&self.below.rootfs, false, &contested, self.epoch);
        self.merge_usr(&mut placing, debs)?;
        let all: Vec<usize> = (0..debs.len()).collect();
        for &number in &all {
            placing.unpack(debs, number, Conffiles::InPlace)?;
        }
        Database::new(debs, &self.below.existing, self.epoch).write(&mut placing, &all, false)?;
        let mut draft = Draft::new(&self.below.rootfs, self.epoch, (0, 0));
        placing.finish(&mut draft)?;
        let is_script = |name: &&str| matches!(*name, "preinst" | "postinst");
        let has_script = |deb: &&Deb| deb.info.iter().any(|info| is_script(&info.name.as_str()));
        let names: Vec<&str> = debs.iter().filter(has_script).map(Deb::name).collect();
        let warnings = match names.is_empty() {
            true => Vec::new(),
            false => vec![format!(
                "the scripts of {} didn't run, as the variant `distroless` has it: users, alternatives, caches (`ldconfig`) and other things that they make aren't there",
                names.join(", ")
            )],
        };
        Ok(Installed {
            change: draft.finish()?,
            warnings,
        })
    }
}

/// What configures packages.
fn command(script: &str, epoch: Epoch) -> Command {
    Command {
        arguments: vec!["/bin/sh".to_owned(), format!("/{script}")],
        env: script::environment(epoch),
        workdir: EntryPath::root(),
        user: None,
        mounts: Vec::new(),
        network: command::Network::None,
        security: command::Security::Sandbox,
        devices: Vec::new(),
        hostname: None,
        hosts: Vec::new(),
        ulimits: Vec::new(),
        shm_size: None,
    }
}
