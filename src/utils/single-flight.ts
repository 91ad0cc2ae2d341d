/** Shares one run of some work among all callers that ask for it while it is running. */
export class SingleFlight<T> {
  private readonly flights = new Map<string, Promise<T>>();

  /** Joins the running work with this key, or starts it. */
  run(key: string, work: () => Promise<T>): Promise<T> {
    const flight = this.flights.get(key) ?? work().finally(() => this.flights.delete(key));
    this.flights.set(key, flight);
    return flight;
  }
}
