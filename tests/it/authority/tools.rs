//! What tools say of the server: all trust it, and say so by what they print.

use std::path::Path;

use super::workshop::{HOST, Signer, Site};
use crate::support::programs::program;
use crate::support::{run, temp};

/// What the server has: a file, a git repository, a package index of Python's, one of Debian's.
fn fill(folder: &Path) {
    const MAKE: &str = "
        echo hello >file
        git init -q repository
        cd repository
        git -c user.name=a -c user.email=a@b.c commit -q --allow-empty -m hello
        git update-server-info
        cd ..
        mkdir -p simple/thing thing thing-1.dist-info dists/x/main/binary-amd64
        echo 'hello = 1' >thing.py
        printf 'Metadata-Version: 2.1\\nName: thing\\nVersion: 1\\n' >thing-1.dist-info/METADATA
        printf 'Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n' >thing-1.dist-info/WHEEL
        printf 'thing.py,,\\nthing-1.dist-info/METADATA,,\\nthing-1.dist-info/WHEEL,,\\nthing-1.dist-info/RECORD,,\\n' >thing-1.dist-info/RECORD
        python3 -m zipfile -c simple/thing/thing-1-py3-none-any.whl thing.py thing-1.dist-info
        echo '<a href=thing-1-py3-none-any.whl>thing-1-py3-none-any.whl</a>' >simple/thing/index.html
        printf 'Package: thing\\nVersion: 1\\nArchitecture: amd64\\nMaintainer: a\\nFilename: x\\nSize: 1\\n' \
            >dists/x/main/binary-amd64/Packages
        printf 'Suite: x\\nCodename: x\\nComponents: main\\nArchitectures: amd64\\nDate: Thu, 01 Jan 2026 00:00:00 UTC\\nSHA256:\\n %s %s %s\\n' \
            $(sha256sum <dists/x/main/binary-amd64/Packages | cut -d' ' -f1) \
            $(stat -c %s dists/x/main/binary-amd64/Packages) main/binary-amd64/Packages >dists/x/Release";
    run(program("sh", &["-ec", MAKE]).current_dir(folder));
}

/// Asks them on Debian.
pub fn check(site: &mut Site, signer: &Signer) {
    let folder = temp();
    fill(folder.path());
    let server = signer.serve(folder.path());
    let (port, url) = (server.port, format!("https://{HOST}:{}", server.port));
    let python = format!(
        "python3 -c 'import urllib.request as r; print(r.urlopen(\"{url}/file\").read().decode(), end=\"\")'"
    );
    let openssl = format!(
        "openssl s_client -verify_return_error -connect {HOST}:{port} </dev/null 2>&1 | grep -q 'Verify return code: 0 (ok)'"
    );
    let pip = "python3 $(ls /usr/share/python-wheels/pip-*.whl)/pip install -q --no-input --no-cache-dir \
               --disable-pip-version-check --root-user-action ignore --retries 0 --target /tmp/pip";
    let index = format!("deb [trusted=yes] {url} x main");
    // Those that know of no variable, or lost them, read the system's own.
    let commands = [
        ("curl", format!("curl -sS {url}/file"), true),
        ("wget", format!("wget -qO- {url}/file"), true),
        ("openssl", format!("{openssl} && echo hello"), true),
        ("python", python, true),
        ("git", format!("rm -rf /tmp/git; git clone -q {url}/repository/.git /tmp/git && git -C /tmp/git log --format=%s"), true),
        ("pip", format!("{pip} --index-url {url}/simple thing && PYTHONPATH=/tmp/pip python3 -c 'import thing; print(\"hello\")'"), false),
        (
            "apt",
            format!("echo '{index}' >/etc/apt/sources.list; rm -rf /etc/apt/sources.list.d; apt-get -qq -o Acquire::Retries=0 update && apt-cache show thing | grep -q Maintainer && echo hello"),
            true,
        ),
        ("node", format!("node -e 'fetch(\"{url}/file\").then(r => r.text()).then(t => console.log(t.trim()))'"), false),
        ("keytool", "keytool -list -cacerts -storepass changeit | grep -q ^cairn-step-authority && echo hello".to_owned(), true),
    ];
    let mut script = String::new();
    for (name, command, is_bare) in &commands {
        let command = command.replace('\'', "'\\''");
        script += &format!("echo {name} $(sh -c '{command}' 2>&1)\n");
        if *is_bare {
            script += &format!("echo {name} alone $(env -i PATH=$PATH sh -c '{command}' 2>&1)\n");
        }
    }
    site.ground.settings.commands.authority = Some(signer.authority.clone());
    let said = site.says(&script);
    let expected: Vec<String> = commands
        .iter()
        .flat_map(|(name, _, is_bare)| {
            let alone = is_bare.then(|| format!("{name} alone hello"));
            [format!("{name} hello")].into_iter().chain(alone)
        })
        .collect();
    assert_eq!(said, expected);
    // Without the authority nobody trusts the server.
    site.ground.settings.commands.authority = None;
    let said = site.says(&format!("{script}# without"));
    let hello = said.iter().filter(|line| line.ends_with(" hello"));
    assert_eq!(hello.count(), 0, "{said:#?}");
}
