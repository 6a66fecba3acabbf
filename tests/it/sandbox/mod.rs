//! The sandbox: what a command sees, how it ends, and that nothing is left of it.

mod clock;
mod ending;
mod ground;
mod hostile;
mod limits;
mod random;
mod rights;
mod seen;
mod spent;
mod turns;
mod users;
