//! Networks of commands.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cairn::plan::Command;
use cairn::plan::command::Network;
use cairn::sandbox::Wanted;

use super::ground::{Ground, script};
use crate::support::programs::{make_narrow, skipped};
use crate::support::{require, temp};

/// Says `hello` to whoever comes, and counts them.
fn greeter(at: &str) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind(at).unwrap();
    let port = listener.local_addr().unwrap().port();
    let count: Arc<AtomicUsize> = Arc::default();
    let counted = Arc::clone(&count);
    let greet = move |mut stream: TcpStream| -> std::io::Result<()> {
        counted.fetch_add(1, Ordering::SeqCst);
        stream.read_exact(&mut [0; 4])?;
        stream.write_all(b"hello\n")
    };
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = greet(stream);
        }
    });
    (port, count)
}

/// A command that asks `host` for its greeting.
fn ask(host: &str, port: u16, network: Network) -> Command {
    let ask = format!("echo ask | busybox nc -w 10 {host} {port} || echo refused");
    Command {
        network,
        hosts: vec![("gateway".to_owned(), "host-gateway".to_owned())],
        ..script(&ask)
    }
}

fn said(identity: Wanted, commands: impl IntoIterator<Item = Command>) -> Vec<String> {
    let mut ground = Ground::at(temp(), identity);
    ground.settings.commands.allow_host_network = true;
    let base = ground.base();
    let mut said = Vec::new();
    for command in commands {
        let top = ground.run(command, &[base]);
        ground.build(top).unwrap_or_else(|error| panic!("{error}"));
        said.extend(ground.output());
    }
    said
}

#[test]
fn a_command_reaches_what_it_was_given_and_nothing_else_of_the_host() {
    if !require("busybox") {
        return;
    }
    let (port, count) = greeter("127.0.0.1:0");
    for identity in [Wanted::Best, Wanted::Single] {
        let commands = [
            ask("gateway", port, Network::Default),
            // Its own loopback, where nobody listens.
            ask("127.0.0.1", port, Network::Default),
            ask("gateway", port, Network::None),
            ask("127.0.0.1", port, Network::None),
            ask("127.0.0.1", port, Network::Host),
        ];
        let before = count.load(Ordering::SeqCst);
        let said = said(identity, commands);
        let answers: Vec<&str> = said
            .iter()
            .map(String::as_str)
            .filter(|line| ["hello", "refused"].contains(line))
            .collect();
        assert_eq!(answers, ["hello", "refused", "refused", "refused", "hello"]);
        assert_eq!(count.load(Ordering::SeqCst), before + 2);
    }
}

#[test]
fn what_listens_at_all_addresses_of_the_host_is_its_own_all_the_same() {
    if !require("busybox") {
        return;
    }
    // The address that this machine would send from; nothing is sent.
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    let own = socket
        .connect("192.0.2.99:9")
        .and_then(|()| socket.local_addr());
    let own = match own {
        Ok(own) if !own.ip().is_loopback() => own.ip().to_string(),
        _ => return skipped("this machine has no address but the loopback's"),
    };
    let (port, count) = greeter("0.0.0.0:0");
    let closed = Command {
        hosts: Vec::new(),
        ..ask(&own, port, Network::Default)
    };
    let said = said(Wanted::Best, [closed, ask(&own, port, Network::Default)]);
    assert!(
        said[0].contains("refused") || said[1].contains("refused"),
        "{said:?}"
    );
    assert_eq!(said.last().unwrap(), "hello", "{said:?}");
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

#[test]
fn a_program_of_32_bits_reaches_what_others_reach() {
    if !(require("busybox") && require("cc")) {
        return;
    }
    let [(port, count), (old_port, old_count)] = [(); 2].map(|()| greeter("127.0.0.1:0"));
    let folder = temp();
    let program = folder.path().join("narrow");
    let defined = [format!("-DPORT={port}"), format!("-DOLD_PORT={old_port}")];
    if !make_narrow(&program, &defined) {
        return;
    }
    let bytes = std::fs::read(program).unwrap();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let run =
        format!("echo {hex} | busybox xxd -r -p >/narrow; busybox chmod 755 /narrow; /narrow");
    let command = Command {
        network: Network::Default,
        hosts: vec![("gateway".to_owned(), "host-gateway".to_owned())],
        ..script(&run)
    };
    let said = said(Wanted::Best, [command]);
    assert_eq!(said, ["hello", "hello"]);
    let counts = [count, old_count].map(|count| count.load(Ordering::SeqCst));
    assert_eq!(counts, [1, 1]);
}
