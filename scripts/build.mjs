// Bundles the CLI, the library and the worker into dist/, and writes the library's types.
import * as fs from "node:fs";
import * as path from "node:path";
import { ensureDependencies, root, runTool } from "./setup.mjs";

ensureDependencies();
const dist = path.join(root, "dist");
if (process.argv.includes("--if-needed") && newest(["src", "package.json", "scripts/build.mjs"]) < oldest(dist))
  process.exit(0);

const { rolldown } = await import("rolldown");
const common = {
  cwd: root,
  platform: "node",
  // LGPL: it stays a package of its own that a user can replace.
  external: ["openpgp"],
  logLevel: "warn",
};
// Names stay, for stack traces that people can report; white space and comments cost time at every start.
const minify = { compress: true, mangle: false, codegen: { removeWhitespace: true } };
fs.rmSync(dist, { recursive: true, force: true });
await write(
  { ...common, input: { cli: "src/cli/main.ts", index: "src/index.ts", worker: "src/workers/worker.ts" } },
  { format: "esm", entryFileNames: "[name].js", chunkFileNames: "chunks/[name]-[hash].js" },
);
// The command line in one file, whose compiled code is kept between runs (src/cli/compiled-code.ts).
await write(
  { ...common, input: { "command-line": "src/cli/run-command-line.ts" } },
  { format: "cjs", entryFileNames: "[name].cjs", codeSplitting: false, dynamicImportInCjs: false },
);
fs.chmodSync(path.join(dist, "cli.js"), 0o755);
fs.writeFileSync(path.join(dist, "THIRD-PARTY-LICENSES"), licences());
runTool("tsc", ["-p", "tsconfig.types.json"]);

async function write(input, output) {
  const bundle = await rolldown(input);
  await bundle.write({ dir: dist, minify, ...output });
  await bundle.close();
}

/** The licences of the packages that are bundled, which ask to travel with them. */
function licences() {
  const bundled = ["@renovatebot/pep440", "commander", "fzstd", "smol-toml", "undici", "xz-decompress", "yaml", "zod"];
  return bundled
    .map((name) => {
      const folder = path.join(root, "node_modules", name);
      const { version, license, author } = JSON.parse(fs.readFileSync(path.join(folder, "package.json"), "utf8"));
      const file = fs.readdirSync(folder).find((each) => /^licen[cs]e/i.test(each));
      const text = file
        ? fs.readFileSync(path.join(folder, file), "utf8").trim()
        : `${license}, by ${author?.name ?? author}`;
      return `${name} ${version}\n\n${text}\n`;
    })
    .join(`\n${"-".repeat(80)}\n\n`);
}

function newest(names) {
  return Math.max(...names.flatMap((name) => files(path.join(root, name))).map((file) => fs.statSync(file).mtimeMs));
}

function oldest(folder) {
  const outputs = fs.existsSync(path.join(folder, "types", "index.d.ts")) ? [path.join(folder, "cli.js")] : [];
  return outputs.length === 0 ? 0 : Math.min(...outputs.map((file) => fs.statSync(file).mtimeMs));
}

function files(at) {
  if (!fs.statSync(at).isDirectory()) return [at];
  return fs.readdirSync(at).flatMap((name) => files(path.join(at, name)));
}
