//! Sessions of other users than root: with subordinate users, and without.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use cairn::sandbox::{Exit, Identity, Wanted};

use super::ground::Ground;
use crate::support::users::Users;
use crate::support::{copy_program, require, temp};

/// A program that is cairn as the user 30001, to whom `/etc/subuid` gives `range`. Nobody makes or
/// removes an account as long as there are the users that come with it: the files that are mounted
/// over here would be replaced, and the mounts gone.
pub fn as_user(folder: &Path, range: &str) -> Option<(PathBuf, Users)> {
    if !require("unshare") {
        return None;
    }
    let users = Users::new()?;
    let cairn = folder.join("cairn");
    copy_program(&cairn);
    std::fs::set_permissions(folder, PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::write(folder.join("range"), range).unwrap();
    let passwd = "root:x:0:0:root:/root:/bin/sh\nmade:x:30001:30001::/:/bin/sh\n";
    std::fs::write(folder.join("passwd"), passwd).unwrap();
    let script = folder.join("as-user");
    let place = folder.display();
    // In a mount namespace of its own, so that the machine's files stay as they are.
    let text = format!(
        "#!/bin/sh\nexec /usr/bin/unshare --mount /bin/sh -c '\n\
         PATH=/usr/sbin:/usr/bin:/sbin:/bin; touch /etc/subuid /etc/subgid\n\
         mount --bind {place}/passwd /etc/passwd && mount --bind {place}/range /etc/subuid &&\n\
         mount --bind {place}/range /etc/subgid && exec setpriv --reuid 30001 --regid 30001 \
         --clear-groups {place}/cairn \"$@\"' sh \"$@\"\n"
    );
    std::fs::write(&script, text).unwrap();
    std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
    Some((script, users))
}

#[test]
fn a_user_with_subordinate_users_has_them_all() {
    let folder = temp();
    let Some((program, _users)) = as_user(folder.path(), "made:400000:65536\n") else {
        return;
    };
    let Some(ground) = Ground::with(&program, Wanted::Best, 30001) else {
        return;
    };
    let (users, groups) = (65537, 65537);
    assert_eq!(ground.session.identity(), Identity::Range { users, groups });
    ground.says("id -u; chown 33:34 /tmp; stat -c %u:%g /tmp", "0\n33:34\n");
    let mut request = ground.request("id -u; id -G");
    (request.uid, request.gid, request.groups) = (1000, 1000, vec![5]);
    let (outcome, out, err) = ground.run(&request);
    assert_eq!(
        (outcome.exit, out.as_str()),
        (Exit::Code(0), "1000\n1000 5\n"),
        "{err}"
    );
    // What only they can read is listed and removed all the same.
    let request = ground.request("mkdir -m 700 /own; touch /own/file; chown -R 33 /own");
    let (outcome, _, err) = ground.run(&request);
    assert_eq!(outcome.exit, Exit::Code(0), "{err}");
    let changes = ground.changes(&request, &outcome);
    let file = changes
        .iter()
        .find(|found| found.path.as_bytes() == b"own/file");
    assert_eq!(file.unwrap().uid, 33);
    let mut request = ground.request("true");
    request.uid = 70_000;
    let error = ground
        .session
        .run(&request, &mut |_, _| Ok(()))
        .unwrap_err();
    assert!(
        error.to_string().contains("more subordinate ids"),
        "{error}"
    );
}

#[test]
fn a_user_without_is_alone_and_runs_commands() {
    let folder = temp();
    let Some((program, _users)) = as_user(folder.path(), "") else {
        return;
    };
    let Some(ground) = Ground::with(&program, Wanted::Best, 30001) else {
        return;
    };
    assert_eq!(ground.session.identity(), Identity::Single);
    ground.says(
        "id -u; echo x > /made; cat /made; stat -c %u:%g /made",
        "0\nx\n0:0\n",
    );
    let (outcome, _, _) = ground.run(&ground.request("mount -t tmpfs none /tmp"));
    assert!(matches!(outcome.exit, Exit::Code(1..)));
}
