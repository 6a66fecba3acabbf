//! A command's own certificate authority: every common tool trusts it, and no layer holds it.
//!
//! In: a Debian made here by mmdebstrap, a server whose certificate the authority signed. Out: what
//! tools in the command say of that server, and layers, which must be those of the same commands
//! without an authority.

mod layers;
mod small;
mod tools;
mod workshop;

use cairn::sandbox::Wanted;

use workshop::{Signer, Site, Systems};

/// One test, as making the systems takes longer than the rest.
#[test]
fn debian_trusts_an_authority_that_no_layer_holds() {
    let Some(systems) = Systems::new() else {
        return;
    };
    let signer = Signer::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut site = Site::new(&systems, "tools.tar", Wanted::Best);
            tools::check(&mut site, &signer);
            layers::check(&mut site, &signer);
        });
        for identity in [Wanted::Best, Wanted::Single] {
            let mut site = Site::new(&systems, "slim.tar", identity);
            layers::check_without_bundle(&mut site, &signer);
        }
    });
}
