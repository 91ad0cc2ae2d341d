import { readFile, writeFile } from 'node:fs/promises';

/** Replaces the text below a heading of the second level. */
export async function writeSection(file: string, heading: string, text: string): Promise<void> {
  const document = await readFile(file, 'utf8');
  const section = new RegExp(`(?<=\\n## ${heading}\\n).*?(?=\\n## |$)`, 's');
  await writeFile(
    file,
    document.replace(section, () => `\n${text}\n`),
  );
}
