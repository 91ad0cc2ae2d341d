import { json, type SimulatedResponse } from './responses.ts';

/** The lines of the report that is as large as that of a busy company: about 3 MB. */
const MANY_LINES = 12_000;

/** A report; `GeneralLedger` is the large one. */
export function report(name: string, time: string): SimulatedResponse {
  const lines = name === 'GeneralLedger' ? MANY_LINES : 0;
  return json(200, {
    Header: { ReportName: name, Currency: 'USD', Time: time },
    Columns: { Column: [{ ColTitle: '', ColType: 'Account' }] },
    Rows: { Row: Array.from({ length: lines }, (_, index) => line(index + 1)) },
  });
}

function line(number: number) {
  return {
    type: 'Data',
    ColData: [
      { value: '2026-01-12' },
      { value: 'Invoice', id: String(number) },
      { value: String(1000 + number) },
      { value: "Amy's Bird Sanctuary", id: '1' },
      { value: 'Rock Fountain and its installation in the garden' },
      { value: '-Split-', id: '' },
      { value: (number * 1.25).toFixed(2) },
    ],
  };
}
