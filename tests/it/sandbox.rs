//! The sandbox: what a command sees, how it ends, and that nothing is left of it.

use std::path::PathBuf;

use cairn::sandbox::{Exit, Outcome, Request, Session, SessionSettings, Stream, Wanted};

use super::support::{require, temp};

/// A session whose agent is the program that cargo built.
fn open(identity: Wanted) -> Session {
    let settings = SessionSettings {
        program: PathBuf::from(env!("CARGO_BIN_EXE_cairn")),
        identity,
    };
    Session::open(&settings).unwrap()
}

/// A root with busybox in it, and room for what runs leave.
struct Ground {
    session: Session,
    folder: tempfile::TempDir,
    runs: std::cell::Cell<u32>,
}

impl Ground {
    fn new(identity: Wanted) -> Option<Ground> {
        if !require("busybox") {
            return None;
        }
        let folder = temp();
        let base = folder.path().join("base");
        std::fs::create_dir(&base).unwrap();
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
        for name in [
            "sh", "ls", "cat", "id", "mkdir", "rm", "touch", "true", "sleep", "hostname",
        ] {
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
        let session = open(identity);
        session.unpack(&mut tar.as_slice(), &base, &[]).unwrap();
        Some(Ground {
            session,
            folder,
            runs: std::cell::Cell::new(0),
        })
    }

    fn request(&self, script: &str) -> Request {
        let number = self.runs.get();
        self.runs.set(number + 1);
        let folder = self.folder.path().join(format!("run-{number}"));
        let (upper, work) = (folder.join("upper"), folder.join("work"));
        std::fs::create_dir_all(&upper).unwrap();
        std::fs::create_dir(&work).unwrap();
        Request {
            lowers: vec![self.folder.path().join("base")],
            upper,
            work,
            arguments: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
            env: vec![("PATH".to_owned(), "/bin".to_owned())],
            ..Request::default()
        }
    }

    fn run(&self, request: &Request) -> (Outcome, String, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut output = |stream, bytes: &[u8]| match stream {
            Stream::Output => out.extend_from_slice(bytes),
            Stream::Error => err.extend_from_slice(bytes),
        };
        let outcome = self.session.run(request, &mut output).unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (outcome, text(out), text(err))
    }

    #[track_caller]
    fn says(&self, script: &str, expected: &str) {
        let (outcome, out, err) = self.run(&self.request(script));
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

const BOTH: [Wanted; 2] = [Wanted::Best, Wanted::Single];

#[test]
fn a_command_runs_and_says_so() {
    for identity in BOTH {
        let Some(ground) = Ground::new(identity) else {
            return;
        };
        ground.says(
            "echo hello; id -u; hostname; echo $$",
            "hello\n0\ncairn\n2\n",
        );
    }
}
