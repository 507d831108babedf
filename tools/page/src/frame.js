// The page's head and foot: whose memory it is, the first sentence, what was lost, the choice of
// light or dark.
import { h } from "./dom.js";
import { bytes, clock, count, duration } from "./format.js";
import { clip, safe } from "./safe_text.js";

const base = (path) => String(path ?? "").replace(/^.*\//, "");

function processName(model) {
  const { title, exe, command } = model.raw.process;
  return base(exe) || title || command || "a process";
}

export function header(page, redraw) {
  const { data, diff, model } = page;
  const { process } = model.raw;
  const goWords = diff ? data.diff?.text?.go : model.raw.text?.go_shares;
  const facts = diff
    ? diff.models.map((side, i) => fact(i ? "after" : "before", side.raw.trace))
    : [fact("process", String(process.pid)), fact("started", clock(process.start_unix_ns)), fact("ran", duration(process.duration_ns)), fact("end", process.end), fact("trace", model.raw.trace)];
  return h(
    "header",
    {},
    h("div", { class: "brand-row" }, h("span", { class: "brand" }, "vmtrace"), h("span", { class: "kind-of" }, diff ? "comparison" : "memory report"), themeButton(redraw)),
    h("h1", {}, clip(processName(model), 120)),
    h("dl", { class: "facts" }, ...facts.filter(Boolean)),
    process.command ? h("p", { class: "command" }, h("code", {}, clip(process.command, 400))) : null,
    h("p", { class: "headline", id: "headline" }, headline(data)),
    goWords?.length ? h("p", { class: "headline", id: "go-shares" }, clip(goWords.map((line) => line.trim()).join(" "), 3000)) : null,
    losses(page),
  );
}

header.title = (page) => `${clip(processName(page.model), 80)}: vmtrace ${page.diff ? "comparison" : "report"}`;

function headline(data) {
  const text = clip(data.headline ?? "", 3000);
  const end = text.indexOf("; ") + 1 || text.length;
  return [h("strong", {}, text.slice(0, end)), text.slice(end)];
}

function fact(name, value) {
  return value ? h("div", {}, h("dt", {}, name), h("dd", {}, clip(String(value), 120))) : null;
}

// Every loss stands at the top: figures that lack something must not look whole.
function losses(page) {
  const lines = (page.diff ? page.diff.models : [page.model]).flatMap((model, i) => [
    ...(model.raw.losses ?? []).map((line) => (page.diff ? `${i ? "after" : "before"}: ${line}` : line)),
    ...(model.raw.folded ? [`So that this file stays small, ${count(model.raw.folded.stacks)} call sites, the smallest, are added up at their outermost callers (${bytes(model.raw.folded.bytes_committed)} of what is in RAM). All sums are exact.`] : []),
  ]);
  return lines.length ? h("div", { class: "losses", role: "note" }, h("strong", {}, "What is missing"), h("ul", {}, lines.map((line) => h("li", {}, clip(line, 2100))))) : null;
}

export function themeButton(redraw) {
  const root = document.documentElement;
  const next = { "": "light", light: "dark", dark: "" };
  const word = { "": "Theme: as the system", light: "Theme: light", dark: "Theme: dark" };
  const button = h("button", { type: "button", class: "theme" }, word[""]);
  button.addEventListener("click", () => {
    const theme = next[root.dataset.theme ?? ""];
    if (theme) root.dataset.theme = theme;
    else delete root.dataset.theme;
    button.textContent = word[theme];
    redraw();
  });
  return button;
}

const KEYS = [
  ["/", "search"],
  ["[ ]", "earlier, later moment"],
  ["Esc", "clear filters"],
  ["arrows, Enter, Backspace", "move and zoom in the icicle"],
];

export function footer(data, keys = KEYS) {
  return h("footer", {}, h("p", {}, `Made by vmtrace ${safe(data.vmtrace)}. This file holds everything; it asks nothing of any network.`), h("p", { class: "keys" }, ...keys.map(([key, what]) => h("span", {}, h("kbd", {}, key), ` ${what}`))));
}
