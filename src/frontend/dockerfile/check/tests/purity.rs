//! cairn's own rules.

use super::{CheckInput, findings, must_find, must_find_in_run};

#[test]
fn languages_that_others_read() {
    must_find(
        "ForeignSyntax",
        &[
            ("# syntax=a.test/b:1\nFROM scratch", &["a.test/b:1"]),
            (
                "# syntax=a.test/b:1 more\nFROM scratch",
                &["a.test/b:1 more"],
            ),
            ("#syntax=dockerfile\nFROM scratch", &["dockerfile"]),
            ("# syntax=docker/dockerfile:1\nFROM scratch", &[]),
            (
                "# syntax=docker.io/docker/dockerfile-upstream:master-labs\nFROM scratch",
                &[],
            ),
            (
                "# syntax=mirror.test/docker.io/docker/dockerfile:1.4\nFROM scratch",
                &[],
            ),
            ("# syntax=\nFROM scratch", &[]),
            ("FROM scratch", &[]),
        ],
    );
}

#[test]
fn names_that_move() {
    let digest = "a".repeat(64);
    must_find(
        "UnpinnedBase",
        &[
            ("FROM a", &["a"]),
            (
                "FROM a:1 AS b\nFROM b\nCOPY --from=0 x y\nCOPY --from=c:1 x y",
                &["a:1", "c:1"],
            ),
            (&format!("FROM a:1@sha256:{digest}"), &[]),
            ("ARG T=1\nFROM a:$T", &["a:$T"]),
            ("FROM scratch", &[]),
        ],
    );
    let commit = "0".repeat(40);
    must_find(
        "UnpinnedGit",
        &[
            (
                "FROM scratch\nADD https://h/a.git#main /x",
                &["https://h/a.git#main"],
            ),
            ("FROM scratch\nADD git@h:a.git /x", &["git@h:a.git"]),
            (
                &format!("FROM scratch\nADD https://h/a.git#{commit}:d /x"),
                &[],
            ),
            (
                &format!("FROM scratch\nADD https://h/a.git?ref=main&commit={commit} /x"),
                &[],
            ),
            (
                "FROM scratch\nRUN git clone --depth 1 https://h/a",
                &["git"],
            ),
            (
                &format!("FROM scratch\nRUN git clone h && git -C a checkout {commit}"),
                &[],
            ),
        ],
    );
    must_find(
        "UnverifiedAdd",
        &[
            (
                "FROM scratch\nADD https://h/a.tgz b /x/",
                &["https://h/a.tgz"],
            ),
            (
                "FROM scratch\nADD --checksum=sha256:1 https://h/a.tgz /x/",
                &[],
            ),
        ],
    );
    must_find(
        "ImpureRun",
        &[
            (
                "FROM scratch\nRUN --network=host --security=insecure --device=d a",
                &["host", "insecure", "d"],
            ),
            ("FROM scratch\nRUN --network=none a", &[]),
        ],
    );
}

#[test]
fn downloads() {
    must_find_in_run(
        "PipedDownload",
        &[
            ("curl -fsSL https://h/x | sh", &["curl"][..]),
            ("wget -qO- https://h/x | sudo bash -s -- -y", &["wget"]),
            ("curl https://h/x | tee y | python3", &["curl"]),
            ("sh -c \"$(curl -fsSL https://h/x)\"", &["curl"]),
            (
                "[\"sh\", \"-c\", \"curl https://h | sh\"]",
                // Places in arrays are those of all its strings.
                &["\"sh\", \"-c\", \"curl https://h | sh\""],
            ),
            ("curl https://h/x | tar xz", &[]),
            ("<<E\ncurl https://h/x | sh\nE", &["curl"]),
        ],
    );
    must_find_in_run(
        "UnverifiedDownload",
        &[
            ("a \\\n # c\n && curl -O https://h/x", &["curl"]),
            ("wget $URL", &["wget"]),
            ("curl -O https://h/x && echo 1 | sha256sum -c", &[]),
            ("curl -I https://h/x", &[]),
            ("curl http://localhost:80/", &[]),
            ("apk add curl=1", &[]),
        ],
    );
}

