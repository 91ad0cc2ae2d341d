import type { Forwarder } from './forwarder.ts';

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

export interface ClusterOptions {
  /** How far each node's wall clock is ahead of the one before. */
  skewSeconds?: number;
  /** True if the host name points to all nodes, which then all accept writes; otherwise to the first. */
  isOnAllNodes?: boolean;
}

/** What operators do, and what befalls a node, in one kind of cluster that loses no commit. */
export interface ClusterOperations {
  kind: string;
  /** Takes the first node out of service, and moves the host name to the second. */
  switchOver(cluster: Cluster, forwarder: Forwarder): Promise<void>;
  /** Moves the host name away from the first node, which has ended. */
  failOver(cluster: Cluster, forwarder: Forwarder): Promise<void>;
  /** Leaves the first node without a quorum for 10 s. */
  loseQuorum(cluster: Cluster): Promise<void>;
  /** What a node must run before and after a time in which it applies nothing, so that the others do not wait for it. */
  lag: { before: string[]; after: string[] };
}

export function portOf(node: ClusterNode | undefined): number {
  if (!node) throw new Error('the cluster has no such node');
  return node.port;
}
