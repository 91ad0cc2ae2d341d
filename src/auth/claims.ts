/**
 * Returns the claim with this name or, if there is none, at this path: `organization.id` is the field `id` of the claim
 * `organization`. Names may contain dots themselves, as those that are URLs do.
 */
export function claimAt(claims: object, path: string): unknown {
  if (Object.hasOwn(claims, path)) return (claims as Record<string, unknown>)[path];
  for (let dot = path.indexOf('.'); dot >= 0; dot = path.indexOf('.', dot + 1)) {
    const name = path.slice(0, dot);
    const claim = Object.hasOwn(claims, name) && (claims as Record<string, unknown>)[name];
    const found = isObject(claim) ? claimAt(claim, path.slice(dot + 1)) : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Returns the names that a claim contains: it is a string, or an array of strings. */
export function namesIn(claim: unknown): string[] {
  return [claim].flat().filter((name) => typeof name === 'string' && name !== '') as string[];
}

function isObject(claim: unknown): claim is object {
  return typeof claim === 'object' && claim !== null && !Array.isArray(claim);
}
