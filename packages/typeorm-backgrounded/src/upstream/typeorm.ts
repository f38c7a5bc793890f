import type { DataSource, QueryRunner } from 'typeorm'

/**
 * The members of TypeORM that its documentation does not promise.
 *
 * | member | what for | where it is missing |
 * |---|---|---|
 * | `queryRunner.transactionDepth` | distinguishes a savepoint from its transaction | every call belongs to the transaction itself |
 * | `commitTransaction` sends `COMMIT` through `query` | jobs are sent in the same text | the before-commit hook writes them; one warning |
 *
 * `repeated-find.ts` has those of its query builders.
 */

/** How deep the runner is: 0 outside a transaction, 1 inside one, 2 in its first savepoint, and so on. */
export function depthOf(runner: QueryRunner): number {
  const { transactionDepth } = runner as unknown as { transactionDepth?: number }
  return transactionDepth ?? (runner.isTransactionActive ? 1 : 0)
}

/**
 * Whether TypeORM's runners commit by sending the one word `COMMIT` through their own public `query`. This is tried out on
 * a runner of its own, which is never connected.
 */
export async function sendsCommitThroughQuery(dataSource: DataSource): Promise<boolean> {
  const sent: unknown[] = []
  const still = (value: unknown) => ({ value, writable: true, configurable: true })
  try {
    const proof = Object.create(dataSource.createQueryRunner(), {
      isTransactionActive: still(true),
      transactionDepth: still(1),
      broadcaster: still({ broadcast: () => Promise.resolve() }),
      query: still((sql: unknown) => {
        sent.push(sql)
        return Promise.resolve([])
      }),
    }) as QueryRunner
    await proof.commitTransaction()
  } catch {
    return false
  }
  return sent.length === 1 && sent[0] === 'COMMIT'
}
