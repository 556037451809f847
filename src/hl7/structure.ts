// Abstract message grammar as compact text, and the grouping of a message's segments by it. It
// places every segment and reports what does not fit; it never refuses.
import { EngineError } from '../model/errors.ts';
import { tableOf } from '../model/table.ts';

export interface StructureNode {
  /** Segment or group name; a choice of segments is `OBR|RQD`. */
  name: string;
  /** Segment names that this node takes: one, or the alternatives of a choice. */
  segments: readonly string[];
  /** undefined = a segment. */
  children: readonly StructureNode[] | undefined;
  required: boolean;
  repeats: boolean;
  /** Segments that may begin it. */
  first: ReadonlySet<string>;
  /** Segments that occur anywhere in it. */
  all: ReadonlySet<string>;
  /** Whether it may be absent as a whole: not required, or a group of optional parts only. */
  nullable: boolean;
}

/** The root is a group named '' that holds the message. */
export type Structure = StructureNode & { children: readonly StructureNode[] };

/**
 * Compiles a grammar: `MSH [{SFT}] {PATIENT: PID [PD1]} [DSC]`. `[X]` optional, `{X}` repeating,
 * `[{X}]` both, `(NAME: X Y)` a plain group, `<OBR|RQD>` a choice of segments. A bracket around
 * more than one part needs a name. Throws CONFIG_INVALID with the position of the first fault.
 */
export function compileStructure(text: string): Structure {
  const parser = new Parser(text);
  const children = parser.parts('');
  return finishGroup('', children, true, false) as Structure;
}

const CLOSING: Record<string, string> = tableOf({ '[': ']', '{': '}', '(': ')' });
const DEPTH_MAX = 20;

class Parser {
  private readonly text: string;
  private readonly tokens: { text: string; at: number }[];
  private next = 0;
  private depth = 0;

  constructor(text: string) {
    this.text = text;
    this.tokens = [...text.matchAll(/[[\]{}():<>|]|[A-Za-z0-9_]+|\S/g)].map((match) => ({
      text: match[0],
      at: match.index,
    }));
  }

  /** Parts up to `closing` ('' = the end of the text), which is consumed. */
  parts(closing: string): StructureNode[] {
    const nodes: StructureNode[] = [];
    for (;;) {
      const token = this.tokens[this.next];
      if (token === undefined) {
        if (closing !== '') this.fail(`"${closing}" is missing`);
        break;
      }
      if (token.text === closing) break;
      nodes.push(this.part());
    }
    this.next++;
    if (nodes.length === 0) this.fail('a segment is missing', this.next - 1);
    return nodes;
  }

  private part(): StructureNode {
    const token = this.take();
    const closing = CLOSING[token];
    if (closing !== undefined) return this.bracket(token, closing);
    if (token === '<') return this.choice();
    if (!/^[A-Z][A-Z0-9]{2}$/.test(token)) this.fail(`"${token}" is no segment`, this.next - 1);
    return segmentNode([token]);
  }

  private bracket(opening: string, closing: string): StructureNode {
    this.depth++;
    if (this.depth > DEPTH_MAX) this.fail('it is nested too deeply', this.next - 1);
    const at = this.next - 1;
    const name = this.groupName();
    const nodes = this.parts(closing);
    this.depth--;
    const [only] = nodes;
    if (name === '' && (nodes.length > 1 || only === undefined)) {
      this.fail('a group of several parts needs a name', at);
    }
    const inner = name === '' && only ? only : finishGroup(name, nodes, true, false);
    return withOccurs(inner, opening === '[', opening === '{');
  }

  private groupName(): string {
    if (this.tokens[this.next + 1]?.text !== ':') return '';
    const name = this.take();
    if (!/^[A-Z][A-Z0-9_]*$/.test(name)) this.fail(`"${name}" is no group name`, this.next - 1);
    this.next++;
    return name;
  }

  private choice(): StructureNode {
    const names: string[] = [];
    for (;;) {
      const name = this.take();
      if (!/^[A-Z][A-Z0-9]{2}$/.test(name)) this.fail(`"${name}" is no segment`, this.next - 1);
      names.push(name);
      const after = this.take();
      if (after === '>') return segmentNode(names);
      if (after !== '|') this.fail('"|" or ">" is missing', this.next - 1);
    }
  }

  private take(): string {
    const token = this.tokens[this.next];
    if (token === undefined) return this.fail('it ends too early');
    this.next++;
    return token.text;
  }

  private fail(what: string, index = this.next): never {
    const at = this.tokens[index]?.at ?? this.text.length;
    throw new EngineError('CONFIG_INVALID', `Message structure, position ${at + 1}: ${what}.`);
  }
}

function segmentNode(names: string[]): StructureNode {
  const set = new Set(names);
  return {
    name: names.join('|'),
    segments: names,
    children: undefined,
    required: true,
    repeats: false,
    first: set,
    all: set,
    nullable: false,
  };
}

function finishGroup(
  name: string,
  children: StructureNode[],
  required: boolean,
  repeats: boolean,
): StructureNode {
  const first = new Set<string>();
  let open = true;
  for (const child of children) {
    if (open) for (const segment of child.first) first.add(segment);
    open &&= child.nullable;
  }
  const all = new Set(children.flatMap((child) => [...child.all]));
  const nullable = !required || children.every((child) => child.nullable);
  return { name, segments: [], children, required, repeats, first, all, nullable };
}

function withOccurs(node: StructureNode, optional: boolean, repeats: boolean): StructureNode {
  const required = node.required && !optional;
  return {
    ...node,
    required,
    repeats: node.repeats || repeats,
    nullable: node.nullable || !required,
  };
}
