// The interactions create and update (R4 http.html#create, #update), with validation before.
import type { FastifyReply, FastifyRequest } from 'fastify';
import { patientCompartment } from '../../fhir/compartment.ts';
import { outcomeOfIssues } from '../../fhir/outcome.ts';
import { reservedFault } from '../../fhir/reserved.ts';
import { validateResource } from '../../fhir/validate.ts';
import { EngineError } from '../../model/errors.ts';
import { hasErrors, type Issue } from '../../model/issue.ts';
import type { Resource } from '../../model/resource.ts';
import { readResource } from '../../record/read.ts';
import { createResource, type SavedResource, updateResource } from '../../record/update.ts';
import { FHIR_JSON, sendIssues } from '../problem.ts';
import { type Admitted, admittedOf, checkId, type FhirContext, refuse } from './context.ts';
import { checkFormat, etagOf, readIfMatch, readPrefer, urlParameters } from './negotiate.ts';

/** `POST /Patient`: 201 with Location, 400 for structure, 422 for rules. */
export async function handleCreate(
  context: FhirContext,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { type } = request.params as { type: string };
  checkFormat(request.headers.accept, urlParameters(request).get('_format'));
  const admitted = admittedOf(context, request);
  if (request.headers['if-none-exist'] !== undefined) {
    throw new EngineError('BAD_REQUEST', 'If-None-Exist is not served yet; nothing was created.');
  }
  const resource = takeBody(request.body, type);
  refuseReserved(resource);
  const issues = validateResource(resource);
  if (hasErrors(issues)) return sendIssues(reply, statusOf(issues), issues);
  await keepWithin(context, admitted, 'c', resource);
  const saved = await createResource(context.record, admitted.principal, resource);
  return sendSaved(request, reply, admitted, saved, issues);
}

/** `PUT /Patient/1`: 200, or 201 when it was new; If-Match guards against lost updates. */
export async function handleUpdate(
  context: FhirContext,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { type, id } = request.params as { type: string; id: string };
  checkFormat(request.headers.accept, urlParameters(request).get('_format'));
  const admitted = admittedOf(context, request);
  const resource = takeBody(request.body, type);
  refuseReserved(resource);
  if (resource.id !== checkId(id)) {
    throw new EngineError('BAD_REQUEST', 'The id of the resource is not the id of the URL.');
  }
  const ifMatch = readIfMatch(request);
  const issues = validateResource(resource);
  if (hasErrors(issues)) return sendIssues(reply, statusOf(issues), issues);
  await keepWithin(context, admitted, 'u', resource);
  await keepStoredWithin(context, admitted, { type, id });
  const options = ifMatch === undefined ? {} : { ifMatch };
  const saved = await updateResource(context.record, admitted.principal, resource, options);
  return sendSaved(request, reply, admitted, saved, issues);
}

function takeBody(body: unknown, type: string): Resource {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new EngineError('BAD_REQUEST', 'The body must be one FHIR resource.');
  }
  const resource = body as Resource;
  if (resource.resourceType !== type) {
    throw new EngineError('BAD_REQUEST', `The body must be a ${type}, as the URL says.`);
  }
  return resource;
}

/** Throws FORBIDDEN for what Artery alone writes. */
function refuseReserved(resource: Resource): void {
  const fault = reservedFault(resource);
  if (fault !== '') throw new EngineError('FORBIDDEN', fault);
}

/** 400 when it is no R4 resource at all, 422 when it is one that breaks a rule. */
function statusOf(issues: readonly Issue[]): number {
  return issues.some((issue) => issue.code === 'structure') ? 400 : 422;
}

/** A caller that is bound to a patient writes into that patient's compartment only. */
async function keepWithin(
  context: FhirContext,
  { request, principal, within }: Admitted,
  verb: 'c' | 'u',
  resource: Resource,
): Promise<void> {
  if (within === null || patientCompartment(resource) === within) return;
  const reason = 'The resource is not in the compartment of the token.';
  await refuse(context, request, principal, { verb, type: resource.resourceType, reason });
}

/** Nor does it take over a resource that is in another one. */
async function keepStoredWithin(
  context: FhirContext,
  { request, principal, within }: Admitted,
  ref: { type: string; id: string },
): Promise<void> {
  if (within === null) return;
  try {
    const { head } = await readResource(context.record, principal, ref);
    if (head.compartment === within) return;
  } catch (thrown) {
    if (thrown instanceof EngineError && thrown.code === 'NOT_FOUND') return;
    throw thrown;
  }
  const reason = 'The resource is not in the compartment of the token.';
  await refuse(context, request, principal, { verb: 'u', type: ref.type, reason });
}

function sendSaved(
  request: FastifyRequest,
  reply: FastifyReply,
  { baseUrl }: Admitted,
  { resource, head, outcome }: SavedResource,
  issues: Issue[],
): FastifyReply {
  const place = `${resource.resourceType}/${resource.id}/_history/${head.version}`;
  reply
    .code(outcome === 'created' ? 201 : 200)
    .header('ETag', etagOf(head.version))
    .header('Last-Modified', new Date(head.lastUpdated).toUTCString());
  if (outcome === 'created') reply.header('Location', `${baseUrl}/${place}`);
  switch (readPrefer(request).return) {
    case 'minimal':
      return reply.send();
    case 'OperationOutcome':
      return reply.type(FHIR_JSON).send(JSON.stringify(outcomeOfIssues(issues)));
    case 'representation':
      return reply.type(FHIR_JSON).send(JSON.stringify(resource));
  }
}
