//! `cairn doctor`.

use std::fmt::Write as _;

use serde_json::json;

use super::arguments::Doctor;
use super::environment::Environment;
use super::exit::{Code, Failure};
use super::print;
use crate::canon::Problem;
use crate::sandbox::SessionSettings;
use crate::sandbox::doctor::{Finding, State, examine};

/// Says what this machine lets commands do.
pub fn run(arguments: &Doctor, environment: &Environment) -> Result<(), Failure> {
    let store = environment.store()?;
    let place = store.temporary_folder()?;
    let folder = environment.absolute(place.0.path());
    let findings = examine(&folder, &SessionSettings::default());
    drop(place);
    let missing = |finding: &&Finding| finding.state == State::Missing;
    let missing: Vec<_> = findings.iter().filter(missing).collect();
    match arguments.json {
        true => print::json(&json!({ "ok": missing.is_empty(), "checks": findings }))?,
        false => print::to_stdout(&text(&findings))?,
    }
    match &missing[..] {
        [] => Ok(()),
        missing => {
            let names: Vec<_> = missing.iter().map(|finding| finding.name).collect();
            let message = format!("commands can't be run here: {}", names.join(", "));
            let hint =
                "what is said above mends it; images without commands are built nevertheless";
            Err(Failure::message(
                Code::Failed,
                Problem::new(message).hint(hint),
            ))
        }
    }
}

fn text(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let state = match finding.state {
            State::Good => "good",
            State::Slower => "slower",
            State::Missing => "missing",
            State::Untried => "untried",
        };
        let found = finding.found.replace('\n', " ");
        let _ = writeln!(text, "{state:<8} {}: {found}", finding.name);
        if let Some(remedy) = &finding.remedy {
            let _ = writeln!(text, "{:<8} hint: {remedy}", "");
        }
    }
    text
}
