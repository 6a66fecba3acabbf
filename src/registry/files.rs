//! Reads the files that say how registries are reached.
//!
//! In: [`Paths`], which `cli` fills from the environment. Out: `Files`: the rules of
//! registries.conf, the credentials files, and on demand what certs.d has for a host. A file
//! that is missing says nothing. Broken rules are an error, since they may forbid something;
//! broken credentials are a warning.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use reqwest::Identity;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::credentials::AuthFile;
use super::error::Error;
use super::hosts_toml::HostsToml;
use super::registries_conf::Registries;
use crate::canon::event::Events;

/// Where the files are. Those that don't exist are passed over.
#[derive(Debug, Clone, Default)]
pub struct Paths {
    /// docker's config.json, or the folder that holds it (`$DOCKER_CONFIG`, `~/.docker`); asked
    /// after the `auth_files`.
    pub docker_config: Option<PathBuf>,
    /// podman's auth.json, in the order in which they are asked: `$REGISTRY_AUTH_FILE`,
    /// `$XDG_RUNTIME_DIR/containers/auth.json`, `~/.config/containers/auth.json`.
    pub auth_files: Vec<PathBuf>,
    /// Places of registries.conf: the first that exists is read
    /// (`~/.config/containers/registries.conf`, `/etc/containers/registries.conf`).
    pub registries_conf: Vec<PathBuf>,
    /// Folders of `*.conf`, read after it, in this order, each sorted by name
    /// (`/etc/containers/registries.conf.d`, `~/.config/containers/registries.conf.d`).
    pub registries_conf_dirs: Vec<PathBuf>,
    /// Folders of `HOST[:PORT]/` with `hosts.toml`, CAs as `*.crt`, and a client's certificate as
    /// `*.cert` with its key as `*.key` (`/etc/containerd/certs.d`,
    /// `/etc/docker/certs.d`, `/etc/containers/certs.d`, `~/.config/containers/certs.d`).
    pub certs_dirs: Vec<PathBuf>,
    /// PEM certificates of CAs that are trusted beside the system's (`$SSL_CERT_FILE`).
    pub extra_ca: Option<PathBuf>,
}

impl Paths {
    /// docker's config.json itself.
    pub(super) fn docker_config_file(&self) -> Option<PathBuf> {
        let path = self.docker_config.as_ref()?;
        Some(match path.is_dir() {
            true => path.join("config.json"),
            false => path.clone(),
        })
    }
}

/// What the files say.
pub(super) struct Files {
    pub(super) registries: Registries,
    pub(super) auth: Vec<AuthFile>,
    /// Where credentials were looked for, for people.
    pub(super) auth_paths: Vec<String>,
    certs_dirs: Vec<PathBuf>,
    extra_ca: Vec<CertificateDer<'static>>,
}

/// Largest file that is read, in bytes: a bundle of all the world's CAs has 250 KB.
const LARGEST_FILE: u64 = 16 << 20;

impl Files {
    pub(super) fn read(paths: &Paths, events: &Events) -> Result<Files, Error> {
        let mut registries = Registries::default();
        let mut rules = Vec::new();
        for path in &paths.registries_conf {
            if let Some(text) = read(path)? {
                rules.push((path.clone(), text));
                break;
            }
        }
        for folder in &paths.registries_conf_dirs {
            for path in files_of(folder, "conf")? {
                if let Some(text) = read(&path)? {
                    rules.push((path, text));
                }
            }
        }
        for (path, text) in rules {
            let path = path.display().to_string();
            events.debug(format!("registries: read `{path}`"));
            registries
                .add(&text, &path)
                .map_err(|reason| Error::Configuration { path, reason })?;
        }
        let (mut auth, mut auth_paths) = (Vec::new(), Vec::new());
        for path in paths
            .auth_files
            .iter()
            .cloned()
            .chain(paths.docker_config_file())
        {
            let name = path.display().to_string();
            let file = match read(&path) {
                Ok(None) => continue,
                Ok(Some(text)) => AuthFile::parse(&text, &name),
                Err(error) => Err(error.to_string()),
            };
            match file {
                Ok(file) => auth.push(file),
                Err(reason) => events.warn(format!(
                    "the credentials of `{name}` can't be used: {reason}"
                )),
            }
            auth_paths.push(format!("`{name}`"));
        }
        let extra_ca = match &paths.extra_ca {
            Some(path) => certificates(path)?,
            None => Vec::new(),
        };
        Ok(Files {
            registries,
            auth,
            auth_paths,
            certs_dirs: paths.certs_dirs.clone(),
            extra_ca,
        })
    }

