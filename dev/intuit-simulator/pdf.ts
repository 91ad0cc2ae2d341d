import type { SimulatedResponse } from './responses.ts';

/** A PDF document with one empty page. */
export function pdf(title: string): SimulatedResponse {
  const objects = [
    '<< /Type /Catalog /Pages 2 0 R >>',
    '<< /Type /Pages /Kids [3 0 R] /Count 1 >>',
    '<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] >>',
    `<< /Title (${title}) >>`,
  ].map((content, index) => `${index + 1} 0 obj\n${content}\nendobj\n`);
  const trailer = 'trailer\n<< /Root 1 0 R /Info 4 0 R >>\n%%EOF\n';
  const body = Buffer.from(`%PDF-1.4\n%\u00e2\u00e3\n${objects.join('')}${trailer}`, 'latin1');
  return { status: 200, headers: { 'content-type': 'application/pdf' }, body };
}
