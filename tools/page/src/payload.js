// The page's data: base64 of gzip of vmtrace-view/1.

function encoded() {
  return document.getElementById("vmtrace-data").textContent.trim();
}

function fromBase64(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const binary = atob(text);
  const result = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) result[i] = binary.charCodeAt(i);
  return result;
}

export function readText() {
  const stream = new Blob([fromBase64(encoded())]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}

// What the views ask of a trace: the columns, and of the report what they show.
function adapt({ report, data }) {
  const { process, snapshot, cgroup, coverage, retained } = report;
  return {
    ...data,
    process: { ...process, command: process.cmdline, end: data.end },
    limit_bytes: cgroup?.limit_bytes ?? null,
    cgroup,
    kernel: snapshot.kernel,
    retained: retained.is_split ? retained : null,
    advice: report.advice,
    locks: report.locks,
    files: report.files,
    go: report.go,
    touch: report.touch,
    blind_spots: coverage.blind_spots,
    marks: marks(report, data),
  };
}

// What the timeline names: the peak of RSS, when the cgroup was fullest, the end.
function marks({ process, cgroup }, { timeline, end }) {
  const result = [];
  const at = timeline.rss.reduce((best, value, i) => (value > (timeline.rss[best] ?? -1) ? i : best), 0);
  if (timeline.rss.length) result.push({ time_ns: timeline.time_ns[at], kind: "peak", text: "peak RSS" });
  const fullest = cgroup?.fullest;
  if (fullest?.bytes && cgroup.limit_bytes) result.push({ time_ns: fullest.time_ns, kind: "limit", text: "cgroup fullest" });
  if (process.duration_ns) result.push({ time_ns: process.duration_ns, kind: cgroup?.oom_kills ? "oom" : "end", text: end });
  return result;
}

export async function readData() {
  const data = JSON.parse(await readText());
  const { format, views, about } = data;
  if (format === "vmtrace-tree/1") return { tree: data };
  if (format !== "vmtrace-view/1") throw new Error(`unknown format of data: ${format}`);
  return { vmtrace: about.vmtrace, diff: about.diff, headline: about.diff?.headline ?? views[0].data.headline, views: views.map(adapt) };
}
