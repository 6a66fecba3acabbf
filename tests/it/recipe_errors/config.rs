//! The config: commands, ports, times, platforms.

use insta::assert_snapshot;

use super::errors;

#[test]
fn config_values_have_their_form() {
    assert_snapshot!(errors(r#"
from = "scratch"
[config]
entrypoint = [""]
cmd = []
ports = ["http", "53/UDP"]
stop-signal = "SIGTREM"
unset = ["entry-point", "env.", "cmd.0", "ports.x"]
[config.env]
"" = "a"
"A=B" = "c"
[config.labels]
"" = "x"
"#), @r#"
error: the command is empty
 --> cairn.toml:4:15
  |
4 | entrypoint = [""]
  |               ^^
  |
  = hint: name a program, or leave `entrypoint` out

error: `cmd` is empty
 --> cairn.toml:5:7
  |
5 | cmd = []
  |       ^^
  |
  = hint: to drop the base's, name it in `unset`

error: `http` is no port
 --> cairn.toml:6:10
  |
6 | ports = ["http", "53/UDP"]
  |          ^^^^^^
  |
  = hint: write a number from 1 to 65535, with `/udp` or `/sctp` behind it where it isn't TCP

error: `53/UDP` is no port
 --> cairn.toml:6:18
  |
6 | ports = ["http", "53/UDP"]
  |                  ^^^^^^^^
  |
  = hint: write a number from 1 to 65535, with `/udp` or `/sctp` behind it where it isn't TCP

error: `SIGTREM` is no signal
 --> cairn.toml:7:15
  |
7 | stop-signal = "SIGTREM"
  |               ^^^^^^^^^
  |
  = hint: did you mean `SIGTERM`?

error: `unset` knows no `entry-point`
 --> cairn.toml:8:10
  |
8 | unset = ["entry-point", "env.", "cmd.0", "ports.x"]
  |          ^^^^^^^^^^^^^
  |
  = hint: did you mean `entrypoint`?

error: `env.` names no member of the config
 --> cairn.toml:8:25
  |
8 | unset = ["entry-point", "env.", "cmd.0", "ports.x"]
  |                         ^^^^^^
  |
  = hint: all of it is `"env"`

error: `cmd.0` names no member of the config
 --> cairn.toml:8:33
  |
8 | unset = ["entry-point", "env.", "cmd.0", "ports.x"]
  |                                 ^^^^^^^
  |
  = hint: all of it is `"cmd"`

error: `x` is no port
 --> cairn.toml:8:42
  |
8 | unset = ["entry-point", "env.", "cmd.0", "ports.x"]
  |                                          ^^^^^^^^^
  |
  = hint: write a number from 1 to 65535, with `/udp` or `/sctp` behind it where it isn't TCP

error: a variable of `env` has no name
  --> cairn.toml:10:1
   |
10 | "" = "a"
   | ^^

error: `A=B` can't be a variable's name: it holds `=`
  --> cairn.toml:11:1
   |
11 | "A=B" = "c"
   | ^^^^^
   |
   = hint: write `NAME = "value"`

error: a key of `labels` is empty
  --> cairn.toml:13:1
   |
13 | "" = "x"
   | ^^
"#);
}

#[test]
fn healthchecks_name_a_command() {
    let check = |value: &str| {
        errors(&format!(
            "from = \"scratch\"\nconfig.healthcheck = {value}\n"
        ))
    };
    assert_snapshot!(check("\"off\""), @r#"
    error: `off` is no healthcheck
     --> cairn.toml:2:22
      |
    2 | config.healthcheck = "off"
      |                      ^^^^^
      |
      = hint: write `"none"`, or `{ test = ["CMD", "…"] }`
    "#);
    assert_snapshot!(check(r#"{ test = ["curl", "localhost"], interval = "1.5s" }"#), @r#"
    error: `test` begins with neither `CMD` nor `CMD-SHELL`
     --> cairn.toml:2:31
      |
    2 | config.healthcheck = { test = ["curl", "localhost"], interval = "1.5s" }
      |                               ^^^^^^^^^^^^^^^^^^^^^
      |
      = hint: begin it with `"CMD"` or `"CMD-SHELL"`

    error: `1.5s` is no length of time
     --> cairn.toml:2:65
      |
    2 | config.healthcheck = { test = ["curl", "localhost"], interval = "1.5s" }
      |                                                                 ^^^^^^
      |
      = hint: write whole numbers with `h`, `m`, `s` or `ms`, such as `"30s"` or `"1m30s"`
    "#);
    assert_snapshot!(check(r#"{ test = ["CMD-SHELL", "curl", "localhost"], timeout = "30" }"#), @r#"
    error: `CMD-SHELL` takes one text, a shell's command line
     --> cairn.toml:2:31
      |
    2 | config.healthcheck = { test = ["CMD-SHELL", "curl", "localhost"], timeout = "30" }
      |                               ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = hint: begin it with `"CMD"` or `"CMD-SHELL"`

    error: `30` is no length of time
     --> cairn.toml:2:77
      |
    2 | config.healthcheck = { test = ["CMD-SHELL", "curl", "localhost"], timeout = "30" }
      |                                                                             ^^^^
      |
      = hint: write whole numbers with `h`, `m`, `s` or `ms`, such as `"30s"` or `"1m30s"`
    "#);
    assert_snapshot!(check(r#"{ test = ["CMD"] }"#), @r#"
    error: `test` names no command
     --> cairn.toml:2:31
      |
    2 | config.healthcheck = { test = ["CMD"] }
      |                               ^^^^^^^
      |
      = hint: begin it with `"CMD"` or `"CMD-SHELL"`
    "#);
}

#[test]
fn platforms_are_known_and_different() {
    assert_snapshot!(errors(r#"
from = "scratch"
platforms = ["linux/amd64", "x86_64", "linux/am d64", "linux"]
"#), @r#"
error: the platform `linux/amd64` is there twice
 --> cairn.toml:3:29
  |
3 | platforms = ["linux/amd64", "x86_64", "linux/am d64", "linux"]
  |              -------------  ^^^^^^^^
  |              |
  |              the first
  |
  = hint: leave one out

error: `linux/am d64` is no platform
 --> cairn.toml:3:39
  |
3 | platforms = ["linux/amd64", "x86_64", "linux/am d64", "linux"]
  |                                       ^^^^^^^^^^^^^^
  |
  = hint: write it as `linux/amd64` or `linux/arm/v7`

error: `linux` is no platform
 --> cairn.toml:3:55
  |
3 | platforms = ["linux/amd64", "x86_64", "linux/am d64", "linux"]
  |                                                       ^^^^^^^
  |
  = hint: write it as `linux/amd64` or `linux/arm/v7`
"#);
    assert_snapshot!(errors(r#"
from = "scratch"
platforms = ["linux/amd64", "linux/arm64"]
config.architecture = "arm64"
"#), @r#"
error: the config is for `linux/arm64`, and the image for `linux/amd64`
 --> cairn.toml:4:23
  |
4 | config.architecture = "arm64"
  |                       ^^^^^^^
  |
  = hint: leave `architecture`, `os` and `variant` out: `platforms` decides
"#);
    assert_snapshot!(errors("from = \"scratch\"\nplatforms = []\nconfig.variant = \"v7\"\n"), @r#"
    error: `platforms` is empty
     --> cairn.toml:2:13
      |
    2 | platforms = []
      |             ^^
      |
      = hint: leave it out to build for the platform of the machine

    error: `variant` is of an `architecture`, which isn't said
     --> cairn.toml:3:18
      |
    3 | config.variant = "v7"
      |                  ^^^^
    "#);
}

#[test]
fn nul_characters_are_refused() {
    assert_snapshot!(errors("from = \"scratch\"\nconfig.env = { A = \"a\\u0000b\", \"N\\u0000\" = \"\" }\n"), @r#"
    error: `A` holds a NUL character
     --> cairn.toml:2:20
      |
    2 | config.env = { A = "a\u0000b", "N\u0000" = "" }
      |                    ^^^^^^^^^^

    error: a key of `env` holds a NUL character
     --> cairn.toml:2:32
      |
    2 | config.env = { A = "a\u0000b", "N\u0000" = "" }
      |                                ^^^^^^^^^
    "#);
}
