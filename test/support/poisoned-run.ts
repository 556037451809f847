// The pipeline, but for messages of a patient named Poison, which end the process, Poison-exit,
// which end their thread, and Poison-loop, which never come to an end. It takes the place of
// pipeline/run.ts in a test's own process.
import { runPipeline as run } from '../../src/pipeline/run.ts';

export function runPipeline(...given: Parameters<typeof run>): ReturnType<typeof run> {
  const text = Buffer.from(given[0].raw).toString('latin1');
  if (text.includes('|Poison-exit^')) process.exit(3);
  if (text.includes('|Poison-loop^')) for (;;);
  if (text.includes('|Poison^')) process.kill(process.pid, 'SIGKILL');
  return run(...given);
}
