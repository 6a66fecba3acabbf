# syntax=docker/dockerfile:1
# check=skip=all
ARG V=1.${W:-2}
FROM --platform=$BUILDPLATFORM docker.io/library/alpine:$V@sha256:0 AS Build
# hadolint ignore=DL3003
RUN --mount=type=cache,id=a,target=/var/cache,sharing=locked,mode=0755 \
    --mount=type=bind,from=x,"source=a,b",target=$T --network=none \
  apk add \
  # a comment
    make \

    gcc && echo "it's" 'a' $x
RUN <<-EOF bash 3<<'END'
	echo ${x//a/b}
	EOF
END
COPY --from=build --chown=1:$G --chmod=u+rwX,go=rX --exclude=**/*.o --parents ["a b", "./c/"]
COPY <<EOF <<-"B" /d/
${x:?must}\$y
EOF
	B
ADD --checksum=sha256:${S} --unpack=true https://example.org/a.tar.gz#x:y /
ENV A=b "C"='d e' F="g \"h\"" I=j\ k
ENV OLD  style value
HEALTHCHECK --interval=1m30.5s --retries=3 CMD ["curl", "\u0066"]
ONBUILD RUN <<A
a
A
EXPOSE 80 443/udp 8000-8010/tcp
VOLUME ["/a", "/b"]
SHELL ["/bin/sh", "-c"]
STOPSIGNAL SIGTERM
USER a:${B:+c}
WORKDIR ${A%%/*}/b
ENTRYPOINT ["x"]
CMD exec y
