// What there is to watch: rows, a search, and a title with where it can be had.

import { html, render, useEffect, useRef, useState } from "./preact-htm.js";
import { ask, get, json } from "./api.js";
import { openCinema } from "./cinema.js";
import { bytes, clock, ended, length, tenths } from "./words.js";

const TYPED_AFTER = 250; // milliseconds without a key after which a search begins
const AGAIN_AFTER = 1500; // milliseconds after which what is still looked for is asked for again
const SEEN_AFTER = 400; // milliseconds for which a screen has to rest before it is told of

const image = (size, key) => (key ? `/api/images/${size}/${key}` : null);
const hash = (view) => `#/${view}`;

/** Show what there is to watch; returns what takes it away again. */
export function openLibrary(place) {
  render(html`<${Library} />`, place);
  return () => render(null, place);
}

function Library() {
  const [view, setView] = useState(viewOf());
  useEffect(() => {
    const follow = () => setView(viewOf());
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, []);
  useArrows();
  if (view.name === "title") return html`<${Title} key=${view.rest} id=${view.rest} />`;
  return html`<${Shelves} words=${view.name === "search" ? decodeURIComponent(view.rest) : ""} />`;
}

function viewOf() {
  const [name = "", ...rest] = location.hash.replace(/^#\/?/, "").split("/");
  return { name, rest: rest.join("/") };
}

// --- rows and search ---

function Shelves({ words }) {
  const [typed, setTyped] = useState(words);
  useEffect(() => {
    const timer = setTimeout(() => {
      const wanted = typed.trim();
      if (wanted !== words) history.replaceState(null, "", wanted ? hash(`search/${encodeURIComponent(wanted)}`) : hash(""));
      if (wanted !== words) dispatchEvent(new HashChangeEvent("hashchange"));
    }, TYPED_AFTER);
    return () => clearTimeout(timer);
  }, [typed]);
  return html`
    <form class="search" role="search" onsubmit=${(event) => event.preventDefault()}>
      <label class="unseen" for="words">Search</label>
      <input id="words" type="search" placeholder="Search films and series" value=${typed}
        oninput=${({ target }) => setTyped(target.value)} autocomplete="off" spellcheck="false" />
    </form>
    ${words ? html`<${Found} words=${words} />` : html`<${Home} />`}`;
}

function Home() {
  const [told, error, again] = useTold("/api/home");
  useLibraryEvents(again);
  if (error) return html`<${Wrong} error=${error} again=${again} />`;
  if (!told) return html`<${Skeleton} />`;
  const rows = told.rows.filter((row) => row.items.length);
  if (!rows.length) {
    return html`<p class="hint">There is nothing here yet. What there is to watch is being asked for; it appears by itself.</p>`;
  }
  return html`<div>${rows.map((row) => html`<${Row} key=${row.id} ...${row} />`)}</div>`;
}

function Row({ title, kind, items }) {
  return html`<section class="row-of-titles">
    <h2>${title}</h2>
    <ul>${items.map((card) => html`<li key=${card.id}><${Card} card=${card} plays=${kind !== "list"} /></li>`)}</ul>
  </section>`;
}

function Card({ card, plays }) {
  const place = useRef(null);
  useSeen(place, card.id);
  const name = card.show ? card.show.title : card.title;
  const more = card.show ? `S${card.season} E${card.episode} · ${card.title}` : card.year ?? "";
  const still = plays && card.still ? image("medium", card.still) : null;
  const poster = image("small", card.poster) ?? still;
  const part = card.progress && card.progress.duration > 0 ? card.progress.position / card.progress.duration : 0;
  const open = () => { location.hash = hash(`title/${card.show && !plays ? card.show.id : card.id}`); };
  return html`<button ref=${place} type="button" class="title-card" onclick=${open} aria-label=${[name, more].filter(Boolean).join(", ")}>
    <span class="poster">${poster ? html`<img src=${poster} alt="" loading="lazy" decoding="async" />` : html`<span class="no-poster">${name}</span>`}
      ${part > 0 && html`<progress max="1" value=${part} aria-label="Watched"></progress>`}
      ${card.progress?.watched && html`<span class="seen" aria-label="Seen">✓</span>`}</span>
    <span class="name">${name}</span><span class="more">${more}</span>
  </button>`;
}

function Found({ words }) {
  const [told, setTold] = useState(null);
  const [error, setError] = useState(null);
  useEffect(() => {
    const stopped = new AbortController();
    let timer = null;
    const look = async () => {
      try {
        const found = await get(`/api/search?q=${encodeURIComponent(words)}&limit=60`, { signal: stopped.signal });
        setTold(found);
        setError(null);
        if (found.searching) timer = setTimeout(look, AGAIN_AFTER);
      } catch (refused) {
        if (refused.name !== "AbortError") setError(refused);
      }
    };
    look();
    return () => { stopped.abort(); clearTimeout(timer); };
  }, [words]);
  if (error) return html`<${Wrong} error=${error} />`;
  if (!told) return html`<${Skeleton} rows=${1} />`;
  return html`<section>
    <p class="hint" role="status">${told.total ? `${told.total} found` : told.searching ? "Looking…" : `Nothing is called “${words}”.`}${told.total && told.searching ? ", and still looking…" : ""}</p>
    <ul class="grid">${told.items.map((card) => html`<li key=${card.id}><${Card} card=${card} /></li>`)}</ul>
  </section>`;
}

// --- a title ---

function Title({ id }) {
  const [told, error, again] = useTold(`/api/titles/${id}`);
  useLibraryEvents(again);
  useEffect(() => { scrollTo(0, 0); tellSeen([{ id, state: "focused" }]); }, [id]);
  if (error) return html`<${Wrong} error=${error} again=${again} returns />`;
  if (!told) return html`<${Skeleton} rows=${1} />`;
  const name = told.show ? `${told.show.title} · S${told.season} E${told.episode}` : told.title;
  const backdrop = image("large", told.backdrop ?? told.still ?? told.show?.backdrop);
  const facts = [
    told.year, told.runtime && length(told.runtime), told.certification,
    told.rating && `★ ${tenths.format(told.rating)}`, ...(told.genres ?? []).map((genre) => genre.name),
  ].filter(Boolean);
  return html`<article class="title-page">
    <button type="button" class="quiet" onclick=${back}>← Back</button>
    <div class="hero">
      ${backdrop && html`<img class="backdrop" src=${backdrop} alt="" />`}
      <div class="hero-words">
        <h1>${told.show ? told.title : name}</h1>
        ${told.show && html`<p><a href=${hash(`title/${told.show.id}`)}>${name}</a></p>`}
        ${told.tagline && html`<p class="tagline">${told.tagline}</p>`}
        <p class="facts">${facts.join(" · ")}</p>
        <p class="overview">${told.overview}</p>
        ${told.type !== "show" && html`<${Play} id=${id} name=${name} progress=${told.progress} again=${again} />`}
        ${told.trailer && html`<a class="quiet" href=${told.trailer} target="_blank" rel="noreferrer noopener">Trailer</a>`}
      </div>
    </div>
    ${told.type === "show" ? html`<${Seasons} show=${told} />` : html`<${Sources} id=${id} />`}
  </article>`;
}

function Play({ id, name, progress, again }) {
  const button = useRef(null);
  const at = progress?.position ?? 0;
  const play = () => openCinema({ title_id: id }, { name, done: () => { again(); button.current?.focus(); } });
  const mark = async (watched) => {
    const report = { position: progress?.duration || 1, duration: progress?.duration || 1, state: "ended" };
    await ask(`/api/progress/${id}`, watched ? json(report, "PUT") : { method: "DELETE" }).catch(() => {});
    again();
  };
  useEffect(() => { button.current?.focus(); }, []);
  return html`<div class="row">
    <button ref=${button} type="button" class="play" onclick=${play}>▶ ${at > 0 ? `Go on at ${clock(at)}` : "Play"}</button>
    <button type="button" class="quiet" onclick=${() => mark(!progress?.watched)}>${progress?.watched ? "✓ Seen" : "Mark as seen"}</button>
  </div>`;
}

function Seasons({ show }) {
  const first = show.seasons.find((season) => season.number > 0) ?? show.seasons[0];
  const [number, setNumber] = useState(first?.number);
  const [told, error, again] = useTold(number === undefined ? null : `/api/titles/${show.id}/seasons/${number}`);
  useLibraryEvents(again);
  if (!first) return html`<p class="hint">Its seasons are being asked for.</p>`;
  return html`<section>
    <label class="season">Season
      <select value=${number} onchange=${({ target }) => setNumber(Number(target.value))}>
        ${show.seasons.map((season) => html`<option value=${season.number}>${season.title || `Season ${season.number}`}</option>`)}
      </select></label>
    ${error && html`<${Wrong} error=${error} again=${again} />`}
    ${told && !told.complete && !told.episodes.length && html`<p class="hint">Its episodes are being asked for.</p>`}
    <ul class="episodes">${(told?.episodes ?? []).map((episode) => html`<li key=${episode.id}><${Episode} show=${show} episode=${episode} /></li>`)}</ul>
  </section>`;
}

function Episode({ show, episode }) {
  const place = useRef(null);
  useSeen(place, episode.id);
  const part = episode.progress && episode.progress.duration > 0 ? episode.progress.position / episode.progress.duration : 0;
  const still = image("medium", episode.still);
  return html`<button ref=${place} type="button" class="episode" onclick=${() => { location.hash = hash(`title/${episode.id}`); }}>
    <span class="still">${still && html`<img src=${still} alt="" loading="lazy" decoding="async" />`}
      ${part > 0 && html`<progress max="1" value=${part} aria-label="Watched"></progress>`}</span>
    <span class="words"><b>${episode.episode}. ${episode.title || show.title}</b>
      <span class="more">${[episode.air_date, episode.runtime && length(episode.runtime), episode.progress?.watched && "✓ seen"].filter(Boolean).join(" · ")}</span>
      <span class="overview">${episode.overview}</span></span>
  </button>`;
}

function Sources({ id }) {
  const [told, error, again] = useTold(`/api/titles/${id}/sources`);
  useEffect(() => {
    if (!told?.searching) return undefined;
    const timer = setTimeout(again, AGAIN_AFTER);
    return () => clearTimeout(timer);
  }, [told]);
  if (error) return html`<${Wrong} error=${error} again=${again} />`;
  if (!told) return null;
  const items = told.items;
  return html`<section class="sources">
    <h2>Where it can be had</h2>
    <p class="hint" role="status">${told.searching ? (items.length ? "Still looking…" : "No source yet, looking…") : items.length ? "" : "Nobody who was asked has it. It is looked for again when it is opened."}</p>
    <ul>${items.slice(0, 20).map((one) => html`<li key=${one.id} data-usable=${one.usable}>
      <b>${[one.quality, ...one.hdr, one.source_type].filter(Boolean).join(" ") || "Quality not known"}</b>
      <span>${[one.size && bytes(one.size), one.seeders !== null && `${one.seeders} seeders`, one.provider].filter(Boolean).join(" · ")}</span>
      <span class="more">${one.reasons.map(ended).join(" ")}</span></li>`)}</ul>
  </section>`;
}

// --- what all of them need ---

/** Go to where one came from, or home for who has come from outside. */
function back() {
  if (history.length > 2) history.back();
  else location.hash = hash("");
}

function Wrong({ error, again, returns }) {
  return html`<div class="hint" role="alert"><p>${error.message}</p>
    ${again && html`<button type="button" onclick=${again}>Try again</button>`}
    ${returns && html` <button type="button" class="quiet" onclick=${back}>Back</button>`}</div>`;
}

function Skeleton({ rows = 3 }) {
  return html`<div aria-hidden="true">${Array.from({ length: rows }, (_, n) => html`<section class="row-of-titles" key=${n}><h2> </h2><ul>
    ${Array.from({ length: 9 }, (__, at) => html`<li key=${at}><span class="title-card"><span class="poster"></span><span class="name"> </span></span></li>`)}
  </ul></section>`)}</div>`;
}

/** Return what is at an address, what went wrong, and a function that asks once more. */
function useTold(path) {
  const [state, setState] = useState([null, null]);
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    if (path === null) return undefined;
    const stopped = new AbortController();
    get(path, { signal: stopped.signal }).then(
      (told) => setState([told, null]),
      (error) => { if (error.name !== "AbortError") setState(([before]) => [before, before ? null : error]); },
    );
    return () => stopped.abort();
  }, [path, turn]);
  return [...state, () => setTurn((n) => n + 1)];
}

