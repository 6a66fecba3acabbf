//! The same images whoever builds them.

use std::path::Path;

use crate::support::programs::{make_tries, program};
use crate::support::users::{User, Users};
use crate::support::{require, run};

/// What each user has of a build, its digest, is the same.
#[track_caller]
fn builds_the_same(users: &Users, arguments: &[&str]) {
    let [me, ranged, single] = User::ALL.map(|user| {
        let mut command = users.cairn(user);
        command.args(["build", "--platform", "linux/amd64"]);
        run(command.args(arguments)).trim().to_owned()
    });
    assert_eq!(me, ranged, "with a range of users");
    assert_eq!(me, single, "with no other users");
}

/// What changes owners, on a root of busybox: every step stands on what the ones before it left,
/// and says what it sees.
pub const CHANGES: &str = r#"
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
    if !require("busybox") {
        return;
    }
    let Some(users) = Users::new() else {
        return;
    };
    users.write("context/Dockerfile", CHANGES);
    users.write("context/file", "x");
    users.write("context/tree/file", "y");
    let context = users.text("context");
    std::os::unix::fs::symlink("file", format!("{context}/tree/link")).unwrap();
    std::fs::copy("/bin/busybox", format!("{context}/busybox")).unwrap();
    builds_the_same(&users, &[&context]);
    // Each step by itself, as a last stage might hide what those before it are like.
    builds_the_same(&users, &["--target", "busy", &context]);
}

/// Links and pipes of others, which an overlay copies up in every way that there is.
const COPIES: &str = r#"
FROM scratch AS busy
COPY --chmod=755 busybox tries /bin/
RUN ["/bin/busybox", "--install", "-s", "/bin"]
WORKDIR /w
RUN for n in 1 2 3 4 5 6 7 8 9; do ln -s x l$n; chown -h 33:3$n l$n; mkfifo -m 4644 p$n; chown 44:4$n p$n; \
  chmod 4640 p$n; done; for n in 1 2 3 4 5; do mkfifo q$n; chown 55:5$n q$n; done; touch f
RUN touch -h l1 && touch p1 && chmod 600 p2 && mv l3 m3 && mv p3 n3 && ln l4 m4 && ln p4 n4 \
  && tries exchange l5 p5 && tries exchange f l6 && ln -s y new && mv new l7 && mv l8 p6 && mv p7 l9 \
  && tries write p8 && tries link-empty p9 n9 && tries fchmod q1 640 && tries futimens q2 \
  && chmod 666 q3 && tries chown q4 56 && mkdir d && mv q5 l2 d
RUN stat -c '%n %u:%g %a %F' * d/* >/seen && tries exchange l5 p5 && chmod 600 p5 && mv m3 l3 && touch -h l3 d/l2
RUN stat -c '%n %u:%g %a %F' * d/* >>/seen
FROM scratch
COPY --from=busy / /
"#;

#[test]
fn owners_outlive_every_copy_up() {
    if !(require("busybox") && require("cc")) {
        return;
    }
    let Some(users) = Users::new() else {
        return;
    };
    users.write("context/Dockerfile", COPIES);
    let context = users.text("context");
    std::fs::copy("/bin/busybox", format!("{context}/busybox")).unwrap();
    make_tries(&users.path("context/tries"));
    builds_the_same(&users, &["--target", "busy", &context]);
    builds_the_same(&users, &[&context]);
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
    let Some(users) = Users::new() else {
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
    users.write("base/Dockerfile", "FROM scratch\nADD debian.tar /\n");
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
    let tar = users.text("base/debian.tar");
    let arguments = [
        "--variant=minbase",
        "--quiet",
        "--skip=cleanup/apt/cache",
        &download,
        &repository,
    ];
    run(program("mmdebstrap", &arguments).args(["bookworm", &tar, &mirrors]));
    let layout = users.text("layout");
    let output = format!("type=oci,tar=false,dest={layout}");
    run(users
        .cairn(User::Me)
        .args(["build", "-o", &output, &users.text("base")]));
    run(&mut program("chmod", &["-R", "a+rX", &layout]));
    users.write("context/Dockerfile", INSTALLS);
    let base = format!("base=oci-layout://{layout}");
    builds_the_same(&users, &["--build-context", &base, &users.text("context")]);
}
