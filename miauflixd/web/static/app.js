// The page: a list of sources that keeps itself up to date, and a player for the chosen one.

import { ask, json, onSignedOut } from "./api.js";
import { openLibrary } from "./library.js";
import { bytes, clock, ended, whole } from "./words.js";

const $ = (id) => document.getElementById(id);
const video = $("video");

const STATES = {
  dormant: "Resting",
  checking: "Checking",
  metadata: "Asking peers",
  downloading: "Downloading",
  idle: "Ready",
  complete: "Complete",
  tunnel_down: "No tunnel",
  disk_full: "No room",
  failed: "Failed",
};

/** Everything that is known: the sources by id, their cards, and what is on the screen. */
const sources = new Map();
const cards = new Map();
let chosen = null; // { id, file } - the file is null until the source is known
let heard = new Set(); // ids since the connection was made; what is missing at `ready` is gone

// --- words and numbers ---

function moment(text) {
  const then = new Date(text);
  const sameDay = then.toDateString() === new Date().toDateString();
  const options = sameDay ? { timeStyle: "short" } : { dateStyle: "medium" };
  return new Intl.DateTimeFormat(undefined, options).format(then);
}

function set(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// --- what happens ---

let events = null;

function follow() {
  events = new EventSource("/api/events");
  events.addEventListener("open", () => {
    heard = new Set();
    tell("live", "Live");
  });
  events.addEventListener("torrent", ({ data }) => {
    const source = JSON.parse(data);
    heard.add(source.id);
    if (source.removed) forget(source.id);
    else learn(source);
  });
  events.addEventListener("library", () => dispatchEvent(new Event("library")));
  events.addEventListener("ready", () => {
    for (const id of [...sources.keys()]) if (!heard.has(id)) forget(id);
    $("empty").hidden = sources.size > 0;
  });
  events.addEventListener("error", () => {
    tell("lost", "Connection lost, trying again…");
    // After an answer that is no stream the browser gives up; we do not. It may be that the token is
    // over: who one is asks for the next, or shows the door.
    if (events.readyState === EventSource.CLOSED) setTimeout(followAgain, 3000);
  });
}

async function followAgain() {
  if ($("door").hidden === false) return;
  try {
    await ask("/api/me");
  } catch (error) {
    if (error.status === 401) return;
  }
  follow();
}

function tell(state, text) {
  $("connection").dataset.state = state;
  set($("connection"), text);
}

// --- the list ---

function learn(source) {
  const isNew = !sources.has(source.id);
  sources.set(source.id, source);
  if (isNew) place(source);
  draw(source);
  if (chosen?.id === source.id) drawStage();
  else if (isNew && location.hash.slice(1) === source.id && !chosen) choose(source.id);
}

function forget(id) {
  sources.delete(id);
  cards.get(id)?.remove();
  cards.delete(id);
  count();
  if (chosen?.id === id) leave();
}

function place(source) {
  const card = $("card").content.firstElementChild.cloneNode(true);
  card.querySelector(".card").addEventListener("click", () => choose(source.id, { play: true }));
  card.querySelector(".remove").addEventListener("click", () => confirmRemoval(source.id));
  cards.set(source.id, card);
  // Newest first, as the API lists them.
  const newer = [...sources.values()]
    .filter((other) => other.id !== source.id && other.added_at > source.added_at)
    .sort((one, other) => (one.added_at < other.added_at ? -1 : 1));
  const before = newer.length ? cards.get(newer[0].id).nextSibling : $("list").firstChild;
  $("list").insertBefore(card, before);
  count();
}

function count() {
  set($("count"), sources.size ? String(sources.size) : "");
  $("empty").hidden = sources.size > 0;
}

function draw(source) {
  const card = cards.get(source.id);
  const find = (name) => card.querySelector(`.${name}`);
  const main = find("card");
  main.dataset.state = source.state;
  main.setAttribute("aria-pressed", String(chosen?.id === source.id));
  find("name").classList.toggle("unknown", !source.name);
  set(find("name"), source.name || "Its name is not known yet");
  set(find("activity"), STATES[source.state] || source.state);
  set(find("since"), `since ${moment(source.since)}`);
  set(find("rate"), source.download_rate ? `${bytes(source.download_rate)}/s` : "");
  set(find("amount"), amount(source));
  set(find("why"), [source.reason, source.next].filter(Boolean).map(ended).join(" "));
  card.querySelector("progress").value = source.progress;
  find("remove").setAttribute("aria-label", `Remove ${source.name || "this film"}`);
}

function amount(source) {
  if (!source.size) return "Size not known yet";
  const percent = whole.format(Math.floor(source.progress * 100));
  return `${bytes(source.have)} of ${bytes(source.size)} (${percent} %)`;
}

// --- the screen ---

function choose(id, { play = false } = {}) {
  if (chosen?.id !== id) {
    const before = chosen?.id;
    chosen = { id, file: null, play };
    history.replaceState(null, "", `#${id}`);
    silence();
    for (const each of [before, id]) if (sources.has(each)) draw(sources.get(each));
    drawStage();
  } else if (play && !video.hidden) {
    start();
  }
  if (play) $("screen").scrollIntoView({ block: "nearest", behavior: "smooth" });
}

function leave() {
  chosen = null;
  history.replaceState(null, "", location.pathname + (/^#[0-9a-f]{16}$/.test(location.hash) ? "#/downloads" : location.hash));
  silence();
  $("now").hidden = true;
  document.title = "miauflix";
  curtain("Nothing is playing", "Choose a film from the list, or add one.");
}

function silence() {
  video.hidden = true;
  video.removeAttribute("src");
  video.load();
}

function curtain(title, text, { again = false } = {}) {
  $("curtain").hidden = title === null;
  set($("curtain-title"), title || "");
  set($("curtain-text"), text || "");
  $("retry").hidden = !again;
}

/** Play a file at an address of its own, which is good for longer than a token. */
async function load(file) {
  const { id } = chosen;
  chosen.file = file;
  let told;
  try {
    const response = await ask("/api/playback", json({ source_id: id, file_index: file }));
    told = await response.json();
  } catch (error) {
    if (chosen?.id === id && chosen.file === file) curtain("It does not play", error.message, { again: true });
    return;
  }
  // Somebody may have chosen something else meanwhile.
  if (chosen?.id !== id || chosen.file !== file) return;
  if (told.method === "external") {
    curtain("It does not play", otherPlayers(told.stream_url));
    return;
  }
  video.src = told.hls_url ?? told.stream_url;
  video.hidden = false;
  curtain(null);
  if (chosen.play) start();
}

function otherPlayers(address) {
  const { href } = new URL(address, location.href);
  return `This browser cannot play this kind of file. Another player, such as VLC or mpv, may: open ${href} there.`;
}

function start() {
  // A browser that wants a click first shows its own button: nothing is wrong then.
  video.play().catch(() => {});
}

/** A video element knows only that it failed; the appliance says why, when it is asked the same. */
async function explain() {
  const { id, file } = chosen ?? {};
  if (!video.getAttribute("src") || !id) return;
  video.hidden = true;
  curtain("It does not play", "Finding out why…");
  const stopped = new AbortController();
  let text = otherPlayers(video.src);
  try {
    await ask(video.getAttribute("src"), { headers: { Range: "bytes=0-0" }, signal: stopped.signal });
  } catch (error) {
    text = error.message;
  } finally {
    stopped.abort();
  }
  if (chosen?.id !== id || chosen.file !== file || !video.hidden) return;
  curtain("It does not play", text, { again: true });
}

function drawStage() {
  const source = sources.get(chosen.id);
  if (!source) return;
  $("now").hidden = false;
  document.title = source.name ? `${source.name} · miauflix` : "miauflix";
  set($("now-name"), source.name || "Its name is not known yet");
  drawFiles(source);
  if (chosen.file === null) {
    if (source.main_file !== null) load(source.main_file);
    else curtain(STATES[source.state] || source.state, [source.reason, source.next].filter(Boolean).map(ended).join(" "));
  }
  set($("peers"), `${source.peers} of ${Math.max(source.known_peers, source.peers)}`);
  set($("down"), `${bytes(source.download_rate)}/s`);
  set($("up"), `${bytes(source.upload_rate)}/s`);
  const file = source.files.find((one) => one.index === chosen.file);
  drawBar($("disk"), "have", spansOnDisk(source, file));
  set($("on-disk"), file ? `${bytes(total(file, source))} of ${bytes(file.size)}` : "–");
  drawBuffered();
}

function spansOnDisk(source, file) {
  if (!file?.size) return [];
  if (source.progress === 1) return [[0, 1]];
  return (file.available ?? []).map(([from, to]) => [from / file.size, to / file.size]);
}

function total(file, source) {
  if (source.progress === 1) return file.size;
  return (file.available ?? []).reduce((sum, [from, to]) => sum + to - from, 0);
}

function drawFiles(source) {
  const select = $("file");
  const wanted = source.files.map((file) => `${file.index}`).join();
  $("file-choice").hidden = source.files.length < 2;
  if (select.dataset.files !== `${source.id}:${wanted}`) {
    select.dataset.files = `${source.id}:${wanted}`;
    select.replaceChildren(
      ...source.files.map((file) => new Option(`${file.name} (${bytes(file.size)})`, file.index)),
    );
    select.value = String(chosen.file ?? source.main_file);
  }
}

function drawBuffered() {
  const { duration, currentTime, buffered } = video;
  const known = Number.isFinite(duration) && duration > 0 && !video.hidden;
  const ranges = [];
  let ahead = 0;
  for (let at = 0; known && at < buffered.length; at += 1) {
    const [from, to] = [buffered.start(at), buffered.end(at)];
    ranges.push([from / duration, to / duration]);
    if (from <= currentTime + 0.1 && to > currentTime) ahead = to - currentTime;
  }
  drawBar($("browser"), "held", ranges, known ? currentTime / duration : null);
  set($("ahead"), known ? `${whole.format(ahead)} s` : "–");
  set($("at"), known ? `${clock(currentTime)} of ${clock(duration)}` : "–");
}

/** Draw spans from 0 to 1 as rectangles: a policy against inline styles has nothing to say to SVG. */
function drawBar(svg, name, spans, position = null) {
  const shapes = spans.map(([from, to]) => [name, from * 1000, Math.max((to - from) * 1000, 1)]);
  if (position !== null) shapes.push(["here", Math.min(position * 1000, 996), 4]);
  const wanted = JSON.stringify(shapes);
  if (svg.dataset.drawn === wanted) return;
  svg.dataset.drawn = wanted;
  svg.replaceChildren(
    ...shapes.map(([kind, x, width]) => {
      const rect = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      for (const [key, value] of Object.entries({ class: kind, x, width, y: 0, height: 10 })) rect.setAttribute(key, value);
      return rect;
    }),
  );
}

for (const name of ["progress", "timeupdate", "durationchange", "seeking", "emptied"]) {
  video.addEventListener(name, drawBuffered);
}
video.addEventListener("error", explain);
$("retry").addEventListener("click", () => {
  chosen.play = true;
  load(chosen.file);
});
$("file").addEventListener("change", ({ target }) => {
  chosen.play = true;
  load(Number(target.value));
  drawStage();
});

// --- adding ---

function say(text, { wrong = false } = {}) {
  $("said").classList.toggle("wrong", wrong);
  set($("said"), text);
}

async function add(options) {
  say("Adding…");
  try {
    const response = await ask("/api/torrents", { method: "POST", ...options });
    const { source_id: id, name } = await response.json();
    say(name ? `“${name}” is here.` : "Added. Its name comes from the swarm in a moment.");
    choose(id, { play: true });
    return true;
  } catch (error) {
    say(error.message, { wrong: true });
    return false;
  }
}

async function addFiles(files) {
  for (const file of files) {
    const body = new FormData();
    body.append("torrent", file, file.name);
    if (!(await add({ body }))) return;
  }
}

$("add").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = $("link").value.trim();
  if (!text) {
    say("Paste a magnet link or an info-hash first.", { wrong: true });
    $("link").focus();
    return;
  }
  if (await add(json(/^magnet:/i.test(text) ? { magnet: text } : { info_hash: text }))) $("link").value = "";
});
$("pick").addEventListener("change", async ({ target }) => {
  await addFiles([...target.files]);
  target.value = "";
});

addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.toggle("dropping", event.dataTransfer.types.includes("Files"));
});
addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) document.body.classList.remove("dropping");
});
addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  addFiles([...event.dataTransfer.files]);
});

