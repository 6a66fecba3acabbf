//! Runs programs under a filter, for tests: in a user namespace that knows one user, who is root.
//!
//! In: a command and what makes its handlers. Out: what it printed, and what the handlers kept.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command, Output};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};

use super::attribute::Attributes;
use super::filter::{self, Action, Programs, Rule};
use super::owner::{Ownership, record::Table};
use super::rights::Users;
use super::{Answering, Handler as _, Supervisor, deny};
use crate::sandbox::sys_notify;

/// The output of `command`, answered by `handlers` in a namespace of one user.
fn run(mut command: Command, answers: Vec<Rule>, handlers: Vec<Answering<'_>>) -> Output {
    let rules: Vec<Rule> = deny::rules(false).into_iter().chain(answers).collect();
    let program = filter::program(&rules, Programs::Own, Action::Allow).unwrap();
    let flags = SocketFlags::CLOEXEC;
    let (ours, theirs) =
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
    sys_notify::before_exec(&mut command, move || {
        sys_notify::new_user_namespace()?;
        std::fs::write("/proc/self/setgroups", "deny")?;
        std::fs::write("/proc/self/uid_map", "0 0 1")?;
        std::fs::write("/proc/self/gid_map", "0 0 1")?;
        let listener = sys_notify::install(&program)?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut message = SendAncillaryBuffer::new(&mut space);
        let files = [listener.as_fd()];
        message.push(SendAncillaryMessage::ScmRights(&files));
        sendmsg(
            &theirs,
            &[IoSlice::new(b"l")],
            &mut message,
            SendFlags::empty(),
        )?;
        Ok(())
    });
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut supervisor = Supervisor::new(listener(&ours), handlers, false);
            supervisor.serve_all().unwrap();
        });
        let output = command.output();
        drop(command);
        output.unwrap()
    })
}

fn listener(socket: &OwnedFd) -> OwnedFd {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut message = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let mut slices = [IoSliceMut::new(&mut byte)];
    recvmsg(socket, &mut slices, &mut message, RecvFlags::CMSG_CLOEXEC).unwrap();
    let mut rights = message.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut files) => files.next(),
        _ => None,
    });
    rights.next().unwrap()
}

/// What a shell script prints, both streams, and the table that it leaves; run in `folder` by an
/// emulated root.
pub(super) fn shell(folder: &std::path::Path, script: &str) -> (String, Table) {
    let mut command = Command::new("/bin/bash");
    command.arg("-c").arg(format!("exec 2>&1; {script}"));
    command.current_dir(folder).env_clear();
    command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    let mut ownership = Ownership::new(0, 0, Vec::new(), Table::new());
    let mut attributes = Attributes::new(Users::One);
    let rules = [Ownership::rules(), Attributes::rules()].concat();
    let handlers = vec![
        Answering::by(&mut ownership),
        Answering::by(&mut attributes),
    ];
    let output = run(command, rules, handlers);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (text, ownership.into_table())
}
