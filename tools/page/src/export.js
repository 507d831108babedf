// Downloads: the table as CSV, the page's data as JSON.
import { readText } from "./payload.js";

export function downloadText(name, type, text) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

// A name that begins like a formula is none: a spreadsheet would run it.
export function csvField(value) {
  if (typeof value === "number") return String(value);
  let text = String(value ?? "");
  if (/^[=+\-@\t\r]/.test(text)) text = `'${text}`;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

export function csvText(page, rows) {
  const columns = page.table.columns.filter((column) => column.key !== "ratio");
  const lines = [[...columns.map((column) => column.csv ?? `${column.key}${column.key === "count" ? "" : "_bytes"}`), "estimate", "kind", "class", "stack"]];
  for (const i of rows) {
    const { kind, frames, model, className, estimate } = page.site(i);
    lines.push([...columns.map((column) => column.get(i)), estimate ? 1 : 0, kind, className, frames.map((frame) => frameCsv(model, frame)).join(";")]);
  }
  return lines.map((line) => line.map(csvField).join(",")).join("\r\n") + "\r\n";
}

function frameCsv(model, frame) {
  const { name, file, line } = model.describe(frame);
  return file ? `${name} ${file}${line ? `:${line}` : ""}` : name;
}

export function downloadCsv(page) {
  page.table.sortAll();
  downloadText(`${page.fileName}.csv`, "text/csv", csvText(page, page.table.rows));
}

export async function downloadJson(page) {
  downloadText(`${page.fileName}.json`, "application/json", await readText());
}
