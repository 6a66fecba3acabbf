//! The same images whoever builds them: root, a user who has a range of others, a user who has
//! none. Both users are made for the tests, and removed again.

use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::support::programs::{program, skipped};
use crate::support::{cairn, copy_program, require, run, temp};

/// The names of users are the machine's.
static USERS: Mutex<()> = Mutex::new(());

/// A user with a range of others, and one without.
const RANGED: &str = "cairn-ranged";
const SINGLE: &str = "cairn-single";

/// Users, and a folder where all of them may build.
struct Ground {
    folder: tempfile::TempDir,
    _alone: MutexGuard<'static, ()>,
}

impl Drop for Ground {
    fn drop(&mut self) {
        remove_users();
    }
}

fn remove_users() {
    for user in [RANGED, SINGLE] {
        // There is none where a test did not get that far.
        let _ = program("userdel", &[user]).stderr(Stdio::null()).status();
    }
}

impl Ground {
    /// None where such users can't be made.
    fn new() -> Option<Ground> {
        if !rustix::process::geteuid().is_root() {
            skipped("users can be made by root only");
            return None;
        }
        let programs = ["busybox", "newuidmap", "setpriv", "useradd", "userdel"];
        if !programs.iter().all(|program| require(program)) {
            return None;
        }
        let alone = USERS.lock().unwrap_or_else(PoisonError::into_inner);
        remove_users();
        let ground = Ground {
            folder: temp(),
            _alone: alone,
        };
        run(&mut program("useradd", &["-M", "-s", "/bin/sh", RANGED]));
        // A system's user gets no range.
        run(&mut program(
            "useradd",
            &["-r", "-M", "-s", "/bin/sh", SINGLE],
        ));
        let ranges = std::fs::read_to_string("/etc/subuid").unwrap();
        assert!(
            ranges.contains(RANGED) && !ranges.contains(SINGLE),
            "{ranges}"
        );
        run(&mut program("chmod", &["755", &ground.text("")]));
        copy_program(&ground.folder.path().join("cairn"));
        Some(ground)
    }

    fn text(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn write(&self, name: &str, content: &str) {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// cairn as `user`, with a store of their own.
    fn command(&self, user: &str) -> Command {
        let home = self.folder.path().join(format!("home-{user}"));
        std::fs::create_dir_all(&home).unwrap();
        run(&mut program("chown", &[user, home.to_str().unwrap()]));
        let group = run(&mut program("id", &["-g", user]));
        let like = cairn(&home);
        let mut command = program("setpriv", &["--reuid", user, "--regid", group.trim()]);
        command.env_clear().stdin(Stdio::null());
        for (name, value) in like.get_envs() {
            command.env(name, value.unwrap_or_default());
        }
        command.arg("--init-groups").arg(self.text("cairn"));
        command
    }

    /// What each of the three users has of a build: its digest.
    fn digests(&self, arguments: &[&str]) -> [String; 3] {
        ["root", RANGED, SINGLE].map(|user| {
            let mut command = self.command(user);
            command.args(["build", "--platform", "linux/amd64"]);
            run(command.args(arguments)).trim().to_owned()
        })
    }

    #[track_caller]
    fn builds_the_same(&self, arguments: &[&str]) {
        let [root, ranged, single] = self.digests(arguments);
        assert_eq!(root, ranged, "with a range of users");
        assert_eq!(root, single, "with no other users");
    }
}

/// What changes owners, on a root of busybox: every step stands on what the ones before it left,
/// and says what it sees.
const CHANGES: &str = r#"
FROM scratch AS busy
COPY --chmod=4755 busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
COPY <<END /etc/passwd
root:x:0:0:root:/root:/bin/sh
ann:x:1000:1001:Ann:/home/ann:/bin/sh
END
COPY <<END /etc/group
root:x:0:
ann:x:1001:
staff:x:50:ann
END
COPY --chown=ann:staff --chmod=640 file /given/
COPY --chown=7:8 tree /given/tree
RUN mkdir -m 1777 /tmp /home && mkdir /home/ann /var && chown ann:ann /home/ann
WORKDIR /w
RUN mkdir a && echo x >a/f && ln -s f a/l && mkfifo a/p && chown -hR 12:34 a && chown -h 5:6 a/l \
  && chgrp 77 a/f && chmod 4750 a/f && cp -a a b && tar cf a.tar a && mkdir c && tar xpf a.tar -C c \
  && cp a/f t && chown ann:staff t && chmod 2755 t && mkdir d && chown 3:4 d && rm a.tar
RUN find /w /given -exec stat -c '%n %u:%g %a %F' {} + | sort >/seen
RUN mv a/l a/l2 && mv a/p a/p2 && ln a/l2 a/l3 && ln a/f a/f2 && rm -r b && cp -a a e \
  && chown -h 9:9 c/a/l && mv c g && cp -a /given /copied && chown 0:0 d
RUN find /w /copied -exec stat -c '%n %u:%g %a %F' {} + | sort >>/seen
RUN mknod /null c 1 3 && mknod /block b 7 1 && chmod 600 /block && chown 6:6 /block && mkdir -m 2775 /set \
  && chgrp 50 /set && chmod g+s /set && touch /set/f && mkdir /set/d
RUN mv /null /null2 && chown 1:2 /null2 && chmod 000 /w/a/f && cat /w/a/f >>/seen
USER ann
RUN id >/tmp/id; cd; touch f; mkdir d; ln -s f l; mkfifo p; chgrp staff f; chmod 1777 d; umask >>/tmp/id; \
  chown 0 f || chgrp 12 f || echo no >>/tmp/id; (umask 0; mkdir u; : >u/f)
USER 44:55
RUN id -u >/tmp/id2; id -g >>/tmp/id2; ln -s x /tmp/l; mkfifo /tmp/p
USER root
RUN su ann -c 'id -un; id -Gn; touch ~/su' >/tmp/id3 && stat -c '%n %u:%g %a %F' /tmp/* /home/ann/* >>/seen
FROM scratch
COPY --from=busy / /
"#;

#[test]
fn files_have_the_same_owners_whoever_builds() {
    let Some(ground) = Ground::new() else {
        return;
    };
    ground.write("context/Dockerfile", CHANGES);
    ground.write("context/file", "x");
    ground.write("context/tree/file", "y");
    let context = ground.text("context");
    std::os::unix::fs::symlink("file", format!("{context}/tree/link")).unwrap();
    std::fs::copy("/bin/busybox", format!("{context}/busybox")).unwrap();
    ground.builds_the_same(&[&context]);
    // Each step by itself, as a last stage might hide what those before it are like.
    ground.builds_the_same(&["--target", "busy", &context]);
}
