/** One database server of several. */
export interface ClusterNode {
  port: number;
  signal(signal: NodeJS.Signals): void;
  /** Runs statements on this node alone. */
  run(...statements: string[]): Promise<void>;
  /** Runs a statement on this node alone, and returns the first value of its first row. */
  value(statement: string): Promise<unknown>;
}

/** Servers on this machine that replicate. */
export interface Cluster {
  version: string;
  nodes: ClusterNode[];
  close(): Promise<void>;
}

export function portOf(node: ClusterNode | undefined): number {
  if (!node) throw new Error('the cluster has no such node');
  return node.port;
}
