// The part of hl7-standard (untyped) that standard.ts uses.
declare module 'hl7-standard' {
  interface Transformed {
    [segment: string]: { type: string; index: number; data: Record<string, unknown> }[];
  }
  class HL7 {
    constructor(data: string);
    transformed: Transformed;
    transform(done: (error: Error | null) => void): void;
    build(): string;
  }
  export = HL7;
}
