# docker build -t layers-stand-in . && docker run --rm -p 127.0.0.1:8000:8000 layers-stand-in
# docs/ci.md tells what was tried of it. Any image with Python 3.11 or newer, venv and pip can be the base.
ARG BASE=python:3.13-slim

FROM ${BASE} AS build
WORKDIR /src
COPY . .
# Every dependency comes as a wheel, for amd64 and for arm64, so no compiler is needed for either.
RUN python3 -m venv /build \
    && python3 -m venv --without-pip /opt/layers-stand-in \
    && /build/bin/pip wheel --no-cache-dir --no-deps --wheel-dir /wheels . \
    && wheel=$(echo /wheels/layers_stand_in-*.whl) \
    && /build/bin/pip --python /opt/layers-stand-in install --no-cache-dir --only-binary :all: "${wheel}[postgres,s3]"

FROM ${BASE}
COPY --from=build /opt/layers-stand-in /opt/layers-stand-in
# Whatever user is named by --user may write to a new volume.
RUN install -d -m 1777 /data
# /dev/shm is there under a read-only root too; the demo key works, for nobody reaches a container but by a port that is published.
ENV PATH="/opt/layers-stand-in/bin:$PATH" \
    STANDIN_ALLOW_DEMO_KEY=1 \
    STANDIN_DATA=/data \
    TMPDIR=/dev/shm
USER 10001:10001
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s --retries=3 CMD ["python3", "-c", "\
import http.client, os; \
service = http.client.HTTPConnection('127.0.0.1', int(os.environ.get('PORT', '8000')), timeout=4); \
token = {'Authorization': 'Bearer ' + os.environ.get('STANDIN_CONTROL', '')}; \
service.request('GET', '/_standin/health', headers=token); \
raise SystemExit(service.getresponse().status >= 500)"]
ENTRYPOINT ["layers-stand-in"]
CMD ["serve", "--host", "0.0.0.0"]
