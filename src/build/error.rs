//! Why a build failed: where in the recipe, and of what kind.
//!
//! In: errors of the rooms that a build calls. Out: [`Error`], whose [`Cause`] tells the kinds
//! apart that a script may want to tell apart.

use std::ops::Range;

use crate::canon::json;
use crate::inputs::{base, context, git, http, image, layers, layout, select, stage};
use crate::{layer, plan, registry, step, store};

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
    /// What the step does.
    #[error(transparent)]
    Step(#[from] step::Error),
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
            Cause::Step(step::Error::Archive { .. } | step::Error::NoArchive(_)) => {
                "if you trust it, unpack it with another program, and copy the files"
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
            ) => "remove that blob from the store, and it is had anew",
            Cause::Http(_) | Cause::Git(_) => "see that the server gives it to you",
            _ => return None,
        })
    }

    fn kind(&self) -> Kind {
        use base::Error as Base;
        match self {
            Cause::Store(error)
            | Cause::Base(
                Base::Store(error)
                | Base::Layout(layout::Error::Store(error))
                | Base::Image(image::Error::Store(error)),
            )
            | Cause::Http(http::Error::Store(error))
            | Cause::Step(step::Error::Store(error)) => of_store(error),
            Cause::Hinted(cause, _) => cause.kind(),
            Cause::Base(Base::Registry(error)) => of_registry(error),
            Cause::Base(_) => Kind::Unavailable,
            Cause::Layers(error) => of_layers(error),
            Cause::Stage(error) => of_stage(error),
            Cause::Http(http::Error::DigestMismatch { .. }) => Kind::DigestMismatch,
            Cause::Http(_) | Cause::Git(_) | Cause::NoContext(_) => Kind::Unavailable,
            Cause::Context(context::Error::Folder { .. } | context::Error::Read { .. }) => {
                Kind::Unavailable
            }
            Cause::Context(context::Error::Select(
                select::Error::Missing(_) | select::Error::NoMatch(_),
            )) => Kind::Unavailable,
            Cause::Context(context::Error::Store(error)) => of_store(error),
            Cause::Step(step::Error::Pack(layer::pack::Error::Read { .. })) => Kind::Unavailable,
            _ => Kind::Failed,
        }
    }
}

/// What kind of failure an error of the store is.
pub fn of_store(error: &store::Error) -> Kind {
    match error {
        store::Error::DigestMismatch { .. } | store::Error::SizeMismatch { .. } => {
            Kind::DigestMismatch
        }
        store::Error::Missing(_) | store::Error::TooLarge(..) => Kind::Unavailable,
        _ => Kind::Failed,
    }
}

/// What kind of failure an error of a stage's or image's files is.
pub fn of_stage(error: &stage::Error) -> Kind {
    match error {
        stage::Error::Layers(error) => of_layers(error),
        _ => Kind::Failed,
    }
}

fn of_layers(error: &layers::Error) -> Kind {
    match error {
        layers::Error::Store(error) => of_store(error),
        layers::Error::DiffId { .. } => Kind::DigestMismatch,
        _ => Kind::Unavailable,
    }
}

/// What kind of failure an error of a registry is.
pub fn of_registry(error: &registry::Error) -> Kind {
    match error {
        registry::Error::DigestMismatch { .. } | registry::Error::SizeMismatch { .. } => {
            Kind::DigestMismatch
        }
        _ => Kind::Unavailable,
    }
}
