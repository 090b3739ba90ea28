# The production image: the server by default, and the command line as "docker run IMAGE app db upgrade".
# Its user can write nothing but /data, and nothing in it needs a shell. Two builds of one commit are the same.
ARG NODE_IMAGE=node:26-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY tools tools/
# Source maps and type declarations are a third of the packages, and nothing reads them at run time.
RUN npm ci --omit=dev && \
    find node_modules -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' \) -delete
COPY src src/
COPY migrations migrations/
# The checkout's umask must neither hide files from the image's user nor change the layers.
RUN chmod -R u=rwX,go=rX . && mkdir /data && chown 1000:1000 /data

FROM ${NODE_IMAGE}
WORKDIR /app
ENV NODE_ENV=production HOST=0.0.0.0 PORT=5000 PATH=/app/node_modules/.bin:$PATH
COPY --from=build /app/node_modules node_modules/
COPY --from=build /app/tools/require-node.js tools/
COPY --from=build /app/tools/app tools/app/
COPY --from=build /app/package.json ./
COPY --from=build /app/migrations migrations/
COPY --from=build /app/src src/
# For SQLite: mount a volume here and set DATABASE_URL=sqlite:////data/app.db. Not a VOLUME, which would
# leave an unnamed one behind for each container that has its data in PostgreSQL.
COPY --from=build --chown=1000:1000 /data /data/

USER 1000:1000
EXPOSE 5000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["node", "src/healthcheck.ts"]
# The base's own entrypoint is a shell script.
ENTRYPOINT []
CMD ["node", "--max-semi-space-size=2", "--import", "./tools/require-node.js", "src/main.ts"]

# Last, for they change most often: --build-arg VERSION=… --build-arg REVISION=$(git rev-parse HEAD)
ARG NODE_IMAGE
ARG VERSION
ARG REVISION
LABEL org.opencontainers.image.title="typescript-backend-template" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="${NODE_IMAGE}"
