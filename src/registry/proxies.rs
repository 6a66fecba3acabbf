//! Proxies that docker's users have set for what they build.
//!
//! In: [`Paths`]. Out: those of the section `default` of `proxies` in config.json (docker,
//! `cli/config/configfile`; `docker buildx build` hands them on as build arguments).

use serde::Deserialize;

use super::error::Error;
use super::files::{self, Paths};

/// Proxies, each by the name of its variable in upper case; those that are empty are none.
pub fn of_docker(paths: &Paths) -> Result<Vec<(&'static str, String)>, Error> {
    let Some(path) = paths.docker_config_file() else {
        return Ok(Vec::new());
    };
    let text = files::read(&path)?.unwrap_or_else(|| "{}".to_owned());
    parse(&text).map_err(|reason| Error::Configuration {
        path: path.display().to_string(),
        reason,
    })
}

fn parse(text: &str) -> Result<Vec<(&'static str, String)>, String> {
    #[derive(Deserialize)]
    struct Config {
        proxies: Option<Proxies>,
    }
    #[derive(Deserialize)]
    struct Proxies {
        default: Option<Proxy>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Proxy {
        http_proxy: Option<String>,
        https_proxy: Option<String>,
        ftp_proxy: Option<String>,
        no_proxy: Option<String>,
        all_proxy: Option<String>,
    }
    let config: Config = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let Some(default) = config.proxies.and_then(|proxies| proxies.default) else {
        return Ok(Vec::new());
    };
    let named = [
        ("HTTP_PROXY", default.http_proxy),
        ("HTTPS_PROXY", default.https_proxy),
        ("FTP_PROXY", default.ftp_proxy),
        ("NO_PROXY", default.no_proxy),
        ("ALL_PROXY", default.all_proxy),
    ];
    let there = named
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.filter(|value| !value.is_empty())?)));
    Ok(there.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_section_names_proxies() {
        let text = r#"{"auths": {}, "proxies": {"default": {"httpProxy": "h", "noProxy": "n",
            "httpsProxy": ""}, "tcp://other": {"ftpProxy": "f"}}}"#;
        let expected = [("HTTP_PROXY", "h"), ("NO_PROXY", "n")];
        let expected = expected.map(|(name, value)| (name, value.to_owned()));
        assert_eq!(parse(text).unwrap(), expected);
        assert_eq!(parse(r#"{"proxies": {}}"#).unwrap(), []);
        assert!(parse(r#"{"proxies": {"default": {"httpProxy": 1}}}"#).is_err());
    }
}
