//! Maven: what Debian's packages have of its plugins is the local repository; a server has the rest.

use sha1::Digest as _;

use super::world::{Answers, Page, Pages, World};
use super::{Bench, Changes};
use crate::support::zip::zip;

/// A repository with `hello` and `extra` in these versions.
fn repository(versions: &[&str]) -> Pages {
    let mut files = Vec::new();
    for name in ["hello", "extra"] {
        let folder = format!("/maven/org/example/{name}");
        let listed = versions
            .iter()
            .map(|version| format!("<version>{version}</version>"));
        let metadata = format!(
            "<metadata><groupId>org.example</groupId><artifactId>{name}</artifactId><versioning><versions>{}</versions></versioning></metadata>",
            listed.collect::<String>()
        );
        files.push((
            format!("{folder}/maven-metadata.xml"),
            metadata.into_bytes(),
        ));
        for version in versions {
            let pom = format!(
                "<project><modelVersion>4.0.0</modelVersion><groupId>org.example</groupId><artifactId>{name}</artifactId><version>{version}</version></project>"
            );
            let jar = zip(&[("version", version.as_bytes())]);
            let file = |kind: &str| format!("{folder}/{version}/{name}-{version}.{kind}");
            files.push((file("pom"), pom.into_bytes()));
            files.push((file("jar"), jar));
        }
    }
    let mut pages = Pages::new();
    for (path, bytes) in files {
        let sums = sha1::Sha1::digest(&bytes);
        let sums: String = sums.iter().map(|byte| format!("{byte:02x}")).collect();
        pages.insert(format!("{path}.sha1"), Page::from(sums));
        pages.insert(path, bytes.into());
    }
    pages
}

fn project(name: &str) -> String {
    format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\">
        <modelVersion>4.0.0</modelVersion>
        <groupId>app</groupId><artifactId>app</artifactId><version>1.0</version>
        <properties>
        <maven.compiler.release>17</maven.compiler.release>
        <project.build.sourceEncoding>UTF-8</project.build.sourceEncoding>
        </properties>
        <dependencies><dependency>
        <groupId>org.example</groupId><artifactId>{name}</artifactId><version>[1.0,2.0)</version>
        </dependency></dependencies>
        </project>"
    )
}

#[test]
fn maven() {
    let script = "cp -r /input /work
        cd /work
        mvn -q -B -s settings.xml -Dmaven.repo.local=/usr/share/maven-repo compile
        cp /usr/share/maven-repo/org/example/*/*/*.jar /out/";
    let Some(bench) = Bench::new("maven", "maven", "maven:3.8-openjdk-17", script) else {
        return;
    };
    let settings = format!(
        "<settings><mirrors><mirror><id>world</id><mirrorOf>*</mirrorOf><url>{}/maven</url></mirror></mirrors></settings>",
        bench.url()
    );
    bench.write("input/settings.xml", settings);
    bench.write("input/pom.xml", project("hello"));
    bench.write("input/src/main/java/App.java", "class App {}");
    bench.world.set(Answers::Pages(repository(&["1.0"])));
    bench.check(&Changes {
        newer: &|world| world.set(Answers::Pages(repository(&["1.0", "1.1"]))),
        other: &World::spoil,
        said: "example:hello 1.0→1.1",
        other_said: "",
        asks: ("pom.xml", &project("extra")),
        told: [
            "`GET HTTPS/maven/org/example/extra/maven-metadata.xml`",
            "`GET HTTPS/maven/org/example/hello/maven-metadata.xml`: another path",
        ],
    });
}
