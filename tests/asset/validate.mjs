// Khronos' validator on one file: node validate.mjs FILE MODULES; prints its report as JSON.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { resolve } from "node:path";

const [file, modules] = process.argv.slice(2);
const load = createRequire(pathToFileURL(resolve(modules) + "/"));
const report = await load("gltf-validator").validateBytes(new Uint8Array(await readFile(file)), { maxIssues: 50 });
console.log(JSON.stringify(report.issues));
