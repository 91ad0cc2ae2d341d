import { readdir, readFile, readlink } from 'node:fs/promises';

/** Returns the remote port of each open TCP connection of a process, by Linux' `/proc`. */
export async function remotePorts(pid: number): Promise<number[]> {
  const [inodes, ...tables] = await Promise.all([
    socketInodes(pid),
    ...['tcp', 'tcp6'].map((name) => readFile(`/proc/${pid}/net/${name}`, 'utf8')),
  ]);
  return tables.flatMap((table) => {
    return table
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(/\s+/))
      .filter(([, , remote = '', , , , , , , inode = '']) => inodes.has(inode) && !remote.endsWith(':0000'))
      .map(([, , remote = '']) => Number.parseInt(remote.split(':')[1] ?? '', 16));
  });
}

async function socketInodes(pid: number): Promise<Set<string>> {
  const folder = `/proc/${pid}/fd`;
  const links = await Promise.all((await readdir(folder)).map((name) => readlink(`${folder}/${name}`).catch(() => '')));
  return new Set(links.flatMap((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? []));
}
