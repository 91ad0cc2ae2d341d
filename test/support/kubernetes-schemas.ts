import { createRequire } from 'node:module';

/** A resource of Kubernetes, as its YAML says. */
export interface KubernetesResource {
  apiVersion: string;
  kind: string;
}

interface Model {
  prototype: { validate(): void };
}

const require = createRequire(import.meta.url); // the packages' ES modules are not complete enough for Node

/** @throws Error that names the fields that the schema of Kubernetes or of Prometheus' operator rejects, or does not know */
export function validateResource(resource: KubernetesResource): void {
  const { apiVersion, kind } = resource;
  const library = apiVersion.startsWith('monitoring.') ? '@kubernetes-models/prometheus-operator' : 'kubernetes-models';
  const models: Record<string, Model> = require(`${library}/${apiVersion}`);
  const Model = models[kind];
  if (!Model) throw new Error(`${apiVersion} has no ${kind}`);
  const unread = new Set<string>();
  Model.prototype.validate.call(observed(resource, '', unread)); // an instance would be a copy that has read all of it
  if (unread.size > 0) throw new Error(`unknown fields: ${[...unread].join(', ')}`);
}

/** Adds every field to `unread`, and removes it when it is read: the validators read exactly the fields that they know. */
function observed(value: unknown, path: string, unread: Set<string>): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const fields = Object.entries(value).map(([name, field]) => [name, observed(field, `${path}/${name}`, unread)]);
  for (const [name] of fields) unread.add(`${path}/${name}`);
  const copy = Array.isArray(value) ? fields.map(([, field]) => field) : Object.fromEntries(fields);
  return new Proxy(copy, {
    get: (target, name) => {
      unread.delete(`${path}/${String(name)}`);
      return Reflect.get(target, name);
    },
  });
}
