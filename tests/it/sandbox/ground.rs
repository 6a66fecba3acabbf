//! A root to run commands on, and what other tests of the sandbox share.

use std::path::Path;

use cairn::canon::EntryPath;
use cairn::sandbox::{Exit, Found, Outcome, Request, Session, SessionSettings, Stream, Wanted};

use crate::support::programs::make_tries;
use crate::support::{require, temp};

/// What busybox is in the root.
const TOOLS: &str = "sh ls cat id mkdir rm touch true sleep hostname mv ln chown chmod mknod mount \
    umount unshare kill ps stat readlink head wc echo dd setpriv grep ip chroot tail env mkfifo";

pub fn path(text: &str) -> EntryPath {
    EntryPath::new(text.as_bytes()).unwrap()
}

fn open_to_all(folders: &[&Path], owner: u32) {
    for folder in folders {
        let all = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        std::fs::set_permissions(folder, all).unwrap();
        if owner != 0 {
            std::os::unix::fs::chown(folder, Some(owner), Some(owner)).unwrap();
        }
    }
}

/// A session whose agent is the program that cargo built.
pub fn open(program: &Path, identity: Wanted) -> Session {
    let program = program.to_owned();
    Session::open(&SessionSettings { program, identity }).unwrap()
}

/// A root with busybox in it, and room for what runs leave.
pub struct Ground {
    pub session: Session,
    pub folder: tempfile::TempDir,
    owner: u32,
    runs: std::cell::Cell<u32>,
}

impl Ground {
    pub fn new(identity: Wanted) -> Option<Ground> {
        Ground::with(Path::new(env!("CARGO_BIN_EXE_cairn")), identity, 0)
    }

    /// With an agent of its own, which is the user `owner`.
    pub fn with(program: &Path, identity: Wanted, owner: u32) -> Option<Ground> {
        if !require("busybox") {
            return None;
        }
        let folder = temp();
        let base = folder.path().join("base");
        std::fs::create_dir(&base).unwrap();
        open_to_all(&[folder.path(), &base], owner);
        let mut tar = tar::Builder::new(Vec::new());
        let mut add = |path: &str, kind, mode, content: &[u8], link: Option<&str>| {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(kind);
            header.set_mode(mode);
            header.set_size(content.len() as u64);
            header.set_uid(0);
            header.set_gid(0);
            header.set_mtime(1_000_000);
            match link {
                Some(link) => tar.append_link(&mut header, path, link).unwrap(),
                None => tar.append_data(&mut header, path, content).unwrap(),
            }
        };
        let busybox = std::fs::read("/bin/busybox").unwrap();
        use tar::EntryType::{Directory, Regular, Symlink};
        add("bin", Directory, 0o755, b"", None);
        add("bin/busybox", Regular, 0o755, &busybox, None);
        for name in TOOLS.split_whitespace() {
            add(&format!("bin/{name}"), Symlink, 0o777, b"", Some("busybox"));
        }
        add("etc", Directory, 0o755, b"", None);
        add(
            "etc/passwd",
            Regular,
            0o644,
            b"root:x:0:0::/root:/bin/sh\n",
            None,
        );
        add("tmp", Directory, 0o1777, b"", None);
        let tar = tar.into_inner().unwrap();
        let session = open(program, identity);
        session.unpack(&mut tar.as_slice(), &base, &[]).unwrap();
        Some(Ground {
            session,
            folder,
            owner,
            runs: std::cell::Cell::new(0),
        })
    }

    pub fn request(&self, script: &str) -> Request {
        let number = self.runs.get();
        self.runs.set(number + 1);
        let folder = self.folder.path().join(format!("run-{number}"));
        let (upper, work) = (folder.join("upper"), folder.join("work"));
        std::fs::create_dir_all(&upper).unwrap();
        std::fs::create_dir(&work).unwrap();
        open_to_all(&[&folder, &upper, &work], self.owner);
        Request {
            lowers: vec![self.folder.path().join("base")],
            upper,
            work,
            arguments: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
            env: vec![("PATH".to_owned(), "/bin".to_owned())],
            ..Request::default()
        }
    }

    /// As [`Ground::request`], with `support/tries.c` as `/tries`.
    pub fn with_tries(&self, script: &str) -> Request {
        let tools = self.folder.path().join("tools");
        if !tools.exists() {
            std::fs::create_dir(&tools).unwrap();
            make_tries(&tools.join("tries"));
            open_to_all(&[&tools, &tools.join("tries")], self.owner);
        }
        let mut request = self.request(script);
        request.lowers.insert(0, tools);
        request
    }

    pub fn run(&self, request: &Request) -> (Outcome, String, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut output = |stream, bytes: &[u8]| {
            match stream {
                Stream::Output => out.extend_from_slice(bytes),
                Stream::Error => err.extend_from_slice(bytes),
            }
            Ok(())
        };
        let outcome = self.session.run(request, &mut output).unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (outcome, text(out), text(err))
    }

    /// What a run left in its upper folder, stubs left out.
    pub fn changes(&self, request: &Request, outcome: &Outcome) -> Vec<Found> {
        let mut found = self.session.list(&request.upper).unwrap();
        found.retain(|found| !outcome.stubs.contains(&found.path));
        found
    }

    #[track_caller]
    pub fn says(&self, script: &str, expected: &str) {
        self.answers(&self.request(script), expected);
    }

    #[track_caller]
    pub fn answers(&self, request: &Request, expected: &str) {
        let (outcome, out, err) = self.run(request);
        assert_eq!(
            (outcome.exit, out.as_str()),
            (Exit::Code(0), expected),
            "{err}"
        );
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        let _ = self.session.remove(&self.folder.path().join("base"));
        for number in 0..self.runs.get() {
            let run = self.folder.path().join(format!("run-{number}"));
            let _ = self.session.remove(&run);
        }
    }
}
