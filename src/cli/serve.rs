//! `cairn serve`.

use super::arguments::Serve;
use super::environment::Environment;
use super::exit::{Code, Failure};
use super::{interrupt, print};
use crate::registry::server::Server;
use crate::ui::progress::Mode;

/// Serves until a signal.
pub fn run(arguments: &Serve, environment: &Environment) -> Result<(), Failure> {
    let events = environment.events(Mode::Plain);
    let server = Server::bind(environment.store()?, arguments.listen, events);
    let server = server.map_err(|error| Failure::new(Code::Failed, error))?;
    print::to_stderr(&format!(
        "serving {} on {}",
        environment.store_name(),
        server.address()
    ));
    server
        .run_until(interrupt::signal())
        .map_err(|error| Failure::new(Code::Failed, error))
}
