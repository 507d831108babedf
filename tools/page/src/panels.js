// What else the report knows, below the call sites: advice, files, what the kernel counts, Go, and what
// it cannot see.
import { figure, h, scrollable, section } from "./dom.js";
import { count, duration } from "./format.js";
import { frameLabel, shownFrames } from "./json_frames.js";
import { clip } from "./safe_text.js";

// A member of the report's JSON, in words. Members without a word are named by their key.
const WORDS = {
  anonymous_bytes: "anonymous memory, including private copies of file pages (RssAnon)",
  file_bytes: "pages of files (RssFile)",
  shared_memory_bytes: "shared memory: tmpfs, memfd, System V (RssShmem)",
  swap_bytes: "in swap (VmSwap)",
  page_table_bytes: "page tables: not in RSS, counted by the cgroup (VmPTE)",
  locked_bytes: "locked by mlock (VmLck)",
  hugetlb_bytes: "huge pages (hugetlb): not in RSS",
  rss_error_bytes: "by how much the kernel's own RSS may be off",
  proportional_bytes: "proportional: each page divided by who maps it (PSS)",
  private_bytes: "of RSS mapped only once (private)",
  shared_bytes: "of RSS mapped more than once (shared)",
  anonymous_huge_bytes: "transparent huge pages",
  locked_rss_bytes: "of RSS locked",
  limit_bytes: "limit",
  peak_bytes: "peak of the whole cgroup",
  oom_kills: "kills for lack of memory in it",
  overhead_bytes: "overhead of live blocks: headers and rounding, not free",
  free_page_bytes: "free pages: malloc_trim would give them back to the kernel",
  heap_in_use_bytes: "heap in use",
  heap_idle_bytes: "heap idle",
  heap_released_bytes: "of idle, given back to the kernel",
  stacks_bytes: "goroutine stacks",
  metadata_bytes: "the runtime's metadata",
  total_bytes: "all that the runtime counts",
  memory_limit_bytes: "memory limit (GOMEMLIMIT)",
  rss_go_bytes: "of RSS: Go's",
  rss_malloc_live_bytes: "of RSS: live blocks of C's malloc",
  rss_malloc_retained_bytes: "of RSS: what C's malloc holds besides",
  rss_neither_bytes: "of RSS: neither's",
  pinned_bytes: "free space in pages with live blocks: stays until those blocks are freed",
};

function value(key, content, estimate) {
  if (content === null || content === undefined) return h("span", { class: "unknown" }, "not known");
  if (typeof content === "boolean") return content ? "yes" : "no";
  if (typeof content !== "number") return clip(String(content), 300);
  if (/bytes$/.test(key)) return figure(content, { estimate });
  return /_ns$/.test(key) ? duration(content) : count(content);
}

// A plain object's figures as rows; what is not known is left out.
function factTable(title, object, { estimate = false, skip = [] } = {}) {
  const rows = Object.entries(object).filter(([key, content]) => content !== null && typeof content !== "object" && typeof content !== "boolean" && !skip.includes(key));
  return h(
    "table",
    { class: "fact-table" },
    h("caption", { class: "visually-hidden" }, title),
    h("tbody", {}, rows.map(([key, content]) => h("tr", {}, h("td", { class: "num" }, value(key, content, estimate)), h("th", { scope: "row" }, WORDS[key] ?? key.replace(/_bytes$|_ns$/, "").replaceAll("_", " "))))),
  );
}

// The first `most` rows; how many more there are, and how much they have, stands below them.
function listTable(title, columns, all, most = all.length, bytesOf = null, { left = 0, leftBytes = 0 } = {}) {
  const rows = all.slice(0, most);
  const more = all.length - rows.length + left;
  return scrollable(
    title,
    h(
      "table",
      { class: "list-table" },
      h("caption", { class: "visually-hidden" }, title),
      h("thead", {}, h("tr", {}, columns.map(({ title: name, numeric }) => h("th", { scope: "col", class: numeric ? "num" : null }, name)))),
      h("tbody", {}, rows.map((row) => h("tr", {}, columns.map(({ cell, numeric }) => h("td", { class: numeric ? "num" : null }, cell(row)))))),
    ),
    more ? h("p", { class: "note rest" }, `and ${count(more)} more`, bytesOf ? [": ", figure(all.slice(most).reduce((sum, row) => sum + bytesOf(row), leftBytes)), " in RAM"] : null) : null,
  );
}

