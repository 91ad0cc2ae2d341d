import type { Request } from 'express';
import { json, type SimulatedResponse } from './responses.ts';

const FILE = /^file_content_(\w+)$/;

/** Reads the files of an upload, with their metadata if there is some: each becomes one attachment, of which only facts are kept. */
export class Attachments {
  private count = 0;

  /** @param time of the response */
  async upload(req: Request, time: string): Promise<SimulatedResponse> {
    const form = await formDataOf(req);
    const items = await Promise.all([...form].map(([name, value]) => this.attach(form, name, value, time)));
    const AttachableResponse = items.filter((item) => item !== undefined);
    return json(200, { AttachableResponse, time });
  }

  private async attach(form: FormData, name: string, file: File | string, time: string) {
    const [, index] = FILE.exec(name) ?? [];
    if (index === undefined || typeof file === 'string') return undefined;
    const metadata = form.get(`file_metadata_${index}`);
    const fields = metadata === null ? {} : JSON.parse(typeof metadata === 'string' ? metadata : await metadata.text());
    this.count += 1;
    const Attachable = {
      FileName: file.name,
      ContentType: file.type,
      ...fields,
      Size: file.size,
      Id: String(this.count),
      SyncToken: '0',
      MetaData: { CreateTime: time, LastUpdatedTime: time },
    };
    return { Attachable };
  }
}

async function formDataOf(req: Request): Promise<FormData> {
  const headers = { 'content-type': req.get('content-type') ?? '' };
  return new Response(req.body, { headers }).formData();
}
