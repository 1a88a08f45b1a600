# Training, evaluation and export: the one image with torch. For a GPU build it with the other lock;
# torch's CUDA wheels bring their libraries, so the base is the same.
#   docker build -f deploy/trainer.Dockerfile --build-arg PYTHON=python@sha256:… -t relevance-trainer .
#   … --build-arg LOCK=trainer-cuda --build-arg TORCH_INDEX= …
ARG PYTHON=python:3.11-slim-bookworm

FROM ${PYTHON} AS build
ARG LOCK=trainer
# Where the CPU build of torch lies; its hash is in the lock.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY deploy/install.sh deploy/install.sh
COPY deploy/locks/build.txt deploy/locks/trainer.txt deploy/locks/trainer-cuda.txt deploy/locks/
COPY relevance relevance
COPY teacher teacher
COPY trainer trainer
COPY exporter exporter
COPY service service
COPY loadtest loadtest
RUN TORCH_INDEX="${TORCH_INDEX}" deploy/install.sh "${LOCK}" /opt/relevance

FROM ${PYTHON}
RUN useradd --system --uid 10001 --no-create-home relevance \
    && install --directory --owner 10001 --group 10001 /work
COPY --from=build /opt/relevance /opt/relevance
USER 10001:10001
WORKDIR /work
ENV PATH=/opt/relevance/bin:$PATH HOME=/tmp PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    OMP_WAIT_POLICY=PASSIVE
# A job has no port to ask: it is healthy as long as it lives.
HEALTHCHECK NONE
ENTRYPOINT ["ellm"]
CMD ["train", "--help"]
