# The scoring service on CPU: no torch, no compiler, no root in the final image.
# Build from the repository's root:  docker build -f deploy/service.Dockerfile -t relevance-service .
ARG PYTHON=python:3.11-slim-bookworm

FROM ${PYTHON} AS build
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY relevance relevance
COPY teacher teacher
COPY service service
RUN python -m venv /opt/relevance \
    && /opt/relevance/bin/pip install --no-cache-dir '.[service]' -c constraints.txt

FROM ${PYTHON}
RUN useradd --system --uid 10001 --no-create-home relevance
COPY --from=build /opt/relevance /opt/relevance
USER 10001
ENV ELLM_HOST=0.0.0.0 ELLM_STORE=/store PYTHONDONTWRITEBYTECODE=1
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=2s CMD ["/opt/relevance/bin/python", "-c", \
    "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/health', timeout=1)"]
ENTRYPOINT ["/opt/relevance/bin/ellm", "serve"]