// --- removing ---

let doomed = null;

function confirmRemoval(id) {
  const { name, have } = sources.get(id);
  doomed = id;
  set($("confirm-text"), `${name ? `“${name}”` : "It"} leaves the list${have ? `, and ${bytes(have)} are deleted from the disk` : ""}.`);
  $("confirm").showModal();
  $("keep").focus();
}

$("keep").addEventListener("click", () => $("confirm").close());
$("remove").addEventListener("click", async () => {
  $("confirm").close();
  try {
    await ask(`/api/torrents/${encodeURIComponent(doomed)}`, { method: "DELETE" });
    say("Removed.");
  } catch (error) {
    say(error.message, { wrong: true });
  }
});

// --- the door ---

const AT_HOME = "at-home";

let settingUp = false;

async function showDoor() {
  localStorage.removeItem(AT_HOME);
  events?.close();
  leave();
  for (const id of [...sources.keys()]) forget(id);
  closeLibrary();
  for (const one of [document.querySelector("main"), $("library"), $("places"), $("leave")]) one.hidden = true;
  tell("connecting", "Signed out");
  try {
    settingUp = (await (await ask("/api/server")).json()).setup_required;
  } catch (error) {
    set($("refused"), error.message);
  }
  set($("door-title"), settingUp ? "Make the first account" : "Sign in");
  set($("door-text"), settingUp
    ? "It belongs to whoever administers this machine. The setup code is in its log, and `miauflixd setup` shows it."
    : "With the account that your administrator has made for you.");
  $("first").hidden = !settingUp;
  $("password").autocomplete = settingUp ? "new-password" : "current-password";
  set($("enter"), settingUp ? "Make it, and sign in" : "Sign in");
  $("door").hidden = false;
  $(settingUp ? "setup-code" : "email").focus();
}

