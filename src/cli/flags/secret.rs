//! `--secret` and `--ssh`.
//!
//! In: `id=ID,src=PATH`, `id=ID,env=NAME`; `default`, `ID=SOCKET`, `ID=KEY,KEY`. Out: [`Secret`]
//! and [`Ssh`]: where the caller has them, never what they hold.

use std::path::PathBuf;

use crate::cli::csv;

/// One `--secret`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// Its name in the recipe.
    pub id: String,
    /// Where it is.
    pub source: SecretSource,
}

/// Where a secret is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// In a file.
    File(PathBuf),
    /// In a variable of the environment.
    Variable(String),
    /// In the variable that has its name, else in the file that has it.
    ByName,
}

const KEYS: &str = "keys are id, src, env and type";

/// Reads one `--secret`.
pub fn secret(text: &str) -> Result<Secret, String> {
    let (mut id, mut file, mut variable, mut kind) = (None, None, None, None);
    for field in csv::fields(text)? {
        let Some((key, value)) = field.split_once('=') else {
            return Err(format!("`{field}` is no KEY=VALUE; {KEYS}"));
        };
        let place = match key.to_ascii_lowercase().as_str() {
            "id" => &mut id,
            "src" | "source" => &mut file,
            "env" => &mut variable,
            "type" => &mut kind,
            _ => return Err(format!("it has no key `{key}`; {KEYS}")),
        };
        if place.replace(value.to_owned()).is_some() {
            return Err(format!("`{key}` is said twice"));
        }
    }
    // `type=env,src=NAME` names a variable.
    if kind.as_deref() == Some("env") && variable.is_none() {
        variable = file.take();
    }
    let id = id
        .filter(|id| !id.is_empty())
        .ok_or("it has no `id`, by which the recipe names it")?;
    let source = match (kind.as_deref(), file, variable) {
        (None | Some("file" | "env"), None, None) => SecretSource::ByName,
        (None | Some("file"), Some(file), None) if !file.is_empty() => {
            SecretSource::File(file.into())
        }
        (None | Some("env"), None, Some(name)) if !name.is_empty() => SecretSource::Variable(name),
        (Some(kind), ..) if !matches!(kind, "file" | "env") => {
            return Err(format!("there is no type `{kind}`: it is file or env"));
        }
        _ => return Err("it is in one place: `src=PATH` or `env=NAME`".to_owned()),
    };
    Ok(Secret { id, source })
}

/// One `--ssh`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ssh {
    /// Its name in the recipe.
    pub id: String,
    /// The socket of an agent, or keys; none is the agent of `SSH_AUTH_SOCK`.
    pub paths: Vec<PathBuf>,
}

/// Reads one `--ssh`.
pub fn ssh(text: &str) -> Result<Ssh, String> {
    let (id, paths) = match text.split_once('=') {
        Some((id, paths)) => (id, paths.split(',').collect()),
        None => (text, Vec::new()),
    };
    if id.is_empty() || paths.contains(&"") {
        return Err("it has to be default, or ID=SOCKET, or ID=KEY".to_owned());
    }
    Ok(Ssh {
        id: id.to_owned(),
        paths: paths.into_iter().map(PathBuf::from).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_in_files_or_in_the_environment() {
        let file = |path: &str| Some(SecretSource::File(path.into()));
        let variable = |name: &str| Some(SecretSource::Variable(name.to_owned()));
        for (text, expected) in [
            ("id=a,src=b", file("b")),
            ("type=file,id=a,source=b", file("b")),
            ("id=a,\"src=b,c\"", file("b,c")),
            ("id=a,env=B", variable("B")),
            ("id=a,type=env,src=B", variable("B")),
            ("id=a,type=env,env=B", variable("B")),
            ("id=a", Some(SecretSource::ByName)),
            ("id=a,type=env", Some(SecretSource::ByName)),
            ("", None),
            ("a", None),
            ("id=,src=b", None),
            ("src=b", None),
            ("id=a,src=", None),
            ("id=a,src=b,env=C", None),
            ("id=a,id=b", None),
            ("id=a,type=vault", None),
            ("id=a,type=file,env=B", None),
            ("id=a,path=b", None),
        ] {
            let got = secret(text).ok();
            assert!(got.iter().all(|secret| secret.id == "a"), "{text}");
            assert_eq!(got.map(|secret| secret.source), expected, "{text}");
        }
    }

    #[test]
    fn agents_have_a_name_and_maybe_a_place() {
        for (text, expected) in [
            ("default", Some(("default", &[][..]))),
            ("a=/run/agent", Some(("a", &["/run/agent"]))),
            ("a=k1,k2", Some(("a", &["k1", "k2"]))),
            ("", None),
            ("=x", None),
            ("a=", None),
            ("a=k,", None),
        ] {
            let expected = expected.map(|(id, paths)| Ssh {
                id: id.to_owned(),
                paths: paths.iter().map(PathBuf::from).collect(),
            });
            assert_eq!(ssh(text).ok(), expected, "{text}");
        }
    }
}
