import type { DataSource, ObjectLiteral, QueryRunner, SelectQueryBuilder } from 'typeorm'

/**
 * The members of TypeORM that its documentation does not promise.
 *
 * | member | what for | where it is missing |
 * |---|---|---|
 * | `queryRunner.transactionDepth` | a savepoint is told from its transaction | every call counts for the transaction itself |
 * | `commitTransaction` sends `COMMIT` through `query` | jobs travel with it | they are written by the before-commit hook, said once |
 * | `SelectQueryBuilder.loadRawResults` | rows that were read already become entities | they are read again |
 */

/** How many levels deep the runner is: 0 outside, 1 in a transaction, 2 in its first savepoint. */
export function depthOf(runner: QueryRunner): number {
  const { transactionDepth } = runner as unknown as { transactionDepth?: number }
  return transactionDepth ?? (runner.isTransactionActive ? 1 : 0)
}

/** The entities that `query` makes of rows that were read already. Rejects where this TypeORM does not make them so. */
export async function entitiesOfRaw(
  query: SelectQueryBuilder<ObjectLiteral>,
  rows: readonly object[],
): Promise<ObjectLiteral[]> {
  if (!('loadRawResults' in query)) throw new Error('TypeORM has no loadRawResults.')
  Object.defineProperty(query, 'loadRawResults', { value: () => Promise.resolve(rows) })
  return query.getMany()
}

/**
 * TypeORM's runners send the COMMIT of a transaction through their own public `query`, as one statement of that one word.
 * Proved on a runner that is not connected, and that nobody else sees.
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