// A row's stack: the frames that the text report shows, in the report's JSON or in the page's columns.
function call(model, row) {
  const labels = row.frames ? shownFrames(row.frames, row.places).map(frameLabel) : row.shown.map((frame) => model.frameLabel(frame));
  return labels.length ? labels.map((label, i) => h("div", { class: i ? "caller" : "fn" }, i ? "← " : "", label)) : "no stack";
}

const bytesColumn = (title, get, estimate = () => false) => ({ title, numeric: true, cell: (row) => figure(get(row), { estimate: estimate(row) && get(row) > 0 }) });

// A part of the text report, as it stands there: the command ends a line before this bound.
function lines(label, text) {
  return scrollable(label, h("pre", { class: "text-lines" }, text.map((line) => clip(line, 2100)).join("\n")));
}

// One that begins with its title.
function titled(id, text, note) {
  if (!text?.length) return null;
  const [title, ...rest] = text;
  return section(id, clip(title, 300), note, lines(title, rest));
}

function growth(model) {
  return titled("growth", model.raw.text?.growth, "Held at the end of the trace and not yet then, by call site. ~ = estimated from samples.");
}

function blocks(model) {
  return titled("blocks", model.raw.text?.blocks, "~ = estimated from samples.");
}

function advice(model) {
  const rows = (model.raw.advice ?? []).map((row, i) => ({ ...row, places: model.raw.advice_shown?.[i] }));
  const words = model.raw.text?.lazily_freed ?? [];
  const left = words.length ? lines("Given back, and not yet taken", words) : null;
  if (!rows.length) return left && section("advice", "Given back, and not yet taken", null, left);
  return section(
    "advice",
    "Advice",
    "madvise and what frees as it does, over the whole run: what was committed there before the call.",
    listTable(
      "Advice",
      [
        bytesColumn("Committed before", (row) => row.committed_before_bytes, (row) => row.committed_before_is_estimate),
        bytesColumn("Bytes", (row) => row.bytes),
        bytesColumn("Still there", (row) => row.stayed_bytes),
        { title: "Calls", numeric: true, cell: (row) => count(row.calls) },
        { title: "Failed", numeric: true, cell: (row) => count(row.failed_calls) },
        { title: "Advice", cell: (row) => clip(row.advice, 60) },
        { title: "Called by", cell: (row) => call(model, row) },
      ],
      rows,
      rows.length,
      null,
      { left: model.raw.left_out?.advice },
    ),
    left,
  );
}

function files(model) {
  const rows = [...(model.raw.files ?? [])].sort((a, b) => b.committed_bytes - a.committed_bytes || b.reserved_bytes - a.reserved_bytes);
  if (!rows.length) return null;
  return section("files", "Mapped files", null, listTable("Mapped files", [bytesColumn("In RAM", (row) => row.committed_bytes), bytesColumn("Reserved", (row) => row.reserved_bytes), { title: "Path", cell: (row) => h("code", {}, clip(row.path, 300)) }], rows, 500, (row) => row.committed_bytes, { left: model.raw.left_out?.files, leftBytes: model.raw.left_out?.files_bytes }));
}

function kernel(model) {
  const { kernel: figures } = model.raw;
  return figures ? section("kernel", "What the kernel counts", "At the report's own moment.", factTable("What the kernel counts", figures)) : null;
}

function memoryCgroup(model) {
  const { cgroup, text } = model.raw;
  if (!cgroup || !(cgroup.limit_bytes || cgroup.peak_bytes || cgroup.oom_kills)) return null;
  const words = text?.cgroup ?? [];
  return section("cgroup", "Memory cgroup", "What the limit counts: this process is but a part of it.", words.length ? lines("Memory cgroup", words) : null, factTable("Memory cgroup", cgroup));
}

function retained(model) {
  const { retained: figures, text } = model.raw;
  const words = text?.pinning ?? [];
  if (!figures || !(figures.overhead_bytes || figures.free_page_bytes || figures.pinned_bytes)) return null;
  return section("retained", "What malloc holds besides live blocks", figures.estimate ? "Estimated from samples; at the report's own moment." : "At the report's own moment.", factTable("malloc retained", figures, { estimate: figures.estimate }), words.length ? lines("Whose live blocks keep it", words) : null);
}

