/** The companies of this environment, by realm id. */
export class Companies {
  readonly #names: Map<string, string | undefined>;

  constructor(names: Record<string, string>) {
    this.#names = new Map(Object.entries(names));
  }

  /** Undefined makes it a company of the other environment: every API call for it is 403. */
  set(realmId: string, name: string | undefined): void {
    this.#names.set(realmId, name);
  }

  /** A company nobody told of has a name too, so that tests may use any realm id. */
  nameOf(realmId: string): string | undefined {
    return this.#names.has(realmId) ? this.#names.get(realmId) : `Sandbox Company ${realmId}`;
  }

  /** Those a person may pick on the consent page. */
  list(): { realmId: string; name: string }[] {
    return [...this.#names].flatMap(([realmId, name]) => (name === undefined ? [] : [{ realmId, name }]));
  }
}

/** The companies a simulator has unless told otherwise. */
export const sandboxCompanies: Record<string, string> = {
  '9341452000000001': 'Sandbox Company_US_1',
  '9341452000000002': 'Sandbox Company_US_2',
  '9341452000000003': "Craig's Design and Landscaping Services",
};