/** Ask again when the library has changed, at most every few seconds. */
function useLibraryEvents(again) {
  useEffect(() => {
    let timer = null;
    const soon = () => { timer ??= setTimeout(() => { timer = null; again(); }, 2000); };
    addEventListener("library", soon);
    return () => { removeEventListener("library", soon); clearTimeout(timer); };
  }, []);
}

// --- what is on the screen, so that it is ready before somebody presses play ---

const onScreen = new Map();
let focused = null;
let told = null;
const watcher = globalThis.IntersectionObserver && new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (isIntersecting) onScreen.set(target, target.dataset.title);
    else onScreen.delete(target);
  }
  seen();
});

function useSeen(place, id) {
  useEffect(() => {
    const element = place.current;
    element.dataset.title = id;
    const near = () => { focused = id; seen(); };
    for (const name of ["focus", "pointerenter"]) element.addEventListener(name, near);
    watcher?.observe(element);
    return () => {
      watcher?.unobserve(element);
      onScreen.delete(element);
      for (const name of ["focus", "pointerenter"]) element.removeEventListener(name, near);
    };
  }, [id]);
}

let resting = null;

function seen() {
  clearTimeout(resting);
  resting = setTimeout(() => {
    const items = [...new Set(onScreen.values())].slice(0, 60).map((id) => ({ id, state: id === focused ? "focused" : "visible" }));
    tellSeen(items);
  }, SEEN_AFTER);
}

