/** Resolves once `condition` holds; a test that never gets there fails by its own timeout. */
export async function until(condition: () => unknown): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 5));
}
