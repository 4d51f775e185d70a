// What this browser really plays. It is asked by every way there is: some say "maybe" to what they
// play black or silent.

const CONTAINERS = { mp4: "video/mp4", webm: "video/webm", mkv: "video/x-matroska" };

const VIDEO = {
  h264: 'video/mp4; codecs="avc1.640028"',
  "h264-10bit": 'video/mp4; codecs="avc1.6e0028"',
  hevc: 'video/mp4; codecs="hvc1.1.6.L120.90"',
  "hevc-10bit": 'video/mp4; codecs="hvc1.2.4.L120.90"',
  av1: 'video/mp4; codecs="av01.0.08M.08"',
  vp9: 'video/mp4; codecs="vp09.00.40.08"',
};

const AUDIO = {
  aac: 'audio/mp4; codecs="mp4a.40.2"',
  ac3: 'audio/mp4; codecs="ac-3"',
  eac3: 'audio/mp4; codecs="ec-3"',
  flac: 'audio/mp4; codecs="flac"',
  opus: 'audio/mp4; codecs="opus"',
  mp3: "audio/mpeg",
};

const Source = globalThis.ManagedMediaSource ?? globalThis.MediaSource;

/** Whether segments have to be put together by the page. */
export const puts = Source !== undefined;

export function capabilities() {
  const video = document.createElement("video");
  const plays = (type) => video.canPlayType(type) !== "" && (!puts || type === "audio/mpeg" || Source.isTypeSupported(type));
  const named = (types, can) => Object.keys(types).filter((name) => can(types[name]));
  const report = {
    containers: named(CONTAINERS, (type) => video.canPlayType(type) !== ""),
    video: named(VIDEO, plays),
    audio: named(AUDIO, plays),
    hls: puts || video.canPlayType("application/vnd.apple.mpegurl") !== "",
    hdr: matchMedia("(dynamic-range: high)").matches,
    max_height: Math.round(Math.max(screen.height, screen.width * 9 / 16) * devicePixelRatio) || 1080,
  };
  // Firefox plays these out of Matroska without a sound, and says nothing.
  if (!navigator.userAgent.includes("Firefox")) {
    report.audio.push(...["flac", "mp3"].filter((name) => report.audio.includes(name)).map((name) => `mkv/${name}`));
  }
  return report;
}
