import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A certificate authority in a folder. */
export interface Authority {
  /** The path of its certificate. */
  certificate: string;
  /** Writes a certificate for these names, and its key. Returns their paths. */
  issue(file: string, names: string[]): { certificate: string; key: string };
}

/** Creates a certificate authority, whose files begin with its name. */
export function createAuthority(folder: string, name: string): Authority {
  const path = (file: string) => join(folder, file);
  const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'pipe', cwd: folder });
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const authority = { certificate: path(`${name}.pem`), key: path(`${name}.key`) };
  const subject = ['-subj', `/CN=${name}`];
  openssl('req', '-x509', ...newKey, ...subject, '-days', '2', '-keyout', authority.key, '-out', authority.certificate);
  return {
    certificate: authority.certificate,
    issue: (file, names) => {
      const issued = { certificate: path(`${file}.pem`), key: path(`${file}.key`) };
      const [request, extensions] = [path(`${file}.csr`), path(`${file}.ext`)];
      writeFileSync(extensions, `subjectAltName=${names.join(',')}\n`);
      openssl('req', ...newKey, '-subj', '/CN=a database', '-keyout', issued.key, '-out', request);
      const signer = ['-CA', authority.certificate, '-CAkey', authority.key, '-CAcreateserial', '-days', '2'];
      openssl('x509', '-req', '-in', request, ...signer, '-extfile', extensions, '-out', issued.certificate);
      return issued;
    },
  };
}
