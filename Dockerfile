# pitchai on a CPU: docker build -t pitchai . && docker run --rm -v "$PWD:/music" pitchai song.wav
FROM python:3.13-slim AS build
COPY . /src
RUN pip wheel --no-deps --wheel-dir /wheel /src

FROM python:3.13-slim
COPY --from=build /wheel /wheel
RUN pip install --no-cache-dir "$(ls /wheel/*.whl)[score]" && rm -r /wheel \
    && useradd --create-home listener
USER listener
WORKDIR /music
ENTRYPOINT ["pitchai"]
CMD ["--help"]
