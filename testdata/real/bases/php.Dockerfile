FROM debian:bookworm
RUN apt-get update \
 && apt-get install -y --no-install-recommends php8.2-cli \
 && rm -rf /var/lib/apt/lists/*
CMD ["php", "-a"]
