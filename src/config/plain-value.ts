/**
 * Removes what a shell, a file or Docker's `--env-file` leaves around a variable's value: whitespace, and one pair of
 * quotation marks.
 */
export function plainValue(value: string): string {
  const trimmed = value.trim();
  const [, , quoted] = /^(["'])((?:(?!\1).)*)\1$/s.exec(trimmed) ?? [];
  return quoted === undefined ? trimmed : quoted.trim();
}

/** True if a quotation mark is left at an end of a value, which is probably a mistake. */
export function hasStrayQuote(value: string): boolean {
  return /^["']|["']$/.test(value);
}
