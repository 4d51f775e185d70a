// Plays what a playback says and tells how it went; the settings are those of the web client.
"use strict";

const HLS = {
  startFragPrefetch: true,
  testBandwidth: false,
  maxBufferLength: 30,
  // A daemon that was started anew answers again within seconds.
  manifestLoadPolicy: { default: retrying(10000) },
  playlistLoadPolicy: { default: retrying(10000) },
  fragLoadPolicy: { default: retrying(40000) },
};

function retrying(longest) {
  const again = { maxNumRetry: 30, retryDelayMs: 250, maxRetryDelayMs: 1000, backoff: "linear" };
  return {
    maxTimeToFirstByteMs: longest,
    maxLoadTimeMs: 2 * longest,
    timeoutRetry: again,
    errorRetry: again,
  };
}

function capabilities() {
  const video = document.createElement("video");
  const can = (type) =>
    video.canPlayType(type) !== "" &&
    (!type.startsWith("video/mp4;") || MediaSource.isTypeSupported(type));
  const firefox = navigator.userAgent.includes("Firefox");
  const report = {
    containers: ["mp4", "webm", "mkv"].filter((one) =>
      can({ mp4: "video/mp4", webm: "video/webm", mkv: "video/x-matroska" }[one]),
    ),
    video: [
      ["h264", 'video/mp4; codecs="avc1.640028"'],
      ["h264-10bit", 'video/mp4; codecs="avc1.6e0028"'],
      ["hevc", 'video/mp4; codecs="hvc1.1.6.L120.90"'],
      ["hevc-10bit", 'video/mp4; codecs="hvc1.2.4.L120.90"'],
      ["av1", 'video/mp4; codecs="av01.0.08M.08"'],
      ["vp9", 'video/mp4; codecs="vp09.00.40.08"'],
    ]
      .filter(([, type]) => can(type))
      .map(([name]) => name),
    audio: [
      ["aac", 'video/mp4; codecs="mp4a.40.2"'],
      ["ac3", 'video/mp4; codecs="ac-3"'],
      ["eac3", 'video/mp4; codecs="ec-3"'],
      ["flac", 'video/mp4; codecs="flac"'],
      ["opus", 'video/mp4; codecs="opus"'],
      ["mp3", 'audio/mpeg'],
    ]
      .filter(([, type]) => can(type))
      .map(([name]) => name),
    hls: Hls.isSupported(),
  };
  if (!firefox) report.audio.push("mkv/flac", "mkv/mp3");
  return report;
}

async function play(told, { native = false, audio = null } = {}) {
  const video = document.querySelector("video");
  const began = performance.now();
  const errors = [];
  window.stalls = 0;
  video.addEventListener("error", () => errors.push(`media error ${video.error?.code}`));
  video.addEventListener("waiting", () => (window.stalls += 1));
  const address = told.method === "direct" ? told.stream_url : told.hls_url;
  const url = audio === null ? address : `${address}&audio=${audio}`;
  if (told.method === "direct" || native) {
    video.src = url;
    video.currentTime = told.resume_at;
  } else {
    window.hls = new Hls({ ...HLS, startPosition: told.resume_at });
    window.hls.on(Hls.Events.ERROR, (_, error) => {
      if (error.fatal) errors.push(error.details);
    });
    window.hls.loadSource(url);
    window.hls.attachMedia(video);
  }
  const playing = new Promise((done) =>
    video.addEventListener("playing", () => done(performance.now() - began), { once: true }),
  );
  await video.play().catch((error) => errors.push(String(error)));
  const after = await Promise.race([playing, rest(30000).then(() => null)]);
  await reached(told.resume_at + 1.5);
  return { after, errors, ...state() };
}

// As a person's page does: ask for a playback, and play it. Everything is from the click on.
async function click(token, wish, magnet = null) {
  const began = performance.now();
  const ask = async (path, body) => {
    const answer = await fetch(path, {
      method: "POST",
      headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  };
  if (magnet !== null) wish = { ...wish, source_id: (await ask("/api/torrents", { magnet })).source_id };
  const told = await ask("/api/playback", wish);
  const asked = performance.now() - began;
  const { after, ...found } = await play(told);
  return { ...found, id: told.id, source_id: told.source.id, method: told.method, asked, after: asked + after };
}

// Watch on for so many seconds of the clock; how often and how long it stood still on the way.
async function watch(seconds) {
  const video = document.querySelector("video");
  const began = performance.now();
  const from = video.currentTime;
  let still = 0;
  let waits = 0;
  let waiting = null;
  video.addEventListener("waiting", () => {
    waits += 1;
    waiting ??= performance.now();
  });
  video.addEventListener("playing", () => {
    if (waiting !== null) still += performance.now() - waiting;
    waiting = null;
  });
  await rest(1000 * seconds);
  return { waits, still, watched: video.currentTime - from, took: (performance.now() - began) / 1000 };
}

async function seek(position) {
  const video = document.querySelector("video");
  const began = performance.now();
  video.currentTime = position;
  const done = new Promise((resolve) =>
    video.addEventListener("playing", () => resolve(performance.now() - began), { once: true }),
  );
  const after = await Promise.race([done, rest(30000).then(() => null)]);
  await reached(position + 1);
  return { after, ...state() };
}

// Seek to a part of the film, 0 to 1, or to the first one behind it that is not here yet.
async function jump(part) {
  const video = document.querySelector("video");
  const here = (position) => {
    for (let n = 0; n < video.buffered.length; n += 1)
      if (video.buffered.start(n) - 4 <= position && position < video.buffered.end(n) + 12) return true;
    return false;
  };
  let position = part * video.duration;
  for (let tries = 0; tries < 40 && here(position); tries += 1)
    position = (position + 7) % (0.95 * video.duration);
  return { to: position, ...(await seek(position)) };
}

async function reached(position) {
  const video = document.querySelector("video");
  for (let left = 300; left > 0 && video.currentTime < position; left -= 1) await rest(100);
}

function state() {
  const video = document.querySelector("video");
  return {
    at: video.currentTime,
    frames: video.getVideoPlaybackQuality().totalVideoFrames,
    sound: video.webkitAudioDecodedByteCount ?? (video.mozHasAudio ? 1 : 0),
    duration: video.duration,
    stalls: window.stalls,
  };
}

const rest = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
