import { mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = path.dirname(fileURLToPath(import.meta.url));
const out = path.join(here, "..", "static", "dist");

const entryPoints = ["src/app.js", "src/editor.js", "src/chart.js", "src/app.css", "src/mark.svg"];

/** The page asks for "app.js" and gets the name with the hash. */
function manifestOf(outputs) {
  const manifest = {};
  for (const [file, { entryPoint }] of Object.entries(outputs)) {
    if (!entryPoint) continue;
    const name = path.basename(entryPoint);
    manifest[name] = path.basename(file);
    const styles = outputs[file].cssBundle;
    if (styles) manifest[name.replace(/\.js$/, ".css")] = path.basename(styles);
  }
  return manifest;
}

/** Only what reached the browser is listed: esbuild itself is not handed on. */
async function licencesOf(inputs) {
  const packages = new Set();
  for (const file of Object.keys(inputs)) {
    const found = file.match(/node_modules\/((?:@[^/]+\/)?[^/]+)\//);
    if (found) packages.add(found[1]);
  }
  const texts = [];
  for (const name of [...packages].sort()) {
    const folder = path.join(here, "node_modules", name);
    const { version, license } = JSON.parse(await readFile(path.join(folder, "package.json"), "utf8"));
    const file = (await readdir(folder)).find((entry) => /^licen[cs]e/i.test(entry));
    if (!file) throw new Error(`${name} comes without a licence text; it can't be bundled.`);
    const text = await readFile(path.join(folder, file), "utf8");
    texts.push(`${name} ${version} (${license})\n\n${text.trim()}\n`);
  }
  return texts.join(`\n${"-".repeat(78)}\n\n`);
}

await rm(out, { recursive: true, force: true });
await mkdir(out, { recursive: true });
const { metafile } = await build({
  absWorkingDir: here,
  entryPoints,
  outdir: out,
  entryNames: "[name]-[hash]",
  bundle: true,
  minify: true,
  format: "esm",
  target: ["es2022", "chrome111", "firefox113", "safari16.4"],
  loader: { ".svg": "copy" },
  legalComments: "none",
  metafile: true,
  logLevel: "warning",
});
const manifest = manifestOf(metafile.outputs);
await writeFile(path.join(out, "LICENSES.txt"), await licencesOf(metafile.inputs));
await writeFile(path.join(out, "manifest.json"), `${JSON.stringify(manifest, null, 2)}\n`);
for (const [file, { bytes }] of Object.entries(metafile.outputs)) console.log(`${path.basename(file)}  ${Math.ceil(bytes / 1024)} KB`);
