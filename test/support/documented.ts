import { Ajv2020 } from 'ajv/dist/2020.js';
import ajvFormats from 'ajv-formats';
import type { Config } from '../../src/config/config.ts';
import { STATUS } from '../../src/middleware/error-handler.ts';
import { openApiDocument } from '../../src/openapi/document.ts';
import type { RecordedAnswer } from './secrets.ts';

/** Fails where an answer is not as `/openapi.json` says: in its status, a header, its content type or a field. */
export function expectDocumented(services: { answers: RecordedAnswer[]; config: Config }[]): void {
  const [first] = services;
  if (!first) return;
  const problemsOf = createCheck(openApiDocument(first.config));
  const problems = new Set(services.flatMap(({ answers }) => answers.flatMap(problemsOf)));
  if (problems.size > 0) throw new Error(`Answers that are not as documented:\n${[...problems].join('\n')}`);
}

// biome-ignore lint/suspicious/noExplicitAny: the document is walked by names that are read from it
type Part = any;

function createCheck(openApi: object): (answer: RecordedAnswer) => string[] {
  const document: Part = JSON.parse(JSON.stringify(openApi).replaceAll('"#/', '"document#/'));
  forbidOthers(document.components.schemas);
  const ajv = new Ajv2020({ strict: false, validateSchema: false }).addSchema(document, 'document');
  ajvFormats.default(ajv);
  const paths = Object.entries<Part>(document.paths).map(([path, item]) => ({ pattern: patternOf(path), item }));
  const unlisted = unlistedResponses(document.components.responses);

  const resolve = (part: Part): Part =>
    part?.$ref ? part.$ref.split('/').reduce((at: Part, key: string) => at[key], { 'document#': document }) : part;
  const complain = (what: string, schema: object, value: unknown): string[] =>
    ajv.validate(schema, value) ? [] : [`${what}${ajv.errorsText(ajv.errors, { dataVar: '' })}`];

  const responseTo = ({ method, path, status }: RecordedAnswer): Part => {
    const item = paths.find(({ pattern }) => pattern.test(path))?.item;
    const responses = item?.[method === 'HEAD' ? 'get' : method.toLowerCase()]?.responses ?? unlisted;
    return resolve(responses[method === 'OPTIONS' && status === 204 ? 'preflight' : status] ?? responses.default);
  };
  const headerProblems = ({ headers }: RecordedAnswer, response: Part): string[] => {
    const documented = Object.entries({ 'Cache-Control': NO_STORE, ...response.headers });
    const names = documented.map(([name]) => name.toLowerCase());
    const others = Object.keys(headers).filter((name) => !GENERAL.test(name) && !names.includes(name));
    return [
      ...others.map((name) => `has the header ${name}`),
      ...documented.flatMap(([name, part]) => {
        const { schema, required } = resolve(part);
        const value = headers[name.toLowerCase()];
        if (value === undefined) return required ? [`lacks the header ${name}`] : [];
        return complain(`header ${name}`, schema, schema.type === 'integer' ? Number(value) : String(value));
      }),
    ];
  };
  const bodyProblems = ({ method, headers, body }: RecordedAnswer, { content = {} }: Part): string[] => {
    const type = String(headers['content-type'] ?? '').split(';', 1)[0] ?? '';
    if (type === '' && body === '') return [];
    const { schema } = content[type] ?? (type === PROBLEM ? {} : content['*/*']) ?? {}; // which QuickBooks never sends
    if (!schema) return [`has the content type ${type}`];
    const isOurs = type.endsWith('json') && Object.keys(schema).length > 0;
    return isOurs && method !== 'HEAD' ? complain('body', schema, JSON.parse(body)) : [];
  };

  return (answer) => {
    const response = responseTo(answer);
    const problems = response
      ? [...headerProblems(answer, response), ...bodyProblems(answer, response)]
      : ['has this status'];
    return problems.map((problem) => `${answer.method} ${answer.path} ${answer.status} ${problem}`);
  };
}

/** What helmet and CORS put on every answer, and what belongs to HTTP itself. */
const GENERAL =
  /^(access-control-.+|cross-origin-.+|content-.+|x-(content|dns|download|frame|permitted|xss)-.+|connection|origin-agent-cluster|referrer-policy|strict-transport-security|transfer-encoding|vary)$/;

const PROBLEM = 'application/problem+json';
const NO_STORE = { required: true, schema: { const: 'no-store' } };

/** Express takes any case, and a slash at the end. A resource may span several segments. */
function patternOf(path: string): RegExp {
  const text = path
    .replace('{resource}', '.+')
    .replace(/\{\w+\}/g, '[^/]+')
    .replaceAll('.json', '\\.json');
  return new RegExp(`^${text}/?$`, 'i');
}

/** Errors that need no route, by status, and the answer to a preflight. */
function unlistedResponses(responses: Part): Part {
  const codes = [
    'invalid_request',
    'unauthorized',
    'forbidden',
    'not_found',
    'method_not_allowed',
    'payload_too_large',
    'rate_limited',
    'service_unavailable',
  ] as const;
  const errors = codes.map((code) => [STATUS[code], responses[`${code}.page`] ?? responses[code]]);
  return { ...Object.fromEntries(errors), preflight: { headers: responses.not_found.headers } };
}

/** An answer may hold no field that the document does not tell. */
function forbidOthers(part: Part): void {
  if (typeof part !== 'object' || part === null) return;
  if (part.type === 'object' && part.properties) part.additionalProperties ??= false;
  for (const inner of Object.values(part)) forbidOthers(inner);
}