#[test]
fn package_managers_that_do_not_keep_to_their_lock_files() {
    must_find_in_run(
        "UnlockedInstall",
        &[
            ("pip install -r requirements.txt", &["requirements.txt"]),
            (
                "pip3 install --no-cache-dir --requirement=a.txt",
                &["--requirement=a.txt"],
            ),
            ("python3 -m pip install -ra.txt", &["-ra.txt"]),
            (
                "uv pip install -r a.txt && uv sync --no-dev",
                &["a.txt", "sync"],
            ),
            ("pip install --require-hashes -r a.txt", &[]),
            ("PIP_REQUIRE_HASHES=1 pip install -r a.txt", &[]),
            ("pip install --no-index -f wheels -r a.txt", &[]),
            ("pip install -r dir/pylock.web.toml", &[]),
            ("pip install flask .", &[]),
            ("pip wheel -r a.txt; pip --version; pip install -r", &[]),
            ("uv sync --locked; uv sync --frozen; uv run x", &[]),
            (
                "poetry install; pipenv sync; pipenv install --deploy; pipenv install x",
                &[],
            ),
            ("pipenv install --system", &["install"]),
            ("bundle install --jobs 4", &["install"]),
            ("bundle check || bundle", &["bundle"]),
            ("bundle install --deployment; bundle exec rake", &[]),
            (
                "bundle config set --local frozen true && bundle install",
                &[],
            ),
            ("bundle --version", &[]),
            ("cargo build --release", &["build"]),
            ("cargo +nightly build -p a", &["build"]),
            ("cargo install --path .", &["install"]),
            (
                "cargo build --locked; cargo b --frozen; cargo fetch; cargo chef cook",
                &[],
            ),
            ("cargo install --locked --path .; cargo install a", &[]),
            ("echo pip install -r a.txt", &[]),
        ],
    );
    must_find(
        "UnlockedInstall",
        &[
            (
                "FROM a\nENV BUNDLE_DEPLOYMENT=1\nFROM b\nRUN bundle install",
                &[],
            ),
            (
                "FROM a\nRUN bundle config frozen 1\nRUN bundle install",
                &[],
            ),
            ("FROM a\nENV UV_LOCKED=1\nRUN uv sync", &[]),
            (
                "FROM a\nRUN [\"bundle\", \"install\"]",
                &["\"bundle\", \"install\""],
            ),
        ],
    );
}

#[test]
fn packages() {
    must_find_in_run(
        "UnpinnedApt",
        &[
            (
                "apt-get update && apt-get install -y --no-install-recommends gcc make",
                &["gcc"],
            ),
            ("apt-get -qq install gcc=1", &[]),
            ("apt install ./a.deb", &[]),
            (
                "sed s,deb,snapshot.debian.org, x && apt-get install gcc",
                &[],
            ),
            ("apt-get update", &[]),
        ],
    );
    must_find_in_run(
        "SystemUpgrade",
        &[
            ("apt-get update && apt-get -y upgrade", &["upgrade"]),
            ("apk upgrade --no-cache", &["upgrade"]),
            ("dnf -y update", &["update"]),
            ("apt-get update", &[]),
        ],
    );
    must_find_in_run(
        "UnpinnedApk",
        &[
            ("apk add --no-cache curl", &["curl"]),
            ("apk add --no-cache curl=8 git~2", &[]),
            ("apk --no-cache add -t deps gcc=1", &[]),
        ],
    );
    must_find_in_run(
        "UnpinnedRpm",
        &[
            ("dnf install -y gcc", &["gcc"]),
            ("yum -y install gcc-14.2", &[]),
            ("zypper in vim", &["vim"]),
        ],
    );
    must_find_in_run(
        "UnpinnedPip",
        &[
            ("pip install --no-cache-dir flask requests==1", &["flask"]),
            ("pip install 'flask>=2'", &["flask>=2"]),
            ("python3 -m pip install -U pip", &["pip"]),
            ("uv pip install x", &["x"]),
            ("pip install -r requirements.txt", &[]),
            ("pip install . ./b x.whl --target /y", &[]),
            ("pip install flask==3", &[]),
            ("pip list", &[]),
        ],
    );
    must_find_in_run(
        "UnpinnedNpm",
        &[
            ("npm install", &["install"]),
            ("npm i -g typescript", &["typescript"]),
            ("npm i -g typescript@5.1 @a/b@1", &[]),
            ("npm i @a/b@latest", &["@a/b@latest"]),
            ("npm ci && npm run build", &[]),
            ("yarn", &["yarn"]),
            ("yarn install --frozen-lockfile", &[]),
            ("yarn build", &[]),
            ("pnpm install --frozen-lockfile", &[]),
            ("pnpm i", &["i"]),
        ],
    );
    must_find_in_run(
        "UnpinnedGem",
        &[
            ("gem install rails", &["rails"]),
            ("gem install rails -v 8", &[]),
        ],
    );
    must_find_in_run(
        "UnpinnedGo",
        &[
            ("go install a.b/c@latest", &["a.b/c@latest"]),
            ("CGO_ENABLED=0 go install a.b/c@v1", &[]),
            ("go install ./...", &[]),
            ("go build -o x ./cmd", &[]),
        ],
    );
    must_find_in_run(
        "UnpinnedCargo",
        &[
            ("cargo install ripgrep", &["ripgrep"]),
            ("cargo install --locked ripgrep@14", &[]),
            ("cargo install --path .", &[]),
            ("cargo build --release", &[]),
        ],
    );
    must_find_in_run(
        "UnpinnedComposer",
        &[
            ("composer update", &["update"]),
            ("composer require a/b", &["a/b"]),
            ("composer install", &[]),
        ],
    );
}

