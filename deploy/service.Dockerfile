# The service, without networks: docker build -f deploy/service.Dockerfile -t tetraview/service .
# Pin the base by its digest where images are released: --build-arg BASE_IMAGE=python@sha256:…
ARG BASE_IMAGE=python:3.11-slim-bookworm
# An image of wheels only, for where there is no package index; then also --build-arg PIP_NO_INDEX=1.
ARG WHEELS_IMAGE=scratch

# hadolint ignore=DL3006
FROM ${WHEELS_IMAGE} AS wheels
WORKDIR /wheels

# hadolint ignore=DL3006
FROM ${BASE_IMAGE} AS build
ARG PIP_NO_INDEX
ENV PIP_FIND_LINKS=/wheels PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /source
RUN python3.11 -m venv --without-pip /opt/tetraview
COPY pyproject.toml constraints.txt ./
# Dependencies first: they change more seldom than our code. Their tests are a tenth of the image and are never run.
RUN --mount=type=bind,from=wheels,source=/wheels,target=/wheels \
    python3.11 -c "import tomllib; p = tomllib.load(open('pyproject.toml', 'rb'))['project']; print(*p['dependencies'], *p['optional-dependencies']['traces'], sep='\n')" >needed.txt \
    && python3.11 -m pip --python /opt/tetraview/bin/python install --only-binary :all: -c constraints.txt -r needed.txt \
    && find /opt/tetraview/lib -type d \( -name tests -o -name test \) -prune -exec rm -rf {} +
COPY README.md LICENSE ./
COPY service service
RUN --mount=type=bind,from=wheels,source=/wheels,target=/wheels \
    python3.11 -m pip wheel --no-deps -w dist . \
    && python3.11 -m pip --python /opt/tetraview/bin/python install --no-deps dist/*.whl
# Settings that name no data_dir keep it here. Owned by the user of the service, so that a new volume is as well.
RUN install -d -o 65532 -g 65532 -m 0700 /data

# hadolint ignore=DL3006
FROM ${BASE_IMAGE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="tetraview" \
      org.opencontainers.image.description="Reads screening mammograms four views at a time, as a DICOM service. Research software, not for clinical use." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /opt/tetraview /opt/tetraview
COPY --from=build --chown=65532:65532 /data /var/lib/tetraview
ENV PATH=/opt/tetraview/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    TETRAVIEW_DICOM__HOST=0.0.0.0 \
    TETRAVIEW_WEB__HOST=0.0.0.0
USER 65532:65532
WORKDIR /var/lib/tetraview
EXPOSE 11112 8080
STOPSIGNAL SIGTERM
# Readiness decides about traffic and is the orchestrator's to ask; this only finds a process that hangs.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/livez', timeout=4)"]
ENTRYPOINT ["tetraview"]
CMD ["serve"]