function openHouse() {
  localStorage.setItem(AT_HOME, "yes");
  $("door").hidden = true;
  for (const id of ["places", "leave"]) $(id).hidden = false;
  showPlace();
  follow();
  offerDevice();
}

$("sign-in").addEventListener("submit", async (event) => {
  event.preventDefault();
  set($("refused"), "");
  $("enter").disabled = true;
  const [email, password] = [$("email").value.trim(), $("password").value];
  try {
    if (settingUp) {
      const first = { setup_code: $("setup-code").value.trim(), display_name: $("display-name").value.trim(), email, password };
      await ask("/api/setup", json(first));
      settingUp = false;
    }
    await ask("/api/auth/login", json({ email, password, device_name: deviceName(), cookies: true }));
    localStorage.setItem(AT_HOME, "yes");
    $("sign-in").reset();
    await begin();
  } catch (error) {
    set($("refused"), error.message);
  } finally {
    $("enter").disabled = false;
  }
});

function deviceName() {
  const system = ["Android", "iPhone", "iPad", "Windows", "Mac OS", "CrOS", "Linux"].find((name) => navigator.userAgent.includes(name));
  return `Browser${system ? ` on ${system}` : ""}`;
}

$("leave").addEventListener("click", async () => {
  try {
    await ask("/api/auth/logout", { method: "POST" });
    showDoor();
  } catch (error) {
    say(error.message, { wrong: true });
  }
});

