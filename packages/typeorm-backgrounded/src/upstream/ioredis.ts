import type { Cluster, Redis } from 'ioredis'

/**
 * The socket of a connection, which ioredis shows but does not document. It is needed because an orderly end never
 * finishes if the server does not answer. Where the socket is missing, such a connection ends when TCP gives it up.
 */

/** Cuts the sockets that commands are sent on. ioredis connects again by itself. */
export function cutLive(connection: Redis | Cluster): void {
  for (const node of nodesOf(connection)) if (node.status === 'ready' || node.status === 'connect') cut(node)
}

export function cut({ stream }: Redis): void {
  ;(stream as { destroy(): void } | undefined)?.destroy()
}

export function nodesOf(connection: Redis | Cluster): readonly Redis[] {
  return connection.isCluster ? (connection as Cluster).nodes('all') : [connection as Redis]
}
