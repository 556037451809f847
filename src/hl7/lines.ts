// Cuts text into segment lines without losing a character: CR, LF or CRLF ends, BOM, VT, blank
// lines, MLLP trailers. Works on decoded text and on bytes seen as latin1 alike.

export interface Line {
  text: string;
  /** The line's end and the blank lines after it; '' when the last line has none. */
  end: string;
  /** Index of `text` in what was scanned. */
  start: number;
}

/**
 * prefix + every text and end, in order, is the scanned text again. What is beyond `linesMax` is
 * left in the text of the last line.
 */
export function scanLines(text: string, linesMax: number): { prefix: string; lines: Line[] } {
  const lines: Line[] = [];
  const first = visitLines(text, (line) => {
    lines.push(line);
    return lines.length < linesMax;
  });
  const last = lines.at(-1);
  if (last !== undefined && last.start + last.text.length + last.end.length < text.length) {
    last.text = text.slice(last.start);
    last.end = '';
  }
  return { prefix: text.slice(0, first), lines };
}

/** Calls `visit` for each line until it returns false; returns where the first line begins. */
export function visitLines(text: string, visit: (line: Line) => boolean): number {
  const first = skipSpaces(text, skipBlank(text, skipPrefix(text)));
  const ends = text.includes('\n') || text.includes('\x1c') ? mixedEnd(text, first) : crEnd;
  for (let start = first; start < text.length; ) {
    const end = ends(text, start);
    const next = end < text.length ? skipBlank(text, end) : end;
    if (!visit({ text: text.slice(start, end), end: text.slice(end, next), start })) break;
    start = next;
  }
  return first;
}

/** Index of the first character that ends the line that begins at `from`, or the text's length. */
type FindEnd = (text: string, from: number) => number;

function crEnd(text: string, from: number): number {
  const end = text.indexOf('\r', from);
  return end < 0 ? text.length : end;
}

/**
 * Where the first line ends with LF, every CR and LF ends a line. Where it ends with CR, a lone LF
 * is data (embedded text), unless the name of a segment or nothing at all follows it.
 */
function mixedEnd(text: string, first: number): FindEnd {
  const loneIsData = firstEnd(text, first) === CR;
  return (_, from) => {
    for (let i = from; i < text.length; i++) {
      const code = text.charCodeAt(i);
      if (code > FS) continue;
      if (code === CR) return i;
      if (code === LF && (!loneIsData || beginsSegment(text, i + 1))) return i;
      if (code === FS && isTrailer(text, i)) return i;
    }
    return text.length;
  };
}

const LF = 0x0a;
const CR = 0x0d;
const FS = 0x1c;

function firstEnd(text: string, from: number): number {
  for (let i = from; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === CR || code === LF) return code;
  }
  return LF;
}

/** FS is a trailer at the end of a line or of the text, else it is data. */
function isTrailer(text: string, at: number): boolean {
  const next = text.charCodeAt(at + 1);
  return next === CR || next === LF || at + 1 === text.length;
}

// Names that are no words, so that text in a note is not taken for a segment.
const NAMES = new Set(
  (
    'MSH MSA EVN SFT UAC PID PD1 NK1 PV1 PV2 MRG AL1 DG1 DRG PR1 GT1 IN1 IN2 IN3 ACC OBR OBX ORC ' +
    'NTE TQ1 TQ2 SPM SAC RXA RXC RXD RXE RXG RXO RXR FT1 CTI DSC SCH RGS AIG AIL AIP AIS TXA IAM ' +
    'ARV PRT PRD RF1 STF MFI MFE QPD QAK RCP QRD QRF ERR FHS FTS BHS BTS UB1 UB2 OM1 OM2'
  ).split(' '),
);

function beginsSegment(text: string, from: number): boolean {
  if (from >= text.length) return true;
  const code = text.charCodeAt(from);
  if (code < 0x41 || code > 0x5a) return false;
  const name = text.slice(from, from + 3);
  const known = NAMES.has(name) || /^Z[A-Z0-9]{2}$/.test(name);
  return known && !/[\w\s]/.test(text.charAt(from + 3) || ' ');
}

function skipPrefix(text: string): number {
  if (text.charCodeAt(0) === 0xfeff) return 1;
  return text.startsWith('\xef\xbb\xbf') ? 3 : 0;
}

function skipSpaces(text: string, from: number): number {
  let i = from;
  while (text.charCodeAt(i) === 0x20 || text.charCodeAt(i) === 0x09) i++;
  return i;
}

/** Skips line ends, lines of white space only, VT, and FS that is a trailer. */
function skipBlank(text: string, from: number): number {
  let keep = from;
  for (let i = from; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 0x20) break;
    const white = code === 0x20 || code === 0x09;
    if (!white && code !== 0x0d && code !== 0x0a && code !== 0x0b && code !== 0x1c) break;
    // White space belongs to the line that it opens, unless that line has nothing else.
    if (!white || i + 1 === text.length) keep = i + 1;
  }
  return keep;
}
