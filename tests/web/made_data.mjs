// vmtrace-view/1 made up by rule: a small process with one of everything, or one with very many
// stacks. The sums hold as they do in a real one: sites and rests add up to classes, these to RSS.

const MIB = 2 ** 20;

class Strings {
  constructor() {
    this.list = [""];
    this.index = new Map([["", 0]]);
  }

  of(text) {
    if (!this.index.has(text)) {
      this.index.set(text, this.list.length);
      this.list.push(text);
    }
    return this.index.get(text);
  }
}

// frames: [function, file, line] each; stacks: lists of frame indices, innermost first.
function view({ classes, frames, stacks, sites, snapshots, ...rest }) {
  const strings = new Strings();
  const columns = { function: [], file: [], line: [], module: [], address: [], inlined: [] };
  for (const [name, file, line, module = "/srv/app", address = null] of frames) {
    columns.function.push(strings.of(name));
    columns.file.push(strings.of(file));
    columns.line.push(line);
    columns.module.push(strings.of(module));
    columns.address.push(address);
    columns.inlined.push(0);
  }
  const nodes = { parent: [0], frame: [-1] };
  const known = new Map();
  const places = stacks.map((stack) => {
    let at = 0;
    for (let i = stack.length - 1; i >= 0; i--) {
      const key = at * 2 ** 22 + stack[i];
      if (!known.has(key)) {
        known.set(key, nodes.parent.length);
        nodes.parent.push(at);
        nodes.frame.push(stack[i]);
      }
      at = known.get(key);
    }
    return at;
  });
  return written({
    process: { pid: 4242, exe: "/srv/app", cmdline: "/srv/app --cache=2g", title: null, start_unix_ns: 1795923393746154500, duration_ns: 12e9, end: "signal" },
    end: "killed by SIGKILL",
    trace: "app.vmt",
    cgroup: null,
    headline: "A made process.",
    strings: strings.list,
    frames: columns,
    nodes,
    classes,
    sites: { node: sites.map((site) => places[site.stack]), kind: sites.map((site) => site.kind), class: sites.map((site) => site.class), count: sites.map((site) => site.count), total_reserved: sites.map((site) => site.total), released: sites.map((site) => site.released), released_committed: sites.map(() => 0), estimate: sites.map((site) => site.estimate) },
    snapshots,
    report_snapshot: snapshots.length - 1,
    timeline: { time_ns: snapshots.map((s) => s.time_ns), rss: snapshots.map((s) => s.rss) },
    class_line: { time_ns: snapshots.map((s) => s.time_ns), committed: snapshots.map((s) => s.classes.committed) },
    committers: null,
    advice: [],
    files: [],
    locks: [],
    go: null,
    touch: null,
    retained: { is_split: false },
    kernel: {},
    losses: [],
    blind_spots: [],
    folded: null,
    ...rest,
  });
}

// As vmt_view_data_write (tools/page/view_data.c) has it: the report's JSON, and columns.
function written({ process, cgroup, advice, files, locks, go, touch, retained, kernel, blind_spots, ...data }) {
  return { report: { process, snapshot: { taken: true, index: 2, count: 3, time_ns: 11e9, source: "PAGEMAP_SCAN", kernel }, cgroup, advice, files, locks, go, touch, retained, loss: { events: 1234, snapshots_skipped: 0 }, coverage: { malloc: "sampled", blind_spots } }, data };
}

// A moment: rows [site, reserved, committed], rests [reserved, committed] by class.
function moment({ index, timeNs, rows, rests, classOf, marks, map = null }) {
  const reserved = rests.map(([value]) => value);
  const committed = rests.map(([, value]) => value);
  for (const [site, r, c] of rows) {
    reserved[classOf(site)] += r;
    committed[classOf(site)] += c;
  }
  const nil = reserved.map(() => 0);
  return {
    time_ns: timeNs,
    index,
    rss: committed.reduce((a, b) => a + b, 0),
    virtual: reserved.reduce((a, b) => a + b, 0),
    swap: 0,
    marks,
    classes: { reserved, accessible: reserved, committed, swapped: nil, never_touched: reserved.map((r, i) => r - committed[i]), hugetlb: nil },
    has_sites: true,
    sites: { site: rows.map(([site]) => site), reserved: rows.map(([, r]) => r), committed: rows.map(([, , c]) => c), swapped: rows.map(() => 0), never_touched: rows.map(([, r, c]) => r - c), live: rows.map(() => 1) },
    rest: { reserved: rests.map(([value]) => value), committed: rests.map(([, value]) => value) },
    map,
  };
}

