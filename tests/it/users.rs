//! The same images whoever builds them: root, a user who has a range of others, a user who has
//! none. Both users are made for the tests, and removed again.

use std::path::Path;
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

/// Packages whose scripts make users, set-user-ID programs, capabilities and caches.
const PACKAGES: &[&str] = &["dbus", "libcap2-bin", "man-db", "openssh-client", "sudo"];

const INSTALLS: &str = r#"
FROM base
RUN apt-get update && apt-get install -y --no-install-recommends openssh-client man-db dbus \
  && rm -r /var/log/* /var/lib/dbus/machine-id /var/cache/apt/*.bin /var/cache/ldconfig/aux-cache
RUN dpkg -i /repo/libcap2-bin*.deb /repo/sudo*.deb && rm -r /var/log/* /var/cache/ldconfig/aux-cache
RUN useradd -m -u 1234 ann && useradd -r service && groupadd -g 77 people && usermod -aG people ann
RUN install -o ann -g service -m 2755 /bin/true /t && setcap cap_net_raw=ep /t && getcap /t >/seen \
  && cp -a /usr/bin/ssh-agent /usr/lib/dbus-1.0/dbus-daemon-launch-helper /srv/ \
  && mv /t /t2 && getcap /t2 >>/seen && chown 9:9 /t2 && getcap /t2 >>/seen
RUN su ann -c 'id; touch ~/su' >>/seen && setpriv --reuid 55 --regid 66 --groups 7,77 \
  sh -c 'id -u; id -G; umask 0; mkdir /tmp/m; touch /tmp/m/k; ln -s x /tmp/m/l' >>/seen && cp -a /tmp/m /home/ann/ \
  && tar cf /m.tar --mtime=@0 --sort=name -C /home ann && tar xf /m.tar -C /srv && perl -e 'chown 3, 4, "/tmp/m/k"; \
  @s = stat "/tmp/m/k"; print "@s[4,5]\n"; $> = 55; print "$<,$>\n"; $> = 0; unlink "/tmp/m/k" or die' >>/seen
RUN find / -xdev ! -path '/proc*' \( ! -user root -o ! -group root -o -perm /7000 \) -printf '%p %u %g %m %y\n' | sort >>/seen
"#;

#[test]
fn packages_are_installed_the_same_whoever_builds() {
    if !(require("mmdebstrap") && require("dpkg-scanpackages")) {
        return;
    }
    let Some(ground) = Ground::new() else {
        return;
    };
    let [sources, list] = ["debian.sources", ""].map(|name| match name {
        "" => "/etc/apt/sources.list".to_owned(),
        name => format!("/etc/apt/sources.list.d/{name}"),
    });
    let mirrors = if Path::new(&sources).exists() {
        sources
    } else {
        list
    };
    ground.write("base/Dockerfile", "FROM scratch\nADD debian.tar /\n");
    let packages = PACKAGES.join(" ");
    let download = format!(
        "chroot \"$1\" apt-get -qq -y --no-install-recommends --download-only install {packages} >/dev/null"
    );
    // What is downloaded is the repository that the builds install from.
    let repository = "mkdir \"$1/repo\" && mv \"$1\"/var/cache/apt/archives/*.deb \"$1/repo/\" \
        && cd \"$1\" && dpkg-scanpackages -m repo >repo/Packages 2>/dev/null \
        && rm -f etc/apt/sources.list.d/* && echo 'deb [trusted=yes] file:/ repo/' >etc/apt/sources.list";
    let [download, repository] =
        [download.as_str(), repository].map(|hook| format!("--customize-hook={hook}"));
    let tar = ground.text("base/debian.tar");
    let arguments = [
        "--variant=minbase",
        "--quiet",
        "--skip=cleanup/apt/cache",
        &download,
        &repository,
    ];
    run(program("mmdebstrap", &arguments).args(["bookworm", &tar, &mirrors]));
    let layout = ground.text("layout");
    let output = format!("type=oci,tar=false,dest={layout}");
    run(ground
        .command("root")
        .args(["build", "-o", &output, &ground.text("base")]));
    run(&mut program("chmod", &["-R", "a+rX", &layout]));
    ground.write("context/Dockerfile", INSTALLS);
    let base = format!("base=oci-layout://{layout}");
    ground.builds_the_same(&["--build-context", &base, &ground.text("context")]);
}
