// The interaction search-type, by GET and by POST (R4 http.html#search).
import type { FastifyReply, FastifyRequest } from 'fastify';
import { searchsetBundle } from '../../fhir/bundle.ts';
import { outcomeOfIssues } from '../../fhir/outcome.ts';
import { parseSearch } from '../../fhir/search.ts';
import { hasErrors } from '../../model/issue.ts';
import { searchResources } from '../../record/search.ts';
import { FHIR_JSON, sendIssues } from '../problem.ts';
import { admittedOf, type FhirContext } from './context.ts';
import { checkFormat, readPrefer, urlParameters } from './negotiate.ts';
import { damageIssue } from './read.ts';

/** `GET /Patient?name=x`, `POST /Patient/_search` with a form; both may be given at once. */
export async function handleSearch(
  context: FhirContext,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { type } = request.params as { type: string };
  const parameters = urlParameters(request);
  if (request.body instanceof URLSearchParams) {
    for (const [name, value] of request.body) parameters.append(name, value);
  }
  checkFormat(request.headers.accept, parameters.get('_format'));
  const { principal, bound, baseUrl } = admittedOf(context, request);
  const { searchCountDefault, searchCountMax, searchTermsMax, totalCountMax } = context.limits;
  const { query, issues } = parseSearch(type, parameters, {
    ...{ countDefault: searchCountDefault, countMax: searchCountMax, baseUrl },
    ...{ termsMax: searchTermsMax, lenient: readPrefer(request).lenient },
  });
  if (hasErrors(issues)) return sendIssues(reply, 400, issues);
  const found = await searchResources(context.record, principal, query, {
    ...{ ...bound, totalMax: totalCountMax },
  });
  const told = [...issues, ...found.damaged.map(damageIssue)];
  const bundle = searchsetBundle(
    baseUrl,
    found.matches.map((match) => match.resource),
    {
      ...{ url: `${baseUrl}/${type}`, parameters: query.applied },
      ...(query.cursor === undefined ? {} : { cursor: query.cursor }),
      ...(found.cursor === undefined ? {} : { next: found.cursor }),
      ...(found.total === undefined ? {} : { total: found.total }),
    },
    told.length === 0 ? undefined : outcomeOfIssues(told),
  );
  return reply.type(FHIR_JSON).send(JSON.stringify(bundle));
}
