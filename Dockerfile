# layerd without Redis: LAYERD_REDIS_URL must name one. `docker run layerd` is API and workers in one container,
# `docker run layerd serve` and `docker run layerd worker` are one of them.
FROM node:24-bookworm-slim AS build
WORKDIR /app
# Behind a proxy with a certificate authority of its own: put its certificate here as extra-ca.crt. (The pattern
# makes the file optional.)
COPY package.json package-lock.json .npmrc extra-ca.cr[t] ./
COPY src/ui/package.json src/ui/
RUN if [ -f extra-ca.crt ]; then export NODE_EXTRA_CA_CERTS=/app/extra-ca.crt; fi \
 && npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json ./
COPY src src
COPY clients/typescript/src/schema.d.ts clients/typescript/src/messages.ts clients/typescript/src/
COPY tools/ui tools/ui
# The image brings its own Node; the locked one is for hosts without.
RUN if [ -f extra-ca.crt ]; then export NODE_EXTRA_CA_CERTS=/app/extra-ca.crt; fi \
 && npm run --silent build \
 && npm ci --omit=dev --workspaces=false --prefer-offline --ignore-scripts --no-audit --no-fund \
 && rm -rf node_modules/node-linux-* node_modules/.bin

FROM node:24-bookworm-slim
ENV NODE_ENV=production LAYERD_NO_SETUP=1 LAYERD_DATA_DIR=/data
WORKDIR /app
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY package.json openapi.yaml LICENSE ./
COPY docs/errors.md docs/
RUN install -d -o node -g node -m 0700 /data
USER node
VOLUME /data
EXPOSE 8420
# The worker role does not listen: disable this check there.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 CMD ["node", "-e", \
  "const port = (process.env.LAYERD_LISTEN ?? ':8420').split(':').at(-1); fetch(`http://127.0.0.1:${port}/livez`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "/app/dist/main.js"]
