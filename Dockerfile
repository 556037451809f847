# Artery for every role. No build step: Node 24 runs the TypeScript as it stands.
FROM node:24-slim AS packages
WORKDIR /app
COPY package.json package-lock.json ./
# Scripts are not needed: the one there is fetches the Node that this image already has.
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund

FROM node:24-slim
ENV NODE_ENV=production ARTERY_DATA_DIR=/data
WORKDIR /app
COPY --from=packages /app/node_modules node_modules
# Root owns the program, the user `node` (1000) only what it writes. The modes are set, so that it
# can read the program whatever the umask under which the project was checked out.
COPY --chmod=755 package.json ./
COPY --chmod=755 src src
COPY --chmod=755 channels channels
COPY --chmod=755 mappings mappings
RUN install -d -o node -g node -m 0700 /data && ln -s /app/src/launch.mjs /usr/local/bin/artery
USER 1000:1000
VOLUME /data
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["node", "-e", \
  "fetch('http://127.0.0.1:' + (process.env.ARTERY_HTTP_PORT || 8080) + '/readyz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "/app/src/main.ts"]
CMD ["start"]
