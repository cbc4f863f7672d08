// Runs a firmware for wasm32: it gets one function, to print, and nothing else.
import { readFileSync } from 'node:fs';

const module = new WebAssembly.Module(readFileSync(process.argv[2]));
const imports = WebAssembly.Module.imports(module).map((x) => `${x.module}.${x.name}`);
if (imports.join() !== 'host.print') {
  throw new Error(`imports ${imports}: a panic can be reached, or memory is asked for`);
}
let memory;
const print = (at, len) => process.stdout.write(Buffer.from(memory.buffer, at, len));
const instance = new WebAssembly.Instance(module, { host: { print } });
memory = instance.exports.memory;
process.exitCode = instance.exports.run() ? 0 : 1;
