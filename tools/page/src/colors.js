// How each class looks, everywhere in the page: a hue, and a hatching for those who can't tell hues
// apart. Tones are made for the page's background, light or dark.

// class: [hue, chroma, hatch]. Hatches: 0 none, 1 /, 2 \, 3 -, 4 |, 5 x.
const KNOWN = {
  mmap: [255, 0.13, 0],
  "malloc live": [150, 0.12, 0],
  "malloc retained": [75, 0.13, 1],
  "malloc, live or free": [130, 0.11, 2],
  "malloc: live blocks, and what it retains": [110, 0.1, 0],
  "inherited at fork": [190, 0.08, 3],
  "thread stacks": [320, 0.12, 0],
  "ended threads' stacks": [340, 0.1, 1],
  "main stack": [300, 0.1, 3],
  "program and libraries": [240, 0.03, 0],
  "mapped files": [205, 0.09, 0],
  "shared memory": [180, 0.1, 2],
  "huge pages (hugetlb)": [25, 0.13, 0],
  "Go heap": [235, 0.06, 5],
  "Go metadata": [110, 0.1, 1],
  "Go large objects": [225, 0.12, 0],
  "Go small objects": [250, 0.12, 1],
  "Go free slots": [270, 0.1, 2],
  "Go stacks": [290, 0.12, 2],
  "Go free spans": [205, 0.08, 3],
  "Go released": [215, 0.04, 4],
  "Go other": [55, 0.1, 3],
  kernel: [0, 0, 4],
  vmtrace: [0, 0, 1],
  unattributed: [40, 0.15, 5],
};
const UNKNOWN = [280, 0.05, 4];

let printing = false;

// Paper is white.
export function setPrinting(value) {
  printing = value;
}

export function isDark() {
  if (printing) return false;
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

function tone(lightness, chroma, hue) {
  return `oklch(${lightness} ${chroma} ${hue})`;
}

// solid: bars and areas. mid and pale: behind text, which is --ink on either.
export function look(name) {
  const [hue, chroma, hatch] = (Object.hasOwn(KNOWN, name) && KNOWN[name]) || UNKNOWN;
  return isDark()
    ? { hatch, solid: tone(0.68, chroma, hue), mid: tone(0.45, chroma * 0.8, hue), pale: tone(0.29, chroma * 0.35, hue) }
    : { hatch, solid: tone(0.6, chroma, hue), mid: tone(0.79, chroma * 0.75, hue), pale: tone(0.95, chroma * 0.22, hue) };
}

// Where several classes meet.
export function mixed() {
  return isDark()
    ? { hatch: 0, solid: tone(0.6, 0.02, 250), mid: tone(0.43, 0.025, 250), pale: tone(0.28, 0.012, 250) }
    : { hatch: 0, solid: tone(0.6, 0.02, 250), mid: tone(0.83, 0.03, 250), pale: tone(0.955, 0.008, 250) };
}

// Two traces: blue is what was there before and is less now, orange what is more now.
export function sides() {
  return isDark()
    ? { before: tone(0.62, 0.13, 250), after: tone(0.72, 0.14, 60), less: tone(0.45, 0.11, 250), more: tone(0.5, 0.11, 55), same: tone(0.38, 0.01, 250), pale: tone(0.27, 0.01, 250) }
    : { before: tone(0.55, 0.15, 250), after: tone(0.68, 0.16, 60), less: tone(0.8, 0.09, 250), more: tone(0.82, 0.12, 70), same: tone(0.88, 0.008, 250), pale: tone(0.96, 0.005, 250) };
}

export function css(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

const PATHS = {
  1: [[0, 8, 8, 0], [-2, 2, 2, -2], [6, 10, 10, 6]],
  2: [[0, 0, 8, 8], [-2, 6, 2, 10], [6, -2, 10, 2]],
  3: [[0, 4, 8, 4]],
  4: [[4, 0, 4, 8]],
  5: [[0, 8, 8, 0], [0, 0, 8, 8]],
};

// A fill for a canvas: the color, with its hatching over it.
export function pattern(context, color, hatch, ink = isDark() ? "rgba(0,0,0,.35)" : "rgba(255,255,255,.5)") {
  if (!hatch) return color;
  const tile = document.createElement("canvas");
  const scale = devicePixelRatio || 1;
  tile.width = tile.height = Math.round(8 * scale);
  const pen = tile.getContext("2d");
  pen.scale(scale, scale);
  pen.fillStyle = color;
  pen.fillRect(0, 0, 8, 8);
  pen.strokeStyle = ink;
  pen.lineWidth = 1.5;
  for (const [x0, y0, x1, y1] of PATHS[hatch]) {
    pen.beginPath();
    pen.moveTo(x0, y0);
    pen.lineTo(x1, y1);
    pen.stroke();
  }
  const result = context.createPattern(tile, "repeat");
  result.setTransform(new DOMMatrix().scale(1 / scale));
  return result;
}
