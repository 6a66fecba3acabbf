//! The syntax tree of a Dockerfile.
//!
//! In: nothing; plain data. Out: [`Dockerfile`]. Every span is bytes of the file. Words that
//! variables may stand in are kept as they are written ([`Word`]): what they come out as is only
//! known when the base image is.

use std::ops::Range;

use crate::plan::command::Device;

pub use crate::plan::command::{Network, Security, Sharing};

/// Bytes `start..end` of the file.
pub type Span = Range<usize>;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spanned<T> {
    /// The value, final: no variables are expanded in it.
    pub value: T,
    /// From its first byte to its last; with continuation lines in it these, too.
    pub span: Span,
}

/// A word before the expansion of variables, quotes and escapes (`expand`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// As it was written, without continuation characters.
    pub raw: String,
    /// From its first byte to its last.
    pub span: Span,
}

/// A whole file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dockerfile {
    /// What its first comments say to the parser.
    pub directives: Directives,
    /// `ARG` before the first `FROM`.
    pub globals: Vec<Node<Vec<Argument>>>,
    /// At least one.
    pub stages: Vec<Stage>,
    /// Blank lines in the middle of instructions: deprecated, for checks.
    pub empty_continuations: Vec<Span>,
}

/// Parser directives: `# key=value` before anything else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directives {
    /// `# syntax=`: kept for people; cairn knows one syntax.
    pub syntax: Option<Spanned<String>>,
    /// `# escape=`: `\` or a backtick.
    pub escape: char,
    /// `# check=`: the value as written.
    pub check: Option<Spanned<String>>,
}

/// `FROM` and what follows it up to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// Its `FROM`.
    pub from: Node<From>,
    /// All but `FROM`.
    pub instructions: Vec<Instruction>,
}

/// An instruction of a stage.
pub type Instruction = Node<Kind>;

/// An instruction with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node<T> {
    /// The instruction with its continuation lines and here-documents, without the last newline.
    pub span: Span,
    /// Its name as it was written.
    pub keyword: Spanned<String>,
    /// The instruction on one line: continuations joined, here-documents left out.
    pub text: String,
    /// Comment lines right above it, without `#` and the blanks after it.
    pub comments: Vec<Spanned<String>>,
    /// What it says.
    pub kind: T,
}

/// `FROM [--platform=P] IMAGE [AS NAME]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct From {
    /// An image, a stage, a named context or `scratch`.
    pub image: Word,
    /// `--platform`.
    pub platform: Option<Word>,
    /// `AS NAME`.
    pub name: Option<StageName>,
}

/// `AS NAME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageName {
    /// In lower case: names of stages know no case.
    pub value: String,
    /// As it was written.
    pub written: String,
    /// Of the name.
    pub span: Span,
    /// `AS`, as it was written.
    pub keyword: Spanned<String>,
}

/// What an instruction says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// `ADD`
    Add(Add),
    /// `ARG`: one or several.
    Arg(Vec<Argument>),
    /// `CMD`; an empty `Exec` unsets it.
    Cmd(CommandLine),
    /// `COPY`
    Copy(Copy),
    /// `ENTRYPOINT`; an empty `Exec` unsets it.
    Entrypoint(CommandLine),
    /// `ENV`: one or several; all are expanded with what is known before it.
    Env(Vec<Pair>),
    /// `EXPOSE`: `PORT[-PORT][/PROTOCOL]`; a word may expand to several.
    Expose(Vec<Word>),
    /// `HEALTHCHECK`
    Healthcheck(Healthcheck),
    /// `LABEL`
    Label(Vec<Pair>),
    /// `MAINTAINER`; nothing is expanded in it.
    Maintainer(Spanned<String>),
    /// `ONBUILD`
    OnBuild(OnBuild),
    /// `RUN`
    Run(Run),
    /// `SHELL`; never empty.
    Shell(Vec<Spanned<String>>),
    /// `STOPSIGNAL`
    StopSignal(Word),
    /// `USER`
    User(Word),
    /// `VOLUME`; never empty.
    Volume(Vec<Word>),
    /// `WORKDIR`
    Workdir(Word),
}

/// `NAME[=DEFAULT]` of `ARG`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argument {
    /// Its name; expanded, too.
    pub name: Word,
    /// Its default; may be empty.
    pub default: Option<Word>,
}

/// `KEY=VALUE` of `ENV` and `LABEL`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// Expanded, too.
    pub key: Word,
    /// May be empty.
    pub value: Word,
    /// Whether it was written in the old form `KEY VALUE`.
    pub is_legacy: bool,
}

/// A command to start: `CMD`, `ENTRYPOINT`, `HEALTHCHECK CMD`. Nothing is expanded in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandLine {
    /// For the shell.
    Shell(Spanned<String>),
    /// Arguments, from a JSON array.
    Exec(Vec<Spanned<String>>),
}