export function smallView({ grown = 0, hostile = (text) => text } = {}) {
  const frames = [
    ["_start", "", 0],
    ["main", "/src/main.c", 10],
    [hostile("serve"), "/src/serve.c", 44],
    [hostile("cache_add"), hostile("/src/cache.c"), 31],
    ["load_index", "/src/index.c", 7],
    ["", "", 0, hostile("/usr/lib/libplugin.so"), "0x7f0012345678"],
  ];
  const stacks = [[3, 2, 1, 0], [4, 1, 0], [5, 2, 1, 0], [3, 1, 0]];
  const sites = [
    { stack: 0, kind: "malloc", class: 1, count: 40000, total: 900 * MIB, released: 100 * MIB, estimate: 1 },
    { stack: 1, kind: "mmap", class: 0, count: 1, total: 1024 * MIB, released: 0, estimate: 0 },
    { stack: 2, kind: "mmap", class: 0, count: 3, total: 12 * MIB, released: 4 * MIB, estimate: 0 },
    { stack: 3, kind: "malloc", class: 1, count: 10, total: 8 * MIB, released: 0, estimate: 1 },
  ];
  const classOf = (site) => sites[site].class;
  const rests = [[0, 0], [0, 0], [6 * MIB, 3 * MIB]];
  const at = (index, timeNs, cache, indexRam, marks, map) =>
    moment({ index, timeNs, marks, classOf, rests, map, rows: [[0, cache, cache], [1, 1024 * MIB, indexRam], [2, 8 * MIB, 2 * MIB], ...(index ? [[3, 8 * MIB, 8 * MIB]] : [])] });
  const map = { left_out_ranges: 0, left_out_bytes: 0, start: ["0x10000", "0x7f0000000000"], bytes: [8 * MIB, 1024 * MIB], class: [-2, 0], site: [-1, 1], cells: [2, 4], fill: [255, 255, 255, 128, 0, 0] };
  const snapshots = [at(0, 1e9, 10 * MIB, 16 * MIB, []), at(1, 4e9, 100 * MIB, 32 * MIB, []), at(2, 11e9, 400 * MIB + grown, 64 * MIB, ["peak", "end", "report"], map)];
  return view({
    classes: ["mmap", "malloc live", "program and libraries"],
    frames,
    stacks,
    sites,
    snapshots,
    cgroup: { limit_bytes: 512 * MIB, peak_bytes: 512 * MIB, oom_kills: 1, fullest: { time_ns: 10e9, bytes: 512 * MIB } },
    headline: hostile("RSS 477 MiB at 11 s: 408 MiB malloc live, mostly by cache_add cache.c:31; 1.41 GiB reserved."),
    committers: { node: [1, 2], evidence: ["samples", "samples"], committed: [64 * MIB, 413 * MIB + grown], samples: [10, 90], samples_now: [1, 90], estimate: [1, 1], unshared: [0, 0], reserved_by: [[[1, 0, 64 * MIB, 0]], [[0, 1, 400 * MIB + grown, 1], [-1, 2, 13 * MIB, 0]]] },
    advice: [{ advice: "MADV_DONTNEED", calls: 2, failed_calls: 0, bytes: 8 * MIB, committed_before_bytes: 6 * MIB, committed_before_is_estimate: false, taken_bytes: 6 * MIB, stayed_bytes: 0, frames: [{ function: hostile("cache_trim"), file: "/src/cache.c", line: 77, module: "/srv/app", address: "0x1", module_offset: "0x1", inlined: false }] }],
    advice_shown: [[]],
    events: { first_ns: [5e9, 6e9, 7e9, 8e9], last_ns: [5.01e9, 6e9, 7e9, 8e9], call: ["MADV_DONTNEED", "MADV_HUGEPAGE", "munmap", "free"], calls: [2, 1, 1, 4], bytes: [8 * MIB, 2 * MIB, 4096, 40 * MIB], in_ram: [6 * MIB, 0, 4096, 30 * MIB], taken: [6 * MIB, 0, 4096, null], estimate: [0, 0, 0, 1], advice: [0, -1, -1, -1] },
    locks: [{ call: "mlock", calls: 1, bytes: 4096, frames: [] }],
    files: [{ path: hostile("/usr/lib/libc.so.6"), reserved_bytes: 2 * MIB, committed_bytes: MIB }],
    retained: { allocator: "glibc", is_split: true, estimate: true, overhead_bytes: 1000, free_page_bytes: 2 * MIB, pinned_bytes: 3 * MIB },
    go: { version: "go1.24.4", heap_in_use_bytes: 5 * MIB },
    kernel: { anonymous_bytes: 470 * MIB, file_bytes: 7 * MIB, shared_memory_bytes: 0 },
    text: {
      go_shares: [hostile("RSS is 477 MiB; Go accounts for 7 MiB of it.")],
      growth: ["What grew last, from 10 s on", `    90 MiB  malloc ${hostile("cache_add")} cache.c:31`, "            <- serve serve.c:44"],
      go: ["GOGC is 100: the next collection is due by 4 MiB."],
      lazily_freed: ["  LazyFree: 3 MiB of RSS was given back by MADV_FREE; it stays in RSS until the kernel needs it."],
      basis: [hostile("- Figures are from snapshot 3 of 3, taken at 11 s;"), "  pages read by PAGEMAP_SCAN.", "- Events read: 12. malloc: none, the program is Go alone."],
      pinning: ["  of the free memory, kept below or around live blocks of", `     3 MiB  malloc ${hostile("cache_add")} cache.c:31`],
      blocks: ["Blocks of malloc, over the whole run", "  Live at the end of the trace: about 408 MiB in about 40,010 blocks, of 2 call sites"],
      cgroup: ["  cgroup limit 512 MiB, peak usage 512 MiB", "  highest usage seen 512 MiB at 10 s: 470 MiB anonymous memory in all its processes, 35 MiB tmpfs and other shared memory, 0 B page cache of files, 7 MiB kernel and other; RSS of this process then 477 MiB"],
    },
    losses: [hostile("12 events were dropped: the ring was full")],
    blind_spots: [hostile("malloc blocks smaller than 65536 bytes were sampled")],
  });
}

