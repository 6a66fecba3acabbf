//! What is otherwise for a rebuild.
//!
//! In: what to have otherwise; the context. Out: this process is elsewhere; what couldn't be, and why.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::cli::arguments::verify::Verify;
use crate::cli::environment::Environment;
use crate::cli::exit::{Code, Failure};
use crate::sandbox::vary;
use crate::store::io_error;
use crate::verify::Variation;

/// How far back the context's file times lie.
const YEARS: Duration = Duration::from_secs(7 * 365 * 86_400);
/// Processes that come before the rebuild's.
const PROCESSES: usize = 37;

/// What is otherwise, for as long as it lives.
#[derive(Default)]
pub struct Otherwise {
    /// What isn't, and why.
    pub not: BTreeMap<Variation, String>,
    /// The context, where it lies elsewhere.
    pub context: Option<PathBuf>,
    is_over: Arc<AtomicBool>,
}

impl Drop for Otherwise {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

/// Variables by which a process has another language and time zone.
pub fn locale() -> [(OsString, OsString); 4] {
    [
        ("LANG", "tr_TR.UTF-8"),
        ("LC_ALL", "tr_TR.UTF-8"),
        ("LANGUAGE", "tr"),
        ("TZ", "Asia/Kathmandu"),
    ]
    .map(|(name, value)| (name.into(), value.into()))
}

/// Has `varied` otherwise for this process. `folder` is the rebuild's own.
pub fn apply(
    varied: &BTreeSet<Variation>,
    arguments: &mut Verify,
    environment: &Environment,
    folder: &Path,
) -> Result<Otherwise, Failure> {
    let mut it = Otherwise::default();
    let all = vary::cores().map_err(|error| Failure::new(Code::Failed, error))?;
    // First of all, while this process has one thread.
    for variation in varied {
        let done = match variation {
            Variation::Hostname => vary::host_name("elsewhere"),
            Variation::KernelName => vary::kernel_name(),
            Variation::Cores => one_core(&all),
            Variation::Pid => processes(),
            Variation::Memory if arguments.commands.memory.is_some() => {
                Err(std::io::Error::other("`--memory` says how much there is"))
            }
            Variation::Memory => vary::memory().map(|all| {
                arguments.commands.memory = Some(all / 2);
            }),
            _ => Ok(()),
        };
        if let Err(error) = done {
            let why = match error.kind() {
                std::io::ErrorKind::PermissionDenied if !rustix::process::geteuid().is_root() => {
                    "only root may".to_owned()
                }
                _ => error.to_string(),
            };
            it.not.insert(*variation, why);
        }
    }
    let moving = [Variation::Path, Variation::FsOrder, Variation::Time];
    let moving: BTreeSet<_> = moving
        .into_iter()
        .filter(|it| varied.contains(it))
        .collect();
    if !moving.is_empty() {
        let context = environment.absolute(Path::new(&arguments.recipe.context));
        let context = context.canonicalize().unwrap_or(context);
        if arguments.recipe.is_fetched() || !context.is_dir() {
            let why = "the context is no folder";
            it.not.extend(moving.iter().map(|of| (*of, why.to_owned())));
        } else {
            let to = folder.join("a context that lies elsewhere").join("context");
            let copy = Copy {
                is_reversed: moving.contains(&Variation::FsOrder),
                back: moving.contains(&Variation::Time).then_some(YEARS),
            };
            let parent = to.parent().unwrap_or(&to);
            std::fs::create_dir_all(parent).map_err(io_error("make", parent))?;
            copy.tree(&context, &to)
                .map_err(io_error("copy the context to", &to))?;
            it.context = Some(to);
        }
    }
    if varied.contains(&Variation::Load) {
        for _ in 0..2 * all.count() {
            let is_over = Arc::clone(&it.is_over);
            std::thread::spawn(move || {
                // Also where this process has one.
                let _ = vary::take_cores(&all);
                while !is_over.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
    }
    Ok(it)
}

fn one_core(all: &vary::Cores) -> std::io::Result<()> {
    match all.count() {
        0 | 1 => Err(std::io::Error::other("this process has one processor")),
        _ => vary::take_cores(&all.first()),
    }
}

fn processes() -> std::io::Result<()> {
    for _ in 0..PROCESSES {
        let mut other = std::process::Command::new("/proc/self/exe");
        other.arg("--version").stdout(std::process::Stdio::null());
        other.status()?;
    }
    Ok(())
}

/// How a folder is copied.
struct Copy {
    is_reversed: bool,
    back: Option<Duration>,
}

impl Copy {
    fn tree(&self, from: &Path, to: &Path) -> std::io::Result<()> {
        let meta = from.symlink_metadata()?;
        if meta.is_symlink() {
            return std::os::unix::fs::symlink(std::fs::read_link(from)?, to);
        }
        if meta.is_dir() {
            std::fs::create_dir(to)?;
            #[expect(clippy::disallowed_methods, reason = "it is sorted")]
            let entries = std::fs::read_dir(from)?.map(|entry| Ok(entry?.file_name()));
            let mut names = entries.collect::<std::io::Result<Vec<_>>>()?;
            names.sort();
            if self.is_reversed {
                names.reverse();
            }
            for name in names {
                self.tree(&from.join(&name), &to.join(&name))?;
            }
        } else if meta.is_file() {
            std::fs::copy(from, to)?;
        } else {
            let kind = rustix::fs::FileType::from_raw_mode(meta.mode());
            let mode = rustix::fs::Mode::from_raw_mode(meta.mode());
            rustix::fs::mknodat(rustix::fs::CWD, to, kind, mode, meta.rdev())?;
        }
        std::fs::set_permissions(to, std::fs::Permissions::from_mode(meta.mode()))?;
        let time = meta.modified()?;
        let time = self
            .back
            .and_then(|back| time.checked_sub(back))
            .unwrap_or(time);
        let times = std::fs::FileTimes::new().set_modified(time);
        match meta.is_file() || meta.is_dir() {
            true => std::fs::File::open(to)?.set_times(times),
            false => Ok(()),
        }
    }
}
