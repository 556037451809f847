// Owns the forms of FHIR's string-like primitives (R4 datatypes.html#primitive). Faults name the
// rule, never the value.

import { tableOf } from '../model/table.ts';
import { isTemporal } from './time.ts';

const STRING_CHARACTERS_MAX = 1_048_576;

const FORMS: Record<string, { form: RegExp; fault: string }> = tableOf({
  id: { form: /^[A-Za-z0-9.-]{1,64}$/, fault: 'An id is 1 to 64 of A-Z a-z 0-9 - and dot.' },
  code: { form: /^[^\s]+( [^\s]+)*$/, fault: 'A code has no leading, trailing or double blanks.' },
  uri: { form: /^\S+$/, fault: 'A URI holds no blanks.' },
  url: { form: /^\S+$/, fault: 'A URL holds no blanks.' },
  canonical: { form: /^\S+$/, fault: 'A canonical URL holds no blanks.' },
  oid: { form: /^urn:oid:[0-2](\.(0|[1-9]\d*))+$/, fault: 'An OID is written as urn:oid:1.2.3.' },
  uuid: {
    form: /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/,
    fault: 'A UUID is written as urn:uuid: and lower-case hex digits.',
  },
});

const TEMPORAL_FAULTS: Record<string, string> = tableOf({
  date: 'It must be a real calendar date: YYYY, YYYY-MM or YYYY-MM-DD.',
  dateTime: 'It must be a real date, or date and time with seconds and zone.',
  instant: 'It must be a real date and time with seconds and zone.',
  time: 'It must be a time hh:mm:ss.',
});

const CONTROL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f]/;

/** What is wrong with the text of a primitive, '' = nothing. */
export function primitiveFault(type: string, text: string): string {
  if (text === '') return 'A value must not be empty.';
  const temporal = TEMPORAL_FAULTS[type];
  if (temporal !== undefined) return isTemporal(type, text) ? '' : temporal;
  const rule = FORMS[type];
  if (rule !== undefined) return rule.form.test(text) ? '' : rule.fault;
  switch (type) {
    case 'base64Binary':
      return isBase64(text) ? '' : 'It must be base64.';
    case 'xhtml':
      return xhtmlFault(text);
    default:
      return stringFault(text);
  }
}

function stringFault(text: string): string {
  if (text.length > STRING_CHARACTERS_MAX) return 'A string has at most 1,048,576 characters.';
  if (CONTROL.test(text)) return 'A string holds no control characters but tab, CR and LF.';
  return text.trim() === '' ? 'A string must hold more than blanks.' : '';
}

function isBase64(text: string): boolean {
  if (!/^[A-Za-z0-9+/\s]*={0,2}\s*$/.test(text)) return false;
  return text.replace(/\s/g, '').length % 4 === 0;
}

/** Narrative (R4 narrative.html): one div, nothing that a browser would run. */
function xhtmlFault(text: string): string {
  if (!/^\s*<div[\s>]/.test(text)) return 'A narrative is one XHTML div.';
  const active = /<\s*(script|iframe|object|embed|form|base|link)[\s/>]|\son\w+\s*=|javascript:/i;
  return active.test(text) ? 'A narrative holds no active content.' : '';
}
