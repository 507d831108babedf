// What the person has chosen. It stands in the URL's hash, so that a link shows the same, and "back"
// goes back. Views learn of changes by `onChange`.

const DEFAULTS = {
  at: null, // index of a snapshot; null: the report's own
  before: null, // ... of the first trace, where two are compared
  class: "", // name of a class; "": all
  zoom: "", // a place in the icicle
  chart: "callers", // callers, inverted, touchers
  width: "", // what the icicle's widths are: reserved, committed; "": what suits the page
  site: null, // the opened row of the table
  sort: "committed",
  q: "", // a regular expression
};

export const state = { ...DEFAULTS };
const listeners = [];

export function onChange(listener) {
  listeners.push(listener);
}

function toHash() {
  const parts = new URLSearchParams();
  for (const [key, value] of Object.entries(state)) if (value !== DEFAULTS[key]) parts.set(key, String(value));
  return parts.toString();
}

function fromHash() {
  const parts = new URLSearchParams(location.hash.slice(1));
  const next = { ...DEFAULTS };
  for (const key of Object.keys(DEFAULTS)) {
    if (!parts.has(key)) continue;
    const text = parts.get(key);
    if (key === "at" || key === "before" || key === "site") next[key] = /^\d{1,9}$/.test(text) ? Number(text) : null;
    else next[key] = text;
  }
  return next;
}

function tell(changed) {
  for (const listener of listeners) listener(changed);
}

function apply(next) {
  const changed = new Set(Object.keys(next).filter((key) => next[key] !== state[key]));
  Object.assign(state, next);
  if (changed.size) tell(changed);
  return changed.size > 0;
}

let own = "";

// `replace`: no step for "back", as while typing or dragging.
export function set(patch, { replace = false } = {}) {
  if (!apply(patch)) return;
  const hash = toHash();
  own = hash;
  if (replace) history.replaceState(null, "", `#${hash}`);
  else history.pushState(null, "", `#${hash}`);
}

export function reset() {
  set({ ...DEFAULTS });
}

export function isDefault() {
  return toHash() === "";
}

export function start() {
  Object.assign(state, fromHash());
  const follow = () => {
    const hash = location.hash.slice(1);
    if (hash === own) return;
    own = hash;
    apply(fromHash());
  };
  addEventListener("popstate", follow);
  addEventListener("hashchange", follow);
}
