// Loaded before a server by NODE_OPTIONS=--import: its work thread gets the pipeline that poisoned
// messages end the process in. The server itself is the real one.
import { registerHooks } from 'node:module';

const POISONED = new URL('./poisoned-run.ts', import.meta.url).href;

registerHooks({
  resolve(specifier, context, next) {
    const isWork = context.parentURL?.endsWith('/src/assembly/work-thread.ts');
    if (isWork && specifier === '../pipeline/run.ts') return { url: POISONED, shortCircuit: true };
    return next(specifier, context);
  },
});
