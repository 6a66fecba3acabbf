//! Types: what is something else than it must be.

use insta::assert_snapshot;

use super::errors;

#[test]
fn wrong_types_say_what_is_wanted() {
    assert_snapshot!(errors(r#"
from = 1
platforms = "linux/amd64"
format = "1"

[[steps]]
file = { path = "/a", content = "", mode = 0o755 }
[[steps]]
copy = { from = "build", paths = "src", to = ["/src"] }
[[steps]]
copy = "src"
[[steps]]
remove = { paths = ["/a", 2], missing-ok = "yes" }
[[steps]]
unpack = { paths = ["a.tar"], to = "/", strip = -1 }

[config]
ports = [8080]
user = 1000
env = { DEBUG = true, RATIO = 0.5, SINCE = 2020-01-01 }
healthcheck = false
cmd = "serve"
labels = ["a=b"]
"#), @r#"
error: `from` must be text or a table, not a whole number
 --> cairn.toml:2:8
  |
2 | from = 1
  |        ^

error: `platforms` must be a list, not text
 --> cairn.toml:3:13
  |
3 | platforms = "linux/amd64"
  |             ^^^^^^^^^^^^^
  |
  = hint: put it in brackets: `[…]`

error: `format` must be a whole number, not text
 --> cairn.toml:4:10
  |
4 | format = "1"
  |          ^^^

error: `mode` must be text, not a whole number
 --> cairn.toml:7:44
  |
7 | file = { path = "/a", content = "", mode = 0o755 }
  |                                            ^^^^^
  |
  = hint: write octal digits in quotes: `"0755"`

error: `from` must be a table, not text
 --> cairn.toml:9:17
  |
9 | copy = { from = "build", paths = "src", to = ["/src"] }
  |                 ^^^^^^^
  |
  = hint: say what it is: `{ stage = "…" }`, `{ image = "…" }`, `{ context = "…" }` or `{ oci = "…" }`

error: `paths` must be a list, not text
 --> cairn.toml:9:34
  |
9 | copy = { from = "build", paths = "src", to = ["/src"] }
  |                                  ^^^^^
  |
  = hint: put it in brackets: `[…]`

error: `to` must be text, not a list
 --> cairn.toml:9:46
  |
9 | copy = { from = "build", paths = "src", to = ["/src"] }
  |                                              ^^^^^^^^

error: `copy` must be a table, not text
  --> cairn.toml:11:8
   |
11 | copy = "src"
   |        ^^^^^

error: an element of `paths` must be text, not a whole number
  --> cairn.toml:13:27
   |
13 | remove = { paths = ["/a", 2], missing-ok = "yes" }
   |                           ^
   |
   = hint: put it in quotes: `"2"`

error: `missing-ok` must be `true` or `false`, not text
  --> cairn.toml:13:44
   |
13 | remove = { paths = ["/a", 2], missing-ok = "yes" }
   |                                            ^^^^^

error: `strip` must be a whole number from 0 to 4294967295, not -1
  --> cairn.toml:15:49
   |
15 | unpack = { paths = ["a.tar"], to = "/", strip = -1 }
   |                                                 ^^

error: an element of `ports` must be text, not a whole number
  --> cairn.toml:18:10
   |
18 | ports = [8080]
   |          ^^^^
   |
   = hint: put it in quotes: `"8080"`

error: `user` must be text, not a whole number
  --> cairn.toml:19:8
   |
19 | user = 1000
   |        ^^^^
   |
   = hint: put it in quotes: `"1000"`

error: `DEBUG` must be text, not `true` or `false`
  --> cairn.toml:20:17
   |
20 | env = { DEBUG = true, RATIO = 0.5, SINCE = 2020-01-01 }
   |                 ^^^^
   |
   = hint: put it in quotes: `"true"`

error: `RATIO` must be text, not a fraction
  --> cairn.toml:20:31
   |
20 | env = { DEBUG = true, RATIO = 0.5, SINCE = 2020-01-01 }
   |                               ^^^
   |
   = hint: put it in quotes: `"0.5"`

error: `SINCE` must be text, not a date
  --> cairn.toml:20:44
   |
20 | env = { DEBUG = true, RATIO = 0.5, SINCE = 2020-01-01 }
   |                                            ^^^^^^^^^^

error: `healthcheck` must be text or a table, not `true` or `false`
  --> cairn.toml:21:15
   |
21 | healthcheck = false
   |               ^^^^^

error: `cmd` must be a list, not text
  --> cairn.toml:22:7
   |
22 | cmd = "serve"
   |       ^^^^^^^
   |
   = hint: put it in brackets: `[…]`

error: `labels` must be a table, not a list
  --> cairn.toml:23:10
   |
23 | labels = ["a=b"]
   |          ^^^^^^^
"#);
}

#[test]
fn steps_are_a_list_of_tables() {
    assert_snapshot!(errors(r#"
from = "scratch"
[steps]
copy = { paths = ["."], to = "/" }
"#), @r#"
error: `steps` must be a list, not a table
 --> cairn.toml:3:1
  |
3 | [steps]
  | ^^^^^^^
  |
  = hint: begin each step with `[[steps]]`
"#);
    assert_snapshot!(errors(r#"
from = "scratch"
steps = ["copy . /"]
"#), @r#"
error: an element of `steps` must be a table with one verb, not text
 --> cairn.toml:3:10
  |
3 | steps = ["copy . /"]
  |          ^^^^^^^^^^
  |
  = hint: such as `{ copy = { … } }`
"#);
}
