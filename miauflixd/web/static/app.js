// The page: a list of sources that keeps itself up to date, and a player for the chosen one.

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

const decimal = (digits) => new Intl.NumberFormat(undefined, { minimumFractionDigits: digits, maximumFractionDigits: digits });
const whole = decimal(0);
const tenths = decimal(1);

function bytes(count) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let at = 0;
  while (count >= 999.5 && at < units.length - 1) {
    count /= 1000;
    at += 1;
  }
  return `${(at < 2 || count >= 99.95 ? whole : tenths).format(count)} ${units[at]}`;
}

function clock(seconds) {
  const all = Math.max(0, Math.floor(seconds));
  const parts = [Math.floor(all / 3600), Math.floor(all / 60) % 60, all % 60];
  if (parts[0] === 0) parts.shift();
  return parts.map((part, at) => (at ? String(part).padStart(2, "0") : part)).join(":");
}

function moment(text) {
  const then = new Date(text);
  const sameDay = then.toDateString() === new Date().toDateString();
  const options = sameDay ? { timeStyle: "short" } : { dateStyle: "medium" };
  return new Intl.DateTimeFormat(undefined, options).format(then);
}

function set(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// --- talking to the appliance ---

/** Ask, and return the answer, or throw an Error with a sentence for a person. */
async function ask(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error("The appliance does not answer. Is it switched on, and are you at home?");
  }
  if (!response.ok) throw new Error(await sentence(response));
  return response;
}

async function sentence(response) {
  try {
    const problem = await response.json();
    return problem.detail || problem.title;
  } catch {
    return "The appliance gave an answer that this page does not understand.";
  }
}

function follow() {
  const events = new EventSource("/api/events");
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
  events.addEventListener("ready", () => {
    for (const id of [...sources.keys()]) if (!heard.has(id)) forget(id);
    $("empty").hidden = sources.size > 0;
  });
  events.addEventListener("error", () => {
    tell("lost", "Connection lost, trying again…");
    // After an answer that is no stream the browser gives up; we do not.
    if (events.readyState === EventSource.CLOSED) setTimeout(follow, 3000);
  });
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

const ended = (text) => (/[.!?…]$/.test(text) ? text : `${text}.`);

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
  history.replaceState(null, "", location.pathname);
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

function load(file) {
  chosen.file = file;
  video.src = `/api/stream/${encodeURIComponent(chosen.id)}?file=${file}`;
  video.hidden = false;
  curtain(null);
  if (chosen.play) start();
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
  let text = `This browser cannot play this kind of file. Another player, such as VLC or mpv, may: open ${new URL(video.src).href} there.`;
  try {
    await ask(`/api/stream/${encodeURIComponent(id)}?file=${file}`, { headers: { Range: "bytes=0-0" }, signal: stopped.signal });
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
  const body = JSON.stringify(/^magnet:/i.test(text) ? { magnet: text } : { info_hash: text });
  if (await add({ body, headers: { "Content-Type": "application/json" } })) $("link").value = "";
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

follow();
