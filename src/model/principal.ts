// Who is acting: resolved from a token, a connection or the engine itself, never from a payload.

export interface Principal {
  tenant: string;
  /** Credential id, `channel:<name>` for an MLLP feed, `artery` for the engine itself. */
  id: string;
  /** SMART v2 scopes (`system/Patient.rs`), `channel/<name>.write`, `admin/*.cruds`. */
  scopes: string[];
  /** Peer address, '' for the engine. */
  peer: string;
  /** The Patient whose compartment bounds every `patient/` scope, null = none. */
  patient: string | null;
}
