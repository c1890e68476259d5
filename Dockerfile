# Crossfade in a container: Node 24, the packages of the lockfile and the TypeScript as it is; nothing is built.
#   docker build -t crossfade .
#   docker run --read-only --tmpfs /tmp -v crossfade:/var/lib/crossfade \
#     -v ./crossfade.yaml:/var/lib/crossfade/crossfade.yaml:ro crossfade
# For builds that must come out the same, name the base by its digest: --build-arg NODE_IMAGE=node@sha256:…
ARG NODE_IMAGE=node:24-bookworm-slim

FROM ${NODE_IMAGE} AS packages
WORKDIR /opt/crossfade
COPY package.json package-lock.json ./
# The Node among the optional packages is for hosts that lack one. --omit=optional would take the native CRC with it.
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund --cache /tmp/npm \
 && rm -rf node_modules/node-linux-* node_modules/.bin/node /tmp/npm \
 && find node_modules -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.?ts' -o -iname 'readme*' -o -iname 'changelog*' \) -delete

FROM ${NODE_IMAGE}
LABEL org.opencontainers.image.title="Crossfade" \
      org.opencontainers.image.description="Moves tables out of a MySQL monolith into Postgres and Redis without downtime, and proves that both sides agree." \
      org.opencontainers.image.licenses="Apache-2.0"
ENV NODE_ENV=production
WORKDIR /opt/crossfade
COPY --from=packages /opt/crossfade/node_modules ./node_modules
COPY package.json LICENSE ./
COPY bin/crossfade ./bin/crossfade
COPY src ./src
COPY connectors ./connectors
COPY transforms ./transforms
# The data folder belongs to the user; the program belongs to root and cannot be changed from inside.
RUN ln -s /opt/crossfade/bin/crossfade /usr/local/bin/crossfade \
 && install -d -o node -g node -m 0750 /var/lib/crossfade
# crossfade.yaml is looked for here, and the embedded log lies beside it.
WORKDIR /var/lib/crossfade
VOLUME /var/lib/crossfade
USER node
EXPOSE 8080
# Alive, not ready: a server that is away must not have the container restarted. Where `http.listen` names another port,
# the health check has to name it too.
HEALTHCHECK --interval=10s --timeout=10s --start-period=120s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:8080/livez').then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
STOPSIGNAL SIGTERM
# The script ends in `exec`: Node is process 1 and gets the signals itself.
ENTRYPOINT ["crossfade"]
CMD ["run"]