function tellSeen(items) {
  const said = JSON.stringify(items);
  if (said === told) return;
  told = said;
  ask("/api/ui/viewport", json({ items })).catch(() => {});
}

// --- arrows alone ---

const DIRECTIONS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** Move the focus to what lies next in a direction, as a remote control wants it. */
function useArrows() {
  useEffect(() => {
    const on = (event) => {
      const direction = DIRECTIONS[event.key];
      const from = document.activeElement;
      if (!direction || event.defaultPrevented || document.getElementById("cinema").open) return;
      if (from?.matches("select") || (from?.matches("input") && direction[0])) return;
      const next = nextTo(from, direction);
      if (!next) return;
      event.preventDefault();
      next.focus();
      next.scrollIntoView({ block: "nearest", inline: "nearest" });
    };
    addEventListener("keydown", on);
    return () => removeEventListener("keydown", on);
  }, []);
}

function nextTo(from, [x, y]) {
  const all = [...document.querySelectorAll("button, a[href], input, select")].filter((one) => one.offsetParent !== null && !one.disabled);
  if (!from || from === document.body) return all[0];
  const middle = (one) => {
    const { left, top, width, height } = one.getBoundingClientRect();
    return [left + width / 2, top + height / 2];
  };
  const here = middle(from);
  let best = null;
  let least = Infinity;
  for (const one of all) {
    if (one === from) continue;
    const there = middle(one);
    const along = (there[0] - here[0]) * x + (there[1] - here[1]) * y;
    const aside = Math.abs((there[0] - here[0]) * y) + Math.abs((there[1] - here[1]) * x);
    if (along <= 4) continue;
    const cost = along + 3 * aside;
    if (cost < least) [best, least] = [one, cost];
  }
  return best;
}
