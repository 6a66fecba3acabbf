//! Values of steps: paths, patterns, modes, owners, addresses.

use insta::assert_snapshot;

use super::errors;

#[test]
fn paths_of_the_image_are_absolute_and_plain() {
    assert_snapshot!(errors(r#"
from = "scratch"
[[steps]]
copy = { paths = ["src"], to = "src/" }
[[steps]]
copy = { paths = ["a", "b"], to = "/ab" }
[[steps]]
file = { path = "/etc/../passwd", content = "" }
[[steps]]
file = { path = "/etc/", content = "" }
[[steps]]
symlink = { path = "bin", target = "" }
[[steps]]
remove = { paths = ["tmp/*", "/", "/a/../b"] }
[config]
workdir = "app"
volumes = ["/", "data"]
"#), @r#"
error: `src/` is not an absolute path
 --> cairn.toml:4:32
  |
4 | copy = { paths = ["src"], to = "src/" }
  |                                ^^^^^^
  |
  = hint: write `/src/`

error: several sources need a directory to be copied to
 --> cairn.toml:6:35
  |
6 | copy = { paths = ["a", "b"], to = "/ab" }
  |                                   ^^^^^
  |
  = hint: write `/ab/`

error: `/etc/../passwd` is no path of an image: it holds `..`
 --> cairn.toml:8:17
  |
8 | file = { path = "/etc/../passwd", content = "" }
  |                 ^^^^^^^^^^^^^^^^
  |
  = hint: write the path that is meant

error: `/etc/` names a directory
  --> cairn.toml:10:17
   |
10 | file = { path = "/etc/", content = "" }
   |                 ^^^^^^^
   |
   = hint: end it with a name

error: `bin` is not an absolute path
  --> cairn.toml:12:20
   |
12 | symlink = { path = "bin", target = "" }
   |                    ^^^^^
   |
   = hint: write `/bin`

error: the target is empty
  --> cairn.toml:12:36
   |
12 | symlink = { path = "bin", target = "" }
   |                                    ^^

error: `tmp/*` is not an absolute path
  --> cairn.toml:14:21
   |
14 | remove = { paths = ["tmp/*", "/", "/a/../b"] }
   |                     ^^^^^^^
   |
   = hint: write `/tmp/*`

error: the root can't be removed
  --> cairn.toml:14:30
   |
14 | remove = { paths = ["tmp/*", "/", "/a/../b"] }
   |                              ^^^
   |
   = hint: `"/*"` is all that it holds

error: `/a/../b` is no path of an image: it holds `..`
  --> cairn.toml:14:35
   |
14 | remove = { paths = ["tmp/*", "/", "/a/../b"] }
   |                                   ^^^^^^^^^
   |
   = hint: write the path that is meant

error: `app` is not an absolute path
  --> cairn.toml:16:11
   |
16 | workdir = "app"
   |           ^^^^^
   |
   = hint: write `/app`

error: the root can't be a volume
  --> cairn.toml:17:12
   |
17 | volumes = ["/", "data"]
   |            ^^^

error: `data` is not an absolute path
  --> cairn.toml:17:17
   |
17 | volumes = ["/", "data"]
   |                 ^^^^^^
   |
   = hint: write `/data`
"#);
}

#[test]
fn sources_stay_inside_their_folder() {
    assert_snapshot!(errors(r#"
from = "scratch"
[contexts]
assets = "/home/me/assets"
none = ""
[[steps]]
copy = { paths = ["../secret", "a[", ""], to = "/" }
[[steps]]
copy = { paths = [], to = "/", exclude = [" ", "b\\"] }
"#), @r#"
error: `/home/me/assets` is the path of one machine
 --> cairn.toml:4:10
  |
4 | assets = "/home/me/assets"
  |          ^^^^^^^^^^^^^^^^^
  |
  = hint: write it relative to the recipe, or give it on the command line

error: the path is empty
 --> cairn.toml:5:8
  |
5 | none = ""
  |        ^^
  |
  = hint: `"."` is the recipe's own folder

error: `../secret` leads out of the folder
 --> cairn.toml:7:19
  |
7 | copy = { paths = ["../secret", "a[", ""], to = "/" }
  |                   ^^^^^^^^^^^
  |
  = hint: name another folder in `[contexts]`, and copy from that

error: `a[` is no pattern: a `[` is not closed, a range is incomplete or backwards, or a `\` stands at the end
 --> cairn.toml:7:32
  |
7 | copy = { paths = ["../secret", "a[", ""], to = "/" }
  |                                ^^^^
  |
  = hint: `[[]` stands for a `[` that is meant as it is

error: the path is empty
 --> cairn.toml:7:38
  |
7 | copy = { paths = ["../secret", "a[", ""], to = "/" }
  |                                      ^^
  |
  = hint: `"."` is all of it

error: `paths` is empty
 --> cairn.toml:9:18
  |
9 | copy = { paths = [], to = "/", exclude = [" ", "b\\"] }
  |                  ^^
  |
  = hint: name what is meant

error: the pattern is empty
 --> cairn.toml:9:43
  |
9 | copy = { paths = [], to = "/", exclude = [" ", "b\\"] }
  |                                           ^^^
  |
  = hint: `"**"` matches everything

error: `b\` is no pattern: a `[` is not closed, a range is incomplete or backwards, or a `\` stands at the end
 --> cairn.toml:9:48
  |
9 | copy = { paths = [], to = "/", exclude = [" ", "b\\"] }
  |                                                ^^^^^
  |
  = hint: `[[]` stands for a `[` that is meant as it is
"#);
}

#[test]
fn modes_and_owners_have_their_form() {
    assert_snapshot!(errors(r#"
from = "scratch"
[[steps]]
directory = { path = "/a", mode = "u+x", owner = "a:b:c" }
[[steps]]
directory = { path = "/b", mode = "0o755", owner = "my user" }
[config]
user = ""
"#), @r#"
error: `u+x` is no mode
 --> cairn.toml:4:35
  |
4 | directory = { path = "/a", mode = "u+x", owner = "a:b:c" }
  |                                   ^^^^^
  |
  = hint: write four octal digits: `"0644"`, or `"0755"` for what can be run

error: `a:b:c` is no owner
 --> cairn.toml:4:50
  |
4 | directory = { path = "/a", mode = "u+x", owner = "a:b:c" }
  |                                                  ^^^^^^^
  |
  = hint: write `user` or `user:group`, by number or name: `"0:0"`, `"app:app"`

error: `0o755` is no mode
 --> cairn.toml:6:35
  |
6 | directory = { path = "/b", mode = "0o755", owner = "my user" }
  |                                   ^^^^^^^
  |
  = hint: write four octal digits: `"0644"`, or `"0755"` for what can be run

error: `my user` is no owner
 --> cairn.toml:6:52
  |
6 | directory = { path = "/b", mode = "0o755", owner = "my user" }
  |                                                    ^^^^^^^^^
  |
  = hint: write `user` or `user:group`, by number or name: `"0:0"`, `"app:app"`

error: empty text is no owner
 --> cairn.toml:8:8
  |
8 | user = ""
  |        ^^
  |
  = hint: write `user` or `user:group`, by number or name: `"0:0"`, `"app:app"`
"#);
}

#[test]
fn what_is_fetched_is_pinned_and_holds_no_secret() {
    assert_snapshot!(errors(r#"
from = "scratch"
[[steps]]
http = { url = "https://me:secret@a.example/tool", sha256 = "E3B0C442", to = "/bin/tool" }
[[steps]]
http = { url = "ftp://a.example/tool", sha256 = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", to = "/bin/tool", strip = 1 }
[[steps]]
http = { url = "https://a.example/", sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", to = "/opt/" }
[[steps]]
git = { url = "ext::sh -c true", commit = "main", to = "/src" }
"#), @r#"
error: the address holds a user's name or password
 --> cairn.toml:4:16
  |
4 | http = { url = "https://xxxxxxxxx@a.example/tool", sha256 = "E3B0C442", to = "/bin/tool" }
  |                ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  |
  = hint: a recipe is no place for secrets: the image's history would show it

error: `E3B0C442` is no sha256
 --> cairn.toml:4:61
  |
4 | http = { url = "https://xxxxxxxxx@a.example/tool", sha256 = "E3B0C442", to = "/bin/tool" }
  |                                                             ^^^^^^^^^^
  |
  = hint: write the 64 lower-case hex digits that `sha256sum` prints

error: `ftp://a.example/tool` is no HTTP address
 --> cairn.toml:6:16
  |
6 | http = { url = "ftp://a.example/tool", sha256 = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", to = "/bin...
  |                ^^^^^^^^^^^^^^^^^^^^^^
  |
  = hint: begin it with `https://` or `http://`

error: `strip` is for archives, and this file is not unpacked
 --> cairn.toml:6:150
  |
6 | ...92427ae41e4649b934ca495991b7852b855", to = "/bin/tool", strip = 1 }
  |                                                                    ^
  |
  = hint: add `unpack = true`, or leave `strip` out

error: `https://a.example/` does not say the file's name
 --> cairn.toml:8:16
  |
8 | http = { url = "https://a.example/", sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", to = "/opt/" }
  |                ^^^^^^^^^^^^^^^^^^^^
  |
  = hint: say it in `to`: a path that doesn't end with `/`

error: `ext::sh -c true` is no address that git fetches from
  --> cairn.toml:10:15
   |
10 | git = { url = "ext::sh -c true", commit = "main", to = "/src" }
   |               ^^^^^^^^^^^^^^^^^
   |
   = hint: write it as `https://host/path` or `user@host:path`

error: `main` is no commit
  --> cairn.toml:10:43
   |
10 | git = { url = "ext::sh -c true", commit = "main", to = "/src" }
   |                                           ^^^^^^
   |
   = hint: write all 40 lower-case hex digits, or 64: `git rev-parse NAME` prints them
"#);
}

#[test]
fn names_of_files_have_no_slash() {
    assert_snapshot!(errors(r#"
from = "scratch"
[[steps]]
file = { path = "/etc", name = "a/b", content = "" }
"#), @r#"
error: `a/b` is no name of a file
 --> cairn.toml:4:32
  |
4 | file = { path = "/etc", name = "a/b", content = "" }
  |                                ^^^^^
  |
  = hint: write one that has no slash
"#);
}
