# What the service needs at run time. No package's install script runs: SQLite's driver is installed as a binary package.
FROM node:24.21.0-bookworm-slim@sha256:0e0ff40c39bc087845bfb27465a0df4ea419520094bc35842ff83dd8cbe6f9b6 AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund

FROM node:24.21.0-bookworm-slim@sha256:0e0ff40c39bc087845bfb27465a0df4ea419520094bc35842ff83dd8cbe6f9b6 AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json knexfile.ts ./
COPY src src
COPY migrations migrations
RUN npm run build

FROM node:24.21.0-bookworm-slim@sha256:0e0ff40c39bc087845bfb27465a0df4ea419520094bc35842ff83dd8cbe6f9b6
LABEL org.opencontainers.image.title="Accounting Integration Service" \
  org.opencontainers.image.licenses="MIT"
# npm would ask its registry for a newer npm at each command. Without SIGUSR1 no signal opens the debugger.
ENV NODE_ENV=production npm_config_update_notifier=false NODE_OPTIONS=--disable-sigusr1
WORKDIR /app
COPY package.json knexfile.js ./
COPY --from=dependencies /app/node_modules node_modules
COPY bin bin
COPY --from=build /app/dist dist
# A number, so that Kubernetes' runAsNonRoot can check it. Nothing is written: the root file system may be read-only.
USER 1000:1000
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=3s --start-period=10s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT||8080}/healthz`).then(r=>process.exit(r.ok?0:1),()=>process.exit(1))"]
# node gets the signals itself; as the first process it would miss one while it loads: docker run --init, or init: true.
# To migrate: docker run … npm run migrate
# The worker alone, with health and metrics on PORT: docker run … node --import ./dist/src/tracing/register.js --max-old-space-size=512 --max-semi-space-size=16 dist/src/worker.js
CMD ["node", "--import", "./dist/src/tracing/register.js", "--max-old-space-size=512", "--max-semi-space-size=16", "dist/src/server.js"]
