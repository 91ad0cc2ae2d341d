import { readFile } from 'node:fs/promises';

/** The unit of processor time in `/proc` (USER_HZ). */
const TICK_MICROSECONDS = 10_000;

/** Returns the processor time that a process has used, user and system, in microseconds. */
export async function cpuMicroseconds(pid: number): Promise<number> {
  const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).replace(/^.*\) /, '').split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_MICROSECONDS;
}

/** Returns the resident memory of a process (VmRSS), in bytes. */
export async function residentBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
}
