# The explorer in a container, served by a user who owns nothing but a cache and the labels.
#   docker build -t galaxy-explorer .
#   docker run -p 127.0.0.1:5006:5006 -v galaxy-labels:/data galaxy-explorer
FROM python:3.11-slim

WORKDIR /app
COPY pyproject.toml constraints.txt README.md LICENSE app.py ./
COPY galaxy_explorer galaxy_explorer
RUN pip install --no-cache-dir -c constraints.txt . \
    && useradd --system --create-home explorer \
    && mkdir /data && chown explorer /data
COPY trained trained

USER explorer
ENV GALAXY_EXPLORER_BUNDLE=trained/sdss \
    GALAXY_EXPLORER_CACHE=/data/cache \
    GALAXY_EXPLORER_LABELS=/data/labels.db
VOLUME /data
EXPOSE 5006
# The address that browsers use has to be named: BOKEH_ALLOW_WS_ORIGIN=galaxies.example.org
ENV BOKEH_ALLOW_WS_ORIGIN=localhost:5006
CMD ["panel", "serve", "app.py", "--plugins", "galaxy_explorer.explorer.routes", \
     "--address", "0.0.0.0", "--port", "5006", "--warm", "--log-level", "warning"]