/// `RUN`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// `--mount`: read it with `mount::parse`, which expands each option's value.
    pub mounts: Vec<Word>,
    /// `--network`
    pub network: Option<Spanned<Network>>,
    /// `--security`
    pub security: Option<Spanned<Security>>,
    /// `--device`
    pub devices: Vec<Spanned<Device>>,
    /// What to run.
    pub command: RunCommand,
}

/// What `RUN` runs. Nothing is expanded in it: its shell does that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunCommand {
    /// For the shell. With here-documents: they follow as the shell wants them, each body and
    /// its end on lines of their own.
    Shell(Spanned<String>),
    /// Arguments, from a JSON array.
    Exec(Vec<Spanned<String>>),
    /// A here-document alone. Its [`Heredoc::content`] is a program when it starts with `#!`
    /// (mounted read-only as `/dev/pipes/NAME`, mode 0755, and run), else it is for the shell.
    Script(Heredoc),
}

/// `COPY`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// `--from`: a stage, its number, a named context or an image. Variables are refused in it.
    pub from: Option<Spanned<String>>,
    /// `--parents`
    pub parents: bool,
    /// What it has in common with `ADD`.
    pub transfer: Transfer,
}

/// `ADD`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Add {
    /// `--checksum`: `sha256:…` of a download, a commit of a Git repository.
    pub checksum: Option<Word>,
    /// `--keep-git-dir[=BOOL]`
    pub keep_git_dir: Option<Spanned<bool>>,
    /// `--unpack[=BOOL]`
    pub unpack: Option<Spanned<bool>>,
    /// What it has in common with `COPY`.
    pub transfer: Transfer,
}

/// What `COPY` and `ADD` have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// `--chown`
    pub chown: Option<Word>,
    /// `--chmod`: octal or symbolic.
    pub chmod: Option<Word>,
    /// `--link[=BOOL]`
    pub link: bool,
    /// `--exclude`, several.
    pub exclude: Vec<Word>,
    /// At least one, in the order written.
    pub sources: Vec<TransferSource>,
    /// Where to.
    pub destination: Word,
}

/// One source of `COPY` or `ADD`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransferSource {
    /// A path, a pattern, and for `ADD` also a URL.
    Path(Word),
    /// A file whose content follows in the recipe; its name is the here-document's.
    Heredoc(Heredoc),
}

/// A here-document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heredoc {
    /// Its end, without quotes.
    pub name: String,
    /// Of the word that opens it: `<<EOF`.
    pub span: Span,
    /// Its lines as they are in the file, the last newline included.
    pub body: Spanned<String>,
    /// Whether variables are expanded in it: no part of its name was quoted. (For `RUN` that is
    /// the shell's matter.)
    pub expands: bool,
    /// Whether it was opened with `<<-`, so that leading tabs don't count.
    pub chomps: bool,
    /// The number before `<<`; 0 without one.
    pub descriptor: u32,
}

/// `HEALTHCHECK`
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Healthcheck {
    /// `NONE`: not even that of the base.
    None,
    /// `CMD`
    Command(Box<HealthcheckCommand>),
}

/// `HEALTHCHECK [OPTIONS] CMD …`; times are nanoseconds, 0 and none mean the engine's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthcheckCommand {
    /// `--interval`
    pub interval: Option<Spanned<u64>>,
    /// `--timeout`
    pub timeout: Option<Spanned<u64>>,
    /// `--start-period`
    pub start_period: Option<Spanned<u64>>,
    /// `--start-interval`
    pub start_interval: Option<Spanned<u64>>,
    /// `--retries`
    pub retries: Option<Spanned<u32>>,
    /// What tells its health.
    pub command: CommandLine,
}

/// `ONBUILD`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnBuild {
    /// What the image's config keeps: the instruction on one line, here-documents after it.
    pub trigger: String,
    /// The same, read: never `ONBUILD` or `MAINTAINER`.
    pub instruction: Box<Instruction>,
}

impl<T> Spanned<T> {
    /// `value` at `span`.
    pub fn new(value: T, span: Span) -> Spanned<T> {
        Spanned { value, span }
    }
}

impl Word {
    /// `raw` at `span`.
    pub fn new(raw: impl Into<String>, span: Span) -> Word {
        let raw = raw.into();
        Word { raw, span }
    }
}

impl Heredoc {
    /// What it holds: its body, without leading tabs where they don't count.
    pub fn content(&self) -> String {
        match self.chomps {
            false => self.body.value.clone(),
            true => {
                let lines = self.body.value.split_inclusive('\n');
                lines.map(|line| line.trim_start_matches('\t')).collect()
            }
        }
    }
}

impl RunCommand {
    /// Where it stands; of an empty array nowhere.
    pub fn span(&self) -> Option<Span> {
        match self {
            RunCommand::Shell(text) => Some(text.span.clone()),
            RunCommand::Exec(words) => {
                let (first, last) = (words.first()?, words.last()?);
                Some(first.span.start..last.span.end)
            }
            RunCommand::Script(heredoc) => Some(heredoc.span.clone()),
        }
    }
}
