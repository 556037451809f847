// Searches bytes for a text in every form in which it may have been written by mistake.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Bytes as one latin1 text in lower case: what `findTraces` looks into. */
export function haystackOf(...parts: (string | Uint8Array)[]): string {
  return parts
    .map((part) =>
      Buffer.from(part as Uint8Array)
        .toString('latin1')
        .toLowerCase(),
    )
    .join('\n');
}

/** Every file below a folder, with its path. */
export function filesBelow(folder: string): { path: string; bytes: Buffer }[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => ({ path, bytes: readFileSync(path) }));
}

/** `secret as form` of each that is found. Secrets are ASCII of 8 characters or more. */
export function findTraces(haystack: string, secrets: readonly string[]): string[] {
  return secrets.flatMap((secret) => {
    if (secret.length < 8) throw new Error('a secret that short would be found by accident');
    return Object.entries(formsOf(secret))
      .filter(([, form]) => haystack.includes(form.toLowerCase()))
      .map(([name]) => `${secret} as ${name}`);
  });
}

/** How a text may stand in bytes. Each form is latin1. */
export function formsOf(secret: string): Record<string, string> {
  const bytes = Buffer.from(secret, 'utf8');
  const wide = Buffer.from(secret, 'utf16le');
  return {
    text: secret,
    utf16le: wide.toString('latin1'),
    utf16be: Buffer.from(wide).swap16().toString('latin1'),
    hex: bytes.toString('hex'),
    uri: encodeURIComponent(secret),
    ...base64Forms(bytes),
  };
}

/** Base64 of a text depends on where it begins: what all three beginnings leave unchanged. */
function base64Forms(bytes: Buffer): Record<string, string> {
  const forms: Record<string, string> = {};
  for (const shift of [0, 1, 2]) {
    const padded = Buffer.concat([Buffer.alloc(shift), bytes]).toString('base64');
    const from = Math.ceil((shift * 8) / 6);
    const to = Math.floor(((shift + bytes.length) * 8) / 6);
    forms[`base64 at ${shift}`] = padded.slice(from, to);
  }
  return forms;
}