// --- letting another device in ---

function offerDevice() {
  const code = new URLSearchParams(location.search).get("code");
  if (!code) return;
  history.replaceState(null, "", location.pathname + location.hash);
  set($("device-text"), `A device shows the code ${code}. Is it yours, and is that the code on its screen? Then it may watch as you.`);
  for (const [id, approve] of [["refuse", false], ["approve", true]]) {
    $(id).onclick = async () => {
      $("device").close();
      try {
        const { device_name: name } = await (await ask("/api/auth/device/approve", json({ user_code: code, approve }))).json();
        say(`${name || "The device"} was ${approve ? "let in" : "refused"}.`);
      } catch (error) {
        say(error.message, { wrong: true });
      }
    };
  }
  $("device").showModal();
}

// --- the two places ---

let closeLibrary = () => {};

/** Show what there is to watch, or what is downloaded: that is for administrators. */
function showPlace() {
  if (!$("door").hidden) return;
  const downloads = location.hash.startsWith("#/downloads") || /^#[0-9a-f]{16}$/.test(location.hash);
  if (downloads === !document.querySelector("main").hidden && downloads === $("library").hidden) return;
  $("library").hidden = downloads;
  document.querySelector("main").hidden = !downloads;
  for (const [id, here] of [["to-library", !downloads], ["to-downloads", downloads]]) {
    if (here) $(id).setAttribute("aria-current", "page");
    else $(id).removeAttribute("aria-current");
  }
  closeLibrary();
  closeLibrary = downloads ? () => {} : openLibrary($("library"));
  if (!downloads) video.pause();
}

addEventListener("hashchange", showPlace);
onSignedOut(() => showDoor());

/** Say whether there are no titles: what was added by hand is all that an administrator can play then. */
async function nothingToWatch() {
  const { rows } = await (await ask("/api/home")).json();
  return rows.every((row) => row.items.length === 0);
}

/** Whoever has cookies that are still good, or can be renewed, is at home already. */
async function begin() {
  // Scripts cannot see the cookies; this only says whether it is worth asking.
  if (localStorage.getItem(AT_HOME) === null) {
    showDoor();
    return;
  }
  try {
    const { role } = await (await ask("/api/me")).json();
    $("to-downloads").hidden = role !== "admin";
    if (role === "admin" && location.hash === "" && await nothingToWatch()) location.replace("#/downloads");
    openHouse();
  } catch (error) {
    if (error.status === 401) return; // the door is open by now
    tell("lost", error.message);
    setTimeout(begin, 3000);
  }
}

begin();
