import type { DataSource, QueryRunner } from 'typeorm'

/**
 * What is used of TypeORM and not promised by its documentation, each with a check that tells when it is gone.
 */

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
