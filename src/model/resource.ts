// A FHIR resource as the pipeline hands it to the record, and the account of a message's fields.

/** Any FHIR R4 resource as parsed JSON. Shapes are checked by fhir/validate.ts, not by types. */
export interface Resource {
  resourceType: string;
  id?: string;
  meta?: {
    versionId?: string;
    lastUpdated?: string;
    profile?: string[];
    tag?: unknown[];
    security?: unknown[];
    source?: string;
    [key: string]: unknown;
  };
  [element: string]: unknown;
}

/**
 * How a mapped resource meets the stored one. `merge`: elements in the message replace, elements
 * that it does not value stay (HL7 v2.5.1 section 2.5.3: an empty field is "no change").
 * `create-only`: written when absent, else left as it is. `replace`: the message is all there is.
 */
export type WriteMode = 'merge' | 'create-only' | 'replace';

export interface MappedResource {
  /** Has `id`; has no meta.versionId and no meta.lastUpdated. */
  resource: Resource & { id: string };
  /** JSON text of `resource`, where somebody has made it already. */
  text?: string | undefined;
  mode: WriteMode;
  /**
   * Element paths that the message empties with `""`: `maritalStatus`, `period.end`,
   * `extension(URL)`.
   */
  cleared: string[];
  /** Top-level elements that are written only where the stored resource lacks them. */
  initial?: string[];
  /** Top-level lists whose elements are added to the stored ones, each of them once. */
  union?: string[];
  /** Id of the Patient whose data key seals it; null = the tenant key. */
  compartment: string | null;
}

/** What became of one valued field, repetition or component of a message. */
export interface FieldAccount {
  /** `PID-3[1]`, `OBX[2]-5.1`, `/record/name`: where it stands in the message. */
  from: string;
  fate: 'mapped' | 'ignored' | 'unmapped';
  /** mapped: `Patient.identifier`; ignored: the written reason; unmapped: ''. */
  to: string;
}
