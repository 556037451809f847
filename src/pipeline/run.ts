// The pipeline: one message to FHIR resources, all its issues at once. Pure; parse, validate and
// map are in the files beside it. It stores nothing and decides no acknowledgement.
import type { Recent } from '../crypto/recent.ts';
import { patientCompartment } from '../fhir/compartment.ts';
import type { MappingSet } from '../mapping/compile.ts';
import { hasErrors, type Issue } from '../model/issue.ts';
import type { PipelineInput, PipelineOutput } from '../model/pipeline.ts';
import type { MappedResource, Resource } from '../model/resource.ts';
import { mapFhir } from './fhir.ts';
import { mapHl7 } from './hl7.ts';
import { mapJson } from './json.ts';
import { completeProvenance } from './provenance.ts';
import { type Mapped, NO_SITE, type PipelineLimits, refuse, UNLIMITED } from './step.ts';

export interface PipelineContext {
  mappings: MappingSet;
  /** All faults of a resource (fhir/validate.ts). */
  validateResource(resource: unknown): Issue[];
  /** Remembers texts of resources without fault by their id; whoever keeps it bounds it. */
  faultless?: Recent<string>;
  /** true = the output lists the fate of every field. Costly. */
  account?: boolean;
  /** Absent: the message is not bounded. */
  limits?: PipelineLimits;
}

/**
 * Runs a message through parse, validate, map and FHIR validation. With an issue of severity
 * `error` no resource is given. The same input and map give the same output, byte for byte.
 */
export function runPipeline(input: PipelineInput, context: PipelineContext): PipelineOutput {
  const { limits = UNLIMITED } = context;
  const mapped = boundResources(mapInput(input, context, limits), limits.resourcesMax);
  const { issues } = mapped;
  const provenance = completeProvenance(
    mapped,
    input,
    context.mappings.idsOf(input.envelope.tenant),
  );
  if (provenance !== null) mapped.resources.push(provenance);
  for (const item of mapped.resources) {
    item.text ??= JSON.stringify(item.resource);
    // A Provenance comes once: no use in remembering it.
    const { validateResource, faultless } = context;
    const found =
      item === provenance
        ? validateResource(item.resource)
        : validateOnce(item.resource, item.text, validateResource, faultless);
    issues.push(...found);
  }
  const failed = hasErrors(issues);
  const compartments = new Set<string>();
  const resources: MappedResource[] = mapped.resources.map((item) => {
    const compartment = patientCompartment(item.resource);
    if (compartment !== null && item !== provenance) compartments.add(compartment);
    return { ...item, compartment };
  });
  const [only] = compartments;
  const compartment = compartments.size === 1 && only !== undefined ? only : null;
  const last = resources.at(-1);
  if (provenance !== null && last !== undefined) last.compartment = compartment;
  return {
    resources: failed ? [] : resources,
    issues: limitIssues(issues, limits.issuesMax),
    accounts: mapped.accounts,
    mapHash: mapped.mapHash,
    compartment: failed ? null : compartment,
  };
}

/** A resource that was found without a fault lately need not be looked at again. */
function validateOnce(
  resource: Resource & { id: string },
  text: string,
  validateResource: PipelineContext['validateResource'],
  faultless: PipelineContext['faultless'],
): Issue[] {
  if (faultless?.get(resource.id) === text) return [];
  const found = validateResource(resource);
  if (found.length === 0) faultless?.set(resource.id, text, text.length);
  return found;
}

/** Before validation: what is beyond the limit must not cost more than to count it. */
function boundResources(mapped: Mapped, resourcesMax: number): Mapped {
  if (mapped.resources.length <= resourcesMax) return mapped;
  const text = `The message gives more than ${resourcesMax} resources (resourcesMax).`;
  const issue: Issue = { severity: 'error', code: 'too-long', at: '', text };
  return { ...mapped, resources: [], issues: [issue, ...mapped.issues] };
}

function mapInput(input: PipelineInput, context: PipelineContext, limits: PipelineLimits): Mapped {
  const { channel, envelope } = input;
  if (envelope.format === 'fhir') return mapFhir(input, limits);
  const maps = context.mappings.sites.get(channel.site);
  if (maps === undefined) return refuse(NO_SITE);
  const zone = context.mappings.zoneOf(channel.timezone);
  if (zone === undefined) return refuse(WRONG_ZONE);
  const idOf = context.mappings.idsOf(envelope.tenant);
  const { resourcesMax } = limits;
  const account = context.account === true;
  const mapContext = { messageId: envelope.id, idOf, zone, account, resourcesMax };
  return envelope.format === 'hl7v2'
    ? mapHl7(input, maps, mapContext, limits)
    : mapJson(input, maps, mapContext);
}

const WRONG_ZONE: Issue = {
  severity: 'error',
  code: 'processing',
  at: 'channel.timezone',
  text: "The channel's timezone is not an IANA zone name.",
};

/** Errors are kept first; the last one says how many are not listed. */
function limitIssues(issues: readonly Issue[], issuesMax: number): Issue[] {
  if (issues.length <= issuesMax) return [...issues];
  const rank = { error: 0, warning: 1, information: 2 };
  const sorted = issues.toSorted((a, b) => rank[a.severity] - rank[b.severity]);
  const text = `${issues.length - issuesMax} more issues are not listed.`;
  const cut: Issue = { severity: 'information', code: 'too-long', at: '', text };
  return [...sorted.slice(0, issuesMax), cut];
}
