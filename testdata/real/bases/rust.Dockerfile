FROM debian:bookworm
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates cargo-web gcc libc6-dev rustc-web \
 && rm -rf /var/lib/apt/lists/*