function go(model) {
  const { go: figures, text } = model.raw;
  if (!figures) return null;
  const words = text?.go ?? [];
  const note = `${figures.version ?? ""}${figures.cgo ? ", cgo" : ""}: what the runtime counts itself, at the report's own moment.`;
  return section("go", "The Go runtime", note, words.length ? lines("The Go runtime", words) : null, factTable("The Go runtime", figures, { skip: ["version"] }));
}

function locks(model) {
  const rows = (model.raw.locks ?? []).map((row, i) => ({ ...row, places: model.raw.locks_shown?.[i] }));
  if (!rows.length) return null;
  return section(
    "locks",
    "Locked memory",
    "Calls that lock memory into RAM, over the whole run.",
    listTable("Locked memory", [bytesColumn("Bytes", (row) => row.bytes), { title: "Calls", numeric: true, cell: (row) => count(row.calls) }, { title: "Call", cell: (row) => clip(row.call, 60) }, { title: "Called by", cell: (row) => call(model, row) }], rows, rows.length, null, { left: model.raw.left_out?.locks }),
  );
}

function touchers(model) {
  const { committers } = model.raw;
  if (!committers?.node?.length) return null;
  const rows = committers.node
    .map((node, i) => ({ shown: model.shown(committers, i), committed: committers.committed[i], samples: committers.samples_now[i], evidence: committers.evidence[i], estimate: committers.estimate[i], by: committers.reserved_by[i] }))
    .sort((a, b) => b.committed - a.committed);
  const reserver = ([site, c, bytesOf, estimate]) => h("div", {}, figure(bytesOf, { estimate: !!estimate }), " ", site >= 0 ? model.siteLabel(site, 100) : clip(model.classes[c] ?? "no call site", 60));
  return section(
    "touchers",
    "Committed by",
    "Whose touches made pages resident, by sampled page faults, and which calls had reserved these. At the report's own moment.",
    listTable(
      "Committed by",
      [
        bytesColumn("In RAM", (row) => row.committed, (row) => row.estimate),
        { title: "Samples", numeric: true, cell: (row) => count(row.samples) },
        { title: "Known by", cell: (row) => row.evidence },
        { title: "Touched by", cell: (row) => call(model, row) },
        { title: "Reserved by", cell: (row) => [...row.by.slice(0, 6).map(reserver), row.by.length > 6 ? h("div", { class: "quiet" }, `and ${count(row.by.length - 6)} more: `, figure(row.by.slice(6).reduce((sum, [, , bytesOf]) => sum + bytesOf, 0))) : null] },
      ],
      rows,
      200,
      (row) => row.committed,
    ),
  );
}

// What the figures rest on: an item begins with a dash, and may go on in further lines.
function basisLines({ text, blind_spots }) {
  const items = [];
  for (const line of text?.basis ?? []) {
    if (line.startsWith("- ") || !items.length) items.push(line.replace(/^- /, ""));
    else items[items.length - 1] += ` ${line.trim()}`;
  }
  return [...items, ...(blind_spots ?? [])];
}

function basis(page) {
  const lines = (page.diff ? page.diff.models : [page.model]).flatMap((model, i) => basisLines(model.raw).map((line) => (page.diff ? `${i ? "after" : "before"}: ${line}` : line)));
  return section("basis", "Basis and blind spots", "What this report rests on, and what it cannot see.", lines.length ? h("ul", { class: "lines" }, lines.map((line) => h("li", {}, clip(line, 8000)))) : h("p", {}, "No blind spots are known."));
}

// What two traces differ by, beside classes and call sites: the text's own words.
function changes({ text }) {
  const estimates = "~ = estimated from samples.";
  return [titled("touchers", text?.committed_by, estimates), titled("blocks", text?.blocks, estimates), titled("kernel", text?.kernel, "What differs by more than two runs of one program may."), titled("untouched", text?.not_in_ram, "What differs by more than two runs of one program may.")];
}

export function panels(page) {
  const { model } = page;
  const single = page.diff ? changes(page.data.diff) : [growth(model), memoryCgroup(model), touchers(model), retained(model), blocks(model), advice(model), locks(model), files(model), kernel(model), go(model)];
  return [...single, basis(page)].filter(Boolean);
}
