import type { QueryRunner } from 'typeorm'

/**
 * Whether a runner is in a transaction that was begun with `query('BEGIN')`, of which TypeORM knows nothing: only its
 * connection does. Undefined when that cannot be found out.
 * @throws the database's error, as in a transaction that has failed
 */
export async function isInHandmadeTransaction(runner: QueryRunner): Promise<boolean | undefined> {
  const { type } = (runner.manager.dataSource ?? runner.manager.connection).options
  switch (type) {
    case 'postgres':
      // Outside of one, each statement is a transaction that begins with it.
      return isTrue(runner, 'SELECT transaction_timestamp() < statement_timestamp() AS answer')
    case 'mariadb':
    case 'mysql':
      // MySQL does not have the variable.
      return isTrue(runner, 'SELECT @@in_transaction = 1 AS answer').catch(() => undefined)
    default: {
      const { inTransaction } = ((await runner.connect()) ?? {}) as { inTransaction?: boolean } // better-sqlite3
      return inTransaction
    }
  }
}

async function isTrue(runner: QueryRunner, sql: string): Promise<boolean> {
  const [row] = (await runner.query(sql)) as [{ answer: boolean | number | string }]
  return row.answer === true || Number(row.answer) === 1
}