    /// Folders of certs.d that are about `host`: by its name, by containerd's other spelling of a
    /// port, or the folder for all hosts.
    fn folders(&self, host: &str) -> Vec<PathBuf> {
        let mut names = vec![host.to_owned()];
        if let Some((name, port)) = host.rsplit_once(':') {
            names.push(format!("{name}_{port}_"));
        }
        let folders: Vec<_> = self
            .certs_dirs
            .iter()
            .flat_map(|folder| names.iter().map(|name| folder.join(name)))
            .filter(|folder| folder.is_dir())
            .collect();
        if !folders.is_empty() {
            return folders;
        }
        let defaults = self.certs_dirs.iter().map(|path| path.join("_default"));
        defaults.filter(|folder| folder.is_dir()).collect()
    }

    /// The hosts.toml for `host`, with its CA files as whole paths, and where it is.
    pub(super) fn hosts_toml(&self, host: &str) -> Result<Option<(HostsToml, String)>, Error> {
        for folder in self.folders(host) {
            let path = folder.join("hosts.toml");
            let Some(text) = read(&path)? else { continue };
            let name = path.display().to_string();
            let mut toml = HostsToml::parse(&text).map_err(|reason| Error::Configuration {
                path: name.clone(),
                reason,
            })?;
            let tables = toml.hosts.iter_mut().chain([&mut toml.server]);
            for table in tables {
                let client = table.client.iter_mut();
                let client =
                    client.flat_map(|(certificate, key)| [Some(certificate), key.as_mut()]);
                for file in table.ca.iter_mut().chain(client.flatten()) {
                    *file = folder.join(&*file).display().to_string();
                }
            }
            return Ok(Some((toml, name)));
        }
        Ok(None)
    }

    /// The CAs that are trusted for `host` beside the system's: the extra ones, `*.crt` of its
    /// folders, and the files `named`. Says which files those were.
    pub(super) fn ca(
        &self,
        host: &str,
        named: &[String],
    ) -> Result<(Vec<CertificateDer<'static>>, Vec<String>), Error> {
        let mut paths: BTreeSet<PathBuf> = named.iter().map(PathBuf::from).collect();
        for folder in self.folders(host) {
            paths.extend(files_of(&folder, "crt")?);
        }
        let mut ca = self.extra_ca.clone();
        for path in &paths {
            ca.extend(certificates(path)?);
        }
        let names = paths.iter().map(|path| format!("`{}`", path.display()));
        Ok((ca, names.collect()))
    }

    /// The certificate by which `host` knows the client, and its key: the one `named`, else the
    /// first `*.cert` of the host's folders with the `*.key` beside it. Says which it is.
    pub(super) fn identity(
        &self,
        host: &str,
        named: Option<&(String, Option<String>)>,
    ) -> Result<Option<(Identity, String)>, Error> {
        let (certificate, key) = match named {
            Some((certificate, key)) => (PathBuf::from(certificate), key.as_ref().map(Into::into)),
            None => {
                let mut found = Vec::new();
                for folder in self.folders(host) {
                    found.extend(files_of(&folder, "cert")?);
                }
                let Some(first) = found.into_iter().next() else {
                    return Ok(None);
                };
                let key: PathBuf = first.with_extension("key");
                (first, Some(key))
            }
        };
        let mut pem = String::new();
        for path in [Some(&certificate), key.as_ref()].into_iter().flatten() {
            let text = read(path)?.ok_or_else(|| refuse(path, "there is no such file"))?;
            pem.push_str(&text);
            pem.push('\n');
        }
        // What it says of a key that is none may hold some of it.
        let identity = Identity::from_pem(pem.as_bytes()).map_err(|_| {
            let reason = "it and its key are no PEM certificate with its private key";
            refuse(&certificate, reason)
        })?;
        Ok(Some((identity, format!("`{}`", certificate.display()))))
    }
}

fn refuse(path: &Path, reason: impl ToString) -> Error {
    Error::Configuration {
        path: path.display().to_string(),
        reason: reason.to_string(),
    }
}

/// The text of a file; none where there is no such file.
pub(super) fn read(path: &Path) -> Result<Option<String>, Error> {
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error)
            if matches!(
                error.kind(),
                std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(refuse(path, error)),
    };
    let mut text = String::new();
    file.take(LARGEST_FILE + 1)
        .read_to_string(&mut text)
        .map_err(|error| refuse(path, error))?;
    if text.len() as u64 > LARGEST_FILE {
        return Err(refuse(
            path,
            format!("it is larger than {LARGEST_FILE} bytes"),
        ));
    }
    Ok(Some(text))
}