function document(views, diff = null) {
  return { format: "vmtrace-view/1", views, about: { vmtrace: "0", diff } };
}

export function small(options = {}) {
  return document([smallView(options)]);
}

// Two runs: cache_add grew, load_index vanished, the plugin stayed.
export function smallDiff() {
  const before = smallView();
  const after = smallView({ grown: 200 * MIB });
  const last = after.data.snapshots.at(-1);
  const gone = last.sites.site.indexOf(1);
  last.classes.reserved[0] -= last.sites.reserved[gone];
  last.classes.committed[0] -= last.sites.committed[gone];
  last.rss -= last.sites.committed[gone];
  for (const column of Object.values(last.sites)) column.splice(gone, 1);
  before.data.trace = "before.vmt";
  after.data.trace = "after.vmt";
  return document([before, after], { headline: "RSS grew by 136 MiB, from 477 MiB to 613 MiB", pairs: [[[0], [0]], [[1], []], [[2], [2]], [[3], [3]], [[], []]] });
}

// A small generator of numbers: the same ones each time.
function numbers(seed) {
  let at = seed;
  return () => {
    at = (Math.imul(at, 1664525) + 1013904223) >>> 0;
    return at / 2 ** 32;
  };
}

export function large(stackCount, momentCount = 4) {
  const next = numbers(7);
  const frames = Array.from({ length: 20000 }, (_, i) => [`namespace_${i % 97}::handler_${i}`, `/src/part_${i % 400}/file_${i % 3000}.cc`, (i % 900) + 1]);
  const stacks = [];
  for (let i = 0; i < stackCount; i++) {
    const shared = i % 10 === 0 || !i ? [] : stacks[i - (i % 10)].slice(3);
    const own = shared.length ? 3 : 10 + Math.floor(next() * 10);
    const outer = shared.length ? [] : [1 + (i % 5), 0];
    stacks.push([...Array.from({ length: own }, () => Math.floor(next() ** 2 * frames.length)), ...shared, ...outer]);
  }
  const sites = stacks.map((_, i) => ({ stack: i, kind: i % 3 ? "malloc" : "mmap", class: i % 3 ? 1 : 0, count: 1 + Math.floor(next() * 1000), total: 2 ** 20, released: 0, estimate: i % 3 ? 1 : 0 }));
  const classOf = (site) => sites[site].class;
  const snapshots = [];
  for (let m = 0; m < momentCount; m++) {
    const rows = sites.map((_, i) => {
      const reserved = 4096 * (1 + Math.floor(next() ** 6 * 5000));
      return [i, reserved, 4096 * Math.floor((reserved / 4096) * next())];
    });
    snapshots.push(moment({ index: m, timeNs: (m + 1) * 1e9, marks: m === momentCount - 1 ? ["peak", "end", "report"] : [], classOf, rests: [[0, 0], [0, 0]], rows }));
  }
  return document([view({ classes: ["mmap", "malloc live"], frames, stacks, sites, snapshots })]);
}
