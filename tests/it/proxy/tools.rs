//! Tools that fetch, in the sandbox: recorded, and replayed while the world is another.

use cairn::plan::Command;
use cairn::plan::command::Network;

use super::inside::Ground;
use crate::run::ground::script;
use crate::support::repository::{Repository, guarded};
use crate::support::temp;

#[test]
fn git_clones_the_same_again_when_its_repository_is_another() {
    let Some(ground) = Ground::new(&["git"]) else {
        return;
    };
    let folder = temp();
    let repository = Repository::new(&folder.path().join("r"), "sha1");
    // So many that git compresses what it asks for.
    for number in 0..40 {
        repository.commit(&[("file", &format!("{number}\n"))]);
        repository.git(&["branch", &format!("b{number}")]);
    }
    // `user:t0ken`.
    let server = guarded(folder.path(), "Basic dXNlcjp0MGtlbg==");
    let port = server.address.port();
    let clone = |token: &str| {
        let text = format!(
            "git clone -q http://user:{token}@world.test:{port}/r /tmp/r && cat /tmp/r/file && \
             git -C /tmp/r log --format=%H --all | sort | git hash-object --stdin"
        );
        Command {
            network: Network::Default,
            env: [
                ("PATH", "/bin"),
                ("HOME", "/root"),
                ("GIT_TEMPLATE_DIR", ""),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
            hosts: vec![("world.test".to_owned(), "host-gateway".to_owned())],
            ..script(&text)
        }
    };
    let (said, record) = ground.record(&clone("t0ken"));
    assert!(said.starts_with("39\n"), "{said}");
    let text = serde_json::to_string(&record).unwrap();
    assert!(
        !text.contains("t0ken") && !text.contains("dXNlcjp0MGtlbg"),
        "{text}"
    );
    let posted = record
        .exchanges
        .iter()
        .filter(|exchange| exchange.request.sent.is_some());
    assert!(posted.count() >= 2, "{text}");
    repository.commit(&[("file", "another\n")]);
    repository.git(&["branch", "-D", "b7"]);
    let asked = server.seen("POST", "/r").len();
    assert_eq!(ground.replay(&clone("other"), &record), said);
    assert_eq!(server.seen("POST", "/r").len(), asked);
}
