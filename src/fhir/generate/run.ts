// `npm run generate`: writes fhir/r4/*.generated.json. What they hold is made in tables.ts.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeTables } from './tables.ts';

for (const [name, text] of Object.entries(makeTables())) {
  writeFileSync(join(import.meta.dirname, '..', 'r4', `${name}.generated.json`), text);
}
