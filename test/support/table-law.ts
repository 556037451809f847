// Finds constant objects that are looked up by a value and have a prototype: `toString` would be in
// them. It reads text, so it sees what stands at the top of a file, which is where tables stand.

export interface SourceFile {
  path: string;
  text: string;
}

/** One sentence per offence. */
export function tableOffences(files: readonly SourceFile[]): string[] {
  const stripped = files.map(({ path, text }) => ({ path, text: withoutProse(text) }));
  return stripped.flatMap((file) => [
    ...objectsOf(file)
      .filter((name) => stripped.some((other) => isIndexed(file, other, name)))
      .map((name) => `${file.path}: ${name} is looked up by a value: make it with tableOf()`),
    ...jsonOf(file).map((name) => `${file.path}: the JSON table ${name} must pass tableOf()`),
    ...openIns(file).map((code) => `${file.path}: use Object.hasOwn or a Map: ${code}`),
  ]);
}

/** Without comments and texts; code inside of templates stays. */
function withoutProse(text: string): string {
  return text.replace(PROSE, (found) => {
    if (found.startsWith('/')) return '';
    return found.startsWith('`') ? found.replace(/['"]/g, ' ') : "'s'";
  });
}

const PROSE =
  /\/\*[\s\S]*?\*\/|\/\/.*$|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`/gm;

/** Names at the top of a file that hold an object literal. */
function objectsOf({ text }: SourceFile): string[] {
  const constant = /^(?:export )?const (\w+)(?:: [^\n]*?)? =(?: Object\.freeze\()?\s*\{/gm;
  return [...text.matchAll(constant)].map((match) => match[1] ?? '');
}

/** Whether a file that owns or imports the name looks it up by something other than a literal. */
function isIndexed(owner: SourceFile, file: SourceFile, name: string): boolean {
  const imports = new RegExp(`import[^;]*\\b${name}\\b[^;]*from`);
  if (owner.path !== file.path && !imports.test(file.text)) return false;
  const lookUp = new RegExp(`(?<![.\\w])${name}\\[(?!'s'|\\d+\\]|number\\])`);
  // `(typeof TABLE)[K]` is a type.
  return lookUp.test(file.text.replace(new RegExp(`typeof ${name}\\)?\\[`, 'g'), 'type'));
}

/** Imports of JSON whose every use is not the argument of tableOf. */
function jsonOf({ text }: SourceFile): string[] {
  const names = [...text.matchAll(/^import (\w+) from 's' with/gm)].map((match) => match[1] ?? '');
  return names.filter((name) => {
    const uses = text.match(new RegExp(`\\b${name}\\b(?!\\.)`, 'g')) ?? [];
    const tables = text.match(new RegExp(`tableOf\\(${name}\\b`, 'g')) ?? [];
    return uses.length - 1 !== tables.length;
  });
}

/** `name in object` asks the prototype, too; a literal name is of our own making. */
function openIns({ text }: SourceFile): string[] {
  const asked = /(?<!for \((?:const|let) \w*)(?<!\[\w*)\b(?!s'|const |let )[\w.)\]]+ in \w[\w.]*/g;
  const code = text.replace(/`(?:[^`\\]|\\.)*`/g, "'s'");
  return [...code.matchAll(asked)].map((match) => match[0]);
}
