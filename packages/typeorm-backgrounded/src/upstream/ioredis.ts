import type { Cluster, Redis } from 'ioredis'

/**
 * What ioredis shows without promising it: the socket of a connection. An orderly end takes for ever where nobody answers.
 * Where it is missing, such a connection ends when TCP gives it up.
 */

/** Ends the sockets that commands go to. ioredis connects again by itself. */
export function cutLive(connection: Redis | Cluster): void {
  for (const node of nodesOf(connection)) if (node.status === 'ready' || node.status === 'connect') cut(node)
}

export function cut({ stream }: Redis): void {
  ;(stream as { destroy(): void } | undefined)?.destroy()
}

export function nodesOf(connection: Redis | Cluster): readonly Redis[] {
  return connection.isCluster ? (connection as Cluster).nodes('all') : [connection as Redis]
}
