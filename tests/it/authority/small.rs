//! All that a command may do with what it finds, on a small system: by root and by a user alone, and
//! where layers are copied.

use cairn::sandbox::Wanted;

use super::workshop::{Signer, Site};
use crate::support::programs::{program, skipped};
use crate::support::{require, run, temp};

const BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";
const ANCHORS: &str = "/usr/local/share/ca-certificates";

fn check(signer: &Signer, folder: tempfile::TempDir, identity: Wanted) {
    let mut site = Site::small(folder, identity);
    let certifi = "/usr/lib/python3/site-packages/certifi/cacert.pem";
    for text in [
        "true",
        "busybox find / -xdev >/list 2>/dev/null; rm /list; busybox touch /etc/ssl/certs",
        &format!("busybox touch {BUNDLE} {certifi} {ANCHORS}/* /etc/ssl/certs/*"),
        &format!("busybox touch -d '2001-01-01 00:00:00' {BUNDLE} {certifi}"),
        &format!("echo x >>{BUNDLE}; cat {certifi} >/text; cat {BUNDLE} {BUNDLE} >/twice"),
        &format!("busybox cp -a /etc/ssl /etc/pki /usr {ANCHORS} /srv"),
        &format!("rm -rf {ANCHORS} && mkdir {ANCHORS} && echo x >{ANCHORS}/x"),
        &format!("rm -r /etc/ssl; ln {certifi} /name; mv /usr/local /moved"),
        &format!("mv {BUNDLE} {BUNDLE}.old; ln -s ca-certificates.crt.old {BUNDLE}"),
        &format!("chmod -R go-r /etc /usr; busybox chown -R 12:34 /etc/ssl {ANCHORS} {certifi}"),
        &format!("cat {ANCHORS}/cairn*.crt >/srv/empty || true"),
        "cat /dev/cairn/*.pem >/bundle || cat /etc/ssl/certs/ca-certificates.crt >/bundle",
        "cd /etc/ssl/certs; for f in cairn*; do [ ! -e $f ] || ln -s $f /12345678.0; done; ln -s /12345678.0 /b; rm /b",
        "busybox tar cf /x.tar /etc/ssl/certs/other.pem 2>/dev/null; rm /x.tar",
    ] {
        site.check(&signer.authority, text);
    }
    site.ground.settings.commands.authority = Some(signer.authority.clone());
    let said = site.says(&format!(
        "cat {certifi} | busybox tail -n 1; busybox grep -c BEGIN {BUNDLE} /etc/pki/tls/certs/ca-bundle.crt; \
         cat /usr/lib/jvm/lib/security/cacerts; echo; echo $SSL_CERT_FILE; ls $SSL_CERT_FILE"
    ));
    let place = "/dev/cairn/ca-certificates.pem";
    let bundles = [BUNDLE, "/etc/pki/tls/certs/ca-bundle.crt"].map(|path| format!("{path}:2"));
    let expected = [
        "-----END CERTIFICATE-----",
        &bundles[0],
        &bundles[1],
        "none",
        place,
        place,
    ];
    assert_eq!(said, expected);
    // What it is written into in another form is refused.
    let step = site.step(&format!(
        "busybox sed 's/$/\\\\n/' {BUNDLE} | busybox tr -d '\\n' >/srv/json"
    ));
    let error = site.ground.build(step).unwrap_err().to_string();
    assert!(
        error.contains("`/srv/json` holds the certificate authority"),
        "{error}"
    );
}

#[test]
fn nothing_is_left_of_it_as_root() {
    if require("busybox") {
        check(&Signer::new(), temp(), Wanted::Best);
    }
}

#[test]
fn nothing_is_left_of_it_by_a_user_alone() {
    if require("busybox") {
        check(&Signer::new(), temp(), Wanted::Single);
    }
}

/// On an overlay, which can't be the upper folder of another.
#[test]
fn nothing_is_left_of_it_where_layers_are_copied() {
    if !require("busybox") {
        return;
    }
    if !rustix::process::geteuid().is_root() {
        return skipped("only root mounts");
    }
    let folder = temp();
    for name in ["lower", "upper", "work", "on"] {
        std::fs::create_dir(folder.path().join(name)).unwrap();
    }
    let options = "lowerdir=lower,upperdir=upper,workdir=work";
    let mut mount = program("mount", &["-t", "overlay", "overlay", "-o", options, "on"]);
    run(mount.current_dir(folder.path()));
    let on = folder.path().join("on");
    let checked = std::panic::catch_unwind(|| {
        check(
            &Signer::new(),
            tempfile::tempdir_in(&on).unwrap(),
            Wanted::Best,
        );
    });
    run(program("umount", &["-l"]).arg(&on));
    checked.unwrap();
}
