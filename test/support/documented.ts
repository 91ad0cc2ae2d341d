import { Ajv2020 } from 'ajv/dist/2020.js';
import ajvFormats from 'ajv-formats';
import type { Context } from '../../src/context.ts';
import { ERRORS } from '../../src/errors.ts';
import { openApiDocument } from '../../src/openapi/document.ts';
import type { RecordedResponse } from './secrets.ts';

/** Fails if a response differs from `/openapi.json` in its status, a header, its content type or a field. */
export function expectDocumented(services: { responses: RecordedResponse[]; context: Context }[]): void {
  const [first] = services;
  if (!first) return;
  const providers = new Map(
    services.flatMap(({ context }) => context.strategies.all().map((strategy) => [strategy.system, strategy])),
  );
  const problemsOf = createCheck(openApiDocument(first.context.config, [...providers.values()]));
  const problems = new Set(services.flatMap(({ responses }) => responses.flatMap(problemsOf)));
  if (problems.size > 0) throw new Error(`Responses that differ from the document:\n${[...problems].join('\n')}`);
}

// biome-ignore lint/suspicious/noExplicitAny: the document is walked by names that are read from it
type Part = any;

function createCheck(openApi: object): (response: RecordedResponse) => string[] {
  const document: Part = JSON.parse(JSON.stringify(openApi).replaceAll('"#/', '"document#/'));
  forbidUnknownFields(document.components.schemas);
  const ajv = new Ajv2020({ strict: false, validateSchema: false }).addSchema(document, 'document');
  ajvFormats.default(ajv);
  const paths = Object.entries<Part>(document.paths).map(([path, item]) => ({ pattern: patternOf(path), item }));
  const unlisted = unlistedResponses(document.components.responses);

  const resolve = (part: Part): Part =>
    part?.$ref ? part.$ref.split('/').reduce((at: Part, key: string) => at[key], { 'document#': document }) : part;
  const violations = (what: string, schema: object, value: unknown): string[] =>
    ajv.validate(schema, value) ? [] : [`${what}${ajv.errorsText(ajv.errors, { dataVar: '' })}`];

  const findResponse = ({ method, path, status }: RecordedResponse): Part => {
    const item = paths.find(({ pattern }) => pattern.test(path))?.item;
    const responses = item?.[method === 'HEAD' ? 'get' : method.toLowerCase()]?.responses ?? unlisted;
    return resolve(responses[method === 'OPTIONS' && status === 204 ? 'preflight' : status] ?? responses.default);
  };
  const headerProblems = ({ headers }: RecordedResponse, response: Part): string[] => {
    const documented = Object.entries({ 'Cache-Control': NO_STORE, ...response.headers });
    const names = documented.map(([name]) => name.toLowerCase());
    const others = Object.keys(headers).filter((name) => !GENERAL.test(name) && !names.includes(name));
    return [
      ...others.map((name) => `has the header ${name}`),
      ...documented.flatMap(([name, part]) => {
        const { schema, required } = resolve(part);
        const value = headers[name.toLowerCase()];
        if (value === undefined) return required ? [`lacks the header ${name}`] : [];
        return violations(`header ${name}`, schema, schema.type === 'integer' ? Number(value) : String(value));
      }),
    ];
  };
  const bodyProblems = ({ method, headers, body }: RecordedResponse, { content = {} }: Part): string[] => {
    const type = String(headers['content-type'] ?? '').split(';', 1)[0] ?? '';
    if (type === '' && body === '') return [];
    const { schema } = content[type] ?? (type === PROBLEM ? {} : content['*/*']) ?? {}; // QuickBooks never sends a problem
    if (!schema) return [`has the content type ${type}`];
    const isTyped = type.endsWith('json') && Object.keys(schema).length > 0;
    return isTyped && method !== 'HEAD' ? violations('body', schema, JSON.parse(body)) : [];
  };

  return (response) => {
    const documented = findResponse(response);
    const problems = documented
      ? [...headerProblems(response, documented), ...bodyProblems(response, documented)]
      : ['has this status'];
    return problems.map((problem) => `${response.method} ${response.path} ${response.status} ${problem}`);
  };
}

/** The headers that helmet and CORS add to every response, and those of HTTP itself. */
const GENERAL =
  /^(access-control-.+|cross-origin-.+|content-.+|x-(content|dns|download|frame|permitted|xss)-.+|connection|origin-agent-cluster|referrer-policy|strict-transport-security|transfer-encoding|vary)$/;

const PROBLEM = 'application/problem+json';
const NO_STORE = { required: true, schema: { const: 'no-cache, no-store' } };

/** Express accepts any case, and a trailing slash. A resource can have several segments. */
function patternOf(path: string): RegExp {
  const text = path
    .replace('{resource}', '.+')
    .replace(/\{\w+\}/g, '[^/]+')
    .replaceAll('.json', '\\.json');
  return new RegExp(`^${text}/?$`, 'i');
}

/** The errors that do not require a route, by status, and the response to a preflight request. */
function unlistedResponses(responses: Part): Part {
  const codes = [
    'invalid_request',
    'unauthorized',
    'forbidden',
    'not_found',
    'method_not_allowed',
    'payload_too_large',
    'headers_too_large',
    'rate_limited',
    'service_unavailable',
  ] as const;
  const errors = codes.map((code) => [ERRORS[code].status, responses[code]]);
  return { ...Object.fromEntries(errors), preflight: { headers: responses.not_found.headers } };
}

/** Makes a field that the document does not describe an error. */
function forbidUnknownFields(part: Part): void {
  if (typeof part !== 'object' || part === null) return;
  if (part.type === 'object' && part.properties) part.additionalProperties ??= false;
  for (const inner of Object.values(part)) forbidUnknownFields(inner);
}
