// Numbers and times as people read them.

const decimal = (digits) => new Intl.NumberFormat(undefined, { minimumFractionDigits: digits, maximumFractionDigits: digits });
export const whole = decimal(0);
export const tenths = decimal(1);

export function bytes(count) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let at = 0;
  while (count >= 999.5 && at < units.length - 1) {
    count /= 1000;
    at += 1;
  }
  return `${(at < 2 || count >= 99.95 ? whole : tenths).format(count)} ${units[at]}`;
}

/** Seconds as 1:02:03. */
export function clock(seconds) {
  const all = Math.max(0, Math.floor(seconds));
  const parts = [Math.floor(all / 3600), Math.floor(all / 60) % 60, all % 60];
  if (parts[0] === 0) parts.shift();
  return parts.map((part, at) => (at ? String(part).padStart(2, "0") : part)).join(":");
}

/** Seconds as 1 h 42 min. */
export function length(seconds) {
  const minutes = Math.round(seconds / 60);
  const hours = Math.floor(minutes / 60);
  return hours ? `${hours} h ${minutes % 60} min` : `${minutes} min`;
}

export const ended = (text) => (/[.!?…]$/.test(text) ? text : `${text}.`);
