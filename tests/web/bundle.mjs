// Makes the page's bundle out of tools/page/src: the script, the style, and the policy that allows
// these two and nothing else. Usage: node bundle.mjs DIRECTORY. The same sources give the same bytes.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build, transform } from "esbuild";

const page = join(dirname(fileURLToPath(import.meta.url)), "../../tools/page");
const into = process.argv[2];
if (!into) throw new Error("usage: node bundle.mjs DIRECTORY");

const result = await build({
  entryPoints: [join(page, "src/main.js")],
  absWorkingDir: page,
  bundle: true,
  write: false,
  minify: true,
  format: "iife",
  charset: "ascii",
  target: ["chrome111", "firefox113", "safari16.4"],
  legalComments: "none",
});
const licence = readFileSync(join(page, "vendor/uplot/LICENSE"), "utf8").trim();
const script = `/* vmtrace's page. It holds uPlot:\n${licence.replaceAll("*/", "* /")}\n*/\n${result.outputFiles[0].text}`;
const sheets = ["vendor/uplot/uPlot.min.css", "src/page.css"].map((name) => readFileSync(join(page, name), "utf8"));
const style = (await transform(sheets.join("\n"), { loader: "css", minify: true, charset: "ascii", target: ["chrome111", "firefox113", "safari16.4"] })).code;
for (const text of [script, style]) if (/<\/(script|style)|<!--/i.test(text)) throw new Error("the bundle would end its own element");

const hash = (text) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
const policy = `default-src 'none'; script-src ${hash(script)}; style-src ${hash(style)}; base-uri 'none'; form-action 'none'`;
mkdirSync(into, { recursive: true });
writeFileSync(join(into, "page.js"), script);
writeFileSync(join(into, "page.css"), style);
writeFileSync(join(into, "policy"), policy);
