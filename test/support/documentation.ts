import { readFile, writeFile } from 'node:fs/promises';

/** Replaces the text of a section of second level. @throws Error if the file has no such section */
export async function writeSection(file: string, title: string, text: string): Promise<void> {
  const document = await readFile(file, 'utf8');
  const section = new RegExp(`(?<=\\n## ${title}\\n).*?(?=\\n## |$)`, 's');
  if (!section.test(document)) throw new Error(`${file} has no section "${title}"`);
  await writeFile(
    file,
    document.replace(section, () => `\n${text.trimEnd()}\n`),
  );
}
