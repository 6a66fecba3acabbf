//! A command's own certificate authority: every common tool trusts it, and no layer holds it.
//!
//! In: a Debian made here by mmdebstrap, a server whose certificate the authority signed. Out: what
//! tools in the command say of that server, and layers, which must be those of the same commands
//! without an authority.

mod layers;
mod small;
mod tools;
mod workshop;
