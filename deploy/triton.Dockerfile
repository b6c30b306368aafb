# Triton with tetraview's networks: docker build -f deploy/triton.Dockerfile -t tetraview/triton .
# 24.10 is server 2.51.0, the release of the Python 3.11 stub that NVIDIA publishes in nvidia-pytriton 0.7.0; stub and
# server must be of one release. The image itself brings Python 3.10, and later ones 3.12: none has 3.11.
ARG TRITON_IMAGE=nvcr.io/nvidia/tritonserver:24.10-py3
# An image of wheels only, for where there is no package index; then also --build-arg PIP_NO_INDEX=1.
ARG WHEELS_IMAGE=scratch

# hadolint ignore=DL3006
FROM ${WHEELS_IMAGE} AS wheels
WORKDIR /wheels

# hadolint ignore=DL3006
FROM ${TRITON_IMAGE} AS base
# Ubuntu 22.04 has no released Python 3.11; the archive of its former releases has. A base that has one keeps it.
# hadolint ignore=DL3008
RUN command -v python3.11 >/dev/null || { apt-get update \
    && apt-get install -y --no-install-recommends software-properties-common \
    && add-apt-repository -y ppa:deadsnakes/ppa \
    && apt-get install -y --no-install-recommends python3.11-venv libpython3.11 \
    && rm -rf /var/lib/apt/lists/*; }

FROM base AS build
ARG PIP_NO_INDEX
ENV PIP_FIND_LINKS=/wheels PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /source
RUN python3.11 -m venv /opt/build && python3.11 -m venv --without-pip /opt/tetraview
COPY pyproject.toml constraints.txt ./
COPY triton_models/pyproject.toml triton_models/README.md triton_models/
RUN --mount=type=bind,from=wheels,source=/wheels,target=/wheels \
    python3.11 -c "import tomllib; both = [tomllib.load(open(f'{folder}/pyproject.toml', 'rb'))['project']['dependencies'] for folder in ('.', 'triton_models')]; print(*(each for part in both for each in part if not each.startswith('tetraview')), sep='\n')" >needed.txt \
    && /opt/build/bin/pip --python /opt/tetraview/bin/python install --only-binary :all: -c constraints.txt -r needed.txt
RUN --mount=type=bind,from=wheels,source=/wheels,target=/wheels \
    /opt/build/bin/pip install --no-deps --target /stubs nvidia-pytriton==0.7.0 \
    && install -D -m 0755 /stubs/pytriton/tritonserver/python_backend_stubs/3.11/triton_python_backend_stub /stub/triton_python_backend_stub \
    && install -D -t /stub/lib /stubs/nvidia_pytriton.libs/libcudart-*
COPY README.md LICENSE ./
COPY service service
COPY triton_models/tetraview_nets triton_models/tetraview_nets
RUN --mount=type=bind,from=wheels,source=/wheels,target=/wheels \
    /opt/build/bin/pip wheel --no-deps -w dist . ./triton_models \
    && /opt/build/bin/pip --python /opt/tetraview/bin/python install --no-deps dist/*.whl

FROM base
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="tetraview-triton" \
      org.opencontainers.image.description="Triton with the networks of tetraview. Research software, not for clinical use." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /stub/triton_python_backend_stub /opt/tritonserver/backends/python/triton_python_backend_stub
# The stub was linked with a CUDA runtime of a name of its own.
COPY --from=build /stub/lib /usr/lib/x86_64-linux-gnu
COPY --from=build /opt/tetraview /opt/tetraview
COPY triton_models/repository /models
# Threads that spin while they wait make an exam ten times slower when another process wants the cores.
ENV PATH=/opt/tetraview/bin:$PATH \
    VIRTUAL_ENV=/opt/tetraview \
    PYTHONDONTWRITEBYTECODE=1 \
    OMP_WAIT_POLICY=PASSIVE
USER 65532:65532
WORKDIR /tmp
EXPOSE 8001 8002
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=10s --start-period=300s --retries=3 \
    CMD ["python", "-c", "import sys, tritonclient.grpc as t; sys.exit(not t.InferenceServerClient('127.0.0.1:8001').is_server_ready(client_timeout=5))"]
# Triton has no authentication: keep its network private. Only gRPC, no HTTP, no control of models from outside.
ENTRYPOINT ["/opt/tritonserver/bin/tritonserver", \
    "--model-repository=/models", \
    "--backend-directory=/opt/tritonserver/backends", \
    "--disable-auto-complete-config", \
    "--exit-on-error=true", \
    "--exit-timeout-secs=5", \
    "--allow-http=false", \
    "--grpc-address=0.0.0.0", \
    "--grpc-port=8001", \
    "--metrics-address=0.0.0.0", \
    "--metrics-port=8002"]
# All models; --model-control-mode=explicit with --load-model=NAME for some, each takes some hundred megabytes.
CMD ["--model-control-mode=none"]
