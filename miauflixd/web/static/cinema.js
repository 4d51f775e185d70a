// The player: from the click to moving pictures, and what is said meanwhile.

import { html, render, useEffect, useRef, useState } from "./preact-htm.js";
import { ask, get, json } from "./api.js";
import { capabilities, puts } from "./capabilities.js";
import { bytes, clock, ended, tenths, whole } from "./words.js";

const LOOK_EVERY = 4000; // milliseconds between looks at how it goes
const TELL_EVERY = 10000; // milliseconds between two words about where one is
const WINDOW = 300; // seconds of subtitles within a film that are asked for at a time
const STEP = 10; // seconds of an arrow key

const LINKS = {
  vlc: "VLC", "vlc-android": "VLC", infuse: "Infuse", iina: "IINA", mpv: "mpv", outplayer: "Outplayer",
};

const OBSTACLES = {
  container_not_supported: "this kind of file",
  video_codec_not_supported: "its pictures",
  video_bit_depth_not_supported: "its pictures (10 bits)",
  video_range_not_supported: "its pictures (HDR)",
  video_resolution_not_supported: "so many lines",
  audio_codec_not_supported: "its sound",
  audio_track_chosen: "another track than the first",
};

/** Play a title or a source over the whole page; `done` is called when somebody leaves. */
export function openCinema(wish, { name, done }) {
  const place = document.getElementById("cinema");
  const leave = () => {
    render(null, place);
    place.close();
    done?.();
  };
  place.oncancel = (event) => {
    event.preventDefault();
    leave();
  };
  render(html`<${Cinema} wish=${wish} name=${name} leave=${leave} />`, place);
  if (!place.open) place.showModal();
}

function Cinema({ wish, name, leave }) {
  const [now, setNow] = useState(wish);
  const [title, setTitle] = useState(name);
  const goOn = (following) => {
    setNow({ title_id: following });
    get(`/api/titles/${following}`).then(({ title: next }) => setTitle(next), () => {});
  };
  return html`<${Film} key=${JSON.stringify(now)} wish=${now} name=${title} leave=${leave} goOn=${goOn} />`;
}

function Film({ wish, name, leave, goOn }) {
  const video = useRef(null);
  const [told, setTold] = useState(null);
  const [curtain, setCurtain] = useState({ title: "Finding the best source", since: Date.now() });
  const [how, setHow] = useState(null);
  const [audio, setAudio] = useState(null);
  const [text, setText] = useState(null);
  const [figures, setFigures] = useState(false);
  const [failed, setFailed] = useState([]);
  const position = useRef(null);

  const begin = async () => {
    setCurtain({ title: "Finding the best source", since: Date.now() });
    try {
      const answer = await get("/api/playback", json({ ...wish, client: capabilities(), failed }));
      setTold(answer);
      setAudio(answer.audio_index);
      setText(answer.subtitles.find((one) => one.default && one.url)?.index ?? null);
      if (answer.method === "external") setCurtain({ title: "This browser cannot show it", text: cannot(answer), links: answer });
    } catch (error) {
      setCurtain({ title: "It does not play", text: error.message, again: true });
    }
  };

  useEffect(() => { begin(); }, [failed]);
  useEffect(() => () => { if (told) ask(`/api/playback/${told.id}`, { method: "DELETE", keepalive: true }).catch(() => {}); }, [told?.id]);

  usePictures(video, told, how, audio, position, (why) => {
    if (told.method === "direct" || told.method === "remux") setFailed((before) => [...new Set([...before, told.method])]);
    else setCurtain({ title: "It does not play", text: why, again: true });
  });
  useWords(video, told, text);
  useProgress(video, told, wish, position);
  useKeys(video, leave);

  // Whoever waits is told what for.
  useEffect(() => {
    if (!told || told.method === "external") return undefined;
    let over = false;
    const look = async () => {
      try {
        const seen = await get(`/api/playback/${told.id}`);
        if (!over) setHow((before) => (before && before.swaps !== seen.swaps ? seen : { ...seen, hls_url: before?.hls_url, stream_url: before?.stream_url }));
      } catch { /* it is asked again */ }
    };
    look();
    const timer = setInterval(look, LOOK_EVERY);
    return () => { over = true; clearInterval(timer); };
  }, [told?.id]);

  const waiting = () => setCurtain((before) => before?.again || before?.links ? before : { title: "Waiting for the film", since: Date.now(), wait: true });
  const here = () => setCurtain(null);
  const over = () => { if (told?.next) goOn(told.next.title_id); else leave(); };

  return html`
    <div class="cinema" data-quiet=${curtain === null}>
      <video ref=${video} controls playsinline autoplay onwaiting=${waiting} onplaying=${here} onended=${over}></video>
      ${curtain && html`<${Curtain} ...${curtain} how=${how} again=${curtain.again && begin} />`}
      <div class="cinema-bar">
        <button type="button" class="quiet" onclick=${leave} aria-label="Back">←</button>
        <h2>${name}</h2>
        ${told && told.audio.length > 1 && html`<label>Sound
          <select value=${audio} onchange=${({ target }) => setAudio(Number(target.value))}>
            ${told.audio.map((one) => html`<option value=${one.index}>${label(one)}</option>`)}
          </select></label>`}
        ${told && told.subtitles.some((one) => one.url) && html`<label>Subtitles
          <select value=${text ?? ""} onchange=${({ target }) => setText(target.value === "" ? null : Number(target.value))}>
            <option value="">Off</option>
            ${told.subtitles.filter((one) => one.url).map((one) => html`<option value=${one.index}>${one.label}</option>`)}
          </select></label>`}
        <button type="button" class="quiet" aria-pressed=${figures} onclick=${() => setFigures(!figures)}>Figures</button>
      </div>
      ${figures && how && html`<${Figures} told=${told} how=${how} />`}
    </div>`;
}

