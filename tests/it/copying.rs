//! Stores on file systems that no overlay can be written to, as the root of any container is one:
//! layers are copied for each command, and nothing else is different.

use std::process::Command;

use crate::support::engines::drivers;
use crate::support::programs::program;
use crate::support::users::{User, Users};
use crate::support::{require, run};

/// What overlays and copies write down in different ways. Of what commands see, the numbers of
/// links and the sizes of directories are not the same: nobody looks at them here.
const CHANGES: &str = r#"
FROM scratch AS base
COPY --chmod=755 busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
ADD attributes.tar /
RUN mkdir -p dir/kept/deep dir/lost/deep over file-to-be tree/a/b; echo a >dir/a; echo x >dir/kept/x; \
  echo y >dir/lost/deep/y; echo z >over/z; echo q >over/q; echo t >tree/a/b/t; chmod 700 dir/lost; \
  touch -d @1000 dir/kept/deep; mkfifo -m 620 pipe; ln -s nowhere link; chmod 4755 dir/a
RUN chown 3:4 pipe dir/kept; chown -h 5:6 link; mknod null c 1 3; echo 1 >one; ln one two; ln one dir/three
FROM base
RUN rm -r dir/lost; rm -r over; mkdir over; echo n >over/n; chmod 600 dir/a; mv tree tree2
# Of the names of one file the one that is written to, given away or renamed parts from the others.
RUN echo 2 >>one; chmod 640 two; cat one two dir/three; ln dir/three four; mv two five
RUN rm -r file-to-be null pipe; echo f >file-to-be; mkdir pipe; rm link; touch link; echo new >dir/kept/x
RUN --mount=type=bind,from=base,target=/m,rw --mount=type=tmpfs,target=/m/dir \
    --mount=type=cache,target=/cache/deep --mount=type=bind,target=/context \
  ls -A /m /m/dir /context >seen; echo lost >/m/lost; rm -r /m/over; touch /cache/deep/x; \
  stat -c '%a %u:%g %n' /m/pipe /m/link /m/one >>seen
WORKDIR /made/for/it
RUN pwd >here; chmod 711 /dir; touch -d @77 /tree2/a/b/t; mv /dir /dir2; mkdir -p /dir/kept
RUN find /dir /dir2 /four /five /one /over /tree2 /pipe /link /made /file-to-be | sort | \
  xargs stat -c '%a %u:%g %Y %F %n' >/all; test ! -e /null && cat /seen >>/all
"#;

/// An archive of a file with a capability, and an attribute of users.
fn attributes() -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let capability = b"\0\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    let xattrs = [
        ("SCHILY.xattr.security.capability", capability.as_slice()),
        ("SCHILY.xattr.user.note", b"kept"),
    ];
    tar.append_pax_extensions(xattrs).unwrap();
    let mut header = tar::Header::new_ustar();
    header.set_mode(0o755);
    header.set_size(4);
    tar.append_data(&mut header, "capable", b"text".as_slice())
        .unwrap();
    tar.into_inner().unwrap()
}

/// `command` with an overlay mounted on its store, which nobody else sees.
fn on_an_overlay(users: &Users, user: User, command: &Command) -> Command {
    let store = users.store(user);
    let folder = |name: &str| {
        let path = users.path(&format!("{name}-{user:?}"));
        std::fs::create_dir(&path).unwrap();
        users.give(user, &path);
        path.to_str().unwrap().to_owned()
    };
    let (upper, work) = (folder("upper"), folder("work"));
    let store = store.to_str().unwrap();
    let options = format!("lowerdir={store},upperdir={upper},workdir={work}");
    let script = "mount -t overlay overlay -o \"$0\" \"$1\" && shift && exec \"$@\"";
    let mut inside = program("unshare", &["--mount", "sh", "-c", script, &options, store]);
    inside.env_clear().arg(command.get_program());
    inside.args(command.get_args());
    for (name, value) in command.get_envs() {
        inside.env(name, value.unwrap_or_default());
    }
    inside
}

/// The digest of what `user` builds, and what was said of it.
fn build(mut command: Command) -> (String, String) {
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    (String::from_utf8(output.stdout).unwrap(), said)
}

const NOTE: &str = "layers are copied for each command, as no overlay can be written to on the \
                    store's file system, overlay (Invalid argument (os error 22)); `cairn doctor` \
                    says more\n";

#[test]
fn layers_are_the_same_where_they_are_copied() {
    if !(require("busybox") && require("unshare") && drivers("", "overlay").len() == 2) {
        return;
    }
    // To a `cp -a` of the same command an overlay shows links that it made as files.
    let owners = crate::users::CHANGES.replace(" && ln a/f a/f2", "");
    assert_ne!(owners, crate::users::CHANGES);
    for (user, recipe) in [
        (User::Me, CHANGES),
        (User::Single, CHANGES),
        (User::Me, &owners),
        (User::Single, &owners),
    ] {
        let Some(users) = Users::new() else {
            return;
        };
        users.write("context/Dockerfile", recipe);
        users.write("context/file", "x");
        users.write("context/tree/file", "y");
        let context = users.text("context");
        std::fs::write(users.path("context/attributes.tar"), attributes()).unwrap();
        std::fs::copy("/bin/busybox", format!("{context}/busybox")).unwrap();
        let arguments = ["build", "--network", "none", &context];
        let cairn = || {
            let mut cairn = users.cairn(user);
            cairn.args(arguments);
            cairn
        };
        let copied = build(on_an_overlay(&users, user, &cairn()));
        let mounted = build(cairn());
        assert_eq!(copied.0, mounted.0, "{user:?}");
        assert_eq!(copied.1.matches(NOTE).count(), 1, "{}", copied.1);
        assert!(!mounted.1.contains("layers are copied"), "{}", mounted.1);
        // The overlay's own folder, whose files are the sandbox's users'.
        run(&mut program(
            "rm",
            &["-rf", &users.text(&format!("upper-{user:?}"))],
        ));
    }
}
