//! gem: the image's own makes the gems and their index of old (`specs.4.8.gz`, `quick/`); the index
//! of today (`versions`, `info/`) is text.

use std::path::Path;

use cairn::canon::Digest;

use super::world::{Answers, Page, Pages, World};
use super::{Bench, Changes};
use crate::support::recipes::below;
use crate::support::run;

/// Has cairn make a folder for each newest version: gems and an index.
fn make(bench: &Bench) {
    let context = bench.folder.path().join("gems");
    std::fs::create_dir(&context).unwrap();
    let recipe = "FROM tools:1 AS make
RUN --network=none <<END
set -e
for newest in 1.0 1.1; do
  mkdir -p /out/$newest/gems
  for gem in hello-1.0 extra-1.0 hello-1.1; do
    [ $newest = 1.0 ] && [ $gem = hello-1.1 ] && continue
    mkdir -p /$gem/lib
    cd /$gem
    echo $gem >lib/${gem%-*}.rb
    cat >gemspec <<SPEC
Gem::Specification.new { |s| s.name = '${gem%-*}'; s.version = '${gem#*-}'; s.summary = 'x'
s.authors = ['x']; s.homepage = 'http://x'; s.license = 'MIT'; s.files = ['lib/${gem%-*}.rb'] }
SPEC
    gem build -q gemspec -o /out/$newest/gems/$gem.gem
  done
  gem generate_index -q -d /out/$newest
done
END
FROM scratch
COPY --from=make /out /
";
    std::fs::write(context.join("Dockerfile"), recipe).unwrap();
    let mut command = bench.command(&["build", "-q", "-o", "made"]);
    run(command.current_dir(&context));
}

/// The registry whose newest version is that.
fn registry(made: &Path, newest: &str, versions: &[&str]) -> Pages {
    let folder = made.join(newest);
    let mut pages = Pages::new();
    for name in below(&folder) {
        let file = folder.join(&name);
        if file.is_file() {
            let path = format!("/{}", name.display());
            pages.insert(path, std::fs::read(&file).unwrap().into());
        }
    }
    let mut all = String::from("created_at: 2020-01-01T00:00:00Z\n---\n");
    for (name, versions) in [("hello", versions), ("extra", &["1.0"])] {
        let mut info = String::from("---\n");
        for version in versions {
            let gem = std::fs::read(folder.join(format!("gems/{name}-{version}.gem"))).unwrap();
            let digest = Digest::of(&gem).hex();
            info.push_str(&format!("{version} |checksum:{digest}\n"));
        }
        all.push_str(&format!("{name} {} 0\n", versions.join(",")));
        pages.insert(format!("/info/{name}"), Page::from(info));
    }
    pages.insert("/versions".to_owned(), Page::from(all));
    // Who has this has the index of today.
    pages.insert("/".to_owned(), Page::from("gems"));
    pages
}

#[test]
fn gem() {
    let script = "gem install -q --no-document --install-dir /gems --clear-sources \
            --source HTTPS/ $(cat /input/wanted)
        cp -r /gems/gems/* /out/";
    let Some(bench) = Bench::new("gem", "tools", "tools:1", script) else {
        return;
    };
    bench.write("input/wanted", "hello");
    make(&bench);
    let made = bench.folder.path().join("gems/made");
    let newer = registry(&made, "1.1", &["1.0", "1.1"]);
    let first = registry(&made, "1.0", &["1.0"]);
    bench.world.set(Answers::Pages(first));
    bench.check(&Changes {
        newer: &|world| world.set(Answers::Pages(newer.clone())),
        other: &World::spoil,
        said: "1 package changed, hello 1.0→1.1",
        other_said: "",
        asks: ("wanted", "extra"),
        told: [
            "`GET HTTPS/info/extra`",
            "`GET HTTPS/info/hello`: another path",
        ],
    });
}
