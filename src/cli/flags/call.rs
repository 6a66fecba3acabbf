//! `--call`.
//!
//! In: `check,format=json`, as `docker buildx build` has it. Out: [`Call`].

use clap::ValueEnum as _;

use crate::cli::arguments::Format;
use crate::cli::csv;

/// What is done with a recipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Call {
    /// What.
    pub what: What,
    /// How it is told.
    pub format: Option<Format>,
    /// Whether it succeeds whatever is found.
    pub ignores_status: bool,
}

/// What is done with a recipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum What {
    /// It is built.
    #[default]
    Build,
    /// Told is what should be otherwise.
    Check,
    /// Told are its arguments, secrets, agents and caches.
    Outline,
    /// Told are its stages.
    Targets,
}

/// The value of `--call`.
pub fn call(text: &str) -> Result<Call, String> {
    let mut call = Call::default();
    let mut what = None;
    for field in csv::fields(text)? {
        match field.split_once('=') {
            None if what.is_none() => what = Some(method(&field)?),
            None => return Err(format!("`{field}` is one call too many")),
            Some(("format", format)) => call.format = Some(Format::from_str(format, false)?),
            Some(("ignorestatus", value)) => {
                call.ignores_status = value
                    .parse()
                    .map_err(|_| "`ignorestatus` is `true` or `false`")?;
            }
            Some((key, _)) => {
                return Err(format!(
                    "there is no option `{key}`: there are `format` and `ignorestatus`"
                ));
            }
        }
    }
    call.what = what.unwrap_or_default();
    Ok(call)
}

fn method(name: &str) -> Result<What, String> {
    match name {
        "build" | "" => Ok(What::Build),
        // Docker's older name of it.
        "check" | "lint" => Ok(What::Check),
        "outline" => Ok(What::Outline),
        "targets" => Ok(What::Targets),
        _ => Err(
            "it has to be `build`, `check`, `outline` or `targets`, and maybe `,format=json`"
                .to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_read_as_buildx_reads_them() {
        let json = Some(Format::Json);
        for (text, expected) in [
            ("build", Some((What::Build, None, false))),
            ("check", Some((What::Check, None, false))),
            ("lint,format=json", Some((What::Check, json, false))),
            ("format=json,targets", Some((What::Targets, json, false))),
            (
                "outline,ignorestatus=true",
                Some((What::Outline, None, true)),
            ),
            ("check,outline", None),
            ("chekc", None),
            ("check,format=xml", None),
            ("check,form=json", None),
            ("check,ignorestatus=maybe", None),
        ] {
            let read = call(text).ok();
            let read = read.map(|call| (call.what, call.format, call.ignores_status));
            assert_eq!(read, expected, "{text}");
        }
    }
}
