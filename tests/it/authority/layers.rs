//! Layers, with an authority and without.

use cairn::sandbox::Wanted;

use super::workshop::{HOST, Signer, Site, Systems};
use crate::support::temp;

/// Has no keystore of Java say when it got which certificate: `sh` runs it in the command.
const NO_TIMES: &str = r#"
python3 - <<END
import hashlib, struct
path = "/etc/ssl/certs/java/cacerts"
body, at = bytearray(open(path, "rb").read()[:-20]), 12
def number(form):
    return struct.unpack_from(form, body, at)[0]
for _ in range(struct.unpack_from(">I", body, 8)[0]):
    at += 4
    at += 2 + number(">H")
    body[at:at + 8] = bytes(8)
    at += 8
    at += 2 + number(">H")
    at += 4 + number(">I")
seal = "changeit".encode("utf-16-be") + b"Mighty Aphrodite" + body
open(path, "wb").write(body + hashlib.sha1(seal).digest())
END
"#;

#[test]
fn nothing_of_an_authority_is_in_the_layer() {
    let Some(systems) = Systems::get() else {
        return;
    };
    let signer = Signer::new();
    let mut site = Site::new(systems, "tools.tar", Wanted::Best);
    let root = "/usr/share/ca-certificates/mozilla/ISRG_Root_X1.crt";
    let anchors = "/usr/local/share/ca-certificates";
    let bundle = "/etc/ssl/certs/ca-certificates.crt";
    for text in [
        "update-ca-certificates",
        &format!("update-ca-certificates --fresh; {NO_TIMES}"),
        &format!("cp {bundle} /elsewhere; cp -a /etc/ssl/certs /all"),
        "cp $SSL_CERT_FILE /etc/ssl/certs/ca-certificates.crt || true",
        &format!("rm -rf {anchors}"),
        "rm -rf /etc/ssl/certs",
        &format!("touch {bundle}"),
        "chown -R 7:8 /etc/ssl /usr/local/share",
        "chmod -R o-rwx /etc/ssl/certs /usr/local",
        &format!("mv {anchors} /moved"),
        &format!("cp {root} {anchors}/own.crt && update-ca-certificates; {NO_TIMES}"),
        &format!(
            "sed -i s/mozilla.ISRG/!\\\\0/ /etc/ca-certificates.conf && update-ca-certificates; {NO_TIMES}"
        ),
        &format!(
            "echo more >>{bundle}; (echo; cat {bundle}) >/more; sed s/$/\\\\r/ <{bundle} >/windows"
        ),
        &format!(
            "keytool -importcert -noprompt -cacerts -storepass changeit -alias x -file {root}; {NO_TIMES}"
        ),
    ] {
        site.check(&signer.authority, text);
    }
}

#[test]
fn a_system_that_gets_its_bundle_in_the_command_has_it_with_the_authority_and_without() {
    let Some(systems) = Systems::get() else {
        return;
    };
    let (signer, folder) = (Signer::new(), temp());
    std::fs::write(folder.path().join("file"), "hello\n").unwrap();
    let server = signer.serve(folder.path());
    let url = format!("https://{HOST}:{}/file", server.port);
    for identity in [Wanted::Best, Wanted::Single] {
        let mut site = Site::new(systems, "slim.tar", identity);
        let install = "apt-get -qq install --no-install-recommends /debs/*.deb >/dev/null 2>&1 && \
            rm -f /var/cache/debconf/*-old /var/lib/dpkg/*-old /var/cache/ldconfig/aux-cache /var/cache/apt/*.bin";
        site.check(&signer.authority, install);
        site.check(&signer.authority, "mkdir -p /usr/local/share/ca-certificates && echo x >/usr/local/share/ca-certificates/x");
        site.check(
            &signer.authority,
            "cp $SSL_CERT_FILE /copy || true; touch -d @0 /tmp/x",
        );
        site.ground.settings.commands.authority = Some(signer.authority.clone());
        let get = format!("{install}; env -i wget -qO- {url}");
        assert_eq!(site.says(&get), ["hello"], "{identity:?}");
    }
}
