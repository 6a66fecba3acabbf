//! Keys: what isn't known, isn't there, or is there twice.

use insta::assert_snapshot;

use super::errors;

#[test]
fn unknown_keys_are_all_named_with_what_was_meant() {
    assert_snapshot!(errors(r#"
form = "scratch"
from = "scratch"

[[steps]]
copy = { paths = ["src"], too = "/src/", ownr = "0:0" }

[stages.build]
from = "scratch"
step = []

[config]
entry-point = ["/bin/app"]
stop_signal = "SIGTERM"
colour = "blue"
"#), @r#"
error: a recipe has no key `form`
 --> cairn.toml:2:1
  |
2 | form = "scratch"
  | ^^^^
  |
  = hint: did you mean `from`?

error: `copy` lacks `to`
 --> cairn.toml:6:1
  |
6 | copy = { paths = ["src"], too = "/src/", ownr = "0:0" }
  | ^^^^

error: `copy` has no key `too`
 --> cairn.toml:6:27
  |
6 | copy = { paths = ["src"], too = "/src/", ownr = "0:0" }
  |                           ^^^
  |
  = hint: did you mean `to`?

error: `copy` has no key `ownr`
 --> cairn.toml:6:42
  |
6 | copy = { paths = ["src"], too = "/src/", ownr = "0:0" }
  |                                          ^^^^
  |
  = hint: did you mean `owner`?

error: `build` has no key `step`
  --> cairn.toml:10:1
   |
10 | step = []
   | ^^^^
   |
   = hint: did you mean `steps`?

error: `config` has no key `entry-point`
  --> cairn.toml:13:1
   |
13 | entry-point = ["/bin/app"]
   | ^^^^^^^^^^^
   |
   = hint: did you mean `entrypoint`?

error: `config` has no key `stop_signal`
  --> cairn.toml:14:1
   |
14 | stop_signal = "SIGTERM"
   | ^^^^^^^^^^^
   |
   = hint: did you mean `stop-signal`?

error: `config` has no key `colour`
  --> cairn.toml:15:1
   |
15 | colour = "blue"
   | ^^^^^^
   |
   = hint: its keys are `unset`, `entrypoint`, `cmd`, `env`, `user`, `workdir`, `ports`, `volumes`, `labels`, `stop-signal`, `healthcheck`, `on-build`, `shell`, `args-escaped`, `annotations`, `author`, `architecture`, `os`, `variant`
"#);
}

#[test]
fn unknown_verbs_are_named() {
    assert_snapshot!(errors(r#"
from = "scratch"
[[steps]]
cpoy = { paths = ["."], to = "/" }
[[steps]]
exec = "make"
[[steps]]
"#), @r#"
error: there is no step `cpoy`
 --> cairn.toml:4:1
  |
4 | cpoy = { paths = ["."], to = "/" }
  | ^^^^
  |
  = hint: did you mean `copy`?

error: there is no step `exec`
 --> cairn.toml:6:1
  |
6 | exec = "make"
  | ^^^^
  |
  = hint: the steps are `copy`, `file`, `directory`, `symlink`, `remove`, `unpack`, `http`, `git`, `run`, `packages`

error: the step does nothing
 --> cairn.toml:7:1
  |
7 | [[steps]]
  | ^^^^^^^^^
  |
  = hint: give it one of `copy`, `file`, `directory`, `symlink`, `remove`, `unpack`, `http`, `git`, `run`, `packages`
"#);
}

#[test]
fn two_verbs_are_two_steps() {
    assert_snapshot!(errors(r#"
from = "scratch"
[[steps]]
file = { path = "/a", content = "" }
directory = { path = "/b" }
[[steps]]
copy = { paths = ["."], to = "/" }
name = "everything"
"#), @r#"
error: the step has two verbs, `file` and `directory`
 --> cairn.toml:5:1
  |
4 | file = { path = "/a", content = "" }
  | ---- the first
5 | directory = { path = "/b" }
  | ^^^^^^^^^
  |
  = hint: begin another step with `[[steps]]`

error: `name` stands beside the verb of the step
 --> cairn.toml:8:1
  |
8 | name = "everything"
  | ^^^^
  |
  = hint: what belongs to `copy` stands in its table
"#);
}

#[test]
fn missing_keys_are_all_named() {
    assert_snapshot!(errors(r#"
[[steps]]
copy = {}
[[steps]]
file = { path = "/a" }
[[steps]]
symlink = { target = "b" }
[[steps]]
http = { to = "/a" }
[[steps]]
git = { url = "https://a.example/b" }
[stages.build]
steps = []
[config.healthcheck]
interval = "30s"
"#), @r#"
error: the recipe lacks `from`
 --> cairn.toml:1:1
  |
1 |
  | ^
  |
  = hint: `from = "scratch"` begins with an empty image

error: `copy` lacks `paths`
 --> cairn.toml:3:1
  |
3 | copy = {}
  | ^^^^

error: `copy` lacks `to`
 --> cairn.toml:3:1
  |
3 | copy = {}
  | ^^^^

error: `file` lacks `content`
 --> cairn.toml:5:1
  |
5 | file = { path = "/a" }
  | ^^^^

error: `symlink` lacks `path`
 --> cairn.toml:7:1
  |
7 | symlink = { target = "b" }
  | ^^^^^^^

error: `http` lacks `sha256`
 --> cairn.toml:9:1
  |
9 | http = { to = "/a" }
  | ^^^^

error: `http` lacks `url`
 --> cairn.toml:9:1
  |
9 | http = { to = "/a" }
  | ^^^^

error: `git` lacks `commit`
  --> cairn.toml:11:1
   |
11 | git = { url = "https://a.example/b" }
   | ^^^

error: `git` lacks `to`
  --> cairn.toml:11:1
   |
11 | git = { url = "https://a.example/b" }
   | ^^^

error: stage `build` lacks `from`
  --> cairn.toml:12:9
   |
12 | [stages.build]
   |         ^^^^^
   |
   = hint: `from = "scratch"` begins with an empty image

error: `healthcheck` lacks `test`
  --> cairn.toml:14:1
   |
14 | [config.healthcheck]
   | ^^^^^^^^^^^^^^^^^^^^
"#);
}

#[test]
fn syntax_errors_are_told_once() {
    assert_snapshot!(errors("from = \"scratch\"\nplatforms = [\"linux/amd64\"\n\n[config]\nuser = \"a\"\n"), @r#"
    error: the recipe is no TOML: missing comma between array elements, expected `,`
     --> cairn.toml:4:1
      |
    4 | [config]
      | ^
    "#);
    assert_snapshot!(errors("from = scratch\n"), @r#"
    error: the recipe is no TOML: string values must be quoted, expected literal string
     --> cairn.toml:1:8
      |
    1 | from = scratch
      |        ^^^^^^^
    "#);
}

#[test]
fn duplicate_keys_are_told() {
    assert_snapshot!(errors(r#"
from = "scratch"
[stages.build]
from = "scratch"
[stages.other]
from = "scratch"
from = "alpine"
[stages.build]
from = "alpine"
"#), @r#"
error: the key is there twice
 --> cairn.toml:7:1
  |
7 | from = "alpine"
  | ^^^^
  |
  = hint: a table can have a key once, and `[stages.NAME]` begins a stage once

error: the key is there twice
 --> cairn.toml:8:9
  |
8 | [stages.build]
  |         ^^^^^
  |
  = hint: a table can have a key once, and `[stages.NAME]` begins a stage once

error: the key is there twice
 --> cairn.toml:9:1
  |
9 | from = "alpine"
  | ^^^^
  |
  = hint: a table can have a key once, and `[stages.NAME]` begins a stage once
"#);
}

#[test]
fn newer_format_hides_what_else_is_wrong() {
    assert_snapshot!(errors("format = 2\nform = \"scratch\"\n"), @r#"
    error: format 2 is newer than this cairn, which knows 1
     --> cairn.toml:1:10
      |
    1 | format = 2
      |          ^
      |
      = hint: a newer cairn can build this recipe
    "#);
    assert_snapshot!(errors("format = 0\nfrom = \"scratch\"\n"), @r#"
    error: there is no format 0
     --> cairn.toml:1:10
      |
    1 | format = 0
      |          ^
      |
      = hint: write `format = 1`, or leave it out
    "#);
}
