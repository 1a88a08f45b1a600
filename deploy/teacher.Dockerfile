# The teacher's jobs without torch: annotate, select, fit, judge, by catalogue or by a served LLM.
# The LLM itself runs in vLLM's own image (deploy/compose.yaml); tuning it, in trainer.Dockerfile.
#   docker build -f deploy/teacher.Dockerfile --build-arg PYTHON=python@sha256:… -t relevance-teacher .
ARG PYTHON=python:3.11-slim-bookworm

FROM ${PYTHON} AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY deploy/install.sh deploy/install.sh
COPY deploy/locks/build.txt deploy/locks/teacher.txt deploy/locks/
COPY relevance relevance
COPY teacher teacher
COPY trainer trainer
COPY exporter exporter
COPY service service
COPY loadtest loadtest
RUN deploy/install.sh teacher /opt/relevance

FROM ${PYTHON}
# LightGBM's OpenMP runtime, at whatever patch the pinned base's archive has.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --yes --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --no-create-home relevance \
    && install --directory --owner 10001 --group 10001 /work
COPY --from=build /opt/relevance /opt/relevance
USER 10001:10001
WORKDIR /work
ENV PATH=/opt/relevance/bin:$PATH HOME=/tmp PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    OMP_WAIT_POLICY=PASSIVE
# A job has no port to ask: it is healthy as long as it lives.
HEALTHCHECK NONE
ENTRYPOINT ["ellm"]
CMD ["teach", "--help"]
