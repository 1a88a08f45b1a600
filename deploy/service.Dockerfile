# The scoring service on CPU: no torch, no pip, no compiler, no root in the final image. It also
# holds `ellm refresh`, `rollout`, `redis`, `store`, `keys`: every job beside the service runs from it.
# Build from the repository's root, with the base pinned by its digest:
#   docker build -f deploy/service.Dockerfile --build-arg PYTHON=python@sha256:… -t relevance-service .
# Run with a read-only root: only /store and /dev/shm are written to.
ARG PYTHON=python:3.11-slim-bookworm

FROM ${PYTHON} AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY deploy/install.sh deploy/install.sh
COPY deploy/locks/build.txt deploy/locks/service.txt deploy/locks/
COPY relevance relevance
COPY teacher teacher
COPY trainer trainer
COPY exporter exporter
COPY service service
COPY loadtest loadtest
RUN deploy/install.sh service /opt/relevance

FROM ${PYTHON}
RUN useradd --system --uid 10001 --no-create-home relevance \
    && install --directory --owner 10001 --group 10001 /store
COPY --from=build /opt/relevance /opt/relevance
USER 10001:10001
ENV PATH=/opt/relevance/bin:$PATH HOME=/tmp PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    OMP_WAIT_POLICY=PASSIVE ELLM_HOST=0.0.0.0 ELLM_PORT=8080 ELLM_STORE=/store
VOLUME ["/store"]
EXPOSE 8080
# Drains for ELLM_DRAIN_DELAY + ELLM_DRAIN_TIMEOUT seconds (35) at most: give it 45 to stop.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=120s --retries=3 CMD ["python", "-c", \
    "import os, urllib.request as r; r.urlopen(f\"http://127.0.0.1:{os.environ['ELLM_PORT']}/readyz\", timeout=2)"]
ENTRYPOINT ["ellm"]
CMD ["serve"]
