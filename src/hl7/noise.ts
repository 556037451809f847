// Tells bytes that are no HL7v2 at all from a message, whole or damaged. It parses nothing.

/**
 * A line that begins as a segment does: a name of three characters and a separator. Blanks, byte
 * order marks and the zero bytes of UTF-16 may stand before and between.
 */
const SEGMENT = new RegExp(
  '(?:^|[\\r\\n])[\\0\\t\\v\\x1c\\x20\\xa0\\xbb\\xbf\\xef\\xfe\\xff]*' +
    '[A-Za-z]\\0?[A-Za-z0-9]\\0?[A-Za-z0-9]\\0?[^\\w\\s]',
);

/** No line of it begins as a segment does: nothing in it can be about a patient. */
export function isNoise(bytes: Uint8Array): boolean {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
  return !SEGMENT.test(text);
}
