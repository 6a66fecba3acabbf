FROM debian:bookworm
RUN apt-get update \
 && apt-get install -y --no-install-recommends \
      maven openjdk-17-jdk-headless \
      libmaven-compiler-plugin-java libmaven-jar-plugin-java libmaven-resources-plugin-java \
      libsurefire-java \
 && rm -rf /var/lib/apt/lists/*
CMD ["mvn"]
