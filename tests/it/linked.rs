//! Files of lower layers that get a second name: which file it is stays the same to who asks.

use std::path::Path;

use crate::support::programs::program;
use crate::support::users::{User, Users};
use crate::support::{require, run};

/// A repository that an earlier step made is cloned by links, which git looks at; and what a file is
/// known by, before it is linked and after, by either name, also where it was let go meanwhile.
const RECIPE: &str = r#"
FROM scratch AS all
COPY root /
COPY --chmod=755 busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
ENV HOME=/ GIT_AUTHOR_NAME=Ann GIT_AUTHOR_EMAIL=ann@example.org GIT_COMMITTER_NAME=Ann \
  GIT_COMMITTER_EMAIL=ann@example.org
RUN mkdir /w && git init -q -b main /w && cd /w && echo one >one && git add one && git commit -q -m One \
  && mkdir /d && cd /d && echo a >a && echo b >b && echo c >c && ln c c2
RUN git clone --local /w /cloned && cat /cloned/one && git -C /cloned fsck --strict \
  && test "$(find /w/.git/objects -type f ! -links 2)" = ""
WORKDIR /d
RUN number() { stat -c %i "$1"; }; before=$(number a) && ln a a2 && test "$(number a2)" = "$before" \
  && test "$(number a)" = "$before" && test "$(stat -c %h a a2 | uniq)" = 2 && ln a2 a3 \
  && test "$(number a3)" = "$before" && mkdir deep && mv a deep/ && test "$(number deep/a)" = "$before" \
  && test "$(cat a3 deep/a | uniq)" = a && echo more >>a2 && test "$(tail -n 1 deep/a)" = more \
  && rm a2 a3 && test "$(number deep/a)" = "$before"
RUN before=$(stat -c %i c) && ln c c3 && test "$(stat -c %i c c3 | uniq | wc -l)" = 1 && echo other >>c \
  && test "$(cat c2)" = c && test "$(stat -c %i c)" != "$(stat -c %i c2)"
RUN ! ln b c && ! ln b nowhere/b && ! ln nothing b2 && test "$(stat -c %h b)" = 1 \
  && ln -s b l && ln l l2 && test "$(readlink l2)" = b
FROM all
USER 1000:1000
RUN ! ln b b2 && test ! -e b2
"#;

/// Copies a program of this machine, and what it is linked with.
fn put(from: &Path, root: &Path) {
    let linked = run(program("ldd", &[]).arg(from));
    let words = linked.split_whitespace();
    let libraries = words.filter(|word| word.starts_with('/')).map(Path::new);
    for file in libraries.chain([from]) {
        let place = root.join(file.strip_prefix("/").unwrap());
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        std::fs::copy(file, place).unwrap();
    }
}

#[test]
fn a_linked_file_of_a_lower_layer_is_the_one_that_it_was() {
    if !["busybox", "git", "ldd"].into_iter().all(require) {
        return;
    }
    let Some(users) = Users::new() else {
        return;
    };
    users.write("context/Dockerfile", RECIPE);
    std::fs::copy("/bin/busybox", users.path("context/busybox")).unwrap();
    let root = users.path("context/root");
    let git = run(program("sh", &["-c", "command -v git"]).env("LC_ALL", "C"));
    let git = Path::new(git.trim());
    put(git, &root);
    let serves = git.with_file_name("git-upload-pack");
    let serves = root.join(serves.strip_prefix("/").unwrap());
    std::os::unix::fs::symlink(git, serves).unwrap();
    let helpers = run(&mut program("git", &["--exec-path"]));
    put(&Path::new(helpers.trim()).join("git"), &root);
    run(program("chmod", &["-R", "a+rX"]).arg(users.path("context")));
    let context = users.text("context");
    let build = |user, arguments: &[&str]| {
        let mut command = users.cairn(user);
        command.args(["build", "-q", "--network=none", "--platform=linux/amd64"]);
        run(command.args(arguments).arg(&context))
    };
    let digests = User::ALL.map(|user| build(user, &["--target", "all"]));
    assert_eq!(digests[0], digests[1], "with a range of users");
    assert_eq!(digests[0], digests[2], "with no other users");
    // Where there is one user, nobody is kept from anybody's files.
    let digests = [User::Me, User::Ranged].map(|user| build(user, &[]));
    assert_eq!(digests[0], digests[1], "as somebody who may not");
}