/// The files of a folder with that extension, by name; none where there is no such folder.
fn files_of(folder: &Path, extension: &str) -> Result<Vec<PathBuf>, Error> {
    #[expect(clippy::disallowed_methods, reason = "sorted below")]
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(refuse(folder, error)),
    };
    let mut paths: Vec<_> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|other| other == extension))
        .collect();
    paths.sort();
    Ok(paths)
}

/// The certificates of a PEM file.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let Some(text) = read(path)? else {
        return Err(refuse(path, "there is no such file"));
    };
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(text.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| refuse(path, format!("it holds no PEM certificate: {error}")))?;
    if certificates.is_empty() {
        return Err(refuse(path, "it holds no PEM certificate"));
    }
    Ok(certificates)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    fn write(path: &Path, text: &str) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn first_registries_conf_then_every_drop_in_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let registry = |location: &str, insecure: bool| {
            format!(
                "[[registry]]\nprefix = \"r.example\"\nlocation = \"{location}\"\ninsecure = {insecure}"
            )
        };
        write(&root.join("user.conf"), &registry("user", false));
        write(&root.join("etc.conf"), &registry("etc", false));
        write(&root.join("d/20.conf"), &registry("twenty", false));
        write(&root.join("d/10.conf"), &registry("ten", true));
        write(&root.join("d/30.other"), "garbage");
        let mut paths = Paths {
            registries_conf: vec![
                root.join("none"),
                root.join("user.conf"),
                root.join("etc.conf"),
            ],
            ..Paths::default()
        };
        let location = |paths: &Paths| {
            let files = Files::read(paths, &Events::none()).unwrap();
            let reference = "r.example/a".parse().unwrap();
            let rule = files.registries.rule(&reference).unwrap().clone();
            rule.location.unwrap()
        };
        assert_eq!(location(&paths), "user");
        paths.registries_conf_dirs = vec![root.join("no-folder"), root.join("d")];
        assert_eq!(location(&paths), "twenty");
        write(&root.join("d/40.conf"), "[[registry");
        let error = Files::read(&paths, &Events::none()).map(drop).unwrap_err();
        assert!(matches!(error, Error::Configuration { path, .. } if path.ends_with("40.conf")));
    }

    #[test]
    fn broken_credentials_are_a_warning() {
        let folder = tempfile::tempdir().unwrap();
        write(&folder.path().join("config.json"), "{");
        let warnings = Arc::new(Mutex::new(Vec::new()));
        let heard = warnings.clone();
        let events = Events::new(move |event| heard.lock().unwrap().push(format!("{event:?}")));
        let paths = Paths {
            docker_config: Some(folder.path().to_owned()),
            ..Paths::default()
        };
        Files::read(&paths, &events).unwrap();
        let warnings = warnings.lock().unwrap();
        assert!(warnings[0].contains("Warning") && warnings[0].contains("config.json"));
    }

    #[test]
    fn hosts_toml_is_found_by_host_by_its_other_spelling_and_by_default() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        write(&root.join("a.example:5000/hosts.toml"), "ca = \"x.pem\"");
        write(
            &root.join("b.example_5000_/hosts.toml"),
            "server = \"http://b\"",
        );
        write(
            &root.join("_default/hosts.toml"),
            "server = \"http://default\"",
        );
        let paths = Paths {
            certs_dirs: vec![root.join("none"), root.to_owned()],
            ..Paths::default()
        };
        let files = Files::read(&paths, &Events::none()).unwrap();
        let server = |host: &str| files.hosts_toml(host).unwrap().unwrap().0.server;
        let ca = root.join("a.example:5000/x.pem").display().to_string();
        assert_eq!(server("a.example:5000").ca, [ca]);
        assert_eq!(server("b.example:5000").url.as_deref(), Some("http://b"));
        assert_eq!(server("c.example").url.as_deref(), Some("http://default"));
    }

    #[test]
    fn a_ca_file_without_a_certificate_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        write(&root.join("a.example/ca.crt"), "no certificate");
        let paths = Paths {
            certs_dirs: vec![root.to_owned()],
            ..Paths::default()
        };
        let files = Files::read(&paths, &Events::none()).unwrap();
        let error = files.ca("a.example", &[]).unwrap_err();
        assert!(matches!(error, Error::Configuration { path, .. } if path.ends_with("ca.crt")));
        assert!(files.ca("b.example", &[]).unwrap().0.is_empty());
    }
}
