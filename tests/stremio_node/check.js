// Lint the add-on at an address and use it as Stremio does; print what was found as JSON.
"use strict";
const { detectFromURL } = require("stremio-addon-client");
const { lintManifest } = require("stremio-addon-linter");

(async () => {
  const { addon } = await detectFromURL(process.argv[2]);
  const lint = lintManifest(addon.manifest);
  const extra = { search: "Small & Fast / 100% Dog" };
  const searched = await addon.get("catalog", "movie", "miauflix-movie", extra);
  const streams = await addon.get("stream", "movie", searched.metas[0].id);
  const of = (found) => found.map((one) => one.message || String(one));
  console.log(
    JSON.stringify({
      lint: { valid: lint.valid, errors: of(lint.errors), warnings: of(lint.warnings) },
      searched: searched.metas.map((one) => one.name),
      streams: streams.streams.length,
    }),
  );
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
