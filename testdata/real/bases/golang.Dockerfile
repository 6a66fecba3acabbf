FROM debian:bookworm
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates golang-go \
 && rm -rf /var/lib/apt/lists/*
ENV GOPATH=/go GOFLAGS=-buildvcs=false
