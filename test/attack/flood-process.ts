// One flood in a process of its own, so that it does not slow down what measures:
// `node test/attack/flood-process.ts <kind> <ms> <mllp port> <http port>`.
import { FLOODS } from './floods.ts';

const [kind = '', ms, mllp, http] = process.argv.slice(2);
const flood = FLOODS[kind];
if (flood === undefined) throw new Error(`no flood ${kind}`);
const end = performance.now() + Number(ms);
const target = { mllp: Number(mllp), http: Number(http) };
const attempts = await flood(target, () => performance.now() > end);
process.stdout.write(`${JSON.stringify({ attempts })}\n`);
