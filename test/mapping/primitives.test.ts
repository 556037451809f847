// Built-in conversions of text to FHIR primitives, as rows use them.
import { describe, expect, it } from 'vitest';
import { CONVERSIONS, type ConversionContext, Decimal } from '../../src/mapping/primitives.ts';
import { openZone } from '../../src/mapping/zone.ts';

const context: ConversionContext = { zone: openZone('UTC'), degree: '', noteTime: () => {} };

function convert(as: string, text: string): unknown {
  const value = CONVERSIONS[as]?.(text, context);
  return value instanceof Decimal ? value.text || String(value.value) : value;
}

describe('conversion', () => {
  it.each([
    ['string', '  a  b ', 'a  b'],
    ['string', '   ', undefined],
    ['code', ' a  b ', 'a b'],
    ['id', 'a.b-1', 'a.b-1'],
    ['id', 'a_b', undefined],
    ['uri', ' urn:x ', 'urn:x'],
    ['uri', 'urn x', undefined],
    ['boolean', 'Y', true],
    ['boolean', 'n', false],
    ['boolean', '1', true],
    ['boolean', 'false', false],
    ['boolean', 'U', undefined],
    ['decimal', '13.2', '13.2'],
    ['decimal', '4.00', '4.00'],
    ['decimal', '0.50', '0.50'],
    ['decimal', '+7', '7'],
    ['decimal', '-7.10', '-7.10'],
    ['decimal', '007', '7'],
    ['decimal', '.5', '0.5'],
    ['decimal', '5.', '5'],
    ['decimal', '0', '0'],
    ['decimal', '00', '0'],
    ['decimal', '0.00', '0.00'],
    ['decimal', '0.0000001', '0.0000001'],
    ['decimal', '12345678901234567890.12', '12345678901234567890.12'],
    ['decimal', '1e5', undefined],
    ['decimal', '1,5', undefined],
    ['decimal', '>5', undefined],
    ['decimal', '', undefined],
    ['decimal', '.', undefined],
    ['decimal', '9'.repeat(50), undefined],
    ['integer', '-3', -3],
    ['integer', '3.0', 3],
    ['integer', '3.5', undefined],
    ['integer', '3000000000', undefined],
    ['positiveInt', '0', undefined],
    ['positiveInt', '2', 2],
    ['unsignedInt', '0', 0],
    ['unsignedInt', '-1', undefined],
    ['base64Binary', 'QUJD RA==', 'QUJDRA=='],
    ['base64Binary', 'QUJ', undefined],
  ])('%s of "%s" is %s', (as, text, expected) => {
    expect(convert(as, text)).toBe(expected);
  });
});
