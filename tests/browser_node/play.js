// Drive a browser for a test: one line of JSON in is one thing to do, one line out is what came of it.
"use strict";
const readline = require("node:readline");
const puppeteer = require("puppeteer-core");

const PROGRAMS = { chrome: "/usr/bin/chromium", firefox: "/usr/bin/firefox-esr" };
const [, , name, address, into] = process.argv;

(async () => {
  const browser = await puppeteer.launch({
    browser: name,
    executablePath: PROGRAMS[name],
    headless: true,
    args:
      name === "chrome"
        ? [
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--autoplay-policy=no-user-gesture-required",
          ]
        : [],
    extraPrefsFirefox: {
      "media.autoplay.default": 0,
      "media.autoplay.blocking_policy": 0,
      "network.captive-portal-service.enabled": false,
      "network.connectivity-service.enabled": false,
      "app.update.auto": false,
      "datareporting.policy.dataSubmissionEnabled": false,
      "toolkit.telemetry.enabled": false,
      "browser.safebrowsing.provider.mozilla.updateURL": "",
      "services.settings.server": "",
    },
  });
  const page = await browser.newPage();
  const open = async () => {
    await page.goto(address);
    if (into !== "inject") return;
    // Into a page of somebody else's, as far as its server goes.
    await page.evaluate(() => document.body.replaceChildren(document.createElement("video")));
    for (const path of ["../page/hls.min.js", "../page/page.js"]) await page.addScriptTag({ path });
  };
  await page.setBypassCSP(into === "inject");
  await open();
  console.log(JSON.stringify("ready"));
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [what, ...args] = JSON.parse(line);
    if (what === "end") break;
    if (what === "fresh") await open();
    const found =
      what === "fresh"
        ? null
        : await page.evaluate((what, args) => globalThis[what](...args), what, args);
    console.log(JSON.stringify(found ?? null));
  }
  await browser.close();
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
