# The scoring service with ONNX Runtime's CUDA provider and FAISS on GPU; else as service.Dockerfile.
# ONNX Runtime takes CUDA 13 and cuDNN 9 from the base, FAISS brings the CUDA 12 it was built with.
#   docker build -f deploy/service-cuda.Dockerfile --build-arg CUDA=nvidia/cuda@sha256:… .
ARG CUDA=nvidia/cuda:13.0.2-cudnn-runtime-ubuntu24.04

FROM ${CUDA} AS build
# The base's own Python, at whatever patch the pinned base's archive has.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --yes --no-install-recommends python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY deploy/install.sh deploy/install.sh
COPY deploy/locks/build.txt deploy/locks/service-cuda.txt deploy/locks/
COPY relevance relevance
COPY teacher teacher
COPY trainer trainer
COPY exporter exporter
COPY service service
COPY loadtest loadtest
RUN deploy/install.sh service-cuda /opt/relevance

FROM ${CUDA}
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --yes --no-install-recommends python3 libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --no-create-home relevance \
    && install --directory --owner 10001 --group 10001 /store
COPY --from=build /opt/relevance /opt/relevance
USER 10001:10001
ENV PATH=/opt/relevance/bin:$PATH HOME=/tmp PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    OMP_WAIT_POLICY=PASSIVE ELLM_HOST=0.0.0.0 ELLM_PORT=8080 ELLM_STORE=/store
VOLUME ["/store"]
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=120s --retries=3 CMD ["python", "-c", \
    "import os, urllib.request as r; r.urlopen(f\"http://127.0.0.1:{os.environ['ELLM_PORT']}/readyz\", timeout=2)"]
ENTRYPOINT ["ellm"]
CMD ["serve"]
