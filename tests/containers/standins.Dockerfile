# What stands in for public images where none can be pulled; each target takes the options of its original that we use.
# hadolint global ignore=DL3006,DL3008,DL3013,DL3042
FROM debian:bookworm-slim AS debian
# Outgoing TLS may pass an authority of the machine's own.
COPY ca-certificates.crt /etc/ssl/certs/

FROM debian AS python
RUN apt-get update && apt-get install -y --no-install-recommends python3 python3-pip python3-venv \
    && rm -rf /var/lib/apt/lists/* /usr/lib/python3.11/EXTERNALLY-MANAGED

FROM tetraview-wheels AS wheels
WORKDIR /wheels

FROM python AS triton
RUN apt-get update && apt-get install -y --no-install-recommends libpython3.11 && rm -rf /var/lib/apt/lists/*
# The server of the wheel, where NVIDIA's image has its own; the wheel's libraries lie relative to it.
RUN --mount=type=bind,from=wheels,source=/wheels,target=/wheels \
    python3 -m pip install --no-cache-dir --no-index --find-links /wheels --no-deps --target /opt/pytriton nvidia-pytriton==0.7.0 \
    && chmod +x /opt/pytriton/pytriton/tritonserver/bin/tritonserver \
    && rm -rf /opt/pytriton/pytriton/tritonserver/python_backend_stubs \
    && ln -s /opt/pytriton/pytriton/tritonserver /opt/tritonserver
ENV LD_LIBRARY_PATH=/opt/pytriton/nvidia_pytriton.libs

FROM debian AS orthanc
RUN apt-get update && apt-get install -y --no-install-recommends orthanc curl && rm -rf /var/lib/apt/lists/* /etc/orthanc/*
RUN chmod 0755 /var/lib/orthanc && install -d -o 65532 -g 65532 /var/lib/orthanc/db
ENTRYPOINT ["/usr/sbin/Orthanc"]
CMD ["/etc/orthanc/"]

FROM debian AS postgres
RUN groupadd -g 999 postgres && useradd -u 999 -g 999 postgres \
    && apt-get update && apt-get install -y --no-install-recommends postgresql && rm -rf /var/lib/apt/lists/* \
    && install -d -o 999 -g 999 -m 0700 /var/lib/postgresql/data
ENV PATH=/usr/lib/postgresql/15/bin:$PATH PGDATA=/var/lib/postgresql/data
USER 999:999
COPY --chmod=0755 postgres-entrypoint /usr/local/bin/docker-entrypoint.sh
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["postgres"]
