//! Why a build failed: where in the recipe, and of what kind.
//!
//! In: errors of the rooms that a build calls. Out: [`Error`], whose [`Cause`] tells the kinds
//! apart that a script may want to tell apart.

use std::io;
use std::ops::Range;

use crate::canon::json;
use crate::inputs::http::BRING;
use crate::inputs::pins::NotHeld;
use crate::inputs::{base, context, debian, git, http, image, layers, layout, select, stage};
use crate::policy::Refusal;
use crate::{layer, plan, proxy, registry, step, store};

/// A build that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// At a step.
    #[error("{name}: {cause}")]
    Step {
        /// The step's name.
        name: String,
        /// Its place in the recipe.
        span: Range<usize>,
        /// Why.
        #[source]
        cause: Box<Cause>,
    },
    /// Elsewhere.
    #[error(transparent)]
    Other(Box<Cause>),
}

/// Why.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// A base image.
    #[error(transparent)]
    Base(#[from] base::Error),
    /// The context.
    #[error(transparent)]
    Context(#[from] context::Error),
    /// One for which a way out was found.
    #[error("{0}\nhint: {1}")]
    Hinted(Box<Cause>, String),
    /// Ignore rules.
    #[error("{0}")]
    Ignore(String),
    /// A context that nobody gave.
    #[error("there is no context `{0}`")]
    NoContext(String),
    /// A stage's files.
    #[error(transparent)]
    Stage(#[from] stage::Error),
    /// A layer.
    #[error(transparent)]
    Layers(#[from] layers::Error),
    /// A download.
    #[error(transparent)]
    Http(#[from] http::Error),
    /// A commit.
    #[error(transparent)]
    Git(#[from] git::Error),
    /// Packages that can't be had.
    #[error(transparent)]
    Debian(#[from] debian::Error),
    /// Packages that can't be installed.
    #[error(transparent)]
    Packages(#[from] step::packages::Error),
    /// What the step does.
    #[error(transparent)]
    Step(#[from] step::Error),
    /// A command.
    #[error(transparent)]
    Run(#[from] step::run::Error),
    /// The lock.
    #[error(transparent)]
    NotHeld(#[from] NotHeld),
    /// The source policy.
    #[error(transparent)]
    Policy(#[from] Refusal),
    /// Another thing than the lock says.
    #[error(
        "`{name}` is not what the lock says\n  expected {expected}\n  got      {got}\nhint: if the new one is meant, take it into the lock: `cairn lock --update {name}`"
    )]
    Other {
        /// As the lock calls it.
        name: String,
        /// As the lock has it.
        expected: String,
        /// As it is.
        got: String,
    },
    /// Something to fetch in a build that may not.
    #[error(
        "`{0}` is not in the store, and `--offline` keeps the build off the network\nhint: {BRING}"
    )]
    Offline(String),
    /// A command that would have to be let on the network.
    #[error(
        "`{0}` may fetch anything, and `--offline` keeps the build off the network\nhint: `cairn lock` records what it fetches; where that is nothing, `RUN --network=none` says so"
    )]
    OfflineCommand(String),
    /// The key.
    #[error(transparent)]
    Key(#[from] plan::key::Error),
    /// The store.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// JSON.
    #[error(transparent)]
    Json(#[from] json::Error),
    /// A plan that makes no sense.
    #[error("this is a bug in cairn: {0}")]
    Bug(&'static str),
}

/// What kind of failure it is, as exit codes tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The build itself.
    Failed,
    /// An input that can't be had.
    Unavailable,
    /// An input, or a blob, that is not what its digest says.
    DigestMismatch,
}

impl From<Cause> for Error {
    fn from(cause: Cause) -> Error {
        Error::Other(Box::new(cause))
    }
}

impl Error {
    /// Its cause.
    pub fn cause(&self) -> &Cause {
        match self {
            Error::Step { cause, .. } | Error::Other(cause) => cause,
        }
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> Kind {
        self.cause().kind()
    }

    /// The way out, where the message says none.
    pub fn way_out(&self) -> Option<&'static str> {
        self.cause().way_out()
    }
}

const DAMAGED: &str = "remove that blob from the store, and it is had anew";

impl Cause {
    fn way_out(&self) -> Option<&'static str> {
        use layer::pack::Error as Pack;
        Some(match self {
            Cause::Base(base::Error::Registry(_)) => {
                "look at its name, and at the registry; `--debug` says what was asked of whom"
            }
            Cause::Base(base::Error::Layout(
                layout::Error::Io { .. } | layout::Error::NoLayout(_),
            )) => "layouts are looked up from the recipe's folder",
            Cause::Layers(layers::Error::Store(store::Error::DigestMismatch { .. }))
            | Cause::Stage(stage::Error::Layers(layers::Error::Store(
                store::Error::DigestMismatch { .. },
            ))) => DAMAGED,
            Cause::Base(base::Error::Layout(_) | base::Error::Image(_))
            | Cause::Layers(_)
            | Cause::Stage(stage::Error::Layers(_)) => {
                "the base image is damaged, or not made as it should be: fetch or make it anew, or name another"
            }
            Cause::Ignore(_) => "correct that line, or remove it",
            Cause::Context(context::Error::Folder { .. }) | Cause::NoContext(_) => {
                "name a folder that holds the files"
            }
            Cause::Context(context::Error::Read { .. }) => {
                "make it readable, exclude it from the copy, or name it in `.dockerignore`"
            }
            Cause::Context(context::Error::Select(
                select::Error::Missing(_) | select::Error::NoMatch(_),
            )) => "look at the path, and at what `.dockerignore` leaves out",
            Cause::Context(context::Error::Select(select::Error::View(_)))
            | Cause::Stage(stage::Error::Select(select::Error::View(_)))
            | Cause::Step(step::Error::View(_)) => "look at the symbolic links on its way",
            Cause::Stage(stage::Error::Select(_)) => "look at what the stage's steps make",
            Cause::Step(step::Error::NoArchive(_)) => "name an archive, or `copy` it as it is",
            Cause::Step(step::Error::Archive {
                source: layer::scan::Error::Io(_) | layer::scan::Error::Read(_),
                ..
            }) => "it is damaged or ends early: get or make it anew",
            Cause::Step(step::Error::Archive { .. }) => {
                "if you trust it, unpack it with another program, and copy the files"
            }
            Cause::Step(step::Error::Pack(Pack::Read { source, .. }))
                if of_io(source) == Some(Kind::DigestMismatch) =>
            {
                DAMAGED
            }
            Cause::Step(step::Error::Pack(Pack::Read { .. })) => {
                "build again when nothing writes to it"
            }
            Cause::Step(step::Error::Pack(Pack::Write(error)))
                if error.kind() == std::io::ErrorKind::StorageFull =>
            {
                "free some space in the store's place, or name another with `--store` or CAIRN_HOME"
            }
            Cause::Step(step::Error::Pack(Pack::Lost)) | Cause::Bug(_) => "please report it",
            Cause::Store(
                store::Error::DigestMismatch { .. } | store::Error::SizeMismatch { .. },
            ) => DAMAGED,
            Cause::Http(_) | Cause::Git(_) => "see that the server gives it to you",
            _ => return None,
        })
    }

    fn kind(&self) -> Kind {
        match self {
            Cause::Hinted(cause, _) => cause.kind(),
            Cause::Base(error) => of_base(error),
            Cause::Context(error) => of_context(error),
            Cause::NoContext(_)
            | Cause::Offline(_)
            | Cause::OfflineCommand(_)
            | Cause::NotHeld(_)
            | Cause::Policy(_) => Kind::Unavailable,
            Cause::Other { .. } => Kind::DigestMismatch,
            Cause::Stage(error) => of_stage(error),
            Cause::Layers(error) => of_layers(error),
            Cause::Http(http::Error::Store(error))
            | Cause::Git(git::Error::Store(error))
            | Cause::Store(error) => of_store(error),
            Cause::Http(http::Error::DigestMismatch { .. }) => Kind::DigestMismatch,
            Cause::Http(
                http::Error::Fetch { .. } | http::Error::Offline(_) | http::Error::Secret(_),
            ) => Kind::Unavailable,
            Cause::Git(git::Error::Checksum { .. }) => Kind::DigestMismatch,
            Cause::Git(
                git::Error::Start(_)
                | git::Error::Git { .. }
                | git::Error::NoRef { .. }
                | git::Error::Redirect(_)
                | git::Error::Secret(_),
            ) => Kind::Unavailable,
            Cause::Git(git::Error::Context(error)) => of_context(error),
            Cause::Debian(error) => of_debian(error),
            Cause::Packages(step::packages::Error::Step(error)) | Cause::Step(error) => {
                of_step(error)
            }
            Cause::Packages(step::packages::Error::Run(error)) | Cause::Run(error) => of_run(error),
            Cause::Packages(step::packages::Error::Layers(error)) => of_layers(error),
            Cause::Packages(step::packages::Error::Store(error)) => of_store(error),
            Cause::Packages(step::packages::Error::Other { .. }) => Kind::DigestMismatch,
            Cause::Packages(_) => Kind::Failed,
            Cause::Git(git::Error::Folder(_))
            | Cause::Ignore(_)
            | Cause::Key(_)
            | Cause::Json(_)
            | Cause::Bug(_) => Kind::Failed,
        }
    }
}

fn of_debian(error: &debian::Error) -> Kind {
    use crate::packages::Unsolvable;
    match error {
        debian::Error::Signature { .. }
        | debian::Error::Stale { .. }
        | debian::Error::DigestMismatch { .. }
        | debian::Error::Size { .. } => Kind::DigestMismatch,
        debian::Error::Store(error) => of_store(error),
        debian::Error::Unsolvable {
            error: Unsolvable::Conflict(_) | Unsolvable::Virtual { .. },
            ..
        }
        | debian::Error::Relation(_)
        | debian::Error::Json(_) => Kind::Failed,
        _ => Kind::Unavailable,
    }
}

fn of_base(error: &base::Error) -> Kind {
    match error {
        base::Error::Registry(error) => of_registry(error),
        base::Error::Image(error) => of_image(error),
        base::Error::Store(error) | base::Error::Layout(layout::Error::Store(error)) => {
            of_store(error)
        }
        base::Error::Layout(_) => Kind::Unavailable,
        base::Error::NotHeld(_) | base::Error::Policy(_) => Kind::Unavailable,
        base::Error::Other { .. } => Kind::DigestMismatch,
    }
}

fn of_context(error: &context::Error) -> Kind {
    match error {
        context::Error::Folder { .. } | context::Error::Read { .. } => Kind::Unavailable,
        context::Error::Select(error) => of_select(error),
        context::Error::Store(error) => of_store(error),
        _ => Kind::Failed,
    }
}

/// A source that isn't there can't be had, wherever it was looked for: in a context, a commit, an
/// image or another stage.
fn of_select(error: &select::Error) -> Kind {
    match error {
        select::Error::Missing(_) | select::Error::NoMatch(_) => Kind::Unavailable,
        _ => Kind::Failed,
    }
}

fn of_run(error: &step::run::Error) -> Kind {
    use step::run::Error;
    match error {
        Error::Layers(error) => of_layers(error),
        Error::Stage(error) => of_stage(error),
        Error::Step(error) => of_step(error),
        Error::Store(error)
        | Error::Proxy(proxy::Error::Blob { source: error, .. } | proxy::Error::Store(error)) => {
            of_store(error)
        }
        Error::Proxy(proxy::Error::Checksum { .. }) => Kind::DigestMismatch,
        Error::Proxy(proxy::Error::NotRecorded { .. } | proxy::Error::Denied(_)) => {
            Kind::Unavailable
        }
        Error::Pack(layer::pack::Error::Read { source, .. }) => {
            of_io(source).unwrap_or(Kind::Unavailable)
        }
        Error::NoSecret(_) | Error::NoSsh(_) | Error::NoDevice(_) => Kind::Unavailable,
        _ => Kind::Failed,
    }
}

/// What kind of failure an error of a step is.
pub fn of_step(error: &step::Error) -> Kind {
    use layer::pack::Error::Read;
    match error {
        step::Error::Store(error) => of_store(error),
        step::Error::Pack(Read { source, .. }) => of_io(source).unwrap_or(Kind::Unavailable),
        step::Error::Io { source, .. } => of_io(source).unwrap_or(Kind::Failed),
        step::Error::Archive { source, .. } => of_scan(source).unwrap_or(Kind::Failed),
        _ => Kind::Failed,
    }
}

/// What kind of failure an image's documents are.
pub fn of_image(error: &image::Error) -> Kind {
    match error {
        image::Error::Store(error) => of_store(error),
        _ => Kind::Unavailable,
    }
}

/// What kind of failure an error of a stage's files is.
pub fn of_stage(error: &stage::Error) -> Kind {
    match error {
        stage::Error::Layers(error) => of_layers(error),
        stage::Error::Select(error) => of_select(error),
        stage::Error::Tree(_) => Kind::Failed,
    }
}

/// What kind of failure an error of a layer is.
pub fn of_layers(error: &layers::Error) -> Kind {
    match error {
        layers::Error::Store(error) => of_store(error),
        layers::Error::DiffId { .. } => Kind::DigestMismatch,
        layers::Error::Io { source, .. } => of_io(source).unwrap_or(Kind::Unavailable),
        layers::Error::Scan { source, .. } => of_scan(source).unwrap_or(Kind::Unavailable),
    }
}

fn of_scan(error: &layer::scan::Error) -> Option<Kind> {
    use layer::{read, scan};
    match error {
        scan::Error::Io(error) | scan::Error::Read(read::Error::Io(error)) => of_io(error),
        _ => None,
    }
}

/// What kind of failure an error of reading is, where one of the store is inside of it: readers
/// give theirs as those of the system, whatever is under them.
pub fn of_io(error: &io::Error) -> Option<Kind> {
    let inner = error.get_ref()?;
    let store = inner.downcast_ref().map(of_store);
    let layers = inner.downcast_ref().map(of_layers);
    let deeper = inner.downcast_ref().and_then(of_io);
    store.or(layers).or(deeper)
}

/// What kind of failure an error of the store is.
pub fn of_store(error: &store::Error) -> Kind {
    match error {
        store::Error::DigestMismatch { .. } | store::Error::SizeMismatch { .. } => {
            Kind::DigestMismatch
        }
        store::Error::Missing(_) | store::Error::TooLarge(..) => Kind::Unavailable,
        store::Error::Io { source, .. } => of_io(source).unwrap_or(Kind::Failed),
        _ => Kind::Failed,
    }
}

/// What kind of failure an error of a registry is.
pub fn of_registry(error: &registry::Error) -> Kind {
    match error {
        registry::Error::DigestMismatch { .. } | registry::Error::SizeMismatch { .. } => {
            Kind::DigestMismatch
        }
        registry::Error::OtherDigest { .. } => Kind::DigestMismatch,
        registry::Error::Store(error) => of_store(error),
        _ => Kind::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canon::{DiffId, Digest, EntryPath};

    fn mismatch() -> store::Error {
        store::Error::DigestMismatch {
            what: "blob".to_owned(),
            expected: Digest::of(b"a"),
            got: Digest::of(b"b"),
        }
    }

    #[test]
    fn a_mismatch_is_one_wherever_it_was_met() {
        let digest = Digest::of(b"");
        let in_a_layer = layers::Error::DiffId {
            digest,
            expected: DiffId(Digest::of(b"a")),
            got: DiffId(Digest::of(b"b")),
        };
        let read = |source| {
            let path = EntryPath::root();
            Cause::Step(step::Error::Pack(layer::pack::Error::Read { path, source }))
        };
        let source = io::Error::other(io::Error::other(mismatch()));
        for cause in [
            read(io::Error::other(in_a_layer)),
            read(io::Error::other(mismatch())),
            Cause::Layers(layers::Error::Io { digest, source }),
            Cause::Git(git::Error::Store(mismatch())),
            Cause::Git(git::Error::Context(context::Error::Store(mismatch()))),
        ] {
            assert_eq!(cause.kind(), Kind::DigestMismatch, "{cause}");
        }
        assert_eq!(read(io::Error::other("x")).kind(), Kind::Unavailable);
    }

    #[test]
    fn a_commit_that_no_image_can_hold_was_had() {
        let name = EntryPath::new(b".wh.a").unwrap();
        let cause = Cause::Git(git::Error::Context(context::Error::WhiteoutName(name)));
        assert_eq!(cause.kind(), Kind::Failed);
    }
}
