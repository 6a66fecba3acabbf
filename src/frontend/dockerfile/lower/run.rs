//! `RUN`.
//!
//! In: what it says. Out: a [`Command`], and the steps that its mounts take files from.

use super::stage::{Lowered, Lowering, State, entry_path};
use crate::frontend::dockerfile::syntax::{Network, Run, RunCommand, Span};
use crate::plan::command::{Mount, MountKind};
use crate::plan::{Command, Operation, name};

/// Where scripts of here-documents are, as BuildKit has it.
const SCRIPTS: &str = "/dev/pipes/";

impl Lowering<'_> {
    pub(super) fn run(&mut self, state: &mut State, run: &Run, span: &Span) -> Lowered<()> {
        let mut mounts = Vec::new();
        for word in &run.mounts {
            let are_sockets =
                |(mount, _): &&(Mount, _)| matches!(mount.kind, MountKind::Ssh { .. });
            let sockets = mounts.iter().filter(are_sockets).count();
            mounts.push(self.mount(state, word, sockets)?);
        }
        let for_shell = |text: &str| {
            let shell = state.shell.iter().cloned();
            shell.chain([text.to_owned()]).collect::<Vec<_>>()
        };
        let arguments = match &run.command {
            RunCommand::Shell(text) => for_shell(&text.value),
            RunCommand::Exec(words) => words.iter().map(|word| word.value.clone()).collect(),
            RunCommand::Script(heredoc) => {
                let content = heredoc.content();
                match content.starts_with("#!") {
                    false => for_shell(&content),
                    true => {
                        let path = format!("{SCRIPTS}{}", heredoc.name);
                        let script = Mount {
                            target: entry_path(&path, &heredoc.span)?,
                            kind: MountKind::Inline {
                                content,
                                mode: 0o755,
                            },
                        };
                        mounts.push((script, None));
                        vec![path]
                    }
                }
            }
        };
        self.copies(state, span)?;
        let (mounts, sources): (Vec<_>, Vec<_>) = Mount::in_order(mounts).into_iter().unzip();
        let inputs = std::iter::once(state.top).chain(sources.into_iter().flatten());
        let inputs = inputs.collect();
        let network = run.network.as_ref().map(|network| network.value);
        let command = Command {
            arguments,
            env: state.scope.all(),
            workdir: entry_path(&state.workdir, span)?,
            user: state.user.clone(),
            mounts,
            network: network
                .filter(|network| *network != Network::Default)
                .unwrap_or(self.options.network),
            security: run
                .security
                .as_ref()
                .map_or_else(Default::default, |s| s.value),
            devices: run.devices.iter().map(|at| at.value.clone()).collect(),
            hostname: self.options.hostname.clone(),
            hosts: self.options.hosts.clone(),
            ulimits: self.options.ulimits.clone(),
            shm_size: self.options.shm_size,
        };
        let operation = Operation::Run(Box::new(command));
        let name = name::step(&operation, &[], "");
        state.top = self.add(operation, inputs, name, span);
        Ok(())
    }
}
