//! Layers, with an authority and without.

use super::workshop::{HOST, Signer, Site};
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

/// Compares what commands make of Debian's bundle and keystores.
pub fn check(site: &mut Site, signer: &Signer) {
    let root = "/usr/share/ca-certificates/mozilla/ISRG_Root_X1.crt";
    let anchors = "/usr/local/share/ca-certificates";
    let bundle = "/etc/ssl/certs/ca-certificates.crt";
    let import = format!("keytool -importcert -noprompt -storepass changeit -alias x -file {root}");
    for text in [
        "update-ca-certificates",
        &format!("update-ca-certificates --fresh; {NO_TIMES}"),
        &format!(
            "cp {bundle} /elsewhere; cp -a /etc/ssl/certs /all; rm -rf {anchors}; touch {bundle}"
        ),
        &format!(
            "cp {root} {anchors}/own.crt && sed -i s/mozilla.Cert/!\\\\0/ /etc/ca-certificates.conf && update-ca-certificates; {NO_TIMES}"
        ),
        &format!("{import} -cacerts; {NO_TIMES}"),
    ] {
        site.check(&signer.authority, text);
    }
    // As Java has them from 18 on.
    let bare =
        "-J-Dkeystore.pkcs12.certProtectionAlgorithm=NONE -J-Dkeystore.pkcs12.macAlgorithm=NONE";
    let store = "/opt/java/lib/security/cacerts";
    let made = format!(
        "mkdir -p /opt/java/lib/security && {import} {bare} -storetype PKCS12 -keystore {store}"
    );
    site.base = site.step(&made);
    let import = import.replace("ISRG_Root_X1", "ISRG_Root_X2");
    let import = import.replace("-alias x", "-alias y");
    let list = format!("keytool -list -keystore {store} -storepass changeit");
    site.check(
        &signer.authority,
        &format!("{list} >/dev/null && chmod 600 {store} && {import} -keystore {store}"),
    );
    site.ground.settings.commands.authority = Some(signer.authority.clone());
    let said = site.says(&format!(
        "{import} -keystore {store} 2>/dev/null; {list} | grep -o '^[^ ]*, ' | sort"
    ));
    assert_eq!(said, ["cairn-step-authority, ", "x, ", "y, "]);
    site.ground.settings.commands.authority = None;
}

/// Compares what becomes of a Debian that gets its bundle in the command.
pub fn check_without_bundle(site: &mut Site, signer: &Signer) {
    let folder = temp();
    std::fs::write(folder.path().join("file"), "hello\n").unwrap();
    let server = signer.serve(folder.path());
    let url = format!("https://{HOST}:{}/file", server.port);
    let install = "apt-get -qq install --no-install-recommends /debs/*.deb >/dev/null 2>&1 && \
        rm -f /var/cache/debconf/*-old /var/lib/dpkg/*-old /var/cache/ldconfig/aux-cache /var/cache/apt/*.bin";
    let anchors = "/usr/local/share/ca-certificates";
    // wget has no variable here, and trusts nobody without the authority.
    let get = format!("{install}; env -i wget -qO- {url} || true");
    site.check(&signer.authority, &get);
    assert_eq!(site.ground.output(), ["hello"]);
    for text in [
        &format!("mkdir -p {anchors} && echo x >{anchors}/x"),
        "touch /copy; [ ! -e /dev/cairn ] || cp /dev/cairn/ca-certificates.pem /copy2; find / -xdev -name '*.crt' -exec touch {} +",
    ] {
        site.check(&signer.authority, text);
    }
}
