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

export async function readData() {
  const data = JSON.parse(await readText());
  if (data.format !== "vmtrace-view/1") throw new Error(`unknown format of data: ${data.format}`);
  return data;
}