function Curtain({ title, text, since, wait, again, links, how }) {
  const [, tick] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => tick((n) => n + 1), 1000);
    return () => clearInterval(timer);
  }, []);
  const seconds = since ? Math.floor((Date.now() - since) / 1000) : 0;
  const why = text ?? (wait && how ? [how.reason, how.next].filter(Boolean).map(ended).join(" ") : "");
  return html`<div class="cinema-curtain" role="status">
    <p class="big">${title}${seconds > 1 ? ` · ${seconds} s` : ""}</p>
    ${why && html`<p>${why}</p>`}
    ${links && html`<p class="links">
      ${Object.entries(links.links).map(([kind, url]) => html`<a href=${url}>${LINKS[kind] ?? kind}</a>`)}
      <a href=${links.playlist_url} download="film.m3u8">Playlist for any player</a></p>`}
    ${again && html`<button type="button" onclick=${again}>Try again</button>`}
  </div>`;
}

function Figures({ told, how }) {
  const rows = [
    ["Played", told.method === "direct" ? "as it is" : told.method === "remux" ? "in segments, pictures as they are" : "pictures encoded anew"],
    ["Because of", how.obstacles.map((one) => OBSTACLES[one] ?? one).join(", ") || "nothing: this browser plays it"],
    ["This source", how.reasons.join("; ") || "–"],
    ["Peers", whole.format(how.peers)],
    ["Comes with", `${bytes(how.download_rate)}/s`],
    ["Stood still", `${how.stalls} times, ${tenths.format(how.stalled)} s`],
    ["Sources changed", whole.format(how.swaps)],
    ["State", how.reason],
  ];
  return html`<dl class="cinema-figures">${rows.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

function cannot({ obstacles }) {
  const what = obstacles.map((one) => OBSTACLES[one]).filter(Boolean);
  return `${what.length ? `It does not play ${what.join(" and ")}. ` : ""}Another player on this device may.`;
}

function label({ language, title, codec, channels }) {
  const named = language ? new Intl.DisplayNames(undefined, { type: "language", fallback: "code" }).of(language) : null;
  const sides = { 1: "mono", 2: "stereo", 6: "5.1", 8: "7.1" }[channels] ?? `${channels} channels`;
  return [named ?? "Unknown language", title, `${codec} ${sides}`].filter(Boolean).join(" · ");
}

/** Have the video play what is told, from where one was; by itself when another source took over. */
function usePictures(video, told, how, audio, position, failed) {
  const stream = how?.stream_url ?? told?.stream_url;
  const segments = how?.hls_url ?? told?.hls_url;
  useEffect(() => {
    if (!told || told.method === "external" || audio === undefined) return undefined;
    const element = video.current;
    const at = position.current ?? told.resume_at;
    let hls = null;
    let over = false;
    const broken = () => { if (element.error && !over) failed("The browser gave up on it."); };
    element.addEventListener("error", broken);
    const aside = audio !== null && audio !== told.audio_index;
    if (told.method === "direct" && !aside) {
      element.src = stream;
      if (at > 0) element.currentTime = at;
    } else if (segments) {
      const address = aside ? `${segments}&audio=${audio}` : segments;
      if (!puts) {
        element.src = address;
        if (at > 0) element.currentTime = at;
      } else {
        import("./hls-light.js").then(({ default: Hls }) => {
          if (over) return;
          hls = new Hls(settings(at));
          hls.on(Hls.Events.ERROR, (_, error) => { if (error.fatal) failed(`The film does not come (${error.details}).`); });
          hls.loadSource(address);
          hls.attachMedia(element);
        });
      }
    }
    element.play?.().catch(() => {}); // a browser that wants a click first shows its own button
    return () => {
      over = true;
      element.removeEventListener("error", broken);
      hls?.destroy();
      element.removeAttribute("src");
      element.load();
    };
  }, [told?.id, stream, segments, audio]);
}

function settings(startPosition) {
  const retrying = (longest) => {
    const again = { maxNumRetry: 30, retryDelayMs: 250, maxRetryDelayMs: 1000, backoff: "linear" };
    return { default: { maxTimeToFirstByteMs: longest, maxLoadTimeMs: 2 * longest, timeoutRetry: again, errorRetry: again } };
  };
  return {
    startPosition,
    startFragPrefetch: true,
    testBandwidth: false,
    maxBufferLength: 30,
    // An appliance that was started anew answers again within seconds.
    manifestLoadPolicy: retrying(10000),
    playlistLoadPolicy: retrying(10000),
    fragLoadPolicy: retrying(40000),
  };
}

/** Show subtitles: of a file beside the film at once, of those within it the part that one is at. */
function useWords(video, told, index) {
  useEffect(() => {
    const found = told?.subtitles.find((one) => one.index === index && one.url);
    if (!found) return undefined;
    const element = video.current;
    const track = element.addTextTrack("subtitles", found.label, found.language ?? "");
    track.mode = "showing";
    const have = new Set();
    const fetchPart = async () => {
      const part = Math.floor(element.currentTime / WINDOW);
      for (const one of [part, part + 1]) {
        if (have.has(one)) continue;
        have.add(one);
        try {
          const answer = await ask(`${found.url}&start=${one * WINDOW}&stop=${(one + 1) * WINDOW}`);
          for (const cue of cues(await answer.text())) track.addCue(cue);
        } catch { have.delete(one); }
      }
    };
    fetchPart();
    element.addEventListener("timeupdate", fetchPart);
    return () => {
      element.removeEventListener("timeupdate", fetchPart);
      track.mode = "disabled";
      for (const cue of [...(track.cues ?? [])]) track.removeCue(cue);
    };
  }, [told?.id, index]);
}

function cues(text) {
  const found = [];
  for (const block of text.split(/\n\n+/)) {
    const lines = block.split("\n");
    const at = lines.findIndex((line) => line.includes("-->"));
    if (at < 0) continue;
    const times = /(?:(\d+):)?(\d\d):(\d\d\.\d{3}) --> (?:(\d+):)?(\d\d):(\d\d\.\d{3})/.exec(lines[at]);
    if (!times) continue;
    const seconds = (hours, minutes, rest) => Number(hours ?? 0) * 3600 + Number(minutes) * 60 + Number(rest);
    found.push(new VTTCue(seconds(...times.slice(1, 4)), seconds(...times.slice(4, 7)), lines.slice(at + 1).join("\n")));
  }
  return found;
}

/** Say where one is, so that one can go on elsewhere. */
function useProgress(video, told, { title_id: id }, position) {
  useEffect(() => {
    if (!told) return undefined;
    const element = video.current;
    const tell = (state) => {
      const { currentTime, duration } = element;
      if (currentTime > 0) position.current = currentTime;
      if (!id || !(duration > 0) || currentTime <= 0) return;
      const report = { position: currentTime, duration: told.duration ?? duration, state };
      ask(`/api/progress/${id}`, { ...json(report, "PUT"), keepalive: true }).catch(() => {});
    };
    const regularly = setInterval(() => { if (!element.paused) tell("playing"); }, TELL_EVERY);
    const moved = () => { position.current = element.currentTime || position.current; };
    const paused = () => tell("paused");
    const finished = () => tell("ended");
    element.addEventListener("timeupdate", moved);
    element.addEventListener("pause", paused);
    element.addEventListener("ended", finished);
    return () => {
      clearInterval(regularly);
      if (!element.ended) tell("paused");
      element.removeEventListener("timeupdate", moved);
      element.removeEventListener("pause", paused);
      element.removeEventListener("ended", finished);
    };
  }, [told?.id]);
}

function useKeys(video, leave) {
  useEffect(() => {
    const on = (event) => {
      const element = video.current;
      if (!element || event.target.closest?.("select, button, a") || event.ctrlKey || event.metaKey || event.altKey) return;
      const does = {
        " ": () => (element.paused ? element.play() : element.pause()),
        k: () => (element.paused ? element.play() : element.pause()),
        ArrowLeft: () => { element.currentTime -= STEP; },
        ArrowRight: () => { element.currentTime += STEP; },
        m: () => { element.muted = !element.muted; },
        f: () => (document.fullscreenElement ? document.exitFullscreen() : document.getElementById("cinema").requestFullscreen()),
        GoBack: leave,
        BrowserBack: leave,
      }[event.key];
      if (!does || (event.target === element && (event.key === " " || event.key.startsWith("Arrow")))) return;
      event.preventDefault();
      does();
    };
    addEventListener("keydown", on);
    return () => removeEventListener("keydown", on);
  }, []);
}
