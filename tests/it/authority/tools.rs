//! What tools say of the server.

use cairn::sandbox::Wanted;

use super::workshop::{HOST, Signer, Site, Systems};
use crate::support::programs::program;
use crate::support::{run, temp};

#[test]
fn every_common_tool_trusts_the_authority() {
    let Some(systems) = Systems::get() else {
        return;
    };
    let (signer, folder) = (Signer::new(), temp());
    let server = signer.serve(folder.path());
    std::fs::write(folder.path().join("file"), "hello\n").unwrap();
    let mut git = program(
        "sh",
        &[
            "-ec",
            "git init -q repository && cd repository && \
        git -c user.name=a -c user.email=a@b.c commit -q --allow-empty -m hello && git update-server-info",
        ],
    );
    run(git.current_dir(folder.path()));
    let java = "public class Get { public static void main(String[] a) throws Exception { \
        System.out.print(new String(new java.net.URL(a[0]).openStream().readAllBytes())); } }";
    std::fs::write(folder.path().join("Get.java"), java).unwrap();
    run(program("javac", &["--release", "17", "Get.java"]).current_dir(folder.path()));
    let mut site = Site::new(systems, "tools.tar", Wanted::Best);
    site.ground.settings.commands.authority = Some(signer.authority.clone());
    let (port, url) = (server.port, format!("https://{HOST}:{}", server.port));
    let own = "env -i PATH=$PATH";
    for command in [
        format!("curl -sS {url}/file"),
        format!("{own} curl -sS {url}/file"),
        format!("wget -qO- {url}/file"),
        format!("{own} wget -qO- {url}/file"),
        format!(
            "openssl s_client -verify_return_error -connect {HOST}:{port} </dev/null 2>/dev/null | grep -o '^Verify return code: 0 (ok)'"
        ),
        format!("{own} openssl s_client -verify_return_error -connect {HOST}:{port} </dev/null"),
        format!("python3 -c 'import urllib.request as r; print(r.urlopen(\"{url}/file\").read())'"),
        format!(
            "{own} python3 -c 'import urllib.request as r; print(r.urlopen(\"{url}/file\").read())'"
        ),
        format!("git clone -q {url}/repository/.git /tmp/r"),
        format!("node -e 'fetch(\"{url}/file\").then(r => r.text()).then(console.log)'"),
        format!("curl -sSO {url}/Get.class && java Get {url}/file"),
    ] {
        let said = site.says(&command);
        eprintln!("{command}\n    {said:?}");
    }
}
