//! How stages, contexts and images hang together.

use insta::assert_snapshot;

use super::errors;

#[test]
fn cycles_are_shown_whole() {
    assert_snapshot!(errors(r#"
from = { stage = "a" }

[stages.a]
from = { stage = "b" }

[stages.b]
from = "scratch"
[[stages.b.steps]]
copy = { from = { stage = "c" }, paths = ["."], to = "/" }
[[stages.b.steps]]
copy = { from = { stage = "c" }, paths = ["a"], to = "/" }

[stages.c]
from = { stage = "a" }

[stages.alone]
from = { stage = "alone" }
"#), @r#"
error: stages need each other: `a` → `b` → `c` → `a`
  --> cairn.toml:5:8
   |
 5 | from = { stage = "b" }
   |        ^^^^^^^^^^^^^^^ `a` needs `b`
...
10 | copy = { from = { stage = "c" }, paths = ["."], to = "/" }
   | ---- `b` needs `c`
...
15 | from = { stage = "a" }
   |        --------------- `c` needs `a`
   |
   = hint: move what they share to a stage of its own

error: stage `alone` needs itself
  --> cairn.toml:18:8
   |
18 | from = { stage = "alone" }
   |        ^^^^^^^^^^^^^^^^^^^ `alone` needs `alone`
   |
   = hint: begin it with an image or another stage
"#);
}

#[test]
fn missing_stages_and_contexts_are_named() {
    assert_snapshot!(errors(r#"
from = { stage = "biuld" }
[stages.build]
from = "scratch"
[contexts]
assets = "assets"
[[steps]]
copy = { from = { stage = "test" }, paths = ["."], to = "/" }
[[steps]]
copy = { from = { context = "asset" }, paths = ["."], to = "/" }
"#), @r#"
error: there is no stage `biuld`
 --> cairn.toml:2:18
  |
2 | from = { stage = "biuld" }
  |                  ^^^^^^^
  |
  = hint: did you mean `build`?

error: there is no stage `test`
 --> cairn.toml:8:27
  |
8 | copy = { from = { stage = "test" }, paths = ["."], to = "/" }
  |                           ^^^^^^
  |
  = hint: the stages are `build`

error: there is no context `asset`
  --> cairn.toml:10:29
   |
10 | copy = { from = { context = "asset" }, paths = ["."], to = "/" }
   |                             ^^^^^^^
   |
   = hint: did you mean `assets`?
"#);
}

#[test]
fn text_after_from_is_an_image() {
    assert_snapshot!(errors(r#"
from = "build"
[stages.build]
from = "Alpine"
[stages.other]
from = { image = "a b" }
"#), @r#"
error: `build` is a stage, and text names an image
 --> cairn.toml:2:8
  |
2 | from = "build"
  |        ^^^^^^^
  |
  = hint: write `{ stage = "build" }`, or `{ image = "build" }`

error: `Alpine` is no image reference: a repository has lower-case letters, digits, and `.`, `_`, `__` or `-` between them, parted by `/`
 --> cairn.toml:4:8
  |
4 | from = "Alpine"
  |        ^^^^^^^^
  |
  = hint: did you mean `alpine`?

error: `a b` is no image reference: a repository has lower-case letters, digits, and `.`, `_`, `__` or `-` between them, parted by `/`
 --> cairn.toml:6:18
  |
6 | from = { image = "a b" }
  |                  ^^^^^
"#);
}

#[test]
fn from_names_one_thing() {
    assert_snapshot!(errors(r#"
from = { stage = "build", image = "alpine" }
[stages.build]
from = {}
[stages.other]
from = { image = "alpine", name = "x" }
[stages.third]
from = { oci = "/srv/layout" }
"#), @r#"
error: `from` names both `stage` and `image`
 --> cairn.toml:2:35
  |
2 | from = { stage = "build", image = "alpine" }
  |                                   ^^^^^^^^
  |
  = hint: keep one of `image`, `stage`, `oci`

error: `from` names nothing
 --> cairn.toml:4:8
  |
4 | from = {}
  |        ^^
  |
  = hint: give it one of `image`, `stage`, `oci`

error: `name` goes with `oci` alone
 --> cairn.toml:6:35
  |
6 | from = { image = "alpine", name = "x" }
  |                                   ^^^

error: `/srv/layout` is the path of one machine
 --> cairn.toml:8:16
  |
8 | from = { oci = "/srv/layout" }
  |                ^^^^^^^^^^^^^
  |
  = hint: write it relative to the recipe, or give it on the command line
"#);
}

#[test]
fn the_same_step_twice_is_shown_twice() {
    assert_snapshot!(errors(r#"
from = "scratch"
[[steps]]
copy = { paths = ["a", "./b/"], to = "/x/", mode = "644" }
[[steps]]
directory = { path = "/y" }
[[steps]]
copy = { mode = "0644", to = "/x/", paths = ["a", "b"] }
"#), @r#"
error: the same step is there twice
 --> cairn.toml:8:1
  |
4 | copy = { paths = ["a", "./b/"], to = "/x/", mode = "644" }
  | ---- the first
...
8 | copy = { mode = "0644", to = "/x/", paths = ["a", "b"] }
  | ^^^^
  |
  = hint: leave one out
"#);
}

#[test]
fn faults_of_a_stage_that_nobody_needs_are_told() {
    assert_snapshot!(errors(r#"
from = "scratch"
[stages.unused]
from = "scratch"
steps = [{ directory = { path = "a" } }]
[stages."not a name"]
from = "scratch"
config.os = "linux"
[contexts]
context = "."
"#), @r#"
error: `a` is not an absolute path
 --> cairn.toml:5:33
  |
5 | steps = [{ directory = { path = "a" } }]
  |                                 ^^^
  |
  = hint: write `/a`

error: `not a name` is no name
 --> cairn.toml:6:9
  |
6 | [stages."not a name"]
  |         ^^^^^^^^^^^^
  |
  = hint: a name has letters, digits, `.`, `_` and `-`, and begins with a letter or digit

error: a stage is built for the platforms of the whole recipe
 --> cairn.toml:8:13
  |
8 | config.os = "linux"
  |             ^^^^^^^
  |
  = hint: move it to the recipe's own `[config]`, or name it in `platforms`

error: `context` is the build's own context, and can't be another
  --> cairn.toml:10:1
   |
10 | context = "."
   | ^^^^^^^
   |
   = hint: choose another name
"#);
}
