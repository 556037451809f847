// `${NAME}` and `${NAME:-default}` in the scalars of a YAML file. It works on parsed scalars, so a
// value from the environment can never become structure.
import { type Document, isScalar, Scalar, visit } from 'yaml';
import type { Environment } from './config.ts';

/** Replaces in place. Answers the variables that are not set and have no default. */
export function expandVariables(
  document: Document,
  environment: Environment,
): { name: string; offset: number }[] {
  const missing: { name: string; offset: number }[] = [];
  visit(document, {
    Scalar(_key, node) {
      if (!isScalar(node) || typeof node.value !== 'string' || !node.value.includes('$')) return;
      const expanded = expandText(node.value, environment, (name) =>
        missing.push({ name, offset: node.range?.[0] ?? 0 }),
      );
      if (expanded === node.value) return;
      node.value = node.type === Scalar.PLAIN ? readPlain(expanded) : expanded;
    },
  });
  return missing;
}

const VARIABLE = /\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}/g;

/** `$${` stands for a literal `${`. An empty variable counts as not set. */
function expandText(
  text: string,
  environment: Environment,
  onMissing: (name: string) => void,
): string {
  return text.replace(VARIABLE, (whole, name: string | undefined, fallback: string | undefined) => {
    if (name === undefined) return whole.slice(1);
    const value = (Object.hasOwn(environment, name) && environment[name]) || fallback;
    if (value === undefined) onMissing(name);
    return value ?? '';
  });
}

/** As YAML reads an unquoted scalar: whole numbers and booleans are no texts. */
function readPlain(text: string): string | number | boolean {
  if (/^-?\d{1,15}$/.test(text)) return Number(text);
  if (text === 'true' || text === 'false') return text === 'true';
  return text;
}