#[test]
fn clock_chance_and_host() {
    must_find_in_run(
        "ClockInRun",
        &[
            ("echo $(date) > /x", &["date"]),
            ("date +%s", &["date"]),
            ("date -u -d @1", &[]),
            ("apt-get update=date", &[]),
        ],
    );
    must_find_in_run(
        "RandomInRun",
        &[
            ("echo $RANDOM", &["$RANDOM"]),
            ("head -c 8 /dev/urandom", &["/dev/urandom"]),
            ("ssh-keygen -A", &["ssh-keygen"]),
            ("openssl req -x509", &["openssl"]),
            ("openssl version", &[]),
        ],
    );
    must_find_in_run(
        "HostInRun",
        &[
            ("make -j$(nproc)", &["nproc"]),
            ("uname -r", &["uname"]),
            ("uname -m", &[]),
            ("cat /proc/cpuinfo", &["/proc/cpuinfo"]),
        ],
    );
}

/// The names of the rules that find something in `RUN command` of a recipe with a lock, or without.
fn found_in(run: &str, is_locked: bool) -> Vec<&'static str> {
    let text = format!("FROM a:1\nRUN {run}\n");
    let input = CheckInput {
        is_locked,
        ..CheckInput::default()
    };
    let found = findings(&text, input).into_iter();
    found.map(|finding| finding.rule.name).collect()
}

#[test]
fn what_a_lock_holds_and_a_clock_of_its_own_are_no_findings() {
    let moves = "apt-get install -y gcc && date && echo $RANDOM && curl -O https://a.test/b";
    let found = found_in(moves, false);
    let expected = [
        "UnpinnedBase",
        "UnpinnedApt",
        "ClockInRun",
        "RandomInRun",
        "UnverifiedDownload",
    ];
    assert_eq!(found, expected);
    assert_eq!(found_in(moves, true), [""; 0]);
    let alone = "--network=none date && echo $RANDOM";
    assert_eq!(found_in(alone, false), ["UnpinnedBase"]);
    // These are to be seen all the same.
    let secrets = "--network=none ssh-keygen -A && openssl genrsa && openssl rand 8 && pwgen";
    assert_eq!(found_in(secrets, true), ["RandomInRun"; 4]);
    let on_host = "--network=host date && apt-get install -y gcc";
    let expected = ["ImpureRun", "ClockInRun", "UnpinnedApt"];
    assert_eq!(found_in(on_host, true), expected);
    assert_eq!(found_in("pip install -r a.txt", true), ["UnlockedInstall"]);
    let unseen = "curl https://a.test/b | sh";
    assert_eq!(found_in(unseen, true), ["PipedDownload"]);
}

#[test]
fn misspelt_stages() {
    must_find(
        "MisspeltStage",
        &[
            ("FROM a:1 AS build\nFROM biuld", &["biuld"]),
            (
                "FROM a:1 AS build\nFROM scratch\nCOPY --from=bild a b",
                &["bild"],
            ),
            (
                "FROM a:1 AS build\nFROM scratch\nRUN --mount=target=/m,from=bild --mount=from=build,target=/b a",
                &["target=/m,from=bild"],
            ),
            ("FROM a:1 AS build\nFROM build", &[]),
            (
                "FROM a:1 AS build\nFROM biuld:1\nCOPY --from=x/build a b",
                &[],
            ),
            ("FROM a:1 AS build\nFROM debian", &[]),
            ("FROM biuld\nFROM a AS build", &[]),
        ],
    );
}
